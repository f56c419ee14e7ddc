/*
 * Command lines in docker's style: long flags with '=' or a blank, short ones combined, lists by
 * repetition, "--" as the end. One table of flags a command; values are read and checked here.
 * Knows no command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/table.h"

enum flag_type {
	FLAG_BOOL,
	FLAG_STRING,
	FLAG_LIST,
	FLAG_INT,
	FLAG_UINT,
	FLAG_FLOAT,
	FLAG_DURATION, /* ns */
	FLAG_BYTES,    /* "512m" */
	FLAG_CPUS,     /* "0.5", in billionths */
};

struct flag {
	const char *name;
	char letter; /* 0: none */
	enum flag_type type;
	const char *help;
};

struct flag_value {
	bool set;
	const char *text; /* as given (the last one); lent from argv */
	int64_t number;   /* BOOL, INT, UINT, DURATION, BYTES, CPUS */
	double real;      /* FLOAT */
	struct strs list; /* LIST */
};

struct flags {
	const struct flag *defs;
	size_t n;
	struct flag_value *values;
	char **args; /* what is no flag; lent from argv */
	size_t n_args;
	bool help; /* --help was given; nothing after it was read */
};

/*
 * Reads argv (without the program's or command's name). With `stop` flags end at the first
 * argument. 0, or -EINVAL with docker's sentence; `ret` is to be freed with flags_done() only on
 * success.
 */
int flags_parse(const struct flag *defs, size_t n, bool stop, int argc, char **argv,
		struct flags *ret, struct err *e);
void flags_done(struct flags *f);

/* Values by name; a name that the command does not have is a programming error. */
const struct flag_value *flag_get(const struct flags *f, const char *name);
bool flag_is_set(const struct flags *f, const char *name);
bool flag_true(const struct flags *f, const char *name);
/* NULL when it was not given. */
const char *flag_text(const struct flags *f, const char *name);
const struct strs *flag_list(const struct flags *f, const char *name);
