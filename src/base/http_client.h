/*
 * A blocking HTTP client for the CLI: one connection to one daemon, reused between calls. It knows
 * nothing of the Engine API but how to find its socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct http_client;

/*
 * For "unix:///path", "tcp://host:port" or "http://host:port". Nothing is connected yet. 0, or
 * -EINVAL for another form.
 */
int http_client_new(const char *url, struct http_client **ret, struct err *e);
void http_client_free(struct http_client *c);

struct http_call {
	const char *method; /* "GET" */
	const char *path;   /* encoded, with its query */
	/* The body: nothing, `body_len` bytes, or a stream of unknown length. */
	const void *body;
	size_t body_len;
	ssize_t (*source)(void *p, size_t len,
			  void *data); /* bytes, 0 at the end, -errno gives up */
	const char *body_type;         /* NULL: application/json for `body`, tar for `source` */
	const char *const *headers;    /* more "Name: value" lines; NULL ends them */
	/* Where the answer goes if its status is 2xx (others are collected); a non-zero return
	 * gives up. */
	int (*sink)(const void *p, size_t len, void *data);
	void *data;         /* for `source` and `sink` */
	long timeout_ms;    /* of the whole call; 0: none */
	size_t answer_max;  /* bytes collected; 0: LIMIT_HTTP_ANSWER */
	const bool *cancel; /* looked at about once a second and after each signal; NULL: never */
};

struct http_answer {
	int status;
	char *type;         /* Content-Type, NULL when there is none */
	struct buf body;    /* what was collected */
	struct buf headers; /* raw lines */
};

/*
 * Calls and collects. 0 whenever an answer came, whatever its status; -errno with a sentence that
 * names the daemon when none came (-ECONNREFUSED, -ENOENT, -EACCES, -ETIMEDOUT, -ECANCELED, ...).
 */
int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *ret,
		     struct err *e);
void http_answer_done(struct http_answer *a);
/* A header of the answer by name in any case, copied; NULL when missing. Free with free(). */
char *http_answer_header(const struct http_answer *a, const char *name);

/*
 * Sends the call (with `body`, no `source`) asking for an upgrade. With status 101 or 200: the
 * descriptor in `ret_fd` (blocking, the caller's) and the bytes already received in `ret->body`.
 * With another status `ret_fd` is -1 and the body is collected. Errors as http_client_call().
 */
int http_client_hijack(struct http_client *c, const struct http_call *call, struct http_answer *ret,
		       int *ret_fd, struct err *e);
