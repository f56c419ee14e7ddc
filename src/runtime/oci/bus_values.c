/*
 * The values in messages of D-Bus: see bus.h. Every read is bounded by the text it is in.
 */
#include <string.h>

#include "runtime/oci/bus.h"

void bus_align(struct buf *b, size_t n)
{
	while (b->len % n && buf_addc(b, 0) == 0)
		;
}

void bus_put_u32(struct buf *b, uint32_t v)
{
	bus_align(b, sizeof(v));
	buf_add(b, &v, sizeof(v));
}

void bus_put_u64(struct buf *b, uint64_t v)
{
	bus_align(b, sizeof(v));
	buf_add(b, &v, sizeof(v));
}

void bus_put_str(struct buf *b, const char *s)
{
	bus_put_u32(b, (uint32_t)strlen(s));
	buf_add(b, s, strlen(s) + 1);
}

void bus_put_types(struct buf *b, const char *s)
{
	buf_addc(b, (char)strlen(s));
	buf_add(b, s, strlen(s) + 1);
}

struct bus_array bus_array_begin(struct buf *b, size_t align)
{
	struct bus_array a;

	bus_put_u32(b, 0);
	a.length_at = b->len - sizeof(uint32_t);
	bus_align(b, align);
	a.begin = b->len;
	return a;
}

void bus_array_end(struct buf *b, struct bus_array a)
{
	uint32_t n = (uint32_t)(b->len - a.begin);

	if (buf_status(b) == 0)
		memcpy(b->p + a.length_at, &n, sizeof(n));
}

size_t bus_padded(size_t at, size_t n)
{
	return (at + n - 1) / n * n;
}

uint32_t bus_u32_at(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

const char *bus_get_str(const struct buf *body, size_t *at)
{
	size_t i = bus_padded(*at, sizeof(uint32_t));
	uint32_t n;

	if (i > body->len || body->len - i < sizeof(n))
		return NULL;
	n = bus_u32_at(body->p + i);
	i += sizeof(n);
	if (n >= body->len - i || memchr(body->p + i, 0, n + 1) != body->p + i + n)
		return NULL;
	*at = i + n + 1;
	return body->p + i;
}

const char *bus_get_types(const struct buf *b, size_t *at)
{
	size_t n;
	const char *s;

	if (*at >= b->len)
		return NULL;
	n = (unsigned char)b->p[*at];
	s = b->p + *at + 1;
	if (n >= b->len - *at - 1 || memchr(s, 0, n + 1) != s + n)
		return NULL;
	*at += n + 2;
	return s;
}
