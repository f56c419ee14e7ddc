/*
 * See vault.h.
 */
#include "agent/vault.h"

#include <string.h>
#include <uthash.h>

#include "base/mem.h"
#include "base/secret_memory.h"

struct entry {
	char *id;
	struct vault_item item;
	void *data;
	UT_hash_handle hh;
};

struct vault {
	struct entry *entries;
};

struct vault *vault_new(void)
{
	return xcalloc(1, sizeof(struct vault));
}

static void entry_free(struct entry *e)
{
	secret_free(e->data, e->item.n);
	free(e->id);
	free(e);
}

void vault_free(struct vault *v)
{
	struct entry *e, *next;

	if (!v)
		return;
	HASH_ITER (hh, v->entries, e, next) {
		HASH_DEL(v->entries, e);
		entry_free(e);
	}
	free(v);
}

static struct entry *find(const struct vault *v, const char *id)
{
	struct entry *e;

	HASH_FIND_STR(v->entries, id, e);
	return e;
}

void vault_put(struct vault *v, const struct session_secret *s)
{
	struct entry *e;

	if (find(v, s->id))
		return;
	e = xcalloc(1, sizeof *e);
	e->id = xstrdup(s->id);
	e->data = secret_copy(s->data.p, s->data.n);
	e->item = (struct vault_item){s->templated, e->data, s->data.n};
	HASH_ADD_KEYPTR(hh, v->entries, e->id, strlen(e->id), e);
}

const struct vault_item *vault_get(const struct vault *v, const char *id)
{
	struct entry *e = find(v, id);

	return e ? &e->item : NULL;
}

void vault_retain(struct vault *v, bool (*used)(void *arg, const char *id), void *arg)
{
	struct entry *e, *next;

	HASH_ITER (hh, v->entries, e, next) {
		if (used(arg, e->id))
			continue;
		HASH_DEL(v->entries, e);
		entry_free(e);
	}
}
