/*
 * See log_out.h.
 */
#include "api/log_out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api/containers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* What one entry becomes: its text, a time, details and a frame around it. */
#define WAITING_MAX (LIMIT_HTTP_STREAM / 2)
#define STREAM_SYSTEM 3 /* the frame of the daemon's own errors */
#define ERROR_MAX 20480

void log_out_init(struct log_out *o, bool raw, bool timestamps)
{
	*o = (struct log_out){.raw = raw, .timestamps = timestamps};
	o->waiting = BUF_INIT(WAITING_MAX);
}

void log_out_done(struct log_out *o)
{
	buf_done(&o->waiting);
}

void log_out_entry(struct log_out *o, int stream, int64_t time_ns, const char *details,
		   const char *p, size_t n)
{
	uint8_t head[FRAME_HEAD];
	char when[TIME_TEXT_MAX] = "";
	size_t total;

	if (o->timestamps)
		time_format_fixed(time_ns, when);
	total = strlen(when) + o->timestamps + (details ? strlen(details) + 1 : 0) + n;
	containers_frame_head(head, stream == 2 ? ENGINE_STDERR : ENGINE_STDOUT, total);
	if (!o->raw)
		(void)buf_add(&o->waiting, head, sizeof head);
	(void)buf_adds(&o->waiting, when);
	if (o->timestamps)
		(void)buf_addc(&o->waiting, ' ');
	if (details) {
		(void)buf_adds(&o->waiting, details);
		(void)buf_addc(&o->waiting, ' ');
	}
	(void)buf_add(&o->waiting, p, n);
}

void log_out_error(struct log_out *o, const char *format, ...)
{
	char text[ERROR_MAX];
	uint8_t head[FRAME_HEAD];
	va_list args;
	int n = snprintf(text, sizeof text, "Error grabbing logs: ");

	va_start(args, format);
	(void)vsnprintf(text + n, sizeof text - (size_t)n - 1, format, args);
	va_end(args);
	n = (int)strlen(text);
	text[n++] = '\n';
	containers_frame_head(head, ENGINE_STDERR, (size_t)n);
	head[0] = STREAM_SYSTEM;
	if (!o->raw)
		(void)buf_add(&o->waiting, head, sizeof head);
	(void)buf_add(&o->waiting, text, (size_t)n);
}

bool log_out_flush(struct log_out *o)
{
	if (o->waiting.len == 0)
		return true;
	if (http_stream_write(o->stream, o->waiting.p, o->waiting.len) == -ENOBUFS)
		return false;
	buf_reset(&o->waiting);
	return true;
}

void log_out_end(struct log_out *o)
{
	if (o->stream)
		http_stream_end(TAKE_PTR(o->stream));
}
