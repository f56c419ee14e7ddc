/*
 * See err.h.
 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

/* Adds ": text" after the first `n` bytes, as much as has room; `n` as vsnprintf() gave it. */
static void err_append(struct err *e, int n, const char *text)
{
	size_t at = n < 0 ? 0 : (size_t)n, len;

	if (at + 3 > sizeof e->msg)
		return;
	len = strnlen(text, sizeof e->msg - at - 3);
	memcpy(e->msg + at, ": ", 2);
	memcpy(e->msg + at + 2, text, len);
	e->msg[at + 2 + len] = '\0';
}

__attribute__((format(printf, 4, 0))) static int err_fill(struct err *e, int code, int reason,
							  const char *fmt, va_list args)
{
	int n;

	if (!e)
		return code;
	e->code = code;
	n = vsnprintf(e->msg, sizeof e->msg, fmt, args);
	if (reason)
		err_append(e, n, strerror(reason));
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)err_fill(e, code, 0, fmt, args);
	va_end(args);
	return code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int reason = errno;
	va_list args;

	va_start(args, fmt);
	(void)err_fill(e, -reason, reason, fmt, args);
	va_end(args);
	return -reason;
}

int err_code(struct err *e, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)err_fill(e, code, -code, fmt, args);
	va_end(args);
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list args;
	int n;

	if (!e)
		return -EIO;
	memcpy(old, e->msg, sizeof old);
	va_start(args, fmt);
	n = vsnprintf(e->msg, sizeof e->msg, fmt, args);
	va_end(args);
	err_append(e, n, old);
	return e->code;
}

const char *err_text(const struct err *e)
{
	return e->msg[0] ? e->msg : strerror(-e->code);
}
