/*
 * runtime/container/shim_proto.h: frames survive any splitting, garbage is refused, and bodies of
 * older and newer peers are read.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/id.h"
#include "runtime/container/shim_proto.h"

static void frames_survive_any_splitting(void **state)
{
	const struct shim_state st = {.version = 1, .pid = 77, .started_ns = -5, .finished_ns = 9};
	auto_buf b = BUF_INIT(1 << 20);
	const uint32_t v[] = {9, 1};

	assert_int_equal(shim_put_u32s(&b, SHIM_KILL, 3, v, 2), 0);
	assert_int_equal(shim_put(&b, SHIM_STDIN, 0, "hello", 5), 0);
	assert_int_equal(shim_put_state(&b, SHIM_EXITED, 0, &st, 6), 0);
	for (size_t step = 1; step <= b.len; step++) {
		struct shim_parser p;
		struct shim_frame f;
		int seen = 0;

		shim_parser_init(&p);
		for (size_t at = 0; at < b.len; at += step) {
			assert_int_equal(shim_parser_feed(&p, b.p + at, MIN_OF(step, b.len - at)),
					 0);
			while (shim_parser_next(&p, &f) == 1) {
				uint32_t w[2], mask;
				struct shim_state got;

				seen++;
				if (f.type == SHIM_KILL) {
					assert_int_equal(f.id, 3);
					assert_int_equal(shim_get_u32s(&f, w, 2), 0);
					assert_int_equal(w[0] * 10 + w[1], 91);
				} else if (f.type == SHIM_STDIN) {
					assert_int_equal(f.len, 5);
					assert_memory_equal(f.body, "hello", 5);
				} else {
					assert_int_equal(shim_get_state(&f, &got, &mask), 0);
					assert_int_equal(got.pid, 77);
					assert_int_equal(got.started_ns, -5);
					assert_int_equal(got.finished_ns, 9);
					assert_int_equal(mask, 6);
				}
			}
		}
		assert_int_equal(seen, 3);
		shim_parser_done(&p);
	}
}

static void bodies_of_older_and_newer_peers(void **state)
{
	uint8_t body[60] = {1, 0, 0, 0, 2, 0, 0, 0};
	struct shim_frame f = {.body = body, .len = 8};
	struct shim_state st;
	uint32_t v[3], mask;

	assert_int_equal(shim_get_state(&f, &st, &mask), 0);
	assert_int_equal(st.phase, 2);
	assert_int_equal(st.pid + mask, 0);
	f.len = sizeof(body);
	assert_int_equal(shim_get_state(&f, &st, &mask), 0);
	f.len = 6;
	assert_int_equal(shim_get_state(&f, &st, &mask), -EPROTO);
	f.len = 4;
	assert_int_equal(shim_get_u32s(&f, v, 3), 0);
	assert_int_equal(v[0], 1);
	assert_int_equal(v[2], 0);
}

static void errors(void **state)
{
	struct shim_error in = {.code = ENOENT, .exit_code = 127, .text = "no"}, out;
	auto_buf b = BUF_INIT(1 << 16);
	struct shim_frame f;

	assert_int_equal(shim_put_error(&b, 4, &in), 0);
	assert_true(shim_parse(b.p, b.len, &f) > 0);
	assert_int_equal(shim_get_error(&f, &out), 0);
	assert_int_equal(out.exit_code, 127);
	assert_string_equal(out.text, "no");
	memset(in.text, 'x', sizeof(in.text));
	buf_reset(&b);
	assert_int_equal(shim_put_error(&b, 4, &in), 0);
	assert_true(shim_parse(b.p, b.len, &f) > 0);
	assert_int_equal(shim_get_error(&f, &out), 0);
	assert_int_equal(strlen(out.text), sizeof(out.text) - 1);
	/* A text longer than its body. */
	memcpy((uint8_t *)f.body + 8, "\xff\xff\xff\xff", 4);
	assert_int_equal(shim_get_error(&f, &out), -EPROTO);
}

static void bounds(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_SHIM_FRAME * 2);
	char *big = calloc(1, LIMIT_SHIM_FRAME + 1);
	struct shim_parser p;
	struct shim_frame f;

	assert_int_equal(shim_put(&b, SHIM_STDIN, 0, big, LIMIT_SHIM_FRAME + 1), -EMSGSIZE);
	assert_int_equal(shim_put(&b, SHIM_STDIN, 0, big, LIMIT_SHIM_FRAME), 0);
	shim_parser_init(&p);
	for (size_t at = 0; at < b.len; at += LIMIT_SHIM_READ) {
		assert_int_equal(shim_parser_next(&p, &f), 0);
		assert_int_equal(
			shim_parser_feed(&p, b.p + at, MIN_OF(LIMIT_SHIM_READ, b.len - at)), 0);
	}
	assert_int_equal(shim_parser_next(&p, &f), 1);
	assert_int_equal(f.len, LIMIT_SHIM_FRAME);
	/* One byte above the bound in the header. */
	assert_int_equal(shim_parser_next(&p, &f), 0);
	assert_int_equal(
		shim_parser_feed(&p, "\x01\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00", 12), 0);
	assert_int_equal(shim_parser_next(&p, &f), -EPROTO);
	shim_parser_done(&p);
	free(big);
}

static void random_bytes_are_frames_or_garbage(void **state)
{
	for (int round = 0; round < 2000; round++) {
		struct shim_parser p;
		struct shim_frame f;
		uint8_t data[200];
		int rc;

		random_bytes(data, sizeof(data));
		if (round % 2)
			memset(data + 1, 0, 7);
		shim_parser_init(&p);
		assert_int_equal(shim_parser_feed(&p, data, sizeof(data)), 0);
		while ((rc = shim_parser_next(&p, &f)) == 1) {
			struct shim_state st;
			struct shim_error se;
			uint32_t v[4];

			(void)shim_get_state(&f, &st, v);
			(void)shim_get_error(&f, &se);
			(void)shim_get_u32s(&f, v, 4);
		}
		assert_true(rc == 0 || rc == -EPROTO);
		shim_parser_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_survive_any_splitting),
		TEST(bodies_of_older_and_newer_peers),
		TEST(errors),
		TEST(bounds),
		TEST(random_bytes_are_frames_or_garbage),
	};

	return RUN_TESTS(tests);
}
