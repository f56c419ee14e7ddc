/*
 * agent/task_files.h: the files of a task, their places and owners, templates, and what is said
 * when one cannot be made. No sentence repeats what is secret.
 */
#include "unit/test.h"

#include <errno.h>

#include "agent/task_files.h"
#include "base/mem.h"

#define KEY "aaaaaaaaaaaaaaaaaaaaaaaaa"
#define PAGE "bbbbbbbbbbbbbbbbbbbbbbbbb"

static const struct task_node node = {.id = "node1", .hostname = "alpha"};
static struct task task = {.o = {.id = (char *)"task1"}, .service = (char *)"svc1", .slot = 4};

static struct template *template_read(void)
{
	static const char json[] =
		"{\"ContainerSpec\":{\"Image\":\"i\",\"Env\":[\"E=old\",\"E={{.Node.ID}}\"],"
		"\"Secrets\":[{\"SecretID\":\"" KEY "\",\"SecretName\":\"key\",\"File\":{\"Name\":"
		"\"k\",\"UID\":\"7\",\"GID\":\"8\",\"Mode\":256}}],"
		"\"Configs\":[{\"ConfigID\":\"" PAGE
		"\",\"ConfigName\":\"page\",\"File\":{\"Name\":"
		"\"/srv//page\",\"Mode\":292}}]}}";
	struct template *tpl = xcalloc(1, sizeof *tpl);
	struct err e = ERR_INIT;

	assert_ok(json_read(&task_spec_table, json, strlen(json), &tpl->spec, &e), &e);
	tpl->service_name = xstrdup("web");
	return tpl;
}

static void put(struct vault *v, const char *id, const char *text, bool templated)
{
	struct session_secret s = {.id = (char *)(uintptr_t)id,
				   .templated = templated,
				   .data = {(uint8_t *)(uintptr_t)text, strlen(text)}};

	vault_put(v, &s);
}

/* Makes the files with `page` as the template of the config. */
static int make(const char *page, struct engine_files **ret, struct err *e)
{
	struct template *tpl = template_read();
	struct vault *v = vault_new();
	int rc;

	put(v, KEY, "hunter2{{x", false);
	if (page)
		put(v, PAGE, page, true);
	rc = task_files_make(&task, tpl, &node, v, ret, e);
	vault_free(v);
	table_free(&template_table, tpl);
	return rc;
}

static void files_have_their_places(void **state)
{
	struct engine_files *f = NULL;
	struct err e = ERR_INIT;

	assert_ok(make("plain", &f, &e), &e);
	assert_int_equal(f->list.n, 2);
	assert_string_equal(f->list.v[0].target, "/run/secrets/k");
	assert_int_equal(f->list.v[0].uid, 7);
	assert_int_equal(f->list.v[0].gid, 8);
	assert_int_equal(f->list.v[0].mode, 0400);
	assert_int_equal(f->list.v[0].n, 10); /* not a template: as it is */
	assert_memory_equal(f->list.v[0].data, "hunter2{{x", 10);
	assert_string_equal(f->list.v[1].target, "/srv/page");
	engine_files_free(f);
}

static void templates_are_expanded(void **state)
{
	static const struct {
		const char *text, *want;
	} good[] = {
		{"", ""},
		{"{{ .Service.Name }}.{{.Task.Slot}}@{{.Node.Hostname}}", "web.4@alpha"},
		{"{{env \"E\"}}{{env \"NONE\"}}!", "node1!"},
		{"<{{ secret \"k\" }}><{{secret \"key\"}}>", "<hunter2{{x><hunter2{{x>"},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct engine_files *f = NULL;
		struct err e = ERR_INIT;

		assert_ok(make(good[i].text, &f, &e), &e);
		assert_int_equal(f->list.v[1].n, strlen(good[i].want));
		assert_memory_equal(f->list.v[1].data, good[i].want, strlen(good[i].want));
		engine_files_free(f);
	}
}

static void what_cannot_be_made_says_why(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *say;
	} bad[] = {
		{NULL, -ENOKEY, "config page has not come from a manager yet"},
		{"{{", -EINVAL, "without"},
		{"{{}}", -EINVAL, "not known"},
		{"{{printf 1}}", -EINVAL, "function \"printf\" is not known"},
		{"{{range $i}}", -EINVAL, "function \"range\" is not known"},
		{"{{secret \"absent\"}}", -EINVAL, "secret \"absent\", which the service"},
		{"{{secret k}}", -EINVAL, "function \"secret\" is not known"},
		{"{{env \"a\" \"b\"}}", -EINVAL, "not known"},
		{"{{$pa$$word}}", -EINVAL, "function \"\" is not known"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct engine_files *f = NULL;
		struct err e = ERR_INIT;

		assert_int_equal(make(bad[i].text, &f, &e), bad[i].rc);
		assert_null(f);
		assert_non_null(strstr(e.msg, bad[i].say));
		assert_null(strstr(e.msg, "hunter2"));
		assert_null(strstr(e.msg, "$word"));
	}
}

static void an_expanded_file_is_bounded(void **state)
{
	auto_free char *text = xcalloc(1, LIMIT_FILE_EXPANDED + 1);
	struct engine_files *f = NULL;
	struct err e = ERR_INIT;

	memset(text, 'x', LIMIT_FILE_EXPANDED);
	assert_ok(make(text, &f, &e), &e);
	engine_files_free(f);
	f = NULL;
	task.service = (char *)"a service's id that is much longer than what stands for it";
	memcpy(text, "{{.Service.ID}}", 15);
	assert_int_equal(make(text, &f, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "larger than"));
	task.service = (char *)"svc1";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_have_their_places),
		TEST(templates_are_expanded),
		TEST(what_cannot_be_made_says_why),
		TEST(an_expanded_file_is_bounded),
	};

	return RUN_TESTS(tests);
}
