/*
 * Command lines by table: see options.h.
 */
#include "runtime/oci/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct option_row *find(const struct option_row *rows, const char *name, size_t n)
{
	for (; rows->name; rows++)
		if ((strlen(rows->name) == n && memcmp(rows->name, name, n) == 0) ||
		    (n == 1 && rows->letter == name[0]))
			return rows;
	return NULL;
}

static int set_flag(void *at, const char *name, const char *value, struct err *e)
{
	bool on = !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;

	if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		return err_set(e, -EINVAL, "--%s must be true or false", name);
	*(bool *)at = on;
	return 0;
}

static int set_number(void *at, const char *name, const char *value, struct err *e)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno || end == value || *end)
		return err_set(e, -EINVAL, "--%s must be a number, and %.64s is none", name, value);
	*(int64_t *)at = n;
	return 0;
}

static int set(const struct option_row *r, void *into, const char *value, struct err *e)
{
	void *at = (char *)into + r->off;

	switch (r->kind) {
	case OPTION_FLAG:
		return set_flag(at, r->name, value, e);
	case OPTION_NUM:
		return set_number(at, r->name, value, e);
	case OPTION_LIST:
		spec_strs_add(at, value);
		return 0;
	case OPTION_STR:
		*(const char **)at = value;
		return 0;
	}
	return 0;
}

int options_parse(const struct option_row *rows, char **argv, void *into, char ***ret_rest,
		  struct err *e)
{
	for (; *argv && (*argv)[0] == '-' && (*argv)[1]; argv++) {
		const char *name = *argv + ((*argv)[1] == '-' ? 2 : 1);
		size_t n = strcspn(name, "=");
		const char *value = name[n] ? name + n + 1 : NULL;
		const struct option_row *r = find(rows, name, n);
		int rc;

		if (!*name) { /* "--" */
			argv++;
			break;
		}
		if (!r)
			return err_set(e, -EINVAL, "flag provided but not defined: %.64s", *argv);
		if (!value && r->kind != OPTION_FLAG)
			value = *++argv;
		if (!value && r->kind != OPTION_FLAG)
			return err_set(e, -EINVAL, "flag needs an argument: --%s", r->name);
		rc = set(r, into, value, e);
		if (rc < 0)
			return rc;
	}
	*ret_rest = argv;
	return 0;
}

void options_help(const struct option_row *rows)
{
	for (; rows->name; rows++) {
		if (!rows->help)
			continue;
		printf("   --%s%s", rows->name, rows->kind == OPTION_FLAG ? "" : " value");
		if (rows->letter)
			printf(", -%c%s", rows->letter, rows->kind == OPTION_FLAG ? "" : " value");
		printf("  %s\n", rows->help);
	}
}
