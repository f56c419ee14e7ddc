/*
 * Calls to the daemon: paths, bodies from tables, answers into structs, refusals as errors. The
 * only file of the CLI that knows of the API's version and its error form.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/table.h"
#include "cli/cli.h"

#define CALL_PATH_MAX (64u << 10)
#define CALL_PATH BUF_INIT(CALL_PATH_MAX)

/* Appends "/v1.51" and the pattern, whose '%' stand for the texts that follow, encoded. */
void path_add(struct buf *b, const char *pattern, ...);
/* Appends "?name=value" or "&name=value", encoded. */
void path_query(struct buf *b, const char *name, const char *value);
/*
 * Appends filters={...} from "key=value" texts, and from one more key and value (NULL: none).
 * -EINVAL for a text without '='.
 */
int path_filters(struct buf *b, const struct strs *filters, const char *key, const char *value,
		 struct err *e);

/*
 * Calls and collects. An answer of 400 and above is an error: "Error response from daemon: ...",
 * with -ENOENT for 404, -EEXIST for 409, -ENOSYS for 501, -EAGAIN for 503, else -EREMOTEIO.
 */
int call_send(struct cli *c, const char *method, const char *path, const struct buf *body,
	      struct http_answer *ret, struct err *e);
/* The same without an answer that matters. */
int call_do(struct cli *c, const char *method, const char *path, const struct buf *body,
	    struct err *e);
/* As call_send(), and reads the answer into the zeroed `ret`. */
int call_read(struct cli *c, const char *method, const char *path, const struct buf *body,
	      const struct table *t, void *ret, struct err *e);
/* GET into the zeroed `ret`. */
int call_get(struct cli *c, const char *path, const struct table *t, void *ret, struct err *e);
/* GET as JSON (jansson's flags for reading), to be released with json_decref(). */
int call_json(struct cli *c, const char *path, size_t flags, json_t **ret, struct err *e);
/* A body of the object's JSON; -EMSGSIZE when it is too large. */
int call_body(const struct table *t, const void *obj, struct buf *ret, struct err *e);
/* The connection, made at the first call. */
int call_client(struct cli *c, struct http_client **ret, struct err *e);
/* What a refusal says; 0 for an answer below 400. */
int call_refusal(const struct http_answer *a, struct err *e);
/* The id of the node that the daemon is, in its swarm; -EAGAIN outside of one. Free with free(). */
int node_self(struct cli *c, char **ret, struct err *e);
/* Adds the path of a node by name, id or "self". */
int node_path(struct cli *c, const char *name, struct buf *ret, struct err *e);
/*
 * Sends a service's changed specification, as made from its version; prints warnings. `check`: a
 * plan's index, or NULL.
 */
struct service_view;
int service_put(struct cli *c, const struct service_view *s, const struct buf *body, bool rollback,
		const char *check, struct err *e);
