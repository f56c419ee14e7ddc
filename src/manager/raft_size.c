/*
 * The size of the raft log, see raft_size.h. Between two marks the size is rounded to the mark.
 */
#include "manager/raft_size.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"

void raft_size_reset(struct raft_size *s, uint64_t start)
{
	s->count = 0;
	s->start = start;
	s->last = start - 1;
	s->bytes = s->start_bytes = s->snapshot = 0;
}

void raft_size_done(struct raft_size *s)
{
	free(s->marks);
	memset(s, 0, sizeof(*s));
}

static uint64_t marked(const struct raft_size *s)
{
	return s->count > 0 ? s->marks[s->count - 1].bytes : s->start_bytes;
}

void raft_size_add(struct raft_size *s, size_t len)
{
	s->last++;
	s->bytes += len + RAFT_SIZE_ENTRY;
	if (s->bytes - marked(s) < (s->step ? s->step : RAFT_SIZE_STEP))
		return;
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->marks = xreallocarray(s->marks, s->cap, sizeof(*s->marks));
	}
	s->marks[s->count++] = (struct raft_size_mark){.index = s->last, .bytes = s->bytes};
}

/* The last mark at or before `index`: its place + 1, or 0. */
static size_t mark_before(const struct raft_size *s, uint64_t index)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->marks[mid].index <= index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t bytes_at(const struct raft_size *s, uint64_t index)
{
	size_t i;

	if (index >= s->last)
		return s->bytes;
	i = mark_before(s, index);
	return i > 0 ? s->marks[i - 1].bytes : s->start_bytes;
}

void raft_size_truncate(struct raft_size *s, uint64_t index)
{
	if (index > s->last)
		return;
	s->bytes = bytes_at(s, index - 1);
	s->count = mark_before(s, index - 1);
	s->last = index - 1;
	s->snapshot = MIN_OF(s->snapshot, s->bytes);
}

void raft_size_snapshot(struct raft_size *s, uint64_t index)
{
	s->snapshot = bytes_at(s, index);
}

uint64_t raft_size_since(const struct raft_size *s)
{
	return s->bytes - s->snapshot;
}

unsigned raft_size_trailing(const struct raft_size *s, uint64_t index, uint64_t bytes)
{
	uint64_t end = bytes_at(s, index);
	uint64_t first = s->start - 1;
	size_t i;

	if (index < s->start)
		return 1;
	if (end - s->start_bytes > bytes) {
		for (i = 0; i < s->count && end > s->marks[i].bytes + bytes; i++)
			;
		first = i < s->count ? s->marks[i].index : index;
	}
	if (first >= index)
		return 1;
	return (unsigned)MIN_OF(index - first, (uint64_t)INT_MAX);
}

void raft_size_forget(struct raft_size *s, uint64_t index)
{
	size_t i;

	if (index < s->start)
		return;
	i = mark_before(s, index);
	s->start_bytes = bytes_at(s, index);
	if (i > 0)
		memmove(s->marks, s->marks + i, (s->count - i) * sizeof(*s->marks));
	s->count -= i;
	s->start = index + 1;
}
