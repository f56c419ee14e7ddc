/*
 * The tables of model/secret.h.
 */
#include "model/secret.h"

#include <string.h>

#include "base/mem.h"

#define T struct secret_spec
static const struct field secret_spec_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STRMAP(T, 2, labels, "Labels", 0),
	FIELD_BYTES(T, 3, data, NULL, FIELD_SECRET | FIELD_LOCKED),
	FIELD_PTR(T, 4, driver, "Driver", FIELD_OMIT, driver),
	FIELD_PTR(T, 5, templating, "Templating", FIELD_OMIT, driver),
};
#undef T
TABLE_DEFINE(secret_spec, secret_spec_fields, TABLE_REST(secret_spec));

#define T struct secret
static const struct field secret_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_OBJ(T, 10, spec, "Spec", 0, secret_spec),
};
#undef T
TABLE_DEFINE(secret, secret_fields, TABLE_REST(secret));

/* The same rows: a table has one name, by which its numbers are checked. */
const struct table config_table = {.name = "config",
				   .fields = secret_fields,
				   .n_fields = sizeof secret_fields / sizeof secret_fields[0],
				   .size = sizeof(struct secret),
				   TABLE_REST(secret)};

/* Secrets without an absolute path are in /run/secrets, configs in the root. "//a//b" is "/a/b". */
char *secret_target_path(enum object_kind kind, const char *name)
{
	const char *base = name[0] != '/' && kind == KIND_SECRET ? "/run/secrets" : "";
	char *ret = xmalloc(strlen(base) + strlen(name) + 2), *at = ret + strlen(base);

	memcpy(ret, base, strlen(base));
	while (*(name += strspn(name, "/"))) {
		size_t n = strcspn(name, "/");

		*at++ = '/';
		memcpy(at, name, n);
		at += n;
		name += n;
	}
	*at = '\0';
	return ret;
}
