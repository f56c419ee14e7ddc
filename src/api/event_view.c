/*
 * Events as the Engine API shows them. See event_view.h.
 */
#include "api/event_view.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

const char *const event_filter_keys[] = {"config", "container", "daemon", "event",  "image",
					 "label",  "network",   "node",   "plugin", "scope",
					 "secret", "service",   "type",   "volume", NULL};

static const char *attribute(const struct engine_event *ev, const char *key)
{
	const char *value = ev->attributes ? strmap_get(ev->attributes, key) : NULL;

	return value ? value : "";
}

/* "exec_create: ls" is the event "exec_create". */
static bool action_matches(const struct filters *f, const struct engine_event *ev)
{
	const char *colon = strchr(ev->action, ':');
	auto_free char *head = colon ? xstrndup(ev->action, (size_t)(colon - ev->action)) : NULL;

	return filters_match(f, "event", ev->action) || (head && filters_match(f, "event", head));
}

/* A filter by kind of object wants events of that kind, by id or by name. */
static bool object_matches(const struct filters *f, const struct engine_event *ev, const char *kind)
{
	return !filters_has(f, kind) ||
	       (strcmp(ev->type, kind) == 0 &&
		(filters_match_prefix(f, kind, ev->id) ||
		 (*attribute(ev, "name") && filters_match_prefix(f, kind, attribute(ev, "name")))));
}

/* Container events have their image as an attribute; a filter may leave the tag out. */
static bool image_matches(const struct filters *f, const struct engine_event *ev)
{
	const char *names[] = {ev->id, attribute(ev, "name"), attribute(ev, "image")};

	if (!filters_has(f, "image"))
		return true;
	if (strcmp(ev->type, "image") != 0 && strcmp(ev->type, "container") != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *slash = strrchr(names[i], '/');
		const char *tag = strchr(slash ? slash : names[i], ':');
		auto_free char *bare =
			xstrndup(names[i], tag ? (size_t)(tag - names[i]) : strlen(names[i]));

		if (*names[i] &&
		    (filters_match(f, "image", names[i]) || filters_match(f, "image", bare)))
			return true;
	}
	return false;
}

bool event_passes(const struct filters *f, const struct engine_event *ev)
{
	static const char *const kinds[] = {"config", "container", "daemon",  "network", "node",
					    "plugin", "secret",    "service", "volume"};
	static const struct strmap none;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!object_matches(f, ev, kinds[i]))
			return false;
	return action_matches(f, ev) && image_matches(f, ev) &&
	       filters_match(f, "type", ev->type) && filters_match(f, "scope", ev->scope) &&
	       filters_match_labels(f, "label", ev->attributes ? ev->attributes : &none);
}

/* JSON; all of it lent. */

struct actor_view {
	char *id;
	struct strmap attributes;
};
#define T struct actor_view
static const struct field actor_view_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_STRMAP(T, 0, attributes, "Attributes", 0),
};
#undef T
static TABLE_DEFINE(actor_view, actor_view_fields);

/* The first three are an older form, for containers and images alone. */
struct event_view {
	char *status;
	char *id;
	char *from;
	char *type;
	char *action;
	struct actor_view actor;
	char *scope;
	int64_t time_s;
	int64_t time_ns;
};
#define T struct event_view
static const struct field event_view_fields[] = {
	FIELD_STR(T, 0, status, "status", FIELD_OMIT),
	FIELD_STR(T, 0, id, "id", FIELD_OMIT),
	FIELD_STR(T, 0, from, "from", FIELD_OMIT),
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STR(T, 0, action, "Action", 0),
	FIELD_OBJ(T, 0, actor, "Actor", 0, actor_view),
	FIELD_STR(T, 0, scope, "scope", 0),
	FIELD_I64(T, 0, time_s, "time", 0),
	FIELD_I64(T, 0, time_ns, "timeNano", 0),
};
#undef T
static TABLE_DEFINE(event_view, event_view_fields);

void event_render(const struct engine_event *ev, struct buf *ret)
{
	struct event_view view = {
		.type = (char *)ev->type,
		.action = (char *)ev->action,
		.actor = {.id = (char *)ev->id},
		.scope = (char *)ev->scope,
		.time_s = ev->time_ns / NS_PER_SEC,
		.time_ns = ev->time_ns,
	};

	if (ev->attributes)
		view.actor.attributes = *ev->attributes;
	if (strcmp(ev->type, "container") == 0 || strcmp(ev->type, "image") == 0) {
		view.status = (char *)ev->action;
		view.id = (char *)ev->id;
		view.from = (char *)attribute(ev, "image");
	}
	(void)json_write(&event_view_table, &view, ret);
	(void)buf_addc(ret, '\n');
}
