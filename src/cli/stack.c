/*
 * stack deploy and config: files and environment into a stack, and what is wrong with them.
 */
#include "cli/stack.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/compose/present.h"
#include "cli/compose/yaml.h"
#include "cli/progress.h"

static int file_get(const char *path, struct buf *ret, void *data, struct err *e)
{
	int rc = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, ret)
					: file_read_at(AT_FDCWD, path, ret);

	if (rc == -EMSGSIZE)
		return err_set(e, rc, "it is larger than %u bytes", LIMIT_COMPOSE_FILE);
	return rc < 0 ? err_set(e, rc, "%s", strerror(-rc)) : 0;
}

static void environment(struct strmap *ret)
{
	for (char **v = environ; v && *v; v++) {
		size_t n = strcspn(*v, "=");
		auto_free char *key = xstrndup(*v, n);

		if ((*v)[n])
			strmap_set(ret, key, *v + n + 1);
	}
}

/* Prints the warnings, and the problems in place of an answer. */
static int say_all(struct cli *c, const struct compose_project *p)
{
	STRS_EACH (text, &p->warnings)
		(void)fprintf(c->err, "warning: %s\n", text);
	STRS_EACH (text, &p->problems)
		(void)fprintf(c->err, "%s\n", text);
	return p->problems.n ? 1 : 0;
}

struct session {
	struct strmap env;
	struct compose_input in;
	struct compose_project p;
	struct stack stack;
	char *cwd;
};

/*
 * Reads everything; 0, or the exit status with all said. To be closed in any case. `raw`: variables
 * stay as they are, so that no stack can be made.
 */
static int session_open(struct cli *c, const struct flags *f, const char *name, bool raw,
			struct session *s)
{
	struct err e = ERR_INIT;

	environment(&s->env);
	s->cwd = getcwd(NULL, 0);
	s->in = (struct compose_input){.files = flag_list(f, "compose-file"),
				       .profiles = flag_list(f, "profile"),
				       .env = &s->env,
				       .cwd = s->cwd ? s->cwd : "/",
				       .raw = raw,
				       .read = file_get};
	if (compose_load(&s->in, &s->p, &e) < 0) {
		(void)say_all(c, &s->p);
		return cli_fail(c, &e);
	}
	if (!raw)
		stack_make(&s->p, name, &s->stack);
	return say_all(c, &s->p);
}

static void session_close(struct session *s)
{
	stack_done(&s->stack);
	compose_project_done(&s->p);
	strmap_done(&s->env);
	free(s->cwd);
}

int cli_stack_config(struct cli *c, const struct flags *f)
{
	auto_buf text = BUF_INIT(LIMIT_HTTP_ANSWER);
	bool raw = flag_true(f, "skip-interpolation");
	struct session s = {0};
	int status = session_open(c, f, "stack", raw, &s);

	if (status == 0)
		compose_present(s.p.root, raw);
	if (status == 0 && compose_yaml_write(s.p.root, &text) == 0)
		(void)fputs(buf_text(&text), c->out);
	session_close(&s);
	return status;
}

int cli_stack_plan(struct cli *c, const struct flags *f)
{
	struct session s = {0};
	struct err e = ERR_INIT;
	int status = session_open(c, f, f->n_args ? f->args[0] : NULL, false, &s);

	if (status == 0 && stack_plan(c, f, &s.stack, &e) < 0)
		status = cli_fail(c, &e);
	session_close(&s);
	return status;
}

int cli_stack_deploy(struct cli *c, const struct flags *f)
{
	struct progress_options options = progress_options_of(f, false);
	bool wait = flag_is_set(f, "detach") && !flag_true(f, "detach");
	struct strs services = {0};
	struct session s = {0};
	struct err e = ERR_INIT;
	int status = session_open(c, f, f->n_args ? f->args[0] : NULL, false, &s);

	if (status == 0 && flag_is_set(f, "check-index") &&
	    stack_plan_check(c, f, &s.stack, &e) < 0)
		status = cli_fail(c, &e);
	if (status == 0 && stack_apply(c, &s.stack, flag_true(f, "prune"), &services, &e) < 0)
		status = cli_fail(c, &e);
	for (size_t i = 0; wait && status == 0 && i < services.n; i++)
		status = progress_watch(c, services.v[i], &options);
	strs_done(&services);
	session_close(&s);
	return status;
}
