/*
 * POST /images/load: the archive goes to a file without a name below the data root, written on the
 * pool a piece at a time, and is read from there once it is whole. So a slow client holds neither
 * the loop nor a thread of the pool, which raft's disk shares, and memory stays at one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/engine.h"
#include "api/error.h"
#include "api/images.h"
#include "api/query.h"
#include "base/limits.h"
#include "base/mem.h"

struct platform_arg {
	char *os, *architecture, *variant;
};
#define T struct platform_arg
static const struct field platform_arg_fields[] = {
	FIELD_STR(T, 0, os, "os", FIELD_REQUIRED),
	FIELD_STR(T, 0, architecture, "architecture", FIELD_REQUIRED),
	FIELD_STR(T, 0, variant, "variant", 0),
};
#undef T
static TABLE_DEFINE(platform_arg, platform_arg_fields);

struct loading {
	struct api_req *r;
	struct engine *engine;
	char *platform;
	int fd;
	uv_fs_t write;
	char *piece;
	size_t n, written;
	bool busy;   /* the pool writes `piece` */
	bool whole;  /* the body has ended */
	bool gone;   /* the upload has broken off */
	bool failed; /* the disk has: r->err */
};

static void loading_free(void *state)
{
	struct loading *l = state;

	if (l->fd >= 0)
		(void)close(l->fd);
	free(l->platform);
	free(l->piece);
	free(l);
}

/* The end of it: what was loaded, as a stream of JSON objects */

static void line_add(struct buf *b, const char *text)
{
	(void)buf_adds(b, "{\"stream\":");
	(void)json_quote(b, text, strlen(text));
	(void)buf_adds(b, "}\r\n");
}

static void loaded(void *arg, int status, const struct image_loaded *what, const struct err *e)
{
	struct loading *l = arg;
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	if (status < 0) {
		api_reply_error(l->r, e);
		return;
	}
	STRS_EACH (name, &what->names) {
		auto_free char *text = xasprintf("Loaded image: %s\n", name);

		line_add(&b, text);
	}
	STRS_EACH (id, &what->ids) {
		auto_free char *text = xasprintf("Loaded image ID: %s\n", id);

		line_add(&b, text);
	}
	http_reply(l->r->http, 200, "application/json", &b);
}

static void load_begin(struct loading *l)
{
	if (lseek(l->fd, 0, SEEK_SET) < 0) {
		api_reply_fail(l->r, -errno, "reading the archive again: %s", strerror(errno));
		return;
	}
	engine_image_load(l->engine, TAKE_FD(l->fd), l->platform, loaded, l);
}

/* Writing the archive down */

static void piece_begin(struct loading *l);

/* Nothing is being written: on to the next piece, or to what follows the last one. */
static void piece_next(struct loading *l)
{
	if (!l->whole)
		http_req_resume_body(l->r->http); /* a failure is answered there */
	else if (l->failed)
		api_reply_error(l->r, &l->r->err);
	else
		load_begin(l);
}

static void piece_written(uv_fs_t *req)
{
	struct loading *l = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	l->busy = false;
	if (l->gone) {
		api_reply_fail(l->r, -ECONNRESET, "the upload of the archive broke off");
		return;
	}
	if (n < 0) {
		err_code(&l->r->err, (int)n, "keeping the archive that is loaded");
		l->failed = true;
		piece_next(l);
		return;
	}
	l->written += (size_t)n;
	if (l->written < l->n) {
		piece_begin(l);
		return;
	}
	l->n = l->written = 0;
	piece_next(l);
}

static void piece_begin(struct loading *l)
{
	uv_buf_t b = uv_buf_init(l->piece + l->written, (unsigned)(l->n - l->written));

	l->busy = true;
	l->write.data = l;
	(void)uv_fs_write(engine_loop(l->engine), &l->write, l->fd, &b, 1, -1, piece_written);
}

static ssize_t on_piece(struct http_req *req, const void *p, size_t len, const struct err *e,
			void *data)
{
	struct loading *l = data;

	if (e) {
		l->gone = true;
		if (!l->busy)
			api_reply_error(l->r, e);
		return 0;
	}
	if (len == 0) {
		l->whole = true;
		if (!l->busy)
			piece_next(l);
		return 0;
	}
	if (l->busy)
		return 0;
	if (l->failed) {
		/* Answered now; the rest of the body is not read. */
		api_reply_error(l->r, &l->r->err);
		return -EIO;
	}
	l->n = MIN_OF(len, (size_t)LIMIT_HTTP_PIECE);
	memcpy(l->piece, p, l->n);
	piece_begin(l);
	return (ssize_t)l->n;
}

static int platform_read(struct api_req *r, char **ret, struct err *e)
{
	const char *text = http_req_arg(r->http, "platform");
	struct platform_arg p = {0};

	if (!text || !*text || r->minor < 48)
		return 0;
	if (json_read(&platform_arg_table, text, strlen(text), &p, e) < 0)
		return err_wrap(e, "invalid platform");
	*ret = p.variant && *p.variant ? xasprintf("%s/%s/%s", p.os, p.architecture, p.variant)
				       : xasprintf("%s/%s", p.os, p.architecture);
	table_done(&platform_arg_table, &p);
	return 0;
}

void image_load_handler(struct api_req *r)
{
	struct loading *l = xcalloc(1, sizeof *l);
	struct engine_info info = {0};

	l->r = r;
	l->engine = r->ctx;
	l->fd = -1;
	api_req_own(r, l, NULL, loading_free);
	if (platform_read(r, &l->platform, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	engine_info(l->engine, &info);
	l->fd = open(info.data_root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (l->fd < 0) {
		err_sys(&r->err, "making a file for the archive below %s", info.data_root);
		api_reply_error(r, &r->err);
		return;
	}
	l->piece = xmalloc(LIMIT_HTTP_PIECE);
	http_req_stream_body(r->http, on_piece, l);
}
