/*
 * Keeps raft's members in step with the managers among the store's nodes: one change at a time, by
 * the leader. A new manager is first a spare that catches up, then a voter; a node that is no
 * manager any more, or was removed, loses its vote. Called by the manager.
 */
#pragma once

#include "manager/replica.h"

struct membership;

/* 0: it votes no more; else why not: -EBUSY, -EHOSTUNREACH, -ECANCELED. */
typedef void (*membership_done)(void *arg, int status, const struct err *e);

struct membership *membership_new(const struct world *world, struct replica *r);
/* Begins nothing any more; a change on its way may still come back until the replica is closed. */
void membership_stop(struct membership *m);
void membership_free(struct membership *m);
/*
 * Takes a manager's vote away before it is demoted: it throws its log away as soon as it hears that
 * it is a worker, and a voter without its log could cost the others their majority. It gets no vote
 * again until membership_unvote_end(). One at a time: -EBUSY while there is another, and `done`
 * does not come then; else it always comes, not before the call has returned.
 */
int membership_unvote(struct membership *m, const char *node, uint64_t raft_id,
		      membership_done done, void *arg, struct err *e);
/* It is a worker now, or the demotion came to nothing. */
void membership_unvote_end(struct membership *m);
/* Something that it looks at may have changed: leadership, nodes, members. Cheap. */
void membership_wake(struct membership *m);
