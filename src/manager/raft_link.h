/*
 * Raft's messages over cluster streams: one stream to each other manager, kept by a dialer, and one
 * more for each snapshot, so that heartbeats never queue behind it. What cannot be sent is dropped:
 * raft sends again. Knows addresses only by asking. Called by the manager.
 */
#pragma once

#include "base/stream.h"
#include "manager/raft_node.h"

struct raft_link;

struct raft_link_config {
	struct stream_hub *hub;
	void *arg;
	/* Where a manager listens ("IP:PORT"); -ENOENT while that is not known. */
	int (*address)(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX]);
	/* A message from `node`; an error closes the stream. */
	int (*receive)(void *arg, const char *node, const void *p, size_t n, struct err *e);
	/* A stream to or from `node` has ended because one of the two may not have it. */
	void (*refused)(void *arg, const char *node);
};

struct raft_link *raft_link_new(const struct raft_link_config *config);
/* Closes all streams; `done` comes once nothing uses the link, which is freed then. */
void raft_link_close(struct raft_link *l, void (*done)(void *arg), void *arg);

struct raft_transport raft_link_transport(struct raft_link *l);
/* Takes an accepted stream of STREAM_RAFT or STREAM_SNAPSHOT. Calls stream_start(). */
void raft_link_accept(struct raft_link *l, struct stream *s, const struct stream_peer *peer);
/* Another manager: a stream to it is kept, so that an election need not wait for one. */
void raft_link_reach(struct raft_link *l, const char *node);
/* The node is no manager any more, or has moved: what leads to it is closed. */
void raft_link_forget(struct raft_link *l, const char *node);
/* Whether a stream to or from this node is open now. */
bool raft_link_is_up(const struct raft_link *l, const char *node);
