/*
 * Frames of a container's output. See demux.h.
 */
#include "cli/demux.h"

#include <string.h>

#include "base/mem.h"

enum { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_SYSTEM };

static int put(FILE *out, const void *p, size_t n, struct err *e)
{
	if (fwrite(p, 1, n, out) != n || fflush(out) != 0)
		return err_set(e, -EPIPE, "cannot write what the container says: %m");
	return 0;
}

static int head_check(const struct demux *d, struct err *e)
{
	if (d->head[0] > STREAM_SYSTEM || d->head[1] || d->head[2] || d->head[3])
		return err_set(e, -EPROTO,
			       "the daemon's stream is no frames of a container's output");
	return 0;
}

static size_t head_take(struct demux *d, const uint8_t *p, size_t n)
{
	size_t len = MIN_OF(n, sizeof d->head - d->head_len);

	memcpy(d->head + d->head_len, p, len);
	d->head_len += len;
	if (d->head_len == sizeof d->head)
		d->left = (uint32_t)d->head[4] << 24 | (uint32_t)d->head[5] << 16 |
			  (uint32_t)d->head[6] << 8 | d->head[7];
	return len;
}

int demux_take(struct demux *d, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;

	if (d->raw)
		return n ? put(d->out, p, n, e) : 0;
	while (n > 0) {
		size_t len;

		if (d->head_len < sizeof d->head) {
			len = head_take(d, p, n);
			if (d->head_len == sizeof d->head && head_check(d, e) < 0)
				return e->code;
		} else {
			len = MIN_OF(n, d->left);
			if (put(d->head[0] == STREAM_STDOUT ? d->out : d->err, p, len, e) < 0)
				return e->code;
			d->left -= (uint32_t)len;
		}
		if (d->head_len == sizeof d->head && d->left == 0)
			d->head_len = 0;
		p += len;
		n -= len;
	}
	return 0;
}
