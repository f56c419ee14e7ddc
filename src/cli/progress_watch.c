/*
 * Polling a service until it has converged, and painting the lines: in place on a terminal, as
 * plain lines when they change elsewhere. See progress.h.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/progress.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

struct screen {
	FILE *out;
	bool tty;
	bool quiet;
	size_t painted;      /* lines that are there now, on a terminal */
	struct strs printed; /* elsewhere: lines that were printed */
};

static void print(struct screen *s, const struct strs *lines)
{
	bool full = s->printed.n >= LIMIT_PROGRESS_LINES;

	STRS_EACH (line, lines)
		if (progress_line_new(&s->printed, line))
			(void)fprintf(s->out, "%s\n", line);
	if (!full && s->printed.n >= LIMIT_PROGRESS_LINES)
		(void)fprintf(s->out, "... further lines are left out\n");
	(void)fflush(s->out);
}

static void paint(struct screen *s, const struct strs *lines)
{
	if (s->painted)
		(void)fprintf(s->out, "\033[%zuA", s->painted);
	STRS_EACH (line, lines)
		(void)fprintf(s->out, "\r\033[2K%s\n", line);
	(void)fprintf(s->out, "\033[J");
	(void)fflush(s->out);
	s->painted = lines->n;
}

static void show(struct screen *s, const struct strs *lines)
{
	if (s->tty)
		paint(s, lines);
	else if (!s->quiet)
		print(s, lines);
}

static bool node_active(const char *id, void *data)
{
	const struct list_node *nodes = data;

	LIST_EACH (n, &nodes->list)
		if (id && strcmp(n->o.id, id) == 0)
			return n->status.state != NODE_DOWN;
	return false;
}

static int poll_once(struct cli *c, const char *id, struct progress *p, enum progress_step *ret,
		     struct err *e)
{
	auto_buf service_path = CALL_PATH;
	auto_buf tasks_path = CALL_PATH;
	auto_buf nodes_path = CALL_PATH;
	struct service_view service = {0};
	struct list_task_view tasks = {0};
	struct list_node nodes = {0};
	auto_free char *filter = xasprintf("service=%s", id);
	char *filters[] = {filter};
	int rc;

	path_add(&service_path, "/services/%", id);
	path_add(&tasks_path, "/tasks");
	path_add(&nodes_path, "/nodes");
	rc = path_filters(&tasks_path, &(struct strs){filters, 1}, "_up-to-date", "true", e);
	if (rc == 0)
		rc = call_get(c, buf_text(&service_path), &service_view_table, &service, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&tasks_path), &list_task_view_table, &tasks, e);
	if (rc == 0)
		rc = call_get(c, buf_text(&nodes_path), &list_node_table, &nodes, e);
	if (rc == 0)
		*ret = progress_take(p, &service, &tasks, node_active, &nodes, clock_mono_ns());
	table_done(&service_view_table, &service);
	table_done(&list_task_view_table, &tasks);
	table_done(&list_node_table, &nodes);
	return rc;
}

struct progress_options progress_options_of(const struct flags *f, bool rollback)
{
	struct progress_options o = {.rollback = rollback,
				     .quiet = flag_true(f, "quiet"),
				     .patience = PROGRESS_PATIENCE_NS};

	if (flag_is_set(f, "converge-deadline"))
		o.patience = flag_get(f, "converge-deadline")->number;
	return o;
}

int progress_watch(struct cli *c, const char *service, const struct progress_options *o)
{
	struct sigaction action = {.sa_handler = on_interrupt};
	struct sigaction before;
	struct screen screen = {
		.out = c->out, .tty = !o->quiet && isatty(fileno(c->out)), .quiet = o->quiet};
	enum progress_step step = PROGRESS_WAIT;
	struct progress p = {.rollback = o->rollback, .patience = {.ns = o->patience}};
	struct err e = ERR_INIT;
	int status = 0;

	sigaction(SIGINT, &action, &before);
	while (step == PROGRESS_WAIT && !interrupted && status == 0) {
		if (poll_once(c, service, &p, &step, &e) < 0) {
			status = cli_fail(c, &e);
			break;
		}
		show(&screen, &p.lines);
		if (step == PROGRESS_WAIT)
			(void)poll(NULL, 0, PROGRESS_POLL_MS);
	}
	if (step == PROGRESS_FAILED) {
		(void)fprintf(c->err, "%s\n", p.failure);
		status = 1;
	}
	if (interrupted && step == PROGRESS_WAIT)
		(void)fprintf(c->out,
			      "Operation continuing in background.\n"
			      "Use `shoal service ps %s` to check progress.\n",
			      service);
	sigaction(SIGINT, &before, NULL);
	strs_done(&screen.printed);
	progress_done(&p);
	return status;
}
