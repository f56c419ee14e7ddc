/*
 * service rebalance: asks for it, and says how it goes on until it has ended.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/progress.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Someone who waits. */
struct watcher {
	struct cli *c;
	const char *id;
	bool quiet;
	struct patience patience; /* its state is the line that was said last */
	int status;               /* -1 while it goes on */
};

/* How it has ended, or that it is not waited for any longer. */
static void judge(struct watcher *w, const struct service *s, const char *line)
{
	const struct rebalance_status *r = s->rebalance;
	int64_t delay = s->spec.update ? s->spec.update->delay : 0;
	bool over = patience_is_over(&w->patience, line, false, delay, clock_mono_ns());
	char text[DURATION_TEXT_MAX];

	if (r->state != REBALANCE_MOVING) {
		w->status = r->state == REBALANCE_COMPLETED ? 0 : 1;
		if (w->status == 1)
			(void)fprintf(w->c->err, "service %s: %s\n", w->id,
				      r->message ? r->message : "");
	} else if (over) {
		duration_format(w->patience.ns + delay, text);
		(void)fprintf(w->c->err,
			      "service %s: nothing has changed for %s: %s\n"
			      "The rebalance goes on in the background: use `shoal service inspect "
			      "%s` to check it.\n",
			      w->id, text, r->message ? r->message : "", w->id);
		w->status = 1;
	}
}

/* Prints what is new. */
static int poll_once(struct watcher *w, struct err *e)
{
	auto_buf path = CALL_PATH;
	struct service_view s = {0};
	const struct rebalance_status *r;
	int rc;

	path_add(&path, "/services/%", w->id);
	rc = call_get(w->c, buf_text(&path), &service_view_table, &s, e);
	r = s.s.rebalance;
	if (rc == 0 && r) {
		auto_free char *line = xasprintf("%s (%" PRIu64 " moved, %" PRIu64 " failed)",
						 r->message ? r->message : "", r->moved, r->failed);
		const char *said = w->patience.state;

		if (!w->quiet && (!said || strcmp(said, line) != 0))
			(void)fprintf(w->c->out, "%s\n", line);
		(void)fflush(w->c->out);
		judge(w, &s.s, line);
	}
	table_done(&service_view_table, &s);
	return rc;
}

static int watch(struct watcher *w)
{
	struct sigaction action = {.sa_handler = on_interrupt}, before;
	struct err e = ERR_INIT;

	sigaction(SIGINT, &action, &before);
	while (w->status < 0 && !interrupted) {
		if (poll_once(w, &e) < 0)
			w->status = cli_fail(w->c, &e);
		else if (w->status < 0)
			(void)poll(NULL, 0, PROGRESS_POLL_MS);
	}
	sigaction(SIGINT, &before, NULL);
	free(w->patience.state);
	if (w->status < 0)
		(void)fprintf(w->c->out, "Operation continuing in background.\n");
	return MAX_OF(w->status, 0);
}

int cli_service_rebalance(struct cli *c, const struct flags *f)
{
	struct progress_options options = progress_options_of(f, false);
	struct watcher w = {.c = c,
			    .id = f->args[0],
			    .quiet = options.quiet,
			    .patience = {.ns = options.patience},
			    .status = -1};
	auto_buf path = CALL_PATH;
	struct err e = ERR_INIT;

	path_add(&path, "/services/%/rebalance", f->args[0]);
	if (flag_true(f, "stop"))
		path_query(&path, "stop", "true");
	if (call_do(c, "POST", buf_text(&path), NULL, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "%s\n", f->args[0]);
	if (flag_true(f, "stop") || flag_true(f, "detach"))
		return 0;
	return watch(&w);
}
