/*
 * Reading a command line by table, as Go's flag package does it: "-name", "--name", "--name=value",
 * "--name value"; flags end at the first word that is none, or at "--".
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "runtime/container/spec.h"

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_STR,  /* char *, a pointer into argv */
	OPTION_NUM,  /* int64_t */
	OPTION_LIST, /* struct spec_strs; may be given many times */
};

struct option_row {
	const char *name; /* NULL ends a table */
	char letter;      /* 0: none */
	enum option_kind kind;
	size_t off;
	const char *help; /* NULL: accepted and not shown */
};

/*
 * Fills `into` from `argv`, NULL-terminated; *ret_rest is the first word that is no flag. 0 or
 * -EINVAL, naming the flag.
 */
int options_parse(const struct option_row *rows, char **argv, void *into, char ***ret_rest,
		  struct err *e);
/* Prints the table, a row a line. */
void options_help(const struct option_row *rows);
