/*
 * The daemon's own log: one line an event, to standard error, in logfmt, as journald and people
 * read it. Only edges log (main, api, manager, agent); library code returns errors instead.
 */
#pragma once

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines below `level` are dropped. The start value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* 0, or -EINVAL for a name other than debug, info, warn, warning, error, fatal. */
int log_level_parse(const char *name, enum log_level *ret);

/* Writes one line; newlines and control characters of the text are escaped. Thread-safe. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
