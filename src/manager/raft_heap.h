/*
 * The memory of libraft, and of what is handed to it. libraft keeps the latest entries as they are
 * until the trailing log lets them go, in memory that it frees itself: those with secrets lie in
 * locked memory, and whoever frees need not know.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct raft_entry;

/* libraft uses it from now on. Again: nothing. */
void raft_heap_use(void);
/* `n` bytes for raft_free(), in locked memory where that is wanted. Never NULL. */
void *raft_heap_new(size_t n, bool locked);
/* Whether an entry (an envelope, raft_impl.h) or one of `n` holds secrets. */
bool raft_entry_holds_secrets(const void *p, size_t n);
/*
 * Of entries that lie together in batches, as raft_uv has loaded them: those batches that hold
 * secrets are moved to locked memory.
 */
void raft_entries_lock(struct raft_entry *entries, size_t n);
