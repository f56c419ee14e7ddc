/*
 * A container's log file in Docker's json-file form: output taken apart into lines, pieces of
 * 16 KiB where a line is longer, and the files rotated by size. Called by the shim; knows nothing
 * of containers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

/* The file, shared by the streams. */
struct json_log {
	int fd; /* -1: nothing is kept */
	char *path;
	int64_t size;     /* bytes in the current file */
	int64_t max_size; /* bytes; 0: never rotated */
	int max_file;     /* files kept, the current one included */
	struct buf out;   /* lines of one read, written together */
	uint64_t lost;    /* lines that could not be written (disk full) */
};

/* One of stdout and stderr. */
struct json_stream {
	const char *name;            /* "stdout", "stderr" */
	char piece[LIMIT_LOG_PIECE]; /* what came since the last newline */
	size_t n;
	bool partial;             /* pieces of the same line were written already */
	int64_t partial_since_ns; /* their time: all pieces of a line have that of the first */
};

/* Opens or makes the file (0640). `path` may be NULL: then output goes nowhere. */
int json_log_open(struct json_log *l, const char *path, int64_t max_size, int max_file,
		  struct err *e);
void json_log_close(struct json_log *l);

/* Adds output that was read at `now_ns` (wall clock). A full disk loses lines, never more. */
void json_log_add(struct json_log *l, struct json_stream *s, const char *p, size_t n,
		  int64_t now_ns);
/* The end of a stream: what is left is written without a newline, as docker does. */
void json_log_end(struct json_log *l, struct json_stream *s, int64_t now_ns);

/* One line of the file, for tests: {"log":"...","stream":"...","time":"..."} and a newline. */
void json_log_line(struct buf *b, const char *stream, const char *p, size_t n, bool newline,
		   int64_t wall_ns);
