/*
 * See frame.h.
 */
#include "base/frame.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define READER_SLACK (1u << 20)  /* bytes kept beyond one frame while a receiver pauses */
#define READER_SMALL (64u << 10) /* a kept buffer above it is given back between frames */

static void frame_head(struct frame *f, uint16_t type, uint32_t len)
{
	f->refs = 1;
	f->type = type;
	f->len = len;
	le32_put(f->header, len);
	le16_put(f->header + 4, type);
	le16_put(f->header + 6, 0);
}

struct frame *frame_new(uint16_t type, size_t len)
{
	struct frame *f;

	if (len > LIMIT_FRAME)
		return NULL;
	f = xmalloc(sizeof *f + len);
	frame_head(f, type, (uint32_t)len);
	f->payload = (uint8_t *)(f + 1);
	return f;
}

struct frame *frame_copy(uint16_t type, const void *p, size_t len)
{
	struct frame *f = frame_new(type, len);

	if (f && len)
		memcpy(f->payload, p, len);
	return f;
}

struct frame *frame_take(uint16_t type, struct buf *b)
{
	struct frame *f;

	if (buf_status(b) < 0 || b->len > LIMIT_FRAME)
		return NULL;
	f = xmalloc(sizeof *f);
	frame_head(f, type, (uint32_t)b->len);
	f->payload = (uint8_t *)buf_take(b);
	return f;
}

struct frame *frame_ref(struct frame *f)
{
	__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

void frame_unref(struct frame *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	/* Whatever it was: who makes and who takes a frame need not know where secrets are. */
	explicit_bzero(f->payload, f->len);
	if (f->payload != (uint8_t *)(f + 1))
		free(f->payload);
	free(f);
}

void frame_unref_at(struct frame **f)
{
	frame_unref(*f);
}

void frame_reader_init(struct frame_reader *r, uint32_t max_payload)
{
	*r = (struct frame_reader){.max = max_payload};
	r->part = BUF_SECRET(FRAME_HEADER + (size_t)LIMIT_FRAME + READER_SLACK);
}

void frame_reader_done(struct frame_reader *r)
{
	buf_done(&r->part);
}

void frame_reader_give(struct frame_reader *r, const void *p, size_t n)
{
	if (r->left) /* the giver broke its promise to read all: keep what it would lose */
		(void)frame_reader_keep(r);
	r->at = p;
	r->left = n;
}

/*
 * Appends `n` of `want` bytes to the incomplete frame; what was shown of it goes only now, so that
 * going is cheap. There is room for all of them at once, as to grow means to copy.
 */
static int part_add(struct frame_reader *r, size_t n, size_t want)
{
	int rc;

	buf_shift(&r->part, r->part_used);
	r->part_used = 0;
	(void)buf_reserve(&r->part, want);
	rc = buf_add(&r->part, r->at, n);
	r->at += n;
	r->left -= n;
	return rc;
}

int frame_reader_keep(struct frame_reader *r)
{
	return r->left ? part_add(r, r->left, r->left) : 0;
}

/* 0 and the header's content, or -errno. */
static int header_read(const struct frame_reader *r, const uint8_t *p, struct frame_view *ret)
{
	ret->len = le32_get(p);
	ret->type = le16_get(p + 4);
	ret->payload = NULL;
	if (ret->len > r->max)
		return -EMSGSIZE;
	return le16_get(p + 6) == 0 ? 0 : -EPROTO;
}

/* Moves up to `want` - part.len bytes from what was given to the incomplete frame. */
static int part_fill(struct frame_reader *r, size_t want)
{
	size_t have = r->part.len - r->part_used;
	size_t n = want > have ? MIN_OF(want - have, r->left) : 0;

	return n ? part_add(r, n, want - have) : 0;
}

/* Once all of it was shown, gives back the memory of a large frame. */
static void part_drop(struct frame_reader *r)
{
	if (r->part_used < r->part.len)
		return;
	r->part_used = 0;
	if (r->part.cap > READER_SMALL)
		buf_done(&r->part);
	else
		buf_reset(&r->part);
}

static int part_next(struct frame_reader *r, struct frame_view *ret)
{
	size_t need = FRAME_HEADER;
	int rc = part_fill(r, need);

	if (rc < 0 || r->part.len - r->part_used < need)
		return rc;
	rc = header_read(r, (uint8_t *)r->part.p + r->part_used, ret);
	if (rc < 0)
		return rc;
	need += ret->len;
	rc = part_fill(r, need);
	if (rc < 0 || r->part.len - r->part_used < need)
		return rc;
	ret->payload = (uint8_t *)r->part.p + r->part_used + FRAME_HEADER;
	r->part_used += need;
	return 1;
}

int frame_reader_next(struct frame_reader *r, struct frame_view *ret)
{
	int rc;

	part_drop(r);
	if (r->part.len > r->part_used)
		return part_next(r, ret);
	if (r->left < FRAME_HEADER)
		return frame_reader_keep(r);
	rc = header_read(r, r->at, ret);
	if (rc < 0)
		return rc;
	if (r->left - FRAME_HEADER < ret->len)
		return frame_reader_keep(r);
	ret->payload = r->at + FRAME_HEADER;
	r->at += FRAME_HEADER + ret->len;
	r->left -= FRAME_HEADER + ret->len;
	return 1;
}
