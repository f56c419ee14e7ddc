/*
 * How often a text lies in this process's own memory, freed memory among it. The text is given
 * backwards, so that the question is no answer.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/test.h"

#define SCAN_PIECE (1u << 20)
#define SCAN_TEXT_MAX 64u
#define SCAN_RANGE_MAX (1ul << 30) /* what is larger is a sanitizer's own */

static bool scan_is_at(const char *p, const char *backwards, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != backwards[n - 1 - i])
			return false;
	return true;
}

static unsigned scan_range(int mem, char *room, unsigned long from, unsigned long to,
			   const char *backwards, size_t n)
{
	unsigned found = 0;

	while (from < to) {
		size_t want = to - from < SCAN_PIECE ? to - from : SCAN_PIECE;
		ssize_t got = pread(mem, room, want, (off_t)from);

		for (ssize_t i = 0; i + (ssize_t)n <= got; i++)
			found += scan_is_at(room + i, backwards, n);
		if (got < (ssize_t)SCAN_PIECE)
			break;
		from += SCAN_PIECE - (n - 1);
	}
	return found;
}

static unsigned memory_has(const char *backwards)
{
	/* Shared, so that it is told from what is looked through. */
	char *room =
		mmap(NULL, SCAN_PIECE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned found = 0;
	char line[512];

	assert_true(room != MAP_FAILED && mem >= 0 && maps);
	assert_in_range(strlen(backwards), 1, SCAN_TEXT_MAX);
	while (fgets(line, sizeof line, maps)) {
		char *end, *rights;
		unsigned long from = strtoul(line, &end, 16), to = strtoul(end + 1, &rights, 16);

		if (strncmp(rights, " rw-p", 5) == 0 && to - from < SCAN_RANGE_MAX)
			found += scan_range(mem, room, from, to, backwards, strlen(backwards));
	}
	(void)fclose(maps);
	close(mem);
	(void)munmap(room, SCAN_PIECE);
	return found;
}
