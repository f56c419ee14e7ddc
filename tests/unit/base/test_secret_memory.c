/*
 * base/secret_memory.h: pieces keep apart, are zeroed, locked and given back; what cannot be locked
 * is given all the same and told of. And what carries secrets leaves nothing behind: buffers,
 * frames, JSON.
 */
#include "unit/test.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/secret_memory.h"
#include "base/table.h"
#include "unit/memory_scan.h"

#define PIECES 200
#define ROUNDS 20000

/* Backwards: "what-nobody-may-ever-see", and the same in base64. */
static const char text[] = "ees-reve-yam-ydobon-tahw";
static const char coded[] = "lV2ctIXZ2VWL5FWbtkHZvJ2bu1Cdhh2d";

static void add_backwards(struct buf *b, const char *backwards)
{
	for (size_t i = strlen(backwards); i-- > 0;)
		assert_int_equal(buf_addc(b, backwards[i]), 0);
}

static bool all_are(const uint8_t *p, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void pieces_keep_apart_and_come_zeroed(void **state)
{
	uint8_t *pieces[PIECES] = {0};
	size_t sizes[PIECES] = {0};
	unsigned seed = 1;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t at = (size_t)rand_r(&seed) % PIECES;
		bool large = rand_r(&seed) % 16 == 0;

		if (pieces[at])
			assert_true(all_are(pieces[at], sizes[at], (uint8_t)(at + 1)));
		secret_free(pieces[at], sizes[at]);
		sizes[at] = (size_t)rand_r(&seed) % (large ? 20000 : 400);
		pieces[at] = secret_new(sizes[at]);
		assert_true(secret_owns(pieces[at]));
		assert_in_range(secret_size(pieces[at]), sizes[at], sizes[at] + 128);
		assert_true(all_are(pieces[at], secret_size(pieces[at]), 0));
		memset(pieces[at], (int)(at + 1), sizes[at]);
	}
	for (size_t at = 0; at < PIECES; at++)
		secret_free(pieces[at], sizes[at]);
	assert_false(secret_owns(pieces));
	assert_false(secret_owns(NULL));
	secret_free(NULL, 5);
}

/* A number of kB of the mapping that `p` lies in, or whether one of its flags is set. */
static long mapping_says(const void *p, const char *key, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[512];
	long ret = -1;

	assert_non_null(smaps);
	while (fgets(line, sizeof line, smaps)) {
		char *end, *rest;
		unsigned long from = strtoul(line, &end, 16), to;

		if (*end == '-') {
			to = strtoul(end + 1, &rest, 16);
			inside = from <= (uintptr_t)p && (uintptr_t)p < to;
		} else if (inside && strncmp(line, key, strlen(key)) == 0) {
			ret = flag ? strstr(line, flag) != NULL
				   : strtol(line + strlen(key), NULL, 10);
		}
	}
	(void)fclose(smaps);
	return ret;
}

/* To AddressSanitizer mlock() does nothing and has worked. */
static bool locking_works(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ret;

	assert_true(p != MAP_FAILED);
	ret = mlock(p, 4096) == 0 && mapping_says(p, "VmFlags:", " lo") == 1;
	(void)munmap(p, 4096);
	return ret;
}

static void it_is_locked_dumped_nowhere_and_given_back(void **state)
{
	enum { MUCH = 4 << 20 };
	uint8_t *p = secret_new(100), *much;

	if (secret_loose() > 0 || !locking_works()) {
		secret_free(p, 100);
		skip();
	}
	assert_int_equal(mapping_says(p, "VmFlags:", " lo"), 1);
	assert_int_equal(mapping_says(p, "VmFlags:", " dd"), 1);
	much = secret_new(MUCH);
	assert_in_range(mapping_says(p, "Locked:", NULL), MUCH / 1024, MUCH / 1024 + 1024);
	secret_free(much, MUCH);
	assert_in_range(mapping_says(p, "Locked:", NULL), 1, 1024 + 64);
	secret_free(p, 100);
}

static int told;

static void tell(int why)
{
	told++;
	assert_true(why == -ENOMEM || why == -EPERM);
}

static void lower_limit(rlim_t bytes)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(syscall(SYS_capset, &head, none), 0);
}

static void raise_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* In a process of its own: what it does to itself cannot be undone. */
static int with_a_low_limit(void)
{
	enum { MUCH = 1 << 20 };
	uint8_t *p, *small, *beyond;

	lower_limit(256 << 10);
	secret_loose_tell(tell);
	small = secret_new(100);
	if (told || secret_loose())
		return 1; /* that much was permitted */
	p = secret_new(MUCH);
	memset(p, 1, MUCH);
	if (!secret_owns(p) || told != 1 || secret_loose() < MUCH / 2 || secret_loose() > MUCH)
		return 2;
	secret_free(secret_new(MUCH), MUCH);
	if (told != 1)
		return 3; /* once is enough */
	raise_limit();
	secret_free(secret_new(1), 1);
	if (secret_loose())
		return 4; /* now all of it is locked */
	lower_limit(256 << 10);
	/* Addresses alone: as long as they cannot be locked, nothing of them is memory. */
	(void)secret_new((size_t)LIMIT_SECRET_MEMORY - (2 << 20));
	beyond = secret_new(MUCH);
	if (secret_owns(beyond) || secret_loose() < LIMIT_SECRET_MEMORY - (4u << 20))
		return 5;
	secret_free(beyond, MUCH);
	secret_free(p, MUCH);
	secret_free(small, 100);
	return 0;
}

static void what_cannot_be_locked_is_given_and_told_of_once(void **state)
{
	pid_t pid;
	int status;

	if (!locking_works())
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(with_a_low_limit());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_secret_buffer_leaves_nothing(void **state)
{
	auto_buf b = BUF_SECRET(100000);

	add_backwards(&b, text);
	assert_int_equal(memory_has(text), 1);
	assert_int_equal(buf_reserve(&b, 50000), 0); /* it moves */
	assert_int_equal(memory_has(text), 1);
	buf_cut(&b, 3);
	assert_int_equal(memory_has(text + 1), 0);
	add_backwards(&b, text);
	buf_shift(&b, 10);
	buf_reset(&b);
	assert_true(all_are((uint8_t *)b.p, 3 + strlen(text), 0)); /* all that was ever in it */
	add_backwards(&b, text);
	buf_done(&b);
	assert_int_equal(memory_has(text), 0);
}

struct holder {
	char *name;
	struct bytes data;
};

#define T struct holder
static const struct field holder_fields[] = {
	FIELD_STR(T, 1, name, NULL, 0),
	FIELD_BYTES(T, 2, data, NULL, FIELD_SECRET),
};
#undef T
static TABLE_DEFINE(holder, holder_fields);

struct shown {
	struct bytes data;
};

#define T struct shown
static const struct field shown_fields[] = {
	FIELD_BYTES(T, 0, data, "Data", 0),
};
#undef T
static TABLE_DEFINE(shown, shown_fields);

static struct holder holder_make(void)
{
	struct holder h = {.name = xstrdup("x"), .data.n = strlen(text)};
	uint8_t *p = secret_new(h.data.n);

	for (size_t i = 0; i < h.data.n; i++)
		p[i] = (uint8_t)text[h.data.n - 1 - i];
	h.data.p = p;
	return h;
}

static void a_buffer_is_secret_once_a_secret_is_written_into_it(void **state)
{
	struct buf b = BUF_INIT(100000), other = BUF_INIT(100000);
	struct holder h = holder_make(), back = {0};
	struct err e = ERR_INIT;

	assert_int_equal(tlv_write(&holder_table, &h, &b), 0);
	assert_int_equal(buf_join(&other, &b), 0);
	assert_true(b.secret && other.secret);
	assert_ok(tlv_read(&holder_table, b.p, b.len, &back, &e), &e);
	assert_true(secret_owns(back.data.p));
	assert_int_equal(memory_has(text), 4);
	buf_done(&b);
	buf_done(&other);
	table_done(&holder_table, &h);
	table_done(&holder_table, &back);
	assert_int_equal(memory_has(text), 0);
}

static void json_leaves_nothing(void **state)
{
	struct buf b = BUF_SECRET(1000);
	struct shown h = {0};
	struct err e = ERR_INIT;

	(void)buf_adds(&b, "{\"Data\":\"");
	add_backwards(&b, coded);
	(void)buf_adds(&b, "\"}");
	assert_ok(json_read(&shown_table, b.p, b.len, &h, &e), &e);
	assert_int_equal(memory_has(text), 1);
	assert_int_equal(memory_has(coded), 1);
	table_done(&shown_table, &h);
	buf_done(&b);
	assert_int_equal(memory_has(text), 0);
	assert_int_equal(memory_has(coded), 0);
}

static void frames_leave_nothing(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct frame_reader r;
	struct frame_view view;
	struct frame *f;

	frame_reader_init(&r, 1000);
	for (int i = 0; i < 2; i++) {
		add_backwards(&b, text);
		f = frame_take(0x100, &b);
		frame_reader_give(&r, f->header, FRAME_HEADER);
		assert_int_equal(frame_reader_next(&r, &view), 0);
		frame_reader_give(&r, f->payload, f->len); /* in two parts, so it keeps it */
		assert_int_equal(frame_reader_next(&r, &view), 1);
		assert_int_equal(memory_has(text), 2);
		assert_int_equal(frame_reader_next(&r, &view), 0);
		assert_int_equal(memory_has(text), 1);
		frame_unref(f);
		assert_int_equal(memory_has(text), 0);
	}
	frame_reader_done(&r);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pieces_keep_apart_and_come_zeroed),
		TEST(it_is_locked_dumped_nowhere_and_given_back),
		TEST(what_cannot_be_locked_is_given_and_told_of_once),
		TEST(a_secret_buffer_leaves_nothing),
		TEST(a_buffer_is_secret_once_a_secret_is_written_into_it),
		TEST(json_leaves_nothing),
		TEST(frames_leave_nothing),
	};

	return RUN_TESTS(tests);
}
