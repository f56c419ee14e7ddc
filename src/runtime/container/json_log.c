/*
 * Docker's json-file log: see json_log.h. The form of a line, its escapes and the splitting are
 * those of moby's jsonfilelog and copier, byte for byte, since readers depend on them.
 */
#include "runtime/container/json_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

/* A piece of 16 KiB may grow sixfold by escapes; one read is split into such pieces. */
#define OUT_MAX (LIMIT_LOG_PIECE * 6 + 256)

/* The length of the UTF-8 character at `p`, 0 when it is not one. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c = p[0] & (0x7fu >> len);

	if (len == 1)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	return c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void add_escaped(struct buf *b, const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t start = i;
		size_t len;

		while (i < n && is_plain(p[i]))
			i++;
		buf_add(b, p + start, i - start);
		if (i == n)
			break;
		len = utf8_len(p + i, n - i);
		if (len == 0) {
			buf_adds(b, "\\ufffd");
			len = 1;
		} else if (len == 3 && p[i] == 0xe2 && p[i + 1] == 0x80 && (p[i + 2] | 1) == 0xa9) {
			buf_adds(b, p[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
		} else if (len > 1) {
			buf_add(b, p + i, len);
		} else if (p[i] == '"' || p[i] == '\\') {
			buf_addf(b, "\\%c", p[i]);
		} else if (p[i] == '\n') {
			buf_adds(b, "\\n");
		} else if (p[i] == '\r') {
			buf_adds(b, "\\r");
		} else {
			buf_addf(b, "\\u%04x", p[i]);
		}
		i += len;
	}
}

void json_log_line(struct buf *b, const char *stream, const char *p, size_t n, bool newline,
		   int64_t wall_ns)
{
	char time[TIME_TEXT_MAX];

	time_format(wall_ns, time);
	buf_adds(b, "{\"log\":\"");
	add_escaped(b, (const unsigned char *)p, n);
	if (newline)
		buf_adds(b, "\\n");
	buf_addf(b, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream, time);
}

static int open_file(struct json_log *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (l->fd < 0)
		return -errno;
	l->size = fstat(l->fd, &st) == 0 ? st.st_size : 0;
	return 0;
}

int json_log_open(struct json_log *l, const char *path, int64_t max_size, int max_file,
		  struct err *e)
{
	int rc;

	*l = (struct json_log){.fd = -1,
			       .max_size = MAX_OF(max_size, (int64_t)0),
			       .max_file = MAX_OF(max_file, 1)};
	if (!path)
		return 0;
	buf_init(&l->out, OUT_MAX + LIMIT_SHIM_READ);
	l->path = xstrdup(path);
	rc = open_file(l);
	return rc < 0 ? err_code(e, rc, "cannot open the log file %s", path) : 0;
}

void json_log_close(struct json_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	buf_done(&l->out);
	l->fd = -1;
	l->path = NULL;
}

/* FILE.log.(n-1) becomes FILE.log.n, ..., FILE.log becomes FILE.log.1; with one file it is emptied.
 */
static void rotate(struct json_log *l)
{
	if (l->max_file == 1) {
		if (ftruncate(l->fd, 0) == 0)
			l->size = 0;
		return;
	}
	for (int i = l->max_file - 1; i > 0; i--) {
		auto_free char *to = xasprintf("%s.%d", l->path, i);
		auto_free char *from =
			i > 1 ? xasprintf("%s.%d", l->path, i - 1) : xstrdup(l->path);

		(void)rename(from, to);
	}
	close(l->fd);
	/* Without a file (no descriptors, no inodes) lines are lost until the next attempt. */
	(void)open_file(l);
}

static void flush(struct json_log *l)
{
	if (l->out.len == 0)
		return;
	if (l->fd < 0)
		(void)open_file(l);
	if (l->fd >= 0 && file_write_fd(l->fd, l->out.p, l->out.len) == 0) {
		l->size += (int64_t)l->out.len;
	} else {
		l->lost++;
		/* Half a line would spoil the next one for every reader. */
		if (l->fd >= 0)
			(void)!ftruncate(l->fd, l->size);
	}
	buf_reset(&l->out);
}

static void put(struct json_log *l, struct json_stream *s, const char *p, size_t n, bool newline,
		int64_t now_ns)
{
	if (!l->path)
		return;
	if (l->out.len + n * 6 + 256 > OUT_MAX)
		flush(l);
	/* Docker looks at the size before each line: what passes the bound is that one line. */
	if (l->max_size && l->size + (int64_t)l->out.len >= l->max_size) {
		flush(l);
		rotate(l);
	}
	json_log_line(&l->out, s->name, p, n, newline, now_ns);
}

static void put_piece(struct json_log *l, struct json_stream *s, bool newline, int64_t now_ns)
{
	put(l, s, s->piece, s->n, newline, s->partial ? s->partial_since_ns : now_ns);
	s->n = 0;
	if (newline) {
		s->partial = false;
	} else if (!s->partial) {
		s->partial = true;
		s->partial_since_ns = now_ns;
	}
}

void json_log_add(struct json_log *l, struct json_stream *s, const char *p, size_t n,
		  int64_t now_ns)
{
	while (n) {
		const char *newline = memchr(p, '\n', n);
		size_t k = newline ? (size_t)(newline - p) : n;
		size_t take = MIN_OF(k, sizeof(s->piece) - s->n);

		/* A line that is here whole need not be copied. */
		if (newline && s->n == 0 && k < sizeof(s->piece) && !s->partial) {
			put(l, s, p, k, true, now_ns);
			p += k + 1;
			n -= k + 1;
			continue;
		}
		memcpy(s->piece + s->n, p, take);
		s->n += take;
		p += take;
		n -= take;
		if (s->n == sizeof(s->piece)) {
			put_piece(l, s, false, now_ns);
		} else if (newline) {
			put_piece(l, s, true, now_ns);
			p++;
			n--;
		}
	}
	flush(l);
}

void json_log_end(struct json_log *l, struct json_stream *s, int64_t now_ns)
{
	if (s->n)
		put_piece(l, s, false, now_ns);
	flush(l);
}
