/*
 * Putting a layer's tar together again; see recipe.h.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "base/limits.h"
#include "runtime/image/recipe.h"
#include "runtime/image/tree_impl.h"

#define RECIPE_IN (64u << 10)
#define RECIPE_TEXT (256u << 10)

struct recipe_reader {
	int fd;
	int diff; /* the layer's files */
	ZSTD_DCtx *zstd;
	char *in;
	size_t in_n, in_at;
	char *text; /* uncompressed */
	size_t text_n, text_at;
	uint64_t written;
	recipe_sink *sink;
	void *arg;
};

static int recipe_damaged(struct err *e)
{
	return err_set(e, -EUCLEAN, "the layer's recipe is damaged: load the image again");
}

/* Uncompresses more. 0, or -errno; the end of the file is damage, as an 'E' comes before it. */
static int recipe_fill(struct recipe_reader *r, struct err *e)
{
	r->text_n = 0;
	r->text_at = 0;
	while (r->text_n == 0) {
		ZSTD_inBuffer in = {r->in, r->in_n, r->in_at};
		ZSTD_outBuffer out = {r->text, RECIPE_TEXT, 0};

		if (r->in_at == r->in_n) {
			ssize_t n = read(r->fd, r->in, RECIPE_IN);

			if (n < 0)
				return err_sys(e, "cannot read the layer's recipe");
			if (n == 0)
				return recipe_damaged(e);
			in = (ZSTD_inBuffer){r->in, (size_t)n, 0};
			r->in_n = (size_t)n;
		}
		if (ZSTD_isError(ZSTD_decompressStream(r->zstd, &out, &in)))
			return recipe_damaged(e);
		r->in_at = in.pos;
		r->text_n = out.pos;
	}
	return 0;
}

static int recipe_byte(struct recipe_reader *r, uint8_t *ret, struct err *e)
{
	int rc = r->text_at == r->text_n ? recipe_fill(r, e) : 0;

	if (rc == 0)
		*ret = (uint8_t)r->text[r->text_at++];
	return rc;
}

static int recipe_number(struct recipe_reader *r, uint64_t *ret, struct err *e)
{
	uint8_t byte = 0x80;

	*ret = 0;
	for (unsigned shift = 0; byte & 0x80; shift += 7) {
		int rc = recipe_byte(r, &byte, e);

		if (rc < 0)
			return rc;
		if (shift > 63)
			return recipe_damaged(e);
		*ret |= (uint64_t)(byte & 0x7f) << shift;
	}
	return 0;
}

static int recipe_emit(struct recipe_reader *r, const void *p, size_t n, struct err *e)
{
	r->written += n;
	if (r->written > (uint64_t)LIMIT_LAYER_BYTES)
		return recipe_damaged(e);
	return r->sink(r->arg, p, n, e);
}

static int recipe_read_literal(struct recipe_reader *r, struct err *e)
{
	uint64_t left;
	int rc = recipe_number(r, &left, e);

	while (rc == 0 && left > 0) {
		size_t n;

		if (r->text_at == r->text_n)
			rc = recipe_fill(r, e);
		if (rc < 0)
			break;
		n = (size_t)MIN_OF(left, (uint64_t)(r->text_n - r->text_at));
		rc = recipe_emit(r, r->text + r->text_at, n, e);
		r->text_at += n;
		left -= n;
	}
	return rc;
}

static int recipe_copy_file(struct recipe_reader *r, const char *path, uint64_t size, struct err *e)
{
	auto_close int fd = tree_open_below(r->diff, path, O_RDONLY);
	auto_free char *block = xmalloc(RECIPE_TEXT);
	int rc = 0;

	if (fd < 0)
		return err_code(e, -EUCLEAN, "cannot read %s of the layer", path);
	while (rc == 0 && size > 0) {
		ssize_t n = read(fd, block, (size_t)MIN_OF(size, (uint64_t)RECIPE_TEXT));

		if (n < 0)
			return err_sys(e, "cannot read %s of the layer", path);
		if (n == 0)
			return err_set(e, -EUCLEAN, "%s of the layer is too short", path);
		rc = recipe_emit(r, block, (size_t)n, e);
		size -= (uint64_t)n;
	}
	return rc;
}

static int recipe_read_file(struct recipe_reader *r, struct err *e)
{
	char path[PATH_MAX];
	uint64_t size, n;
	int rc = recipe_number(r, &size, e);

	if (rc == 0)
		rc = recipe_number(r, &n, e);
	if (rc == 0 && n >= sizeof path)
		return recipe_damaged(e);
	for (uint64_t i = 0; rc == 0 && i < n; i++)
		rc = recipe_byte(r, (uint8_t *)&path[i], e);
	if (rc < 0)
		return rc;
	path[n] = '\0';
	return recipe_copy_file(r, path, size, e);
}

static int recipe_run(struct recipe_reader *r, struct err *e)
{
	static const char magic[] = "shoal-recipe 1\n";
	uint64_t total;
	uint8_t byte;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof magic - 1; i++) {
		rc = recipe_byte(r, &byte, e);
		if (rc == 0 && byte != (uint8_t)magic[i])
			return recipe_damaged(e);
	}
	while (rc == 0) {
		rc = recipe_byte(r, &byte, e);
		if (rc < 0 || byte == 'E')
			break;
		if (byte == 'L')
			rc = recipe_read_literal(r, e);
		else if (byte == 'F')
			rc = recipe_read_file(r, e);
		else
			rc = recipe_damaged(e);
	}
	if (rc == 0)
		rc = recipe_number(r, &total, e);
	return rc == 0 && total != r->written ? recipe_damaged(e) : rc;
}

int recipe_read(int layerfd, recipe_sink *sink, void *arg, struct err *e)
{
	auto_close int fd = openat(layerfd, RECIPE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int diff = openat(layerfd, "diff", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_free char *in = xmalloc(RECIPE_IN), *text = xmalloc(RECIPE_TEXT);
	struct recipe_reader r = {
		.fd = fd, .diff = diff, .in = in, .text = text, .sink = sink, .arg = arg};
	int rc;

	if (fd < 0 || diff < 0)
		return err_sys(e, "cannot open the layer's recipe and files");
	r.zstd = ZSTD_createDCtx();
	if (!r.zstd)
		abort();
	rc = recipe_run(&r, e);
	(void)ZSTD_freeDCtx(r.zstd);
	return rc;
}
