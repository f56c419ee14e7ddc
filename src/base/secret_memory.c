/*
 * See secret_memory.h. The range is cut into cells; a piece takes so many in a row, the first of
 * them says how many. A page is locked by the first piece in it and given back by the last.
 */
#include "base/secret_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"

#define CELL 256u
#define CELLS (LIMIT_SECRET_RANGE / CELL)
#define HEADER 16u /* keeps what follows aligned for everything */
#define PAGE 4096u
#define CELLS_OF_PAGE (PAGE / CELL)

struct header {
	size_t cells;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *range;
static uint8_t *taken; /* one byte a cell; never touched pages of it cost nothing */
static size_t next;    /* where the search goes on */

static void *reserve(size_t n, int protection)
{
	void *p = mmap(NULL, n, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool lay_out(void)
{
	if (range)
		return true;
	if (!taken)
		taken = reserve(CELLS, PROT_READ | PROT_WRITE);
	range = taken ? reserve(LIMIT_SECRET_RANGE, PROT_NONE) : NULL;
	if (range)
		(void)madvise(range, LIMIT_SECRET_RANGE, MADV_DONTDUMP);
	return range != NULL;
}

/* The first cell of a run of `n` free ones in [from, to), or CELLS. */
static size_t run_find(size_t from, size_t to, size_t n)
{
	size_t run = 0;

	for (size_t i = from; i < to; i++) {
		run = taken[i] ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return CELLS;
}

static bool page_is_used(size_t page)
{
	return memchr(taken + page * CELLS_OF_PAGE, 1, CELLS_OF_PAGE) != NULL;
}

/* Before the cells are taken, and after they are given back: what no other piece lies in. */
static void pages_set(size_t first, size_t n, bool used)
{
	for (size_t page = first / CELLS_OF_PAGE; page <= (first + n - 1) / CELLS_OF_PAGE; page++) {
		uint8_t *p = range + page * PAGE;

		if (page_is_used(page))
			continue;
		if (used) {
			if (mprotect(p, PAGE, PROT_READ | PROT_WRITE) < 0)
				abort();
			(void)mlock(p, PAGE); /* where it is denied the rest still holds */
		} else {
			(void)munlock(p, PAGE);
			(void)madvise(p, PAGE, MADV_DONTNEED);
			(void)mprotect(p, PAGE, PROT_NONE);
		}
	}
}

static void *piece_make(size_t n)
{
	size_t cells = (n + HEADER + CELL - 1) / CELL, at = CELLS;
	uint8_t *p;

	if (n > LIMIT_SECRET_RANGE - HEADER - CELL || !lay_out())
		return NULL;
	at = run_find(next, CELLS, cells);
	if (at == CELLS)
		at = run_find(0, MIN_OF(next + cells, (size_t)CELLS), cells);
	if (at == CELLS)
		return NULL;
	pages_set(at, cells, true);
	memset(taken + at, 1, cells);
	next = at + cells;
	p = range + at * CELL;
	((struct header *)p)->cells = cells;
	return p + HEADER;
}

void *secret_memory_new(size_t n)
{
	void *p;

	(void)pthread_mutex_lock(&lock);
	p = piece_make(n);
	(void)pthread_mutex_unlock(&lock);
	return p;
}

bool secret_memory_owns(const void *p)
{
	const uint8_t *at = p, *from = __atomic_load_n(&range, __ATOMIC_ACQUIRE);

	return from && at >= from && at < from + LIMIT_SECRET_RANGE;
}

void secret_memory_free(void *p)
{
	uint8_t *piece = (uint8_t *)p - HEADER;
	size_t cells, at;

	assert(secret_memory_owns(p));
	(void)pthread_mutex_lock(&lock);
	cells = ((struct header *)piece)->cells;
	at = (size_t)(piece - range) / CELL;
	assert((size_t)(piece - range) % CELL == 0 && taken[at]);
	explicit_bzero(piece, cells * CELL); /* the next piece there is zeroed by this */
	memset(taken + at, 0, cells);
	pages_set(at, cells, false);
	next = MIN_OF(next, at);
	(void)pthread_mutex_unlock(&lock);
}
