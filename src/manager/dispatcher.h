/*
 * The managers' side of agents' sessions (model/session.h). Every manager serves from its own
 * replica: assignments and network tables go out as the store changes, statuses and liveness go to
 * the leader. On the leader it also judges which nodes are down. Called by the manager.
 */
#pragma once

#include "base/stream.h"
#include "manager/manager.h"

struct dispatcher;

struct dispatcher *dispatcher_new(struct manager *m);
/* Closes the sessions; nothing comes back after it. */
void dispatcher_free(struct dispatcher *d);

/* Takes an accepted STREAM_SESSION of a node that is in the store. Calls stream_start(). */
void dispatcher_accept(struct dispatcher *d, struct stream *s, const struct stream_peer *peer);

/* Tells a node what it is asked for, if its agent is in session here (model/data.h). */
void dispatcher_data(struct dispatcher *d, const char *node, const struct data_request *r);

/* The raft group has changed: managers are told as which of its members they count. */
void dispatcher_members(struct dispatcher *d);
/* This manager leads from now on, or no more. */
void dispatcher_leading(struct dispatcher *d, bool leading);
/* Another manager leads; NULL: none is known to, or this one does. */
void dispatcher_leader(struct dispatcher *d, const char *other);
/* Another manager says that these nodes' agents are in session with it. On the leader. */
void dispatcher_alive(struct dispatcher *d, const struct strs *nodes);
