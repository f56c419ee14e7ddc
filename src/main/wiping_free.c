/*
 * What the daemon frees is overwritten, whoever frees it: a secret passes through buffers of HTTP,
 * JSON, TLS, the raft log and the frames of streams, which belong to libraries as often as to us,
 * and none of them need know. The C library lets a program have a free() of its own; the memory is
 * still the library's. Linked into shoald alone, and not where a sanitizer has its own.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

void __libc_free(void *p);
void *__libc_malloc(size_t n);
void *__libc_realloc(void *p, size_t n);
void free(void *p);
void *realloc(void *p, size_t n);

void free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

/* What it grows out of is overwritten, and the end that it shrinks by. */
void *realloc(void *p, size_t n)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *ret;

	if (!p || n == 0) {
		free(p);
		return p ? NULL : __libc_malloc(n);
	}
	if (n <= old) {
		explicit_bzero((char *)p + n, old - n);
		return __libc_realloc(p, n);
	}
	ret = __libc_malloc(n);
	if (!ret)
		return NULL;
	memcpy(ret, p, old);
	free(p);
	return ret;
}
