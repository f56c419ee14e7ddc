/*
 * Errors as values. A function returns 0 or a negative errno; one whose failure a user may see
 * takes a `struct err *` last and fills it with a sentence: what failed, on what, why, what next.
 * Everything includes this; it knows nothing. Library code never logs: whoever handles the error
 * at the edge (an API answer, a task's Status.Err, the daemon's log) says it once.
 */
#pragma once

#include <errno.h>
#include <stdarg.h>

#define ERR_MSG_MAX 512

struct err {
	int code; /* negative errno, 0 while nothing failed */
	char msg[ERR_MSG_MAX];
};

#define ERR_INIT ((struct err){0})

/*
 * Each stores `code` (negative errno) and the sentence in `e`, which may be NULL, and returns
 * `code`, so that `return err_set(e, -EINVAL, ...)` is the one idiom.
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set() with -errno, and ": strerror" appended. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set(), with ": strerror(-code)" appended. For calls that return a negative errno. */
int err_code(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the sentence that `e` already holds; returns its code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sentence, or strerror of `code` where there is none. Valid as long as `e`. */
const char *err_text(const struct err *e);
