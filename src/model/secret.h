/*
 * Secrets and configs: named bytes that services' tasks find as files. One struct serves both
 * kinds; what differs is that a secret's bytes are never shown and that it may be larger or
 * smaller (base/limits.h). Bytes never change once created: a task has what its service named.
 */
#pragma once

#include "model/object.h"
#include "model/service.h"

struct secret_spec {
	char *name;
	struct strmap labels;
	struct bytes data;         /* wiped when freed, and in no JSON that this table writes */
	struct driver *driver;     /* an external store: refused */
	struct driver *templating; /* NULL: the bytes are delivered as they are */
	struct table_rest *rest;
};
extern const struct table secret_spec_table;

/* KIND_SECRET or KIND_CONFIG. */
struct secret {
	struct object o;
	struct secret_spec spec;
	struct table_rest *rest;
};
extern const struct table secret_table;
extern const struct table config_table;

/* Where the file `name` of a service's secret or config stands in the container; freed by free().
 */
char *secret_target_path(enum object_kind kind, const char *name);
