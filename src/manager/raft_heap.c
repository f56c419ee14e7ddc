/*
 * See raft_heap.h.
 */
#include "manager/raft_heap.h"

#include <malloc.h>
#include <raft.h>
#include <string.h>

#include "base/frame.h"
#include "base/mem.h"
#include "base/secret_memory.h"
#include "manager/changes.h"
#include "manager/raft_impl.h"

static _Thread_local bool copying_secrets; /* raft_uv takes memory on the pool as well */

static void *heap_malloc(void *data, size_t size)
{
	(void)data;
	return copying_secrets ? secret_new(size) : xmalloc(size);
}

static void heap_free(void *data, void *p)
{
	(void)data;
	if (secret_owns(p)) {
		secret_free(p, 0);
		return;
	}
	if (p)
		explicit_bzero(p, malloc_usable_size(p)); /* snapshots */
	free(p);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
	(void)data;
	return xcalloc(count, size);
}

/* libraft does it to lists of its own alone; that none of these is locked is for it to decide. */
static void *heap_realloc(void *data, void *p, size_t size)
{
	void *ret;

	if (!secret_owns(p))
		return xrealloc(p, size);
	ret = heap_malloc(data, size);
	memcpy(ret, p, MIN_OF(size, secret_size(p)));
	heap_free(data, p);
	return ret;
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

void *raft_heap_new(size_t n, bool secret)
{
	raft_heap_use(); /* what frees it has to be ours */
	return secret ? secret_new(n) : xcalloc(1, n);
}

void raft_heap_secret(bool secret)
{
	copying_secrets = secret;
}

bool raft_entry_is_secret(const void *p, size_t n)
{
	const uint8_t *head = p;

	if (n < ENVELOPE_LEN || head[0] != ENVELOPE_VERSION || head[1] != ENVELOPE_BATCH ||
	    le32_get(head + 4) > n - ENVELOPE_LEN)
		return false;
	return changes_hold_secrets(head + ENVELOPE_LEN, le32_get(head + 4));
}

static bool any_is_secret(const struct raft_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct raft_buffer *b = &entries[i].buf;

		if (entries[i].type == RAFT_COMMAND && raft_entry_is_secret(b->base, b->len))
			return true;
	}
	return false;
}

/* To libraft an entry without a batch owns its buffer. */
static void segment_split(struct raft_entry *entries, size_t n)
{
	void *segment = entries[0].batch;

	for (size_t i = 0; i < n; i++) {
		struct raft_buffer *b = &entries[i].buf;
		void *own = raft_heap_new(b->len, any_is_secret(&entries[i], 1));

		memcpy(own, b->base, b->len);
		explicit_bzero(b->base, b->len);
		b->base = own;
		entries[i].batch = NULL;
	}
	raft_free(segment);
}

void raft_entries_split(struct raft_entry *entries, size_t n)
{
	for (size_t from = 0, to; from < n; from = to) {
		for (to = from + 1; to < n && entries[to].batch == entries[from].batch;)
			to++;
		if (any_is_secret(entries + from, to - from))
			segment_split(entries + from, to - from);
	}
}
