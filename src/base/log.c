/*
 * See log.h. A line is built on the stack and leaves by one write(), so that lines of several
 * threads and processes never mix.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

static _Atomic int log_threshold = LOG_LEVEL_INFO;
static const char *const log_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
	log_threshold = (int)level;
}

enum log_level log_get_level(void)
{
	return (enum log_level)log_threshold;
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(log_names); i++) {
		if (strcasecmp(name, log_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	if (strcasecmp(name, "warning") == 0)
		*ret = LOG_LEVEL_WARN;
	else if (strcasecmp(name, "fatal") == 0)
		*ret = LOG_LEVEL_ERROR;
	else
		return -EINVAL;
	return 0;
}

/* Appends `text` quoted; returns the new length. `size` leaves room for the closing quote. */
static size_t log_quote(char *line, size_t len, size_t size, const char *text)
{
	for (const char *s = text; *s && len + 4 < size; s++) {
		if (*s == '"' || *s == '\\') {
			line[len++] = '\\';
			line[len++] = *s;
		} else if (*s == '\n') {
			line[len++] = '\\';
			line[len++] = 'n';
		} else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			line[len++] = '?';
		} else {
			line[len++] = *s;
		}
	}
	return len;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[LIMIT_LOG_LINE], line[LIMIT_LOG_LINE + 128], when[TIME_TEXT_MAX];
	va_list args;
	size_t len;
	int n;

	if ((int)level < log_threshold)
		return;
	va_start(args, fmt);
	n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	time_format(clock_wall_ns(), when);
	len = (size_t)snprintf(line, sizeof line, "time=\"%s\" level=%s msg=\"", when,
			       log_names[level]);
	len = log_quote(line, len, sizeof line - 2, text);
	line[len++] = '"';
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
}
