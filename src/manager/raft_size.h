/*
 * How many bytes the raft log holds, by index: libraft counts entries, we bound bytes. Keeps one
 * mark for each `step` bytes of log, so a few kilobytes. Pure; called by the raft node.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RAFT_SIZE_STEP (64u << 10) /* bytes between two marks unless set otherwise */
/* What libraft keeps in memory for an entry besides its bytes, roughly. */
#define RAFT_SIZE_ENTRY 128

struct raft_size_mark {
	uint64_t index; /* of the last entry that `bytes` counts */
	uint64_t bytes; /* of all entries up to it since the count began */
};

struct raft_size {
	struct raft_size_mark *marks;
	size_t count, cap;
	uint64_t step;  /* 0 for RAFT_SIZE_STEP */
	uint64_t start; /* first index of the log */
	uint64_t start_bytes;
	uint64_t last;           /* last index */
	uint64_t bytes;          /* as in a mark, for `last` */
	uint64_t snapshot;       /* as in a mark, for the last snapshot */
	uint64_t snapshot_bytes; /* size of the last snapshot itself */
};

/* An empty log whose first entry will be `start`. */
void raft_size_reset(struct raft_size *s, uint64_t start);
void raft_size_done(struct raft_size *s);
/* One entry of `len` bytes at s->last + 1. */
void raft_size_add(struct raft_size *s, size_t len);
/* Entries from `index` on are gone. */
void raft_size_truncate(struct raft_size *s, uint64_t index);
/* A snapshot at `index` begins: bytes are counted from here for the next one. */
void raft_size_snapshot(struct raft_size *s, uint64_t index);
/* Bytes since the last snapshot. */
uint64_t raft_size_since(const struct raft_size *s);
/* How many entries up to `index` make at most `bytes` (rounded down to a mark); at least 1. */
unsigned raft_size_trailing(const struct raft_size *s, uint64_t index, uint64_t bytes);
/* Entries up to and with `index` are gone from the log. */
void raft_size_forget(struct raft_size *s, uint64_t index);
