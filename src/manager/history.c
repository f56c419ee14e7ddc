/*
 * See history.h. Templates are in the ring as well, unseen, so that what the tasks' changes keep
 * of them is counted.
 */
#include "manager/history.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/secret.h"

#define TASK_BYTES 1024 /* about what a task takes */
#define OBJECT_BYTES 512

struct history {
	struct store *store;
	struct store_watch watch;
	struct history_entry *ring; /* LIMIT_WATCH_CHANGES, the change at `place` in place % that */
	uint64_t first, end;        /* places */
	uint64_t fresh;             /* of the first of the batch that is being told */
	uint64_t oldest, version;
	size_t bytes;
	bool full; /* something was forgotten since the start */
	struct buf scratch;
	struct history_follower *followers;
	struct history_follower *next; /* of a walk through them */
};

bool object_is_going(const struct object *o)
{
	return (o->kind == KIND_NETWORK && ((const struct network *)o)->pending_delete) ||
	       (o->kind == KIND_SERVICE && ((const struct service *)o)->pending_delete);
}

/* ---- The ring ---- */

static struct history_entry *entry_at(const struct history *h, uint64_t place)
{
	return &h->ring[place % LIMIT_WATCH_CHANGES];
}

static void forget_first(struct history *h)
{
	struct history_entry *e = entry_at(h, h->first);

	if (h->first++ < h->fresh) /* else the batch is being told, and has no version yet */
		h->oldest = e->version;
	h->bytes -= e->bytes;
	object_unref(e->o);
	if (e->template)
		object_unref(&e->template->o);
}

static size_t size_of(struct history *h, const struct object *o)
{
	if (o->kind == KIND_TASK)
		return TASK_BYTES;
	buf_reset(&h->scratch);
	(void)tlv_write(object_table(o->kind), o, &h->scratch);
	return OBJECT_BYTES + h->scratch.len;
}

/* A secret or config without its bytes. */
static const struct object *without_bytes(const struct object *o)
{
	struct secret_spec spec = ((const struct secret *)o)->spec;
	struct secret *copy = object_new(o->kind, o->id, o->created);

	copy->o.version = o->version;
	copy->o.updated = o->updated;
	spec.data = (struct bytes){0};
	table_copy(&secret_spec_table, &copy->spec, &spec);
	return &copy->o;
}

static const struct object *kept(const struct object *o)
{
	return o->kind == KIND_SECRET || o->kind == KIND_CONFIG ? without_bytes(o) : object_ref(o);
}

static const struct template *template_of(const struct history *h, const struct task *t)
{
	const struct template *tpl = store_template(h->store, t->service, t->template_version);

	if (tpl)
		(void)object_ref(&tpl->o);
	return tpl;
}

static void add(struct history *h, enum history_action action, const struct object *o)
{
	struct history_entry *e;

	while (h->first < h->end &&
	       (h->end - h->first >= LIMIT_WATCH_CHANGES || h->bytes >= LIMIT_WATCH_BYTES)) {
		h->full = true;
		forget_first(h);
	}
	e = entry_at(h, h->end++);
	*e = (struct history_entry){.action = action, .o = kept(o)};
	e->bytes = size_of(h, e->o);
	if (o->kind == KIND_TASK)
		e->template = template_of(h, (const struct task *)o);
	h->bytes += e->bytes;
}

/* ---- The store ---- */

static bool is_told(const struct object *o)
{
	return o->kind < KIND_MAX && o->kind != KIND_CLUSTER;
}

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	struct history *h = arg;

	if (!is_told(new ? new : old))
		return;
	if (old && object_is_going(old))
		old = NULL;
	if (new &&object_is_going(new))
		new = NULL;
	if (new)
		add(h, old ? HISTORY_UPDATE : HISTORY_CREATE, new);
	else if (old)
		add(h, HISTORY_REMOVE, old);
}

static void tell_lost(struct history *h, const char *why)
{
	for (struct history_follower *f = h->followers; f; f = h->next) {
		h->next = f->next;
		f->lost(f->arg, why);
	}
}

static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct history *h = arg;

	h->version = version;
	if (swapped) {
		while (h->first < h->end)
			forget_first(h);
		h->oldest = version;
		h->fresh = h->end;
		h->full = false;
		tell_lost(h, "the manager's state was replaced by a snapshot");
		return;
	}
	/* Their batch's version is known only now. */
	for (uint64_t at = MAX_OF(h->fresh, h->first); at < h->end; at++)
		entry_at(h, at)->version = version;
	if (h->first > h->fresh)
		h->oldest = version; /* it has forgotten some of itself */
	h->fresh = h->end;
	for (struct history_follower *f = h->followers; f; f = h->next) {
		h->next = f->next;
		f->news(f->arg);
	}
}

struct history *history_new(struct store *s)
{
	struct history *h = xcalloc(1, sizeof *h);

	h->store = s;
	h->ring = xcalloc(LIMIT_WATCH_CHANGES, sizeof *h->ring);
	h->oldest = h->version = store_version(s);
	h->scratch = BUF_INIT(LIMIT_JSON_BODY);
	h->watch = (struct store_watch){.changed = on_changed, .applied = on_applied, .arg = h};
	store_watch_add(s, &h->watch);
	return h;
}

void history_free(struct history *h)
{
	store_watch_remove(h->store, &h->watch);
	tell_lost(h, "the manager stops");
	while (h->first < h->end)
		forget_first(h);
	buf_done(&h->scratch);
	free(h->ring);
	free(h);
}

/* ---- Following ---- */

void history_follow(struct history *h, struct history_follower *f)
{
	f->prev = NULL;
	f->next = h->followers;
	if (f->next)
		f->next->prev = f;
	h->followers = f;
}

void history_unfollow(struct history *h, struct history_follower *f)
{
	if (h->next == f)
		h->next = f->next;
	if (f->prev)
		f->prev->next = f->next;
	else
		h->followers = f->next;
	if (f->next)
		f->next->prev = f->prev;
}

uint64_t history_version(const struct history *h)
{
	return h->version;
}

uint64_t history_oldest(const struct history *h)
{
	return h->oldest;
}

int history_find(const struct history *h, uint64_t version, uint64_t *ret_place, struct err *e)
{
	uint64_t low = h->first, high = h->end;

	if (version < h->oldest)
		return err_set(e, -EOVERFLOW,
			       "the changes after version %" PRIu64
			       " are not all remembered, but those after %" PRIu64
			       ": list again, and watch from the version that the list tells",
			       version, h->oldest);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (entry_at(h, middle)->version > version)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_place = low;
	return 0;
}

const struct history_entry *history_at(const struct history *h, uint64_t place)
{
	return place >= h->first && place < h->end ? entry_at(h, place) : NULL;
}

uint64_t history_end(const struct history *h)
{
	return h->end;
}

bool history_is_behind(const struct history *h, uint64_t place)
{
	uint64_t n = h->end - h->first;

	return place < h->first || (h->full && h->end - place > n - n / 4);
}
