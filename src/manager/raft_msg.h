/*
 * Raft's messages as bytes between managers: pure functions, bounded, with a version. It knows
 * libraft's structs and no connection; manager/raft_node.c calls it, and the fuzzer.
 *
 * A frame: u8 version, u8 kind, u16 zero, u64 sender's raft id, u64 receiver's raft id, then the
 * kind's fields; all little-endian. A later version may add fields at the end, which this one
 * skips; in frames of version 1 nothing may follow. A snapshot is one "begin" and its chunks.
 */
#pragma once

#include <raft.h>

#include "base/buf.h"
#include "base/err.h"

#define RAFT_MSG_VERSION 1
#define RAFT_MSG_CHUNK (1u << 20) /* bytes of a snapshot in one frame */

enum raft_msg_kind {
	RAFT_MSG_APPEND = 1,
	RAFT_MSG_APPEND_RESULT,
	RAFT_MSG_VOTE,
	RAFT_MSG_VOTE_RESULT,
	RAFT_MSG_SNAPSHOT_BEGIN,
	RAFT_MSG_SNAPSHOT_CHUNK,
	RAFT_MSG_TIMEOUT_NOW,
};

/* A frame that was read. */
struct raft_msg {
	enum raft_msg_kind kind;
	uint64_t from, to;
	/* All kinds but the chunk; of "begin", `data` has the whole length and no memory yet. */
	struct raft_message message;
	bool secret; /* among its entries are some that hold secrets */
	/* Snapshots: which transfer; a chunk's place and bytes, valid as long as the frame. */
	uint64_t transfer;
	uint64_t offset;
	const uint8_t *chunk;
	size_t chunk_len;
};

/*
 * Adds one frame from `from` to m->server_id with any message but RAFT_INSTALL_SNAPSHOT. Of
 * AppendEntries it takes `count` entries from the `first` on, as a complete AppendEntries of its
 * own. 0, or -EMSGSIZE past the buffer's bound.
 */
int raft_msg_encode(struct buf *out, uint64_t from, const struct raft_message *m, unsigned first,
		    unsigned count);
/*
 * How many entries of `ae` from `first` on fit in one frame: at least one. A change of the
 * configuration always begins a frame, as libraft 0.22.1 records a wrong index for one that
 * follows other new entries in its message.
 */
unsigned raft_msg_fit(const struct raft_append_entries *ae, unsigned first);

int raft_msg_encode_begin(struct buf *out, uint64_t from, uint64_t to,
			  const struct raft_install_snapshot *is, uint64_t transfer);
int raft_msg_encode_chunk(struct buf *out, uint64_t from, uint64_t to, uint64_t transfer,
			  uint64_t offset, const void *p, size_t n);

/*
 * Reads one frame. Everything that libraft asserts about a message is checked here. The entries,
 * and the configuration of a "begin", come from raft_malloc() and are the caller's until it hands
 * the message to libraft; raft_msg_done() frees them otherwise. 0, or -EBADMSG with the reason.
 */
int raft_msg_decode(const void *p, size_t n, struct raft_msg *ret, struct err *e);
void raft_msg_done(struct raft_msg *m);

/*
 * Whether `p` is a configuration as libraft encodes it, which it decodes without looking at
 * bounds. 0 or -EBADMSG.
 */
int raft_msg_check_configuration(const void *p, size_t n);
