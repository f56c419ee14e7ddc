/*
 * The part of Go's templates that --format is used with: plain fields ({{.Name}}, {{.Spec.Name}}),
 * {{json .Field}}, and the escapes \t and \n between them. Values are JSON. Knows no command.
 */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the template filled in from `value`. 0, or -EINVAL with what is wrong where. */
int template_run(const char *text, const json_t *value, struct buf *ret, struct err *e);
/*
 * Calls `field` for each {{...}} and `literal` for the text between, in order; used for headers.
 * 0, or -EINVAL for a template that does not parse.
 */
struct template_parts {
	int (*literal)(const char *text, size_t n, void *data, struct err *e);
	/* A path without its dots at the front ("Spec.Name"), "" for the whole value. */
	int (*field)(const char *path, bool json, void *data, struct err *e);
	void *data;
};
int template_walk(const char *text, const struct template_parts *parts, struct err *e);
