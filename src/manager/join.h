/*
 * Taking nodes in: a join stream's request is checked against the tokens, a certificate is issued,
 * and the node's object goes to the leader. Any manager serves it. Called by the manager.
 */
#pragma once

#include "base/stream.h"
#include "manager/manager.h"
#include "model/join.h"

struct join_service;

struct join_service *join_service_new(struct manager *m);
/* Streams that are still open are closed; nothing comes back after it. */
void join_service_free(struct join_service *j);
/* Takes an accepted STREAM_JOIN. Calls stream_start(). */
void join_accept(struct join_service *j, struct stream *s);
/* The managers' addresses as the store has them. */
void managers_list(const struct store *s, struct session_manager **ret_v, size_t *ret_n);
