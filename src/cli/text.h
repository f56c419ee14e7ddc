/*
 * Times, sizes and names as docker prints and reads them. Pure text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

#define TEXT_SHORT 64

/* "2 minutes", "About an hour": a length of time in ns. */
void duration_human(int64_t ns, char ret[TEXT_SHORT]);
/* "1.23MB" in powers of 1000 with that many significant digits. */
void size_human(double bytes, int digits, char ret[TEXT_SHORT]);
/* "1.5GiB" in powers of 1024 with four significant digits. */
void size_binary(double bytes, char ret[TEXT_SHORT]);
/* Reads "512m", "1.5GiB", "100" (powers of 1024) as bytes. 0 or -EINVAL. */
int size_parse(const char *text, int64_t *ret);
/* Reads "0.5" as billionths. 0 or -EINVAL. */
int cpus_parse(const char *text, int64_t *ret);

/* Wall time in the local zone: "2006-01-02 15:04:05 -0700 MST", and RFC 3339 with nine digits. */
void time_local(int64_t wall_ns, char ret[TEXT_SHORT]);
void time_local_rfc(int64_t wall_ns, char ret[TEXT_SHORT]);

/* The text cut to `width` characters, the last of them an ellipsis. Free with free(). */
char *text_cut(const char *text, size_t width);
/* Of two `const char *` in an array, for qsort(). */
int text_order(const void *a, const void *b);
/* As strcmp(), but runs of digits are compared as numbers, zeros before them included. */
int text_natural(const char *a, const char *b);
/* Characters (not bytes) of a UTF-8 text. */
size_t text_width(const char *text);
/* An id without its "sha256:", cut to 12 characters unless `whole`. Free with free(). */
char *id_short(const char *id, bool whole);
