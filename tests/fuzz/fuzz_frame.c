/*
 * Frames from outside: any bytes, cut at any places and kept at any time, give the same frames (or
 * the same refusal) as in one piece. The seed's first byte chooses the cuts.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"
#include "base/mem.h"
#include "base/stream_hello.h"

#define FUZZ_FRAME_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	size_t frames;
	uint64_t sum; /* of types, lengths and payloads, in order */
	int rc;
};

static void outcome_add(struct outcome *o, const struct frame_view *v)
{
	struct stream_hello hello;
	struct err e = ERR_INIT;

	assert(v->len <= FUZZ_FRAME_MAX);
	(void)hello_read(v, &hello, &e);
	bye_read(v, &e);
	assert(e.code < 0 && e.msg[0]);
	o->frames++;
	o->sum = o->sum * 31 + v->type;
	o->sum = o->sum * 31 + v->len;
	for (uint32_t i = 0; i < v->len; i++)
		o->sum = o->sum * 31 + v->payload[i];
}

static struct outcome read_cut(const uint8_t *p, size_t n, size_t step, bool keep)
{
	struct outcome o = {0};
	struct frame_reader r;
	struct frame_view v;

	frame_reader_init(&r, FUZZ_FRAME_MAX);
	for (size_t at = 0; at < n && o.rc >= 0; at += step) {
		size_t len = MIN_OF(step, n - at);
		uint8_t *piece = xmemdup(p + at, len);

		frame_reader_give(&r, piece, len);
		while ((o.rc = frame_reader_next(&r, &v)) == 1) {
			outcome_add(&o, &v);
			if (keep)
				(void)frame_reader_keep(&r);
		}
		free(piece);
	}
	frame_reader_done(&r);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, cut, kept;

	if (size < 1)
		return 0;
	whole = read_cut(data + 1, size - 1, size, false);
	cut = read_cut(data + 1, size - 1, (size_t)data[0] + 1, false);
	kept = read_cut(data + 1, size - 1, (size_t)data[0] + 1, true);
	assert(whole.frames == cut.frames && whole.sum == cut.sum && whole.rc == cut.rc);
	assert(whole.frames == kept.frames && whole.sum == kept.sum && whole.rc == kept.rc);
	return 0;
}
