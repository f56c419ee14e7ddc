/*
 * watch: what changes in the swarm, from a version on, as the daemon's lines of JSON.
 */
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/logs.h"

struct line_sink {
	struct cli *c;
	struct err e;
};

static int line_take(const void *p, size_t n, void *data)
{
	struct line_sink *s = data;

	if (fwrite(p, 1, n, s->c->out) != n || fflush(s->c->out) != 0)
		return err_set(&s->e, -EPIPE, "cannot write what changes: %m");
	return 0;
}

int cli_watch(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct line_sink sink = {.c = c, .e = ERR_INIT};
	struct err e = ERR_INIT;
	int rc;

	path_add(&path, "/watch");
	if (flag_text(f, "from"))
		path_query(&path, "from", flag_text(f, "from"));
	rc = path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e);
	if (rc == 0)
		rc = logs_stream(c, buf_text(&path), line_take, &sink, &e);
	if (rc < 0)
		return cli_fail(c, sink.e.code ? &sink.e : &e);
	return 0;
}
