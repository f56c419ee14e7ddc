/*
 * runtime/container/json_log.h: the form of a line, splitting at 16 KiB, rotation.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/container/json_log.h"

#define NOW 1700000000123456789LL
#define TIME "2023-11-14T22:13:20.123456789Z"

static char dir[64];
static char path[96];
static struct json_stream stream;

static int make_dir(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-log-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/x.log", dir);
	memset(&stream, 0, sizeof(stream));
	stream.name = "stdout";
	return 0;
}

static int remove_dir(void **state)
{
	return dir_remove(AT_FDCWD, dir, NULL);
}

static void line(const char *in, size_t n, const char *want)
{
	auto_buf b = BUF_INIT(4096);
	auto_free char *full = xasprintf(
		"{\"log\":\"%s\\n\",\"stream\":\"stderr\",\"time\":\"" TIME "\"}\n", want);

	json_log_line(&b, "stderr", in, n, true, NOW);
	assert_string_equal(buf_text(&b), full);
}

static void the_form_of_a_line(void **state)
{
	line("plain", 5, "plain");
	line("", 0, "");
	line("q\"b\\", 4, "q\\\"b\\\\");
	line("\t\r\x01\0", 4, "\\u0009\\r\\u0001\\u0000");
	line("<&>", 3, "\\u003c\\u0026\\u003e");
	line("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	line("\xe2\x80\xa8\xe2\x80\xa9", 6, "\\u2028\\u2029");
	line("\x7f", 1, "\x7f");
}

static void bytes_that_are_not_utf8(void **state)
{
	line("\xff"
	     "a\xc3",
	     3, "\\ufffda\\ufffd");
	line("\xc0\x80", 2, "\\ufffd\\ufffd");
	line("\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd");
	line("\xf5\x80\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd");
	line("\xe2\x82", 2, "\\ufffd\\ufffd");
}

static void read_all(struct buf *b)
{
	buf_reset(b);
	assert_int_equal(file_read_at(AT_FDCWD, path, b), 0);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static void lines_are_put_together_from_pieces(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	struct json_log l;

	assert_int_equal(json_log_open(&l, path, 0, 1, NULL), 0);
	json_log_add(&l, &stream, "on", 2, NOW);
	read_all(&b);
	assert_int_equal(b.len, 0);
	json_log_add(&l, &stream, "e\n\ntwo", 6, NOW);
	json_log_end(&l, &stream, NOW);
	json_log_close(&l);
	read_all(&b);
	assert_string_equal(buf_text(&b),
			    "{\"log\":\"one\\n\",\"stream\":\"stdout\",\"time\":\"" TIME
			    "\"}\n{\"log\":\"\\n\",\"stream\":\"stdout\",\"time\":\"" TIME
			    "\"}\n{\"log\":\"two\",\"stream\":\"stdout\",\"time\":\"" TIME "\"}\n");
}

/* Whatever the sizes of the reads: 16384 bytes is one piece, and its newline comes apart. */
static void long_lines_are_split_as_docker_splits_them(void **state)
{
	static const struct {
		size_t len;
		size_t lines, newlines;
	} cases[] = {
		{16383, 1, 1}, {16384, 2, 1}, {16385, 2, 1}, {32768, 3, 1}, {40000, 3, 1},
	};

	for (size_t step = 1000; step <= 32768; step += 31768) {
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			char *text = malloc(cases[i].len + 1);
			auto_buf b = BUF_INIT(1 << 20);
			struct json_log l;

			memset(text, 'x', cases[i].len);
			text[cases[i].len] = '\n';
			(void)unlink(path);
			assert_int_equal(json_log_open(&l, path, 0, 1, NULL), 0);
			for (size_t at = 0; at <= cases[i].len; at += step)
				json_log_add(&l, &stream, text + at,
					     MIN_OF(step, cases[i].len + 1 - at),
					     NOW + (int64_t)at);
			json_log_close(&l);
			read_all(&b);
			assert_int_equal(count(buf_text(&b), "\"stream\""), cases[i].lines);
			assert_int_equal(count(buf_text(&b), "\\n\""), cases[i].newlines);
			assert_int_equal(count(buf_text(&b), "x"), cases[i].len);
			free(text);
		}
	}
}

static void the_worst_escapes_fit(void **state)
{
	auto_buf b = BUF_INIT(1 << 20);
	char *text = calloc(1, 32768);
	struct json_log l;

	assert_int_equal(json_log_open(&l, path, 0, 1, NULL), 0);
	json_log_add(&l, &stream, text, 32768, NOW);
	json_log_close(&l);
	read_all(&b);
	assert_int_equal(count(buf_text(&b), "\\u0000"), 32768);
	free(text);
}

static off_t size_of(const char *suffix)
{
	auto_free char *name = xasprintf("%s%s", path, suffix);
	struct stat st;

	return stat(name, &st) < 0 ? -1 : st.st_size;
}

static void files_are_rotated(void **state)
{
	struct json_log l;

	assert_int_equal(json_log_open(&l, path, 1000, 3, NULL), 0);
	for (int i = 0; i < 100; i++)
		json_log_add(&l, &stream, "0123456789\n", 11, NOW);
	json_log_close(&l);
	assert_in_range(size_of(""), 1, 1000 + 100);
	assert_in_range(size_of(".1"), 1000, 1000 + 100);
	assert_in_range(size_of(".2"), 1000, 1000 + 100);
	assert_int_equal(size_of(".3"), -1);
}

static void one_file_starts_over(void **state)
{
	struct json_log l;

	assert_int_equal(json_log_open(&l, path, 1000, 1, NULL), 0);
	for (int i = 0; i < 100; i++)
		json_log_add(&l, &stream, "0123456789\n", 11, NOW);
	json_log_close(&l);
	assert_in_range(size_of(""), 1, 1000 + 100);
	assert_int_equal(size_of(".1"), -1);
}

static void without_a_file_output_goes_nowhere(void **state)
{
	struct json_log l;

	assert_int_equal(json_log_open(&l, NULL, 0, 1, NULL), 0);
	json_log_add(&l, &stream, "x\n", 2, NOW);
	json_log_end(&l, &stream, NOW);
	json_log_close(&l);
	assert_int_equal(size_of(""), -1);
}

static void a_full_disk_loses_lines_and_nothing_else(void **state)
{
	struct json_log l;

	assert_int_equal(json_log_open(&l, "/dev/full", 0, 1, NULL), 0);
	json_log_add(&l, &stream, "x\n", 2, NOW);
	json_log_add(&l, &stream, "y\n", 2, NOW);
	assert_int_equal(l.lost, 2);
	json_log_close(&l);
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_form_of_a_line),
		TEST(bytes_that_are_not_utf8),
		LOG_TEST(lines_are_put_together_from_pieces),
		LOG_TEST(long_lines_are_split_as_docker_splits_them),
		LOG_TEST(the_worst_escapes_fit),
		LOG_TEST(files_are_rotated),
		LOG_TEST(one_file_starts_over),
		LOG_TEST(without_a_file_output_goes_nowhere),
		LOG_TEST(a_full_disk_loses_lines_and_nothing_else),
	};

	return RUN_TESTS(tests);
}
