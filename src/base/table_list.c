/*
 * Lists and maps that tables describe: growing, finding, sorting. See table.h.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/table_impl.h"

void strs_add(struct strs *s, const char *value)
{
	s->v = xreallocarray(s->v, s->n + 1, sizeof *s->v);
	s->v[s->n++] = xstrdup(value);
}

void strs_done(struct strs *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strs){0};
}

bool strs_has(const struct strs *s, const char *value)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i], value) == 0)
			return true;
	return false;
}

/* The place of `key` in entries of `size` bytes that start with their key: found or to insert. */
static size_t map_place(const char *v, size_t n, size_t size, const char *key, bool *ret_found)
{
	size_t lo = 0, hi = n;

	*ret_found = false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int order = strcmp(key, *(char *const *)(v + mid * size));

		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

void *map_find_(const void *v, size_t n, size_t size, const char *key)
{
	bool found;
	size_t at = map_place(v, n, size, key, &found);

	return found ? (char *)(uintptr_t)v + at * size + sizeof(char *) : NULL;
}

void *map_put_(void **v, size_t *n, size_t size, const char *key)
{
	bool found;
	size_t at = map_place(*v, *n, size, key, &found);
	char *entry;

	if (!found) {
		*v = xreallocarray(*v, *n + 1, size);
		entry = (char *)*v + at * size;
		memmove(entry + size, entry, (*n - at) * size);
		memset(entry, 0, size);
		*(char **)entry = xstrdup(key);
		(*n)++;
	}
	return (char *)*v + at * size + sizeof(char *);
}

void *list_add_(void **v, size_t *n, size_t size)
{
	char *item;

	*v = xreallocarray(*v, *n + 1, size);
	item = (char *)*v + *n * size;
	memset(item, 0, size);
	(*n)++;
	return item;
}

const char *strmap_get(const struct strmap *m, const char *key)
{
	char **value = map_find_(m->v, m->n, sizeof *m->v, key);

	return value ? *value : NULL;
}

void strmap_set(struct strmap *m, const char *key, const char *value)
{
	char **at = map_put_((void **)&m->v, &m->n, sizeof *m->v, key);

	str_set(at, value);
}

void strmap_remove(struct strmap *m, const char *key)
{
	bool found;
	size_t at = map_place((const char *)m->v, m->n, sizeof *m->v, key, &found);

	if (!found)
		return;
	free(m->v[at].key);
	free(m->v[at].value);
	memmove(&m->v[at], &m->v[at + 1], (m->n - at - 1) * sizeof *m->v);
	m->n--;
}

void strmap_done(struct strmap *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].key);
		free(m->v[i].value);
	}
	free(m->v);
	*m = (struct strmap){0};
}

static int key_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * glibc's qsort() sorts by merging, so equal keys keep their order; where memory for that is
 * missing it does not, which only changes which of two doubles of a hostile text wins.
 */
void map_sort(const struct table *sub, struct table_list *map)
{
	size_t size = map_entry_size(sub), kept = 0;

	if (map->n < 2)
		return;
	qsort(map->v, map->n, size, key_compare);
	for (size_t i = 1; i < map->n; i++) {
		char *last = map->v + kept * size, *next = map->v + i * size;

		if (key_compare(last, next) == 0) {
			free(*(char **)last);
			table_done(sub, last + sizeof(char *));
		} else {
			last += size;
			kept++;
		}
		if (last != next)
			memcpy(last, next, size);
	}
	map->n = kept + 1;
}

void strmap_sort(struct strmap *m)
{
	size_t kept = 0;

	if (m->n < 2)
		return;
	qsort(m->v, m->n, sizeof *m->v, key_compare);
	for (size_t i = 1; i < m->n; i++) {
		if (strcmp(m->v[kept].key, m->v[i].key) == 0) {
			/* The kept place always gets another entry. */
			free(m->v[kept].key);   /* NOLINT(clang-analyzer-unix.Malloc) */
			free(m->v[kept].value); /* NOLINT(clang-analyzer-unix.Malloc) */
		} else {
			kept++;
		}
		if (kept != i)
			m->v[kept] = m->v[i];
	}
	m->n = kept + 1;
}
