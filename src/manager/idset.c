/*
 * See idset.h.
 */
#include "manager/idset.h"

#include <assert.h>
#include <string.h>

static struct idset_entry *entry_find(const struct idset *s, const char *id)
{
	struct idset_entry *e;

	HASH_FIND(hh, s->head, id, strlen(id), e);
	return e;
}

bool idset_add(struct idset *s, const char *id)
{
	size_t n = strlen(id);
	struct idset_entry *e;

	assert(n < IDSET_ID_MAX);
	if (entry_find(s, id))
		return false;
	e = xmalloc(sizeof *e + n + 1);
	memcpy(e->id, id, n + 1);
	HASH_ADD_KEYPTR(hh, s->head, e->id, n, e);
	return true;
}

bool idset_remove(struct idset *s, const char *id)
{
	struct idset_entry *e = entry_find(s, id);

	if (!e)
		return false;
	HASH_DEL(s->head, e);
	free(e);
	return true;
}

bool idset_has(const struct idset *s, const char *id)
{
	return entry_find(s, id) != NULL;
}

size_t idset_count(const struct idset *s)
{
	return HASH_COUNT(s->head);
}

void idset_done(struct idset *s)
{
	struct idset_entry *e, *next;

	HASH_ITER (hh, s->head, e, next) {
		HASH_DEL(s->head, e);
		free(e);
	}
}
