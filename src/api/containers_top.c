/*
 * GET /containers/{id}/top: the host's ps about one container.
 */
#include <string.h>

#include "api/containers.h"
#include "base/limits.h"
#include "base/mem.h"

static void put_row(struct buf *b, const struct strs *cells)
{
	(void)buf_addc(b, '[');
	STRS_EACH (cell, cells) {
		if (b->p[b->len - 1] != '[')
			(void)buf_addc(b, ',');
		json_quote(b, cell, strlen(cell));
	}
	(void)buf_addc(b, ']');
}

static void topped(void *arg, int status, const struct container_top *top, const struct err *e)
{
	/* A byte of a cell is at most six in JSON. */
	struct buf b = BUF_INIT(LIMIT_PS_OUTPUT * 6);
	struct api_req *r = arg;

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	(void)buf_adds(&b, "{\"Titles\":");
	put_row(&b, &top->titles);
	(void)buf_adds(&b, ",\"Processes\":[");
	LIST_EACH (row, &top->rows) {
		if (b.p[b.len - 1] != '[')
			(void)buf_addc(&b, ',');
		put_row(&b, &row->cells);
	}
	(void)buf_adds(&b, "]}\n");
	http_reply(r->http, 200, "application/json", &b);
}

void container_top_handler(struct api_req *r)
{
	const char *args = http_req_arg(r->http, "ps_args");
	struct container *c = containers_find(r);

	if (!c)
		return;
	if (args && strlen(args) > LIMIT_PS_ARGS)
		api_reply_fail(r, -E2BIG, "ps_args is longer than %d characters", LIMIT_PS_ARGS);
	else
		engine_container_top(r->ctx, c, args, topped, r);
}
