/*
 * See watch.h. A version may have several changes: the last line of each says that it is the last,
 * so that whoever stops knows up to where it has everything.
 */
#include <inttypes.h>
#include <string.h>

#include "api/watch.h"
#include "base/mem.h"

#define LOOKED_MAX 4096                          /* changes looked at before the loop goes on */
#define PROGRESS_AFTER (LIMIT_WATCH_CHANGES / 8) /* changes that are not wanted */

const char *const watch_filter_keys[] = {"kind", "id", "action", "service", "node", NULL};

static const char *const kinds[] = {"node", "service", "task", "network", "secret", "config"};
static const char *const actions[] = {
	[HISTORY_CREATE] = "create", [HISTORY_UPDATE] = "update", [HISTORY_REMOVE] = "remove"};

static int values_check(const struct filters *f, const char *key, const char *const *allowed,
			size_t n, struct err *e)
{
	const char *value;

	for (size_t i = 0; (value = filters_value(f, key, i)); i++) {
		bool found = false;

		for (size_t k = 0; k < n; k++)
			found = found || strcmp(allowed[k], value) == 0;
		if (!found)
			return err_set(e, -EINVAL, "invalid filter '%s=%.40s'", key, value);
	}
	return 0;
}

int watch_filters_check(const struct filters *f, struct err *e)
{
	int rc = values_check(f, "kind", kinds, ARRAY_LEN(kinds), e);

	return rc == 0 ? values_check(f, "action", actions, ARRAY_LEN(actions), e) : rc;
}

/* Of a task; what is none has neither. */
static bool is_of(const struct filters *f, const char *key, const struct object *o)
{
	const struct task *t = (const struct task *)o;
	const char *id;

	if (!filters_has(f, key))
		return true;
	if (o->kind != KIND_TASK)
		return strcmp(key, object_kind_name(o->kind)) == 0 && filters_match(f, key, o->id);
	id = strcmp(key, "node") == 0 ? t->node : t->service;
	return id && filters_match(f, key, id);
}

static bool is_wanted(const struct watcher *w, const struct history_entry *e)
{
	const struct object *o = e->o;

	return o->kind != KIND_TEMPLATE &&
	       filters_match(&w->filters, "kind", object_kind_name(o->kind)) &&
	       filters_match(&w->filters, "action", actions[e->action]) &&
	       filters_match_prefix(&w->filters, "id", o->id) && is_of(&w->filters, "service", o) &&
	       is_of(&w->filters, "node", o);
}

static void object_write(const struct watcher *w, const struct history_entry *e, struct buf *ret)
{
	switch (e->o->kind) {
	case KIND_NODE:
		(void)json_write(&node_table, e->o, ret);
		break;
	case KIND_SERVICE:
		api_service_write((const struct service *)e->o, ret);
		break;
	case KIND_TASK:
		api_task_write(w->store, (const struct task *)e->o, e->template, ret);
		break;
	case KIND_NETWORK:
		api_network_write((const struct network *)e->o, ret);
		break;
	default:
		api_secret_write(e->o, ret);
		break;
	}
}

static void held_write(struct watcher *w, bool last, struct buf *ret)
{
	const struct history_entry *e = history_at(w->history, w->held);

	(void)buf_addf(ret,
		       "{\"version\":%" PRIu64
		       ",\"action\":\"%s\",\"kind\":\"%s\",\"id\":\"%s\",\"last\":%s,\"object\":",
		       e->version, actions[e->action], object_kind_name(e->o->kind), e->o->id,
		       last ? "true" : "false");
	object_write(w, e, ret);
	(void)buf_adds(ret, "}\n");
	w->has_held = false;
	w->passed = 0;
	if (last)
		w->done = e->version;
}

static void progress_write(struct watcher *w, struct buf *ret)
{
	(void)buf_addf(ret, "{\"version\":%" PRIu64 ",\"action\":\"progress\"}\n", w->done);
	w->passed = 0;
}

/* The changes of another version begin, or there are no more: what came before is complete. */
static void version_over(struct watcher *w, struct buf *ret)
{
	if (w->has_held)
		held_write(w, true, ret);
	w->done = MAX_OF(w->done, w->looked_version);
	if (w->passed >= PROGRESS_AFTER)
		progress_write(w, ret);
}

bool watcher_lines(struct watcher *w, size_t enough, struct buf *ret)
{
	const struct history_entry *e;

	for (unsigned looked = 0; looked < LOOKED_MAX && ret->len < enough; looked++) {
		e = history_at(w->history, w->place);
		if (!e || e->version != w->looked_version)
			version_over(w, ret);
		if (!e)
			return false;
		w->looked_version = e->version;
		w->passed++;
		if (is_wanted(w, e)) {
			if (w->has_held)
				held_write(w, false, ret);
			w->held = w->place;
			w->has_held = true;
		}
		w->place++;
	}
	return true;
}

int watcher_begin(struct watcher *w, const struct store *s, const struct history *h, uint64_t from,
		  struct filters *filters, struct buf *ret, struct err *e)
{
	uint64_t place;
	int rc = history_find(h, from, &place, e);

	if (rc < 0)
		return rc;
	*w = (struct watcher){.store = s,
			      .history = h,
			      .filters = *filters,
			      .place = place,
			      .done = from,
			      .looked_version = from};
	*filters = (struct filters){0};
	progress_write(w, ret);
	return 0;
}

void watcher_done(struct watcher *w)
{
	filters_done(&w->filters);
}

void watcher_end(const struct watcher *w, const char *why, struct buf *ret)
{
	auto_free char *text =
		xasprintf("%s: watch from version %" PRIu64
			  " again, and if that is refused list again and watch from there",
			  why, w->done);

	(void)buf_addf(ret, "{\"version\":%" PRIu64 ",\"action\":\"error\",\"error\":", w->done);
	(void)json_quote(ret, text, strlen(text));
	(void)buf_adds(ret, "}\n");
}
