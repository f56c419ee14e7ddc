/*
 * model/generic.h: reading, bounds, choosing and giving back; model/task_rights.h: labels.
 */
#include "unit/test.h"

#include "base/limits.h"
#include "base/mem.h"
#include "model/generic.h"
#include "model/task_rights.h"

static struct err e;

static int parse(const char *text, struct generics *ret)
{
	struct strs list = {0};
	auto_free char *copy = xstrdup(text);
	char *at = copy, *one;
	int rc;

	*ret = (struct generics){0};
	while ((one = strsep(&at, ",")))
		strs_add(&list, one);
	rc = generics_parse(&list, ret, &e);
	strs_done(&list);
	return rc;
}

static char *text_of(const struct generics *g)
{
	struct strs env = {0};
	struct buf b = BUF_INIT(1 << 16);

	generics_env(g, &env);
	STRS_EACH (line, &env)
		buf_addf(&b, "%s%s", b.len ? " " : "", line + strlen("DOCKER_RESOURCE_"));
	strs_done(&env);
	return buf_take(&b);
}

static void expect(const struct generics *g, const char *text)
{
	auto_free char *is = text_of(g);

	assert_string_equal(is ? is : "", text);
}

static void reading(void **state)
{
	static const char *const bad[] = {
		"GPU",         "=1",          "GPU=",        "G PU=1",      "SSD=-1",
		"SSD=1,SSD=2", "GPU=a,GPU=a", "GPU=a,GPU=1", "GPU=1,GPU=a", "SSD=1000000001",
		"GPU=a;b"};
	struct generics g;

	(void)state;
	assert_int_equal(parse("gpu=U1,SSD=3,gpu=U2", &g), 0);
	expect(&g, "GPU=U1,U2 SSD=3");
	generics_done(&g);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(bad[i], &g) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		generics_done(&g);
	}
}

static void bounds(void **state)
{
	auto_buf text = BUF_INIT(1 << 20);
	char word[LIMIT_GENERIC_NAME + 2];
	struct generics g;

	(void)state;
	for (unsigned i = 0; i < LIMIT_GENERICS; i++)
		buf_addf(&text, "%sK%u=1", i ? "," : "", i);
	assert_int_equal(parse(buf_text(&text), &g), 0);
	assert_int_equal(generics_wish_check(&g, &e), 0);
	generics_done(&g);
	buf_adds(&text, ",more=1");
	assert_int_equal(parse(buf_text(&text), &g), -EINVAL);
	generics_done(&g);
	memset(word, 'k', sizeof word - 1);
	word[LIMIT_GENERIC_NAME] = '\0';
	buf_reset(&text);
	buf_addf(&text, "%s=1", word);
	assert_int_equal(parse(buf_text(&text), &g), 0);
	generics_done(&g);
	buf_reset(&text);
	buf_addf(&text, "k%s=1", word);
	assert_int_equal(parse(buf_text(&text), &g), -EINVAL);
	generics_done(&g);
	buf_reset(&text);
	buf_addf(&text, "SSD=%lld", (long long)LIMIT_GENERIC_NUMBER);
	assert_int_equal(parse(buf_text(&text), &g), 0);
	assert_int_equal(generics_wish_check(&g, &e), 0);
	g.v[0].discrete->value++;
	assert_int_equal(generics_wish_check(&g, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "1 to 1000000000 of a kind"));
	generics_done(&g);
	buf_reset(&text);
	buf_addf(&text, "SSD=%lld", (long long)LIMIT_GENERIC_NUMBER + 1);
	assert_int_equal(parse(buf_text(&text), &g), -EINVAL);
	generics_done(&g);
}

static void wishes_are_numbers(void **state)
{
	struct generics g;

	(void)state;
	assert_int_equal(parse("SSD=1", &g), 0);
	assert_int_equal(generics_wish_check(&g, &e), 0);
	g.v[0].discrete->value = 0;
	assert_int_equal(generics_wish_check(&g, &e), -EINVAL);
	generics_done(&g);
	assert_int_equal(parse("GPU=U1", &g), 0);
	assert_int_equal(generics_wish_check(&g, &e), -EINVAL);
	generics_done(&g);
}

static void taking_and_giving_back(void **state)
{
	struct generics has, wants, given = {0};

	(void)state;
	assert_int_equal(parse("GPU=a,GPU=b,SSD=3", &has), 0);
	assert_int_equal(parse("GPU=2,SSD=2", &wants), 0);
	assert_true(generics_enough(&has, &wants));
	generics_choose(&has, &wants, &given);
	expect(&given, "GPU=a,b SSD=2");
	assert_true(generics_take(&has, &given));
	expect(&has, "SSD=1");
	assert_false(generics_enough(&has, &wants));
	assert_false(generics_take(&has, &given)); /* SSD=2 is more than there is */
	expect(&has, "");
	generics_add(&has, &given);
	expect(&has, "GPU=a,b SSD=2");
	generics_done(&has);
	generics_done(&wants);
	generics_done(&given);
}

static void rights(void **state)
{
	struct strmap labels = {0};
	struct strs paths = {0};
	struct task_rights r;

	(void)state;
	assert_int_equal(task_rights_read(&labels, &r, &e), 0);
	assert_false(r.privileged);
	strmap_set(&labels, PRIVILEGED_LABEL, "true");
	strmap_set(&labels, DEVICES_LABEL, "/dev/a:rw,/dev/b:/dev/c:m");
	assert_int_equal(task_rights_read(&labels, &r, &e), 0);
	assert_true(r.privileged);
	assert_int_equal(r.devices.n, 2);
	assert_string_equal(r.devices.v[0].container, "/dev/a");
	assert_string_equal(r.devices.v[0].permissions, "rw");
	assert_string_equal(r.devices.v[1].container, "/dev/c");
	assert_string_equal(task_rights_device_missing(&r, false, &paths), "/dev/a");
	strs_add(&paths, "/dev/a");
	assert_string_equal(task_rights_device_missing(&r, false, &paths), "/dev/b");
	assert_null(task_rights_device_missing(&r, true, &paths));
	strs_add(&paths, "/dev/b");
	assert_null(task_rights_device_missing(&r, false, &paths));
	task_rights_done(&r);
	strs_done(&paths);
	strmap_done(&labels);
}

static void rights_that_are_none(void **state)
{
	static const char *const bad[] = {"x",        "/dev/../a",  "/dev//a",       "/",
					  "/dev/a:q", "/dev/a:b:r", "/dev/a:/b:r:w", "/dev/./a"};
	auto_buf many = BUF_INIT(1 << 16);
	struct task_rights r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct strmap labels = {0};

		strmap_set(&labels, DEVICES_LABEL, bad[i]);
		if (task_rights_read(&labels, &r, &e) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		strmap_done(&labels);
	}
	for (unsigned i = 0; i <= LIMIT_TASK_DEVICES; i++) {
		struct strmap labels = {0};

		if (i)
			strmap_set(&labels, DEVICES_LABEL, buf_text(&many));
		assert_int_equal(task_rights_read(&labels, &r, &e), 0);
		assert_int_equal(r.devices.n, i);
		task_rights_done(&r);
		strmap_done(&labels);
		buf_addf(&many, "%s/dev/x%u", i ? "," : "", i);
	}
	{
		struct strmap labels = {0};

		strmap_set(&labels, DEVICES_LABEL, buf_text(&many));
		assert_int_equal(task_rights_read(&labels, &r, &e), -EINVAL);
		strmap_done(&labels);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reading),
		TEST(bounds),
		TEST(wishes_are_numbers),
		TEST(taking_and_giving_back),
		TEST(rights),
		TEST(rights_that_are_none),
	};

	return RUN_TESTS(tests);
}
