/*
 * What the files of the tables share: generic views of lists and maps, and where a field lies.
 * Included by base/table*.c alone.
 */
#pragma once

#include <string.h>

#include "base/secret_memory.h"
#include "base/table.h"

/* The same layout as every LIST_OF and MAP_OF. */
struct table_list {
	char *v;
	size_t n;
};

static inline void *field_at(const struct field *f, const void *obj)
{
	return (char *)(uintptr_t)obj + f->offset;
}

/* Bytes of one entry of a MAP_OF: the key and the value, padded to the pointer's alignment. */
static inline size_t map_entry_size(const struct table *sub)
{
	size_t align = sizeof(char *);

	return sizeof(char *) + (sub->size + align - 1) / align * align;
}

static inline struct table_rest **table_rest_at(const struct table *t, const void *obj)
{
	size_t offset = t->rest_end - sizeof(struct table_rest *);

	return t->rest_end ? (struct table_rest **)((char *)(uintptr_t)obj + offset) : NULL;
}

/* A copy in the memory that the row wants; secret_free() frees either kind. */
static inline void *bytes_copy(const struct field *f, const void *p, size_t n)
{
	return f->flags & FIELD_SECRET ? secret_copy(p, n) : xmemdup(p, n);
}

/* Frees one field's value and zeroes it. */
void field_done(const struct field *f, void *obj);
/* Whether the field has its zero value. */
bool field_is_empty(const struct field *f, const void *obj);
/* Orders a map's entries by key (a later double wins, as in Go) after they were appended. */
void map_sort(const struct table *sub, struct table_list *map);
void strmap_sort(struct strmap *m);
