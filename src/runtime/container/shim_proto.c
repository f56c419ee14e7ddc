/*
 * Frames of shim.sock: see shim_proto.h.
 */
#include "runtime/container/shim_proto.h"

#include <errno.h>
#include <string.h>

/* Reading a body: past its end every field is 0 or "", a cut field is remembered. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool cut;
};

static uint64_t get_uint(struct reader *r, size_t n)
{
	uint64_t v = 0;

	if (r->left < n) {
		r->cut |= r->left > 0;
		r->left = 0;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	r->left -= n;
	return v;
}

static void get_text(struct reader *r, char *ret, size_t size)
{
	size_t n = (size_t)get_uint(r, 4);
	size_t keep = MIN_OF(n, size - 1);

	ret[0] = 0;
	if (n > r->left) {
		r->cut = true;
		r->left = 0;
		return;
	}
	memcpy(ret, r->p, keep);
	ret[keep] = 0;
	r->p += n;
	r->left -= n;
}

static void put_uint(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

int shim_put(struct buf *b, uint16_t type, uint32_t id, const void *body, size_t n)
{
	uint8_t head[SHIM_HEADER_LEN] = {0};

	if (n > LIMIT_SHIM_FRAME || buf_reserve(b, sizeof(head) + n) < 0)
		return -EMSGSIZE;
	put_uint(head, n, 4);
	put_uint(head + 4, type, 2);
	put_uint(head + 8, id, 4);
	buf_add(b, head, sizeof(head));
	return n ? buf_add(b, body, n) : 0;
}

int shim_put_u32s(struct buf *b, uint16_t type, uint32_t id, const uint32_t *v, size_t n)
{
	uint8_t body[4 * 8];

	if (n > 8)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		put_uint(body + 4 * i, v[i], 4);
	return shim_put(b, type, id, body, 4 * n);
}

int shim_put_error(struct buf *b, uint32_t id, const struct shim_error *err)
{
	uint8_t body[12 + sizeof(err->text)];
	size_t n = strnlen(err->text, sizeof(err->text) - 1);

	put_uint(body, err->code, 4);
	put_uint(body + 4, err->exit_code, 4);
	put_uint(body + 8, n, 4);
	memcpy(body + 12, err->text, n);
	return shim_put(b, SHIM_ERROR, id, body, 12 + n);
}

int shim_put_state(struct buf *b, uint16_t type, uint32_t id, const struct shim_state *s,
		   uint32_t fd_mask)
{
	uint8_t body[44];

	put_uint(body, s->version, 4);
	put_uint(body + 4, s->phase, 4);
	put_uint(body + 8, s->pid, 4);
	put_uint(body + 12, s->exit_code, 4);
	put_uint(body + 16, s->oom, 4);
	put_uint(body + 20, (uint64_t)s->started_ns, 8);
	put_uint(body + 28, (uint64_t)s->finished_ns, 8);
	put_uint(body + 36, s->shim_pid, 4);
	put_uint(body + 40, fd_mask, 4);
	return shim_put(b, type, id, body, sizeof(body));
}

int shim_get_u32s(const struct shim_frame *f, uint32_t *ret, size_t n)
{
	struct reader r = {f->body, f->len, false};

	for (size_t i = 0; i < n; i++)
		ret[i] = (uint32_t)get_uint(&r, 4);
	return r.cut ? -EPROTO : 0;
}

int shim_get_error(const struct shim_frame *f, struct shim_error *ret)
{
	struct reader r = {f->body, f->len, false};

	ret->code = (uint32_t)get_uint(&r, 4);
	ret->exit_code = (uint32_t)get_uint(&r, 4);
	get_text(&r, ret->text, sizeof(ret->text));
	return r.cut ? -EPROTO : 0;
}

int shim_get_state(const struct shim_frame *f, struct shim_state *ret, uint32_t *ret_fd_mask)
{
	struct reader r = {f->body, f->len, false};
	uint32_t mask;

	ret->version = (uint32_t)get_uint(&r, 4);
	ret->phase = (uint32_t)get_uint(&r, 4);
	ret->pid = (uint32_t)get_uint(&r, 4);
	ret->exit_code = (uint32_t)get_uint(&r, 4);
	ret->oom = (uint32_t)get_uint(&r, 4);
	ret->started_ns = (int64_t)get_uint(&r, 8);
	ret->finished_ns = (int64_t)get_uint(&r, 8);
	ret->shim_pid = (uint32_t)get_uint(&r, 4);
	mask = (uint32_t)get_uint(&r, 4);
	if (ret_fd_mask)
		*ret_fd_mask = mask;
	return r.cut ? -EPROTO : 0;
}

void shim_parser_init(struct shim_parser *p)
{
	buf_init(&p->in, SHIM_HEADER_LEN + LIMIT_SHIM_FRAME + LIMIT_SHIM_READ);
	p->used = 0;
}

void shim_parser_done(struct shim_parser *p)
{
	buf_done(&p->in);
	p->used = 0;
}

int shim_parser_feed(struct shim_parser *p, const void *bytes, size_t n)
{
	if (p->used) {
		buf_shift(&p->in, p->used);
		p->used = 0;
	}
	return buf_add(&p->in, bytes, n);
}

long shim_parse(const void *p, size_t n, struct shim_frame *ret)
{
	struct reader r = {p, n, false};
	uint64_t len, type, zero, id;

	if (n < SHIM_HEADER_LEN)
		return 0;
	len = get_uint(&r, 4);
	type = get_uint(&r, 2);
	zero = get_uint(&r, 2);
	id = get_uint(&r, 4);
	if (len > LIMIT_SHIM_FRAME || zero)
		return -EPROTO;
	if (r.left < len)
		return 0;
	*ret = (struct shim_frame){
		.type = (uint16_t)type, .id = (uint32_t)id, .body = r.p, .len = (uint32_t)len};
	return (long)(SHIM_HEADER_LEN + len);
}

int shim_parser_next(struct shim_parser *p, struct shim_frame *ret)
{
	long n = shim_parse(p->in.p + p->used, p->in.len - p->used, ret);

	if (n > 0) {
		p->used += (size_t)n;
		return 1;
	}
	if (n == 0 && p->used) {
		buf_shift(&p->in, p->used);
		p->used = 0;
	}
	return (int)n;
}
