/*
 * Memory and cleanup. Small allocations abort when memory is gone (nothing sensible can follow);
 * whatever an outsider sizes goes through struct buf or struct strs, which have a bound and fail
 * cleanly. Everything includes this; it knows nothing.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Gives the pointer (or descriptor) away and leaves the variable empty, against double frees. */
#define TAKE_PTR(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})
#define TAKE_FD(fd)                \
	({                         \
		int taken_ = (fd); \
		(fd) = -1;         \
		taken_;            \
	})

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define auto_free CLEANUP(mem_free_at)
#define auto_close CLEANUP(fd_close_at)

/* None of these returns NULL: they abort. Free with free(). xstrdup(NULL) is NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
void *xreallocarray(void *p, size_t count, size_t size);
void *xmemdup(const void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Frees *dst and makes it a copy of `s` (NULL empties it). */
void str_set(char **dst, const char *s);

/* Handlers for CLEANUP(): their argument is the address of the variable. */
void mem_free_at(void *pp);
void fd_close_at(int *fd);

/* Overwrites a secret in a way that the compiler cannot drop, then frees it. NULL is allowed. */
void mem_burn(void *p, size_t size);
