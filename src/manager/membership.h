/*
 * Keeps raft's members in step with the managers among the store's nodes: one change at a time, by
 * the leader. A new manager is first a spare that catches up, then a voter; a node that is no
 * manager any more, or was removed, loses its vote. Called by the manager.
 */
#pragma once

#include "manager/replica.h"

struct membership;

struct membership *membership_new(const struct world *world, struct replica *r);
/* Begins nothing any more; a change on its way may still come back until the replica is closed. */
void membership_stop(struct membership *m);
void membership_free(struct membership *m);
/* Something that it looks at may have changed: leadership, nodes, members. Cheap. */
void membership_wake(struct membership *m);
