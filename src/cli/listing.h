/*
 * What `ls` commands print: rows of named cells as a table, as JSON lines, through a template, or
 * the ids alone. Knows no command and no API object.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "cli/cli.h"

/* `name` is docker's field; one that begins with a dot is of the table alone. */
struct column {
	const char *name;
	const char *header;
	bool shown; /* in the table that is printed without --format */
};

struct listing {
	const struct column *columns;
	size_t n_columns;
	const char *id; /* the field that --quiet prints */
	json_t *rows;   /* an array of objects */
};

void listing_init(struct listing *l, const struct column *columns, size_t n, const char *id);
void listing_done(struct listing *l);
/* Begins a row; cells are then set by name. The row is the listing's. */
json_t *listing_row(struct listing *l);
/* Sets a cell of the row; NULL is the empty text. */
void cell_text(json_t *row, const char *name, const char *text);
void cell_format(json_t *row, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As cell_text(), and frees the text. */
void cell_take(json_t *row, const char *name, char *text);

/* The flags --format and --quiet decide. Returns the exit status. */
int listing_print(struct cli *c, const struct listing *l, const struct flags *f);

/* Prints lines of tab-separated cells in columns, as Go's tabwriter(10, 1, 3) does. */
void columns_print(FILE *out, const char *text);
