/*
 * See mem.h.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *mem_or_abort(void *p)
{
	if (!p) {
		static const char text[] = "shoal: out of memory\n";

		(void)!write(STDERR_FILENO, text, sizeof text - 1);
		abort();
	}
	return p;
}

void *xmalloc(size_t size)
{
	return mem_or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return mem_or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return mem_or_abort(realloc(p, size ? size : 1));
}

void *xreallocarray(void *p, size_t count, size_t size)
{
	return mem_or_abort(reallocarray(p, count ? count : 1, size ? size : 1));
}

void *xmemdup(const void *p, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, p, size);
	return copy;
}

char *xstrdup(const char *s)
{
	return s ? mem_or_abort(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
	return mem_or_abort(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	va_end(args);
	return mem_or_abort(s);
}

void str_set(char **dst, const char *s)
{
	char *copy = xstrdup(s);

	free(*dst);
	*dst = copy;
}

void mem_free_at(void *pp)
{
	int saved = errno;

	free(*(void **)pp);
	errno = saved;
}

void fd_close_at(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

void mem_burn(void *p, size_t size)
{
	if (p)
		explicit_bzero(p, size);
	free(p);
}
