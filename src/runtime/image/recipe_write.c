/*
 * Writing a layer's recipe while it is unpacked; see recipe.h.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/table.h"
#include "runtime/image/recipe.h"

#define RECIPE_LEVEL 1                /* tar headers compress tenfold at any level */
#define RECIPE_WINDOW_MAX (16u << 20) /* bytes of the tar that may wait for their meaning */
#define RECIPE_OUT (64u << 10)

struct recipe_writer {
	int fd;
	int rc;     /* the first failure of writing */
	bool unfit; /* the layer needs its blob */
	ZSTD_CCtx *zstd;
	char *out;
	struct buf window; /* the tar's bytes from `base` - `skip` on */
	size_t skip;       /* bytes at the window's start that are dealt with */
	uint64_t base;     /* place in the tar of the first byte that is not */
	uint64_t file_end; /* where the current file ends; at or before `base` when there is none */
};

static void recipe_put(struct recipe_writer *w, const void *p, size_t n, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = {p, n, 0};
	size_t left;

	do {
		ZSTD_outBuffer out = {w->out, RECIPE_OUT, 0};

		left = ZSTD_compressStream2(w->zstd, &out, &in, end);
		if (ZSTD_isError(left) && w->rc == 0)
			w->rc = -EIO;
		if (w->rc == 0 && out.pos > 0)
			w->rc = file_write_fd(w->fd, w->out, out.pos);
	} while (w->rc == 0 && (in.pos < in.size || (end == ZSTD_e_end && left > 0)));
}

static void recipe_put_number(struct recipe_writer *w, uint64_t v)
{
	auto_buf b = BUF_INIT(16);

	tlv_varint_write(&b, v);
	recipe_put(w, b.p, b.len, ZSTD_e_continue);
}

int recipe_writer_open(int dirfd, struct recipe_writer **ret, struct err *e)
{
	struct recipe_writer *w;
	int fd = openat(dirfd, RECIPE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);

	if (fd < 0)
		return err_sys(e, "cannot make the layer's recipe");
	w = xcalloc(1, sizeof *w);
	w->fd = fd;
	w->zstd = ZSTD_createCCtx();
	if (!w->zstd)
		abort();
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, RECIPE_LEVEL);
	(void)ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
	w->out = xmalloc(RECIPE_OUT);
	buf_init(&w->window, RECIPE_WINDOW_MAX);
	recipe_put(w, "shoal-recipe 1\n", 15, ZSTD_e_continue);
	*ret = w;
	return 0;
}

void recipe_writer_close(struct recipe_writer *w)
{
	if (!w)
		return;
	(void)ZSTD_freeCCtx(w->zstd);
	free(w->out);
	buf_done(&w->window);
	close(w->fd);
	free(w);
}

void recipe_writer_close_at(struct recipe_writer **w)
{
	recipe_writer_close(*w);
	*w = NULL;
}

static size_t recipe_waiting(const struct recipe_writer *w)
{
	return w->window.len - w->skip;
}

static void recipe_release(struct recipe_writer *w, size_t n)
{
	w->skip += n;
	w->base += n;
}

/* Writes the window's bytes before `until` as they are. */
static void recipe_literal(struct recipe_writer *w, uint64_t until)
{
	size_t n;

	if (until <= w->base)
		return;
	n = (size_t)MIN_OF(until - w->base, (uint64_t)recipe_waiting(w));
	if (n == 0)
		return;
	recipe_put(w, "L", 1, ZSTD_e_continue);
	recipe_put_number(w, n);
	recipe_put(w, w->window.p + w->skip, n, ZSTD_e_continue);
	recipe_release(w, n);
}

void recipe_add(struct recipe_writer *w, const void *p, size_t n, uint64_t consumed)
{
	if (w->unfit)
		return;
	if (w->base >= w->file_end)
		recipe_literal(w, consumed);
	buf_shift(&w->window, w->skip);
	w->skip = 0;
	if (buf_add(&w->window, p, n) < 0)
		w->unfit = true;
}

void recipe_file(struct recipe_writer *w, uint64_t start, uint64_t size, const char *path)
{
	if (w->unfit || size == 0)
		return;
	/* The file before was not read whole, or this one starts where nothing is known. */
	if (w->base < w->file_end || start < w->base) {
		w->unfit = true;
		return;
	}
	recipe_literal(w, start);
	if (w->base != start) {
		w->unfit = true;
		return;
	}
	recipe_put(w, "F", 1, ZSTD_e_continue);
	recipe_put_number(w, size);
	recipe_put_number(w, strlen(path));
	recipe_put(w, path, strlen(path), ZSTD_e_continue);
	w->file_end = start + size;
}

void recipe_match(struct recipe_writer *w, uint64_t at, const void *p, size_t n)
{
	if (w->unfit)
		return;
	if (at != w->base || n > recipe_waiting(w) || at + n > w->file_end ||
	    memcmp(w->window.p + w->skip, p, n) != 0)
		w->unfit = true;
	else
		recipe_release(w, n);
}

int recipe_end(struct recipe_writer *w, struct err *e)
{
	if (w->unfit || w->base < w->file_end)
		return err_set(e, -ENOTSUP, "the layer has no recipe");
	recipe_literal(w, UINT64_MAX);
	recipe_put(w, "E", 1, ZSTD_e_continue);
	recipe_put_number(w, w->base);
	recipe_put(w, "", 0, ZSTD_e_end);
	if (w->rc < 0)
		return err_code(e, w->rc, "cannot write the layer's recipe");
	return 0;
}
