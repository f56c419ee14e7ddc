/*
 * What users write in specifications: options of logs, placeholders.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/log_options.h"
#include "model/placeholder.h"

static int log_read(const char *key, const char *value)
{
	struct strmap options = {0};
	struct log_options ret;
	struct err e = ERR_INIT;
	int rc;

	strmap_set(&options, key, value);
	if (strcmp(key, "max-file") == 0)
		strmap_set(&options, "max-size", "1k");
	rc = log_options_read(&options, &ret, &e);
	strmap_done(&options);
	return rc;
}

static void test_log_options(void **state)
{
	char bound[16];

	assert_int_equal(log_read("max-size", "10m"), 0);
	assert_int_equal(log_read("max-size", "much"), -EINVAL);
	(void)snprintf(bound, sizeof bound, "%d", LIMIT_LOG_FILES);
	assert_int_equal(log_read("max-file", bound), 0);
	(void)snprintf(bound, sizeof bound, "%d", LIMIT_LOG_FILES + 1);
	assert_int_equal(log_read("max-file", bound), -EINVAL);
	assert_int_equal(log_read("no-such", "1"), -ENOSYS);
}

static void test_placeholders(void **state)
{
	static const char *const good[] = {"",
					   "plain",
					   "{ }",
					   "{{.Task.Slot}}",
					   "a{{ .Node.Hostname }}b{{.Service.Labels.x}}",
					   "{{.Service.ID}}{{.Service.Name}}{{.Node.ID}}",
					   "{{.Task.ID}}{{.Task.Name}}"};
	static const char *const bad[] = {"{{",        "{{.Task.Slot}",        "{{}}",
					  "{{.Task}}", "{{.Service.Labels.}}", "{{ env }}"};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_ok(placeholders_check(good[i], &e), &e);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(placeholders_check(bad[i], &e), -EINVAL);
}

static int too_much(const void *arg, const char *name, size_t n, struct buf *ret)
{
	(void)arg;
	(void)name;
	(void)n;
	for (size_t i = 0; i < 65; i++)
		(void)buf_addf(ret, "%1024d", 1);
	return 0;
}

/* A text may be as long as it likes, but its values may not add more than 64 KiB. */
static void test_long_texts(void **state)
{
	auto_free char *text = xcalloc(1, 200001), *out = NULL;
	struct err e = ERR_INIT;

	memset(text, 'x', 200000);
	assert_ok(placeholders_check(text, &e), &e);
	assert_int_equal(placeholders_expand("{{.Task.ID}}", too_much, NULL, &out, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_options),
		cmocka_unit_test(test_placeholders),
		cmocka_unit_test(test_long_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
