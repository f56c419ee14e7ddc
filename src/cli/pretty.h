/*
 * `inspect --pretty`: objects of the swarm for people to read, letter by letter as docker's command
 * line prints them. Each appends the text of one object.
 */
#pragma once

#include "base/buf.h"
#include "cli/views.h"

void pretty_node(const struct node *n, struct buf *ret);
/* A secret; or a config with its `data`, which no table of the model reads. */
void pretty_secret(const struct secret *s, const struct bytes *data, struct buf *ret);
/* `networks` are the names of those that the service is on. */
void pretty_service(const struct service *s, const struct strs *networks, int64_t now_ns,
		    struct buf *ret);
