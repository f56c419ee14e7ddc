/*
 * A project: Compose files read, with variables put in, services extended, files merged and those
 * of other profiles left out. What is not understood is collected, so that one run tells all of
 * it. Files come through a function of the caller's: no I/O of its own.
 */
#pragma once

#include "base/buf.h"
#include "base/table.h"
#include "cli/compose/node.h"

struct compose_input {
	const struct strs *files;    /* paths, "-" for the standard input */
	const struct strs *profiles; /* names, "*" for all; besides COMPOSE_PROFILES */
	const struct strmap *env;
	const char *cwd; /* absolute */
	bool raw;        /* variables stay as they are written */
	/* Adds the file to `ret`. 0, -ENOENT, or another -errno with a sentence. */
	int (*read)(const char *path, struct buf *ret, void *data, struct err *e);
	void *data;
};

struct compose_file {
	char *name; /* as messages have it */
	char *dir;  /* what its paths are relative to */
	struct compose_node *root;
};

struct compose_project {
	const struct compose_input *in;
	struct compose_node *root;
	char *dir;
	struct strmap vars;   /* the environment and .env */
	struct strs warnings; /* what is ignored, by name and place */
	struct strs problems; /* what forbids to go on */
	struct compose_file **files;
	size_t n_files;
	size_t n_read; /* of LIMIT_COMPOSE_FILES */
	size_t budget;
};

/* Reads and merges. `in` is lent. To be freed with compose_project_done(), also on failure. */
int compose_load(const struct compose_input *in, struct compose_project *p, struct err *e);
void compose_project_done(struct compose_project *p);

/* Reads a file besides the Compose files into `ret`, within their number and size. */
int compose_file_read(struct compose_project *p, const char *path, struct buf *ret, struct err *e);
/* The absolute path that `text`, standing at `at`, means. Free with free(). */
char *compose_path(const struct compose_project *p, const struct compose_node *at,
		   const char *text);
/* Collects one complaint with its place; those past LIMIT_COMPOSE_PROBLEMS are counted. */
void compose_problem(struct compose_project *p, const struct compose_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void compose_warn(struct compose_project *p, const struct compose_node *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
