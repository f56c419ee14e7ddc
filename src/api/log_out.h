/*
 * What the logs of a container and those of a service have in common: entries on their way to a
 * client, in Docker's frames unless the program has a terminal. Used by api/containers_logs.c and
 * api/service_logs.c.
 */
#pragma once

#include "api/router.h"

struct log_out {
	struct http_stream *stream; /* set once the answer has begun */
	struct buf waiting;         /* what found the client's queue full */
	bool raw, timestamps;
};

void log_out_init(struct log_out *o, bool raw, bool timestamps);
void log_out_done(struct log_out *o);
/* `stream` 1 or 2; `details` (NULL: none) stand before the text. */
void log_out_entry(struct log_out *o, int stream, int64_t time_ns, const char *details,
		   const char *p, size_t n);
/* "Error grabbing logs: …", as the daemon's own word: clients show it apart and fail. */
void log_out_error(struct log_out *o, const char *why);
/* True when nothing waits; else the stream's drain comes. */
bool log_out_flush(struct log_out *o);
/* Ends the answer, if there is one. */
void log_out_end(struct log_out *o);
