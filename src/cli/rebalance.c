/*
 * service rebalance: asks for it, and says how it goes on until it has ended.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/progress.h"

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Prints what is new; *ret_status is -1 while it goes on. */
static int poll_once(struct cli *c, const char *id, bool quiet, char **said, int *ret_status,
		     struct err *e)
{
	auto_buf path = CALL_PATH;
	struct service_view s = {0};
	const struct rebalance_status *r;
	int rc;

	path_add(&path, "/services/%", id);
	rc = call_get(c, buf_text(&path), &service_view_table, &s, e);
	r = s.s.rebalance;
	if (rc == 0 && r) {
		auto_free char *line = xasprintf("%s (%" PRIu64 " moved, %" PRIu64 " failed)",
						 r->message ? r->message : "", r->moved, r->failed);

		if (!quiet && (!*said || strcmp(*said, line) != 0))
			(void)fprintf(c->out, "%s\n", line);
		(void)fflush(c->out);
		str_set(said, line);
		if (r->state != REBALANCE_MOVING)
			*ret_status = r->state == REBALANCE_COMPLETED ? 0 : 1;
		if (*ret_status == 1)
			(void)fprintf(c->err, "service %s: %s\n", id, r->message);
	}
	table_done(&service_view_table, &s);
	return rc;
}

static int watch(struct cli *c, const char *id, bool quiet)
{
	struct sigaction action = {.sa_handler = on_interrupt}, before;
	auto_free char *said = NULL;
	struct err e = ERR_INIT;
	int status = -1;

	sigaction(SIGINT, &action, &before);
	while (status < 0 && !interrupted) {
		if (poll_once(c, id, quiet, &said, &status, &e) < 0)
			status = cli_fail(c, &e);
		else if (status < 0)
			(void)poll(NULL, 0, PROGRESS_POLL_MS);
	}
	sigaction(SIGINT, &before, NULL);
	if (status < 0)
		(void)fprintf(c->out, "Operation continuing in background.\n");
	return MAX_OF(status, 0);
}

int cli_service_rebalance(struct cli *c, const struct flags *f)
{
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
	return watch(c, f->args[0], flag_true(f, "quiet"));
}
