/*
 * The memory of libraft, and of what is handed to it. libraft keeps the latest entries as they are
 * until the trailing log lets them go, in memory that it copies and frees itself: those with
 * secrets lie in locked memory, and whoever frees need not know. Used by the raft wrapper alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct raft_entry;

/* libraft uses it from now on. Again: nothing. */
void raft_heap_use(void);
/* `n` zeroed bytes for raft_free(), in locked memory where that is wanted. Never NULL. */
void *raft_heap_new(size_t n, bool secret);
/* From here to raft_heap_secret(false) what libraft takes memory for is a copy of a secret. */
void raft_heap_secret(bool secret);
/* Whether an entry of `n` bytes (an envelope, raft_impl.h) holds secrets. */
bool raft_entry_is_secret(const void *p, size_t n);
/*
 * Of entries as raft_uv has loaded them, a segment of the log in one piece of memory: if some of a
 * segment hold secrets, each of it gets a piece of its own, and these get locked ones.
 */
void raft_entries_split(struct raft_entry *entries, size_t n);
