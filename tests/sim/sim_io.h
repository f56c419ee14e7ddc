/*
 * A simulated disk under raft: a `struct raft_io` whose content is what was synced, which a crash
 * leaves, and what was not, of which a crash keeps any beginning. Operations take their time and
 * keep their order, as raft_uv's do. Callers: sim_node.c, and tests of what stands on raft.
 */
#pragma once

#include <raft.h>

#include "sim/sim.h"

struct sim_disk;

/* What survives: made once for a node, outlives its lives. */
struct sim_disk *sim_disk_new(struct sim *s, struct sim_node *node);
void sim_disk_free(struct sim_disk *d);
/* The storage for one life. */
struct raft_io *sim_disk_open(struct sim_disk *d);
/* Power is lost: what was not synced is gone but for a torn beginning. Before the node is closed.
 */
void sim_disk_crash(struct sim_disk *d);
/* While full, no new log is accepted: as raft_uv with its prepared segments used up. */
void sim_disk_set_full(struct sim_disk *d, bool full);
bool sim_disk_is_empty(const struct sim_disk *d);
