/*
 * The raft log of a manager on a real disk: libraft's raft_uv, which only stores, with every entry
 * and snapshot sealed under the manager's data key. A disk that fails ends the process with a line
 * that names it, as libraft would corrupt memory; a full one only stops new writes. It knows no
 * connection. Made by main for manager/raft_node.h.
 */
#pragma once

#include <uv.h>

#include "base/err.h"
#include "base/seal.h"

struct raft_disk;
struct raft_io;

/*
 * Opens the folder `dir` (made with mode 0700 when missing), which nobody else may use. Takes a
 * reference of `key`. What is stored under another key is refused when the node is started.
 */
int raft_disk_new(struct raft_disk **ret, uv_loop_t *loop, const char *dir, struct seal_key *key,
		  struct err *e);
/* For raft_node_config.io. */
struct raft_io *raft_disk_io(struct raft_disk *d);
/* After the node was closed, or could not be made. */
void raft_disk_free(struct raft_disk *d);
