/*
 * service logs and task logs: the entries of all tasks, each with the name of its task and node.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/demux.h"
#include "cli/logs.h"
#include "cli/names.h"
#include "cli/text.h"
#include "cli/views.h"

/* A line in pieces of LIMIT_LOG_PIECE, its details and time. */
#define ENTRY_MAX (LIMIT_LOG_PIECE + (8u << 10))
#define SYSTEM_FRAME 3

struct task_sink {
	struct cli *c;
	const struct flags *f;
	struct cli
		side; /* a connection of its own for names: the other one is busy with the logs */
	struct names names;
	struct strmap tasks; /* id to what is shown of it */
	struct demux demux;  /* with --raw, and of terminals */
	struct buf frame;
	bool raw, times;
	struct err e;
};

/* "web.1.ID@host", or with ids in place of names: asked for once a task. */
static const char *task_label(struct task_sink *s, const char *id, const char *node)
{
	auto_buf path = CALL_PATH;
	struct task_view t = {0};
	bool whole = flag_true(s->f, "no-trunc");
	auto_free char *shown = id_short(id, whole);
	auto_free char *label = NULL;

	if (strmap_get(&s->tasks, id))
		return strmap_get(&s->tasks, id);
	path_add(&path, "/tasks/%", id);
	if (call_get(&s->side, buf_text(&path), &task_view_table, &t, NULL) < 0)
		label = xasprintf("%s@%s", shown, names_node(&s->names, node));
	else
		label = xasprintf("%s.%" PRIu64 "%s%s@%s", names_service(&s->names, t.service),
				  t.slot, flag_true(s->f, "no-task-ids") ? "" : ".",
				  flag_true(s->f, "no-task-ids") ? "" : shown,
				  names_node(&s->names, node));
	table_done(&task_view_table, &t);
	strmap_set(&s->tasks, id, label);
	return strmap_get(&s->tasks, id);
}

/* The value of a detail, "key=value,key=value", in place. */
static char *detail(char *details, const char *key)
{
	char *at = strstr(details, key);

	return at && at[strlen(key)] == '='
		       ? xstrndup(at + strlen(key) + 1, strcspn(at + strlen(key) + 1, ", "))
		       : xstrdup("");
}

/* The details without those that say which task it is: its name says so already. */
static char *details_of_program(const char *details)
{
	static const char known[] = "com.docker.swarm.";
	auto_free char *copy = xstrdup(details);
	char *at = copy, *one;
	struct buf b = BUF_INIT(ENTRY_MAX);

	while ((one = strsep(&at, ",")))
		if (strncmp(one, known, sizeof known - 1) != 0)
			buf_addf(&b, "%s%s", b.len ? "," : "", one);
	return buf_take(&b);
}

static int entry_print(struct task_sink *s, int stream, char *text, size_t n)
{
	FILE *out = stream == 1 ? s->c->out : s->c->err;
	char *details = text, *rest;
	auto_free char *node = NULL, *task = NULL, *own = NULL;

	if (stream == SYSTEM_FRAME)
		return err_set(&s->e, -EREMOTEIO, "Error from daemon in stream: %.*s",
			       (int)MIN_OF(n, (size_t)512), text);
	if (s->times)
		details = strchr(text, ' ') ? strchr(text, ' ') + 1 : text;
	rest = strchr(details, ' ');
	if (!rest)
		return err_set(&s->e, -EPROTO, "the daemon's log entry has no details");
	*rest++ = 0;
	task = detail(details, "com.docker.swarm.task.id");
	node = detail(details, "com.docker.swarm.node.id");
	(void)fprintf(out, "%.*s%s    | ", (int)(details - text), text, task_label(s, task, node));
	if (flag_true(s->f, "details")) {
		own = details_of_program(details);
		(void)fprintf(out, "%s ", own ? own : "");
	}
	n -= (size_t)(rest - text);
	if (fwrite(rest, 1, n, out) != n || fflush(out) != 0)
		return err_set(&s->e, -EPIPE, "cannot write what the tasks say: %m");
	return 0;
}

static int take(const void *p, size_t n, void *data)
{
	struct task_sink *s = data;
	size_t used = 0;

	if (s->raw)
		return demux_take(&s->demux, p, n, &s->e);
	if (buf_add(&s->frame, p, n) < 0)
		return err_set(&s->e, -EPROTO, "the daemon's stream is no frames of log entries");
	while (used < s->frame.len) {
		const uint8_t *head = (const uint8_t *)s->frame.p + used;
		size_t left = s->frame.len - used, len;
		auto_free char *text = NULL;

		if (left < DEMUX_HEAD)
			break;
		len = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 |
		      head[7];
		if (len > ENTRY_MAX)
			return err_set(&s->e, -EPROTO,
				       "the daemon's stream is no frames of log entries");
		if (left < DEMUX_HEAD + len)
			break;
		text = xstrndup((const char *)head + DEMUX_HEAD, len);
		if (entry_print(s, head[0], text, strlen(text)) < 0)
			return s->e.code;
		used += DEMUX_HEAD + len;
	}
	s->frame.len -= used;
	memmove(s->frame.p, s->frame.p + used, s->frame.len);
	return 0;
}

static int run(struct cli *c, const struct flags *f, const char *kind, const char *id, bool tty,
	       struct err *e)
{
	auto_buf path = CALL_PATH;
	struct task_sink s = {.c = c,
			      .f = f,
			      .side = {.host = c->host, .out = c->out, .err = c->err},
			      .names = {.off = flag_true(f, "no-resolve")},
			      .demux = {.out = c->out, .err = c->err, .raw = tty},
			      .raw = tty || flag_true(f, "raw"),
			      .times = flag_true(f, "timestamps"),
			      .e = ERR_INIT};
	int rc;

	if (tty && !flag_true(f, "raw"))
		return err_set(e, -EINVAL, "the tasks have a terminal: their logs need --raw");
	s.names.c = &s.side;
	s.frame = BUF_INIT(4u << 20);
	path_add(&path, "/%/%/logs?stdout=1&stderr=1", kind, id);
	if (!s.raw || flag_true(f, "details"))
		path_query(&path, "details", "1");
	rc = logs_query(&path, f, e);
	if (rc == 0)
		rc = logs_stream(c, buf_text(&path), take, &s, e);
	if (s.e.code) {
		*e = s.e;
		rc = s.e.code;
	}
	buf_done(&s.frame);
	strmap_done(&s.tasks);
	names_done(&s.names);
	if (s.side.http)
		http_client_free(s.side.http);
	return rc;
}

static bool has_tty(const struct task_spec *t)
{
	return t->container && t->container->tty;
}

/* -ENOENT when there is no such task. */
static int task_run(struct cli *c, const struct flags *f, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct task_view t = {0};
	int rc;

	path_add(&path, "/tasks/%", f->args[0]);
	rc = call_get(c, buf_text(&path), &task_view_table, &t, e);
	if (rc == 0)
		rc = run(c, f, "tasks", t.id, has_tty(&t.spec), e);
	table_done(&task_view_table, &t);
	return rc;
}

int cli_task_logs(struct cli *c, const struct flags *f)
{
	struct err e = ERR_INIT;

	return task_run(c, f, &e) < 0 ? cli_fail(c, &e) : 0;
}

/* Of a service, or of a task, as docker has it. */
int cli_service_logs(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct service s = {0};
	struct err e = ERR_INIT;
	int rc;

	path_add(&path, "/services/%", f->args[0]);
	rc = call_get(c, buf_text(&path), &service_table, &s, &e);
	if (rc == 0)
		rc = run(c, f, "services", s.o.id, has_tty(&s.spec.task), &e);
	else if (rc == -ENOENT) {
		rc = task_run(c, f, &e);
		if (rc == -ENOENT)
			(void)err_set(&e, -ENOENT, "no such task or service: %s", f->args[0]);
	}
	table_done(&service_table, &s);
	return rc < 0 ? cli_fail(c, &e) : 0;
}
