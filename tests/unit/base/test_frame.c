/*
 * base/frame.h: however the bytes are cut, the frames come out whole, and bounds hold.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/frame.h"
#include "base/mem.h"

static void frame_write(struct buf *b, const struct frame *f)
{
	assert_int_equal(buf_add(b, f->header, FRAME_HEADER), 0);
	assert_int_equal(buf_add(b, f->payload, f->len), 0);
}

static void frames_write(struct buf *b, const size_t *lens, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		auto_frame *f = frame_new((uint16_t)(i + 1), lens[i]);

		assert_non_null(f);
		memset(f->payload, (int)('a' + i), lens[i]);
		frame_write(b, f);
	}
}

static void frame_check(const struct frame_view *v, size_t i, size_t len)
{
	assert_int_equal(v->type, i + 1);
	assert_int_equal(v->len, len);
	for (size_t at = 0; at < len; at++)
		assert_int_equal(v->payload[at], 'a' + (int)i);
}

static const size_t lens[] = {0, 1, 7, 300, 0, 70000, 8, 20};

static void any_cut_gives_the_same_frames(void **state)
{
	auto_buf wire = BUF_INIT(1 << 20);

	frames_write(&wire, lens, ARRAY_LEN(lens));
	for (size_t step = 1; step < wire.len + 1000; step += step < 20 ? 1 : 997) {
		struct frame_reader r;
		struct frame_view v;
		size_t seen = 0;

		frame_reader_init(&r, LIMIT_FRAME);
		for (size_t at = 0; at < wire.len; at += step) {
			size_t n = MIN_OF(step, wire.len - at);
			/* a copy of its own, so that a sanitizer sees any use after its time */
			auto_free char *piece = xmemdup(wire.p + at, n);

			frame_reader_give(&r, piece, n);
			while (frame_reader_next(&r, &v) == 1) {
				frame_check(&v, seen, lens[seen]);
				seen++;
			}
		}
		assert_int_equal(seen, ARRAY_LEN(lens));
		frame_reader_done(&r);
	}
}

static void whole_frames_are_not_copied(void **state)
{
	auto_buf wire = BUF_INIT(1 << 20);
	struct frame_reader r;
	struct frame_view v;

	frames_write(&wire, lens, ARRAY_LEN(lens));
	frame_reader_init(&r, LIMIT_FRAME);
	frame_reader_give(&r, wire.p, wire.len);
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		assert_int_equal(frame_reader_next(&r, &v), 1);
		assert_in_range((uintptr_t)v.payload, (uintptr_t)wire.p,
				(uintptr_t)wire.p + wire.len);
	}
	assert_int_equal(frame_reader_next(&r, &v), 0);
	assert_null(r.part.p);
	frame_reader_done(&r);
}

static void a_paused_reader_keeps_what_it_was_given(void **state)
{
	auto_buf wire = BUF_INIT(1 << 20);
	struct frame_reader r;
	struct frame_view v;

	frames_write(&wire, lens, ARRAY_LEN(lens));
	frame_reader_init(&r, LIMIT_FRAME);
	frame_reader_give(&r, wire.p, wire.len - 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(frame_reader_next(&r, &v), 1);
		frame_check(&v, i, lens[i]);
	}
	assert_int_equal(frame_reader_keep(&r), 0);
	memset(wire.p, 'X', wire.len - 3);
	for (size_t i = 3; i < ARRAY_LEN(lens) - 1; i++) {
		assert_int_equal(frame_reader_next(&r, &v), 1);
		frame_check(&v, i, lens[i]);
	}
	assert_int_equal(frame_reader_next(&r, &v), 0);
	frame_reader_give(&r, wire.p + wire.len - 3, 3);
	assert_int_equal(frame_reader_next(&r, &v), 1);
	frame_check(&v, ARRAY_LEN(lens) - 1, lens[ARRAY_LEN(lens) - 1]);
	assert_int_equal(frame_reader_next(&r, &v), 0);
	frame_reader_done(&r);
}

static void bounds(void **state)
{
	auto_frame *f = frame_new(1, LIMIT_FRAME);
	auto_buf big = BUF_INIT(LIMIT_FRAME + 1);
	uint8_t header[FRAME_HEADER];
	struct frame_reader r;
	struct frame_view v;

	assert_non_null(f);
	assert_null(frame_new(1, LIMIT_FRAME + 1));
	assert_null(frame_copy(1, "", SIZE_MAX));
	assert_int_equal(buf_reserve(&big, LIMIT_FRAME + 1), 0);
	big.len = LIMIT_FRAME + 1;
	assert_null(frame_take(1, &big));
	frame_reader_init(&r, 100);
	le32_put(header, 101);
	le16_put(header + 4, 1);
	le16_put(header + 6, 0);
	frame_reader_give(&r, header, sizeof header);
	assert_int_equal(frame_reader_next(&r, &v), -EMSGSIZE);
	le32_put(header, 100);
	frame_reader_init(&r, 100);
	frame_reader_give(&r, header, sizeof header);
	assert_int_equal(frame_reader_next(&r, &v), 0);
	assert_true(r.part.cap < 200); /* a promise of bytes is not believed */
	frame_reader_done(&r);
	le16_put(header + 6, 1);
	frame_reader_init(&r, 100);
	frame_reader_give(&r, header, 5); /* in two pieces */
	assert_int_equal(frame_reader_next(&r, &v), 0);
	frame_reader_give(&r, header + 5, 3);
	assert_int_equal(frame_reader_next(&r, &v), -EPROTO);
	frame_reader_done(&r);
}

static void a_large_frame_gives_its_memory_back(void **state)
{
	auto_frame *f = frame_new(9, LIMIT_FRAME);
	struct frame_reader r;
	struct frame_view v;

	memset(f->payload, 'z', f->len);
	frame_reader_init(&r, LIMIT_FRAME);
	frame_reader_give(&r, f->header, FRAME_HEADER);
	assert_int_equal(frame_reader_next(&r, &v), 0);
	for (uint32_t at = 0; at < f->len; at += 65536) {
		frame_reader_give(&r, f->payload + at, MIN_OF(65536u, f->len - at));
		assert_int_equal(frame_reader_next(&r, &v), at + 65536 >= f->len);
	}
	assert_int_equal(v.len, LIMIT_FRAME);
	assert_memory_equal(v.payload, f->payload, f->len);
	assert_int_equal(frame_reader_next(&r, &v), 0);
	assert_int_equal(r.part.cap, 0);
	frame_reader_done(&r);
}

static void frames_take_a_buffer_without_a_copy(void **state)
{
	struct buf b = BUF_INIT(100);
	struct frame *f;
	char *p;

	buf_adds(&b, "hello");
	p = b.p;
	f = frame_take(7, &b);
	assert_ptr_equal(f->payload, p);
	assert_int_equal(f->len, 5);
	assert_null(b.p);
	assert_ptr_equal(frame_ref(f), f);
	frame_unref(f);
	assert_memory_equal(f->payload, "hello", 5);
	frame_unref(f);
	frame_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_cut_gives_the_same_frames),
		TEST(whole_frames_are_not_copied),
		TEST(a_paused_reader_keeps_what_it_was_given),
		TEST(bounds),
		TEST(a_large_frame_gives_its_memory_back),
		TEST(frames_take_a_buffer_without_a_copy),
	};

	return RUN_TESTS(tests);
}
