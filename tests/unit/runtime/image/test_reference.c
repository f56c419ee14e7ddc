/*
 * runtime/image/reference.h: what docker takes and shows for a name, and what it refuses.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/image/reference.h"

#define D64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D "sha256:" D64

static void names_are_filled_in_and_shown_as_users_know_them(void **state)
{
	static const struct {
		const char *given, *whole, *familiar, *name;
	} cases[] = {
		{"busybox", "docker.io/library/busybox", "busybox", "busybox"},
		{"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36", "busybox"},
		{"library/busybox", "docker.io/library/busybox", "busybox", "busybox"},
		{"docker.io/library/busybox:a", "docker.io/library/busybox:a", "busybox:a",
		 "busybox"},
		{"index.docker.io/busybox", "docker.io/library/busybox", "busybox", "busybox"},
		{"docker.io/a/b", "docker.io/a/b", "a/b", "a/b"},
		{"a/b/c:T", "docker.io/a/b/c:T", "a/b/c:T", "a/b/c"},
		{"library/a/b", "docker.io/library/a/b", "library/a/b", "library/a/b"},
		{"localhost/x", "localhost/x", "localhost/x", "localhost/x"},
		{"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y",
		 "localhost:5000/x"},
		{"reg.example.com/x", "reg.example.com/x", "reg.example.com/x",
		 "reg.example.com/x"},
		{"UPPER/x", "UPPER/x", "UPPER/x", "UPPER/x"},
		{"10.0.0.1:80/a", "10.0.0.1:80/a", "10.0.0.1:80/a", "10.0.0.1:80/a"},
		{"[fd00::1]:5000/a:1", "[fd00::1]:5000/a:1", "[fd00::1]:5000/a:1",
		 "[fd00::1]:5000/a"},
		{"a@" D, "docker.io/library/a@" D, "a@" D, "a"},
		{"a:t@" D, "docker.io/library/a:t@" D, "a:t@" D, "a"},
		{"a__b-c---d.e_f", "docker.io/library/a__b-c---d.e_f", "a__b-c---d.e_f",
		 "a__b-c---d.e_f"},
		{"host:5000", "docker.io/library/host:5000", "host:5000", "host"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		auto_ref ref = {0};

		assert_ok(image_ref_parse(cases[i].given, &ref, &e), &e);
		auto_free char *whole = image_ref_text(&ref), *familiar = image_ref_familiar(&ref),
			       *name = image_ref_familiar_name(&ref);
		assert_string_equal(whole, cases[i].whole);
		assert_string_equal(familiar, cases[i].familiar);
		assert_string_equal(name, cases[i].name);
	}
}

static void malformed_names_are_refused_with_a_reason(void **state)
{
	static const char *const cases[] = {
		"",
		":tag",
		"@" D,
		"a:",
		"a@",
		"a@sha256:12",
		"a@md5:" D64,
		"Busy",
		"a/B",
		"a//b",
		"/a",
		"a/",
		"a b",
		"-a",
		"a-",
		"a___b",
		"a..b",
		"a._b",
		".a",
		"a.",
		"a:-x",
		"a:.x",
		"a:b/c:",
		"a:b:c/",
		"h.x:/a",
		"h..x/a",
		"-h.x/a",
		"h-.x/a",
		"[::1/a",
		"[]/a",
		"[x::]:1/a",
		"localhost:5x/a",
		D64,
		"a@" D "0",
		"h_x.y/a",
		"a\n",
		"a:\xc3\xa9",
		"https://reg.example.com/a",
		"a@" D "@" D,
		"localhost:/a",
		"localhost:5000/",
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		struct image_ref ref;

		if (image_ref_parse(cases[i], &ref, &e) != -EINVAL)
			fail_msg("\"%s\" was taken", cases[i]);
		assert_non_null(strstr(e.msg, "invalid reference format"));
		assert_null(ref.path);
		assert_null(ref.tag);
		assert_null(ref.digest);
	}
}

static void lengths_end_at_their_bounds(void **state)
{
	char text[LIMIT_IMAGE_REF + 8];
	struct err e = ERR_INIT;
	auto_ref ref = {0};
	size_t prefix = strlen("docker.io/library/");

	memset(text, 'a', sizeof text);
	text[LIMIT_IMAGE_NAME - prefix] = '\0';
	assert_ok(image_ref_parse(text, &ref, &e), &e);
	image_ref_done(&ref);
	text[LIMIT_IMAGE_NAME - prefix] = 'a';
	text[LIMIT_IMAGE_NAME - prefix + 1] = '\0';
	assert_int_equal(image_ref_parse(text, &ref, &e), -EINVAL);
	memset(text, 'a', sizeof text);
	text[1] = ':';
	text[2 + LIMIT_IMAGE_TAG] = '\0';
	assert_ok(image_ref_parse(text, &ref, &e), &e);
	image_ref_done(&ref);
	text[2 + LIMIT_IMAGE_TAG] = 'a';
	text[3 + LIMIT_IMAGE_TAG] = '\0';
	assert_int_equal(image_ref_parse(text, &ref, &e), -EINVAL);
	memset(text, 'a', sizeof text);
	text[LIMIT_IMAGE_REF + 1] = '\0';
	assert_int_equal(image_ref_parse(text, &ref, &e), -EINVAL);
}

static void ids_and_digests_stand_alone(void **state)
{
	struct err e = ERR_INIT;
	auto_ref a = {0}, b = {0}, c = {0};

	assert_ok(image_ref_parse_any(D64, &a, &e), &e);
	assert_string_equal(a.digest, D);
	assert_null(a.path);
	assert_ok(image_ref_parse_any(D, &b, &e), &e);
	assert_string_equal(b.digest, D);
	assert_ok(image_ref_parse_any("abc", &c, &e), &e);
	assert_string_equal(c.path, "library/abc");
	image_ref_default_tag(&a);
	assert_null(a.tag);
	image_ref_default_tag(&c);
	assert_string_equal(c.tag, "latest");
	assert_true(digest_valid(D));
	assert_false(digest_valid(D64));
	assert_false(
		digest_valid("sha256:ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456789"
			     "abcdef"));
}

static void patterns_match_as_path_match_does(void **state)
{
	static const struct {
		const char *ref, *pattern;
		int result;
	} cases[] = {
		{"busybox:1", "busybox", 1},     {"busybox:1", "busybox:*", 1},
		{"busybox:1", "busy*", 1},       {"busybox:1", "*", 1},
		{"busybox:1", "busybox:2", 0},   {"a/busybox:1", "*", 0},
		{"a/busybox:1", "*/*", 1},       {"a/busybox:1", "a/b*x:?", 1},
		{"a/busybox:1", "?/b[t-v]*", 1}, {"a/busybox:1", "?/b[^t-v]*", 0},
		{"busybox:1", "b\\usybox:1", 1}, {"busybox:1", "*b*b*x*1", 1},
		{"busybox:1", "*b*b*b*1", 0},    {"busybox:1", "[", -EINVAL},
		{"busybox:1", "a[]b]", -EINVAL}, {"busybox:1", "a[b-]", -EINVAL},
		{"busybox:1", "a\\", -EINVAL},   {"busybox:1", "[^-a]", -EINVAL},
		{"busybox:1", "**box:1", 1},     {"busybox:1", "", 0},
		{"a/b/c:1", "a/*/c", 1},         {"a/b/c:1", "a/*", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		auto_ref ref = {0};

		assert_ok(image_ref_parse(cases[i].ref, &ref, &e), &e);
		if (image_ref_match(&ref, cases[i].pattern, &e) != cases[i].result)
			fail_msg("%s against %s", cases[i].ref, cases[i].pattern);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_filled_in_and_shown_as_users_know_them),
		TEST(malformed_names_are_refused_with_a_reason),
		TEST(lengths_end_at_their_bounds),
		TEST(ids_and_digests_stand_alone),
		TEST(patterns_match_as_path_match_does),
	};

	return RUN_TESTS(tests);
}
