/*
 * See err.h.
 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 4, 0))) static int err_fill(struct err *e, int code, int reason,
							  const char *fmt, va_list args)
{
	int n;

	if (!e)
		return code;
	e->code = code;
	n = vsnprintf(e->msg, sizeof e->msg, fmt, args);
	if (n < 0)
		n = 0;
	if (reason && (size_t)n < sizeof e->msg)
		(void)snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", strerror(reason));
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
	if (n < 0)
		n = 0;
	if ((size_t)n < sizeof e->msg)
		(void)snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", old);
	return e->code;
}

const char *err_text(const struct err *e)
{
	return e->msg[0] ? e->msg : strerror(-e->code);
}
