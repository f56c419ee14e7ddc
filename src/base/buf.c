/*
 * See buf.h.
 */
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BUF_CAP_MIN 64

void buf_init(struct buf *b, size_t max_bytes)
{
	*b = BUF_INIT(max_bytes);
}

/* Of a secret one nothing is behind its end, which may be pages that were never touched. */
static void buf_wipe(struct buf *b)
{
	if (b->secret && b->len)
		explicit_bzero(b->p, b->len);
}

void buf_done(struct buf *b)
{
	buf_wipe(b);
	free(b->p);
	*b = (struct buf){.max = b->max, .secret = b->secret};
}

/* Makes it shorter; of a secret one nothing stays behind its end. */
static void buf_end_at(struct buf *b, size_t len)
{
	if (b->secret && b->len > len)
		explicit_bzero(b->p + len, b->len - len);
	b->len = len;
	if (b->p)
		b->p[len] = '\0';
}

void buf_reset(struct buf *b)
{
	buf_end_at(b, 0);
	b->failed = false;
}

static void buf_grow(struct buf *b, size_t cap)
{
	char *p;

	if (b->secret && b->p) {
		p = xmalloc(cap);
		memcpy(p, b->p, b->len + 1);
		buf_wipe(b);
		free(b->p);
		b->p = p;
	} else {
		b->p = xrealloc(b->p, cap);
	}
	b->cap = cap;
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;

	if (b->failed || n > b->max || b->len > b->max - n) {
		b->failed = true;
		return -EMSGSIZE;
	}
	need = b->len + n + 1;
	if (need <= b->cap)
		return 0;
	cap = MAX_OF(b->cap * 2, (size_t)BUF_CAP_MIN);
	cap = MAX_OF(MIN_OF(cap, b->max + 1), need);
	buf_grow(b, cap);
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	if (buf_reserve(b, n) < 0)
		return -EMSGSIZE;
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
	return 0;
}

int buf_join(struct buf *b, const struct buf *from)
{
	b->secret = b->secret || from->secret;
	return buf_add(b, from->p, from->len);
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_vaddf(struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	if (n >= 0 && buf_reserve(b, (size_t)n) == 0) {
		(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	} else {
		b->failed = true;
	}
	va_end(again);
	return buf_status(b);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	int rc;

	va_start(args, fmt);
	rc = buf_vaddf(b, fmt, args);
	va_end(args);
	return rc;
}

void buf_shift(struct buf *b, size_t n)
{
	if (n > 0 && n < b->len)
		memmove(b->p, b->p + n, b->len - n);
	buf_end_at(b, b->len - MIN_OF(n, b->len));
}

void buf_cut(struct buf *b, size_t n)
{
	if (n < b->len)
		buf_end_at(b, n);
}

int buf_status(const struct buf *b)
{
	return b->failed ? -EMSGSIZE : 0;
}

const char *buf_text(const struct buf *b)
{
	return b->p ? b->p : "";
}

char *buf_take(struct buf *b)
{
	char *p = b->p ? b->p : xstrdup("");

	b->p = NULL;
	b->len = b->cap = 0;
	return p;
}
