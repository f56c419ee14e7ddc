/*
 * Compose files: what is taken as a project is written as a document that reads the same again, and
 * the services made of it survive JSON. An input is up to four texts with form feeds between them:
 * two Compose files, .env, and what every other path holds.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/stack.h"
#include "cli/compose/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIRST, SECOND, DOT_ENV, OTHER, TEXTS };

struct input {
	struct {
		const char *p;
		size_t n;
	} text[TEXTS];
	size_t n;
};

static void input_split(struct input *in, const char *p, size_t n)
{
	const char *end = p + n;

	for (; in->n < TEXTS && p <= end; in->n++) {
		const char *stop = in->n + 1 < TEXTS ? memchr(p, '\f', (size_t)(end - p)) : NULL;

		if (!stop)
			stop = end;
		in->text[in->n].p = p;
		in->text[in->n].n = (size_t)(stop - p);
		p = stop + 1;
	}
}

static int input_read(const char *path, struct buf *ret, void *data, struct err *e)
{
	const struct input *in = data;
	size_t at = strcmp(path, "1.yml") == 0     ? FIRST
		    : strcmp(path, "2.yml") == 0   ? SECOND
		    : strcmp(path, "/d/.env") == 0 ? DOT_ENV
						   : OTHER;

	if (at >= in->n)
		return err_set(e, -ENOENT, "no such file");
	if (buf_add(ret, in->text[at].p, in->text[at].n) < 0)
		return err_set(e, -EMSGSIZE, "too long");
	return 0;
}

static void same_again(const struct compose_node *root)
{
	auto_buf text = BUF_INIT(LIMIT_HTTP_ANSWER);
	size_t budget = LIMIT_COMPOSE_NODES;
	struct compose_node *again = NULL;
	struct err e = ERR_INIT;

	if (compose_yaml_write(root, &text) < 0)
		return;
	if (compose_yaml_read("again", buf_text(&text), text.len, &budget, &again, &e) < 0) {
		(void)fprintf(stderr, "%s\n%s\n", err_text(&e), buf_text(&text));
		abort();
	}
	assert(compose_equal(root, again));
	compose_free(again);
}

static void service_again(const struct service_spec *spec)
{
	auto_buf one = BUF_INIT(LIMIT_HTTP_ANSWER), two = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct service_spec again = {0};
	struct err e = ERR_INIT;

	if (json_write(&service_spec_table, spec, &one) < 0)
		return;
	if (json_read(&service_spec_table, buf_text(&one), one.len, &again, &e) == 0) {
		assert(json_write(&service_spec_table, &again, &two) == 0);
		assert(strcmp(buf_text(&one), buf_text(&two)) == 0);
	}
	table_done(&service_spec_table, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char first[] = "1.yml", second[] = "2.yml";
	char *names[] = {first, second};
	char profile[] = "p";
	char *profiles[] = {profile};
	struct input in = {0};
	struct strmap env = {0};
	struct strs files = {names, 1}, on = {profiles, 1};
	struct compose_input ci = {.files = &files,
				   .profiles = &on,
				   .env = &env,
				   .cwd = "/d",
				   .read = input_read,
				   .data = &in};
	struct compose_project p;
	struct stack s = {0};
	struct err e = ERR_INIT;

	input_split(&in, (const char *)data, size);
	files.n = in.n > SECOND && in.text[SECOND].n ? 2 : 1;
	strmap_set(&env, "TAG", "7");
	strmap_set(&env, "HOME", "/root");
	if (compose_load(&ci, &p, &e) == 0) {
		same_again(p.root);
		stack_make(&p, "st", &s);
		if (!p.problems.n)
			LIST_EACH (spec, &s.services)
				service_again(spec);
		stack_done(&s);
	} else {
		assert(*err_text(&e));
	}
	compose_project_done(&p);
	strmap_done(&env);
	return 0;
}
