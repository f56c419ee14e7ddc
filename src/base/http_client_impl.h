/*
 * What the two files of the HTTP client share. Nobody else includes this.
 */
#pragma once

#include "base/http_client.h"

struct http_client {
	char *url;
	char *socket_path; /* of a unix socket, else NULL */
	char *host;        /* "host:port", else NULL */
	void *curl;        /* the library's handle, with its connections */
};

/* "cannot connect to shoald at ...", with what to try next. */
int http_client_fail(struct http_client *c, int code, struct err *e);
void http_answer_init(struct http_answer *a, const struct http_call *call);
