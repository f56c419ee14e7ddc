/*
 * See raft_heap.h.
 */
#include "manager/raft_heap.h"

#include <raft.h>
#include <string.h>

#include "base/frame.h"
#include "base/mem.h"
#include "base/secret_memory.h"
#include "manager/changes.h"
#include "manager/raft_impl.h"

static void *heap_malloc(void *data, size_t size)
{
	(void)data;
	return xmalloc(size);
}

static void heap_free(void *data, void *p)
{
	(void)data;
	if (secret_memory_owns(p))
		secret_memory_free(p);
	else
		free(p);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
	(void)data;
	return xcalloc(count, size);
}

/* Of lists of its own alone, never of an entry. */
static void *heap_realloc(void *data, void *p, size_t size)
{
	(void)data;
	return xrealloc(p, size);
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
	void *p = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);

	(void)data;
	if (!p)
		abort();
	return p;
}

static void heap_aligned_free(void *data, size_t alignment, void *p)
{
	(void)data;
	(void)alignment;
	free(p);
}

/* libraft does not survive every failed allocation: as all small ones, they abort. */
void raft_heap_use(void)
{
	static struct raft_heap heap = {
		.malloc = heap_malloc,
		.free = heap_free,
		.calloc = heap_calloc,
		.realloc = heap_realloc,
		.aligned_alloc = heap_aligned_alloc,
		.aligned_free = heap_aligned_free,
	};

	raft_heap_set(&heap);
}

void *raft_heap_new(size_t n, bool locked)
{
	void *p = NULL;

	raft_heap_use(); /* what frees it has to be ours */
	if (locked)
		p = secret_memory_new(n);
	return p ? p : xmalloc(n);
}

bool raft_entry_holds_secrets(const void *p, size_t n)
{
	const uint8_t *head = p;

	if (n < ENVELOPE_LEN || head[0] != ENVELOPE_VERSION || head[1] != ENVELOPE_BATCH ||
	    le32_get(head + 4) > n - ENVELOPE_LEN)
		return false;
	return changes_hold_secrets(head + ENVELOPE_LEN, le32_get(head + 4));
}

/* The entries of one batch: from the first one's bytes, which need not be where it begins. */
static void batch_lock(struct raft_entry *entries, size_t n)
{
	void *old = entries[0].batch;
	size_t size = 0, at = 0;
	bool secret = false;
	uint8_t *new;

	for (size_t i = 0; i < n; i++) {
		const struct raft_buffer *b = &entries[i].buf;

		size += b->len;
		secret |= entries[i].type == RAFT_COMMAND &&
			  raft_entry_holds_secrets(b->base, b->len);
	}
	if (!secret)
		return;
	new = raft_heap_new(size, true);
	for (size_t i = 0; i < n; i++) {
		memcpy(new + at, entries[i].buf.base, entries[i].buf.len);
		entries[i].buf.base = new + at;
		entries[i].batch = new;
		at += entries[i].buf.len;
	}
	raft_free(old);
}

void raft_entries_lock(struct raft_entry *entries, size_t n)
{
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && entries[to].batch == entries[from].batch;)
			to++;
		batch_lock(entries + from, to - from);
	}
}
