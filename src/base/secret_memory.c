/*
 * See secret_memory.h. The range is cut into cells, and a piece takes so many in a row, the first
 * fit, so that what is used stays at its beginning. Only that beginning is accessible and locked:
 * it grows by steps and is given back when much of it has become free, so that the kernel has few
 * mappings to keep, however many secrets there are.
 */
#include "base/secret_memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "base/mem.h"

#define CELL 128u
#define CELLS (LIMIT_SECRET_MEMORY / CELL)
#define STEP (64u << 10)
#define SPARE (1u << 20) /* free bytes at the end from which on they are given back */

static struct {
	pthread_mutex_t lock;
	uint8_t *range;
	uint32_t *runs; /* of the first and the last cell of a piece: how many it has; else 0 */
	size_t low;     /* all cells below it are taken */
	size_t top;     /* all cells from it on are free */
	size_t open;    /* bytes that can be accessed */
	size_t locked;  /* bytes that are locked */
	size_t ordinary;
	void (*tell)(int why);
} m = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *reserve(size_t n, int protection)
{
	void *p = mmap(NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Addresses alone, which cost nothing until they are used. */
static bool lay_out(void)
{
	uint8_t *range;

	if (m.range)
		return true;
	if (!m.runs)
		m.runs = reserve(CELLS * sizeof(*m.runs), PROT_READ | PROT_WRITE);
	range = m.runs ? reserve(LIMIT_SECRET_MEMORY, PROT_NONE) : NULL;
	if (!range)
		return false;
	(void)madvise(range, LIMIT_SECRET_MEMORY, MADV_DONTDUMP);
	__atomic_store_n(&m.range, range,
			 __ATOMIC_RELEASE); /* secret_owns() asks without the lock */
	return true;
}

/* The first of `n` free cells in a row, or what is free at the end, where they may not fit. */
static size_t room_find(size_t n)
{
	size_t from = m.low;

	for (size_t i = from; i < m.top && i - from < n;) {
		if (m.runs[i])
			from = i += m.runs[i];
		else
			i++;
	}
	return from;
}

static size_t steps_up(size_t bytes)
{
	return (bytes + STEP - 1) / STEP * STEP;
}

/* Each time anew, as the limit may have been raised; a step at a time, to come close to it. */
static int lock_more(void)
{
	while (m.locked < m.open) {
		if (mlock(m.range + m.locked, STEP) < 0)
			return -errno;
		m.locked += STEP;
	}
	return 0;
}

static bool open_up_to(size_t bytes)
{
	size_t end = steps_up(bytes);

	if (end > m.open && mprotect(m.range + m.open, end - m.open, PROT_READ | PROT_WRITE) < 0)
		return false;
	m.open = MAX_OF(m.open, end);
	return true;
}

static void give_back(void)
{
	size_t end = steps_up(m.top * CELL), n = m.open - end;

	if (n < SPARE)
		return;
	(void)munlock(m.range + end, n);
	(void)madvise(m.range + end, n, MADV_DONTNEED);
	(void)mprotect(m.range + end, n, PROT_NONE);
	m.open = end;
	m.locked = MIN_OF(m.locked, end);
}

static void *piece_make(size_t n, int *ret_why)
{
	size_t cells = (MAX_OF(n, (size_t)1) + CELL - 1) / CELL, at;

	if (cells > CELLS || !lay_out())
		return NULL;
	at = room_find(cells);
	if (at > CELLS - cells || !open_up_to((at + cells) * CELL))
		return NULL;
	*ret_why = lock_more();
	m.runs[at] = m.runs[at + cells - 1] = (uint32_t)cells;
	m.top = MAX_OF(m.top, at + cells);
	if (at == m.low)
		m.low = at + cells;
	return m.range + at * CELL;
}

/* `tell` is taken away so that it is said once. */
void secret_loose_found(int why)
{
	void (*tell)(int) = __atomic_exchange_n(&m.tell, NULL, __ATOMIC_ACQ_REL);

	if (tell)
		tell(why);
}

void *secret_new(size_t n)
{
	int why = 0;
	void *p;

	(void)pthread_mutex_lock(&m.lock);
	p = piece_make(n, &why);
	if (!p) {
		why = -ENOMEM;
		m.ordinary += n;
	}
	(void)pthread_mutex_unlock(&m.lock);
	if (why < 0)
		secret_loose_found(why);
	return p ? p : xcalloc(1, MAX_OF(n, (size_t)1));
}

void *secret_copy(const void *from, size_t n)
{
	void *p = secret_new(n);

	if (n)
		memcpy(p, from, n);
	return p;
}

bool secret_owns(const void *p)
{
	uint8_t *range = __atomic_load_n(&m.range, __ATOMIC_ACQUIRE);

	return range && (uintptr_t)p - (uintptr_t)range < LIMIT_SECRET_MEMORY;
}

static size_t cell_of(const void *p)
{
	size_t offset = (size_t)((const uint8_t *)p - m.range), at = offset / CELL;

	assert(offset % CELL == 0 && at < m.top && m.runs[at]);
	return at;
}

size_t secret_size(const void *p)
{
	size_t n;

	(void)pthread_mutex_lock(&m.lock);
	n = (size_t)m.runs[cell_of(p)] * CELL;
	(void)pthread_mutex_unlock(&m.lock);
	return n;
}

static void piece_free(void *p)
{
	size_t at = cell_of(p), n = m.runs[at];

	explicit_bzero(p, n * CELL); /* the next piece there is zeroed by this */
	m.runs[at] = m.runs[at + n - 1] = 0;
	m.low = MIN_OF(m.low, at);
	while (m.top > 0 && !m.runs[m.top - 1])
		m.top--;
	give_back();
}

void secret_free(void *p, size_t n)
{
	if (!secret_owns(p)) {
		mem_burn(p, n);
		return;
	}
	(void)pthread_mutex_lock(&m.lock);
	piece_free(p);
	(void)pthread_mutex_unlock(&m.lock);
}

size_t secret_loose(void)
{
	size_t used, loose;

	(void)pthread_mutex_lock(&m.lock);
	used = m.top * CELL;
	loose = m.ordinary + (used > m.locked ? used - m.locked : 0);
	(void)pthread_mutex_unlock(&m.lock);
	return loose;
}

void secret_loose_tell(void (*tell)(int why))
{
	__atomic_store_n(&m.tell, tell, __ATOMIC_RELEASE);
}
