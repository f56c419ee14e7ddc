/*
 * GET /containers/{id}/changes: what a container changed of its image's files, written piece by
 * piece.
 */
#include "api/containers.h"
#include "base/mem.h"

#define PIECE (64u << 10) /* bytes after which a piece of the answer is full */

struct change_view {
	char *path;
	int64_t kind;
};
#define T struct change_view
static const struct field change_view_fields[] = {
	FIELD_STR(T, 0, path, "Path", 0),
	FIELD_I64(T, 0, kind, "Kind", 0),
};
#undef T
static TABLE_DEFINE(change_view, change_view_fields);

struct answer {
	struct buf changes;
	size_t at;
	bool opened, ended;
};

static void answer_free(void *data)
{
	struct answer *a = data;

	buf_done(&a->changes);
	free(a);
}

static int answer_more(void *data, struct buf *out)
{
	struct answer *a = data;
	struct file_change c;

	if (a->ended)
		return 0;
	while (out->len < PIECE && !a->ended) {
		a->ended = !file_changes_next(&a->changes, &a->at, &c);
		if (!a->opened || !a->ended)
			(void)buf_addc(out, a->opened ? ',' : '[');
		a->opened = true;
		if (a->ended)
			(void)buf_adds(out, "]\n");
		else if (json_write(&change_view_table,
				    &(struct change_view){(char *)c.path, (int64_t)c.kind},
				    out) < 0)
			return -EMSGSIZE;
	}
	return buf_status(out) < 0 ? -EMSGSIZE : 1;
}

static void compared(void *arg, int status, struct buf *changes, const struct err *e)
{
	struct api_req *r = arg;
	struct answer *a;
	struct http_pull pull = {.pull = answer_more, .done = answer_free};

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	a = xcalloc(1, sizeof *a);
	a->changes = *changes;
	*changes = BUF_INIT(0);
	pull.data = a;
	http_reply_pull(r->http, 200, "application/json", &pull);
}

void container_changes_handler(struct api_req *r)
{
	struct container *c = containers_find(r);

	if (c)
		engine_container_changes(r->ctx, c, compared, r);
}
