/*
 * See log_out.h.
 */
#include "api/log_out.h"

#include <string.h>

#include "api/containers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* What one entry becomes: its text, a time, details and a frame around it. */
#define WAITING_MAX (LIMIT_HTTP_STREAM / 2)
#define STREAM_SYSTEM 3 /* the frame of the daemon's own errors */

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

void log_out_error(struct log_out *o, const char *why)
{
	auto_free char *text = xasprintf("Error grabbing logs: %s\n", why);
	uint8_t head[FRAME_HEAD];

	containers_frame_head(head, ENGINE_STDERR, strlen(text));
	head[0] = STREAM_SYSTEM;
	if (!o->raw)
		(void)buf_add(&o->waiting, head, sizeof head);
	(void)buf_adds(&o->waiting, text);
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
