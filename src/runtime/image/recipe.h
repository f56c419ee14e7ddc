/*
 * How to write a layer's tar again, bit by bit, from its unpacked files: all bytes of the tar that
 * are not the content of a file (headers, padding), and the names of the files between them,
 * compressed by zstd. So a layer is stored once, unpacked, and can still be saved or pushed under
 * its diff id. Where a recipe cannot work (sparse members, a path that comes twice) the layer's
 * blob is kept instead; the writer says so. Used inside runtime/image only.
 *
 * The file: zstd of "shoal-recipe 1\n", then records: 'L' length bytes | 'F' size length path |
 * 'E' length of the whole tar. Numbers are base-128 varints.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define RECIPE_NAME "recipe"

struct recipe_writer;

/* Makes `dirfd`/recipe. */
int recipe_writer_open(int dirfd, struct recipe_writer **ret, struct err *e);
void recipe_writer_close(struct recipe_writer *w);
void recipe_writer_close_at(struct recipe_writer **w);
#define auto_recipe_writer CLEANUP(recipe_writer_close_at) struct recipe_writer

/*
 * The next bytes of the tar, as its reader takes them in. `consumed` is the reader's place: what
 * stands before it and is not in a file will never be asked for.
 */
void recipe_add(struct recipe_writer *w, const void *p, size_t n, uint64_t consumed);
/* The content of `path` stands at `start` and is `size` bytes long. */
void recipe_file(struct recipe_writer *w, uint64_t start, uint64_t size, const char *path);
/* A piece of that content, as it was unpacked; pieces must come in order. */
void recipe_match(struct recipe_writer *w, uint64_t at, const void *p, size_t n);
/* 0, -ENOTSUP when this layer needs its blob, or -errno of writing. */
int recipe_end(struct recipe_writer *w, struct err *e);

/* Takes the tar as it is put together again. 0 or -errno with the reason. */
typedef int recipe_sink(void *arg, const void *p, size_t n, struct err *e);
/*
 * Puts the tar together from `layerfd`/recipe and the files below `layerfd`/diff. -EUCLEAN when
 * either is damaged. The caller checks the digest of what came out.
 */
int recipe_read(int layerfd, recipe_sink *sink, void *arg, struct err *e);
