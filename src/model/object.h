/*
 * What all objects of the cluster's store have in common. An object is immutable once it is in the
 * store: a change makes a new one. Each kind's struct starts with a `struct object`, so that the
 * store can hold them without knowing them. Used by manager, agent, api and scheduler.
 */
#pragma once

#include "base/table.h"

/* Numbers are in the raft log and in snapshots: never used again once released. */
enum object_kind {
	KIND_NONE = 0,
	KIND_CLUSTER = 1,
	KIND_NODE = 2,
	KIND_SERVICE = 3,
	KIND_TEMPLATE = 4, /* one version of a service's task template; see model/service.h */
	KIND_TASK = 5,
	KIND_NETWORK = 6,
	KIND_SECRET = 7,
	KIND_CONFIG = 8,
	KIND_MAX, /* kinds from here to KIND_LIMIT are of later versions, and kept as they came */
	KIND_LIMIT = 64
};

/* The Engine API's {"Index": n}. */
struct version {
	uint64_t index;
};
extern const struct table version_table;

struct object {
	enum object_kind kind;
	unsigned refs;          /* the store's; touched on the loop thread alone */
	char *id;               /* 25 characters of base36 (a template: "SERVICE.VERSION") */
	struct version version; /* the store's counter when it was last changed; set by apply */
	int64_t created;        /* wall clock of the proposer, ns */
	int64_t updated;
};

/* The rows of `struct object`, first in every kind's table; numbers 1 to 9 are kept for them. */
#define OBJECT_FIELDS(T)                                                                   \
	FIELD_STR(T, 1, o.id, "ID", 0), FIELD_OBJ(T, 0, o.version, "Version", 0, version), \
		FIELD_TIME(T, 2, o.created, "CreatedAt", 0),                               \
		FIELD_TIME(T, 3, o.updated, "UpdatedAt", 0)

/*
 * The table of a kind below KIND_LIMIT. That of a kind of a later version knows only what all have
 * in common and keeps the rest, so that such objects can be stored and passed on.
 */
const struct table *object_table(enum object_kind kind);
/* "service", "node", …: for messages and events. */
const char *object_kind_name(enum object_kind kind);
/* The kind's `name` that users give and that is unique among its kind; NULL where it has none. */
const char *object_name(const struct object *o);

/* A new zeroed object of the kind with one reference, its id copied. */
void *object_new(enum object_kind kind, const char *id, int64_t now_ns);
/* A deep copy with one reference, to be changed and then given to the store. */
void *object_clone(const struct object *o);
/* Counting references; the loop thread's alone. The last unref frees. NULL is allowed. */
const struct object *object_ref(const struct object *o);
void object_unref(const struct object *o);

/* Frees the object whatever its count says: for those never given to the store. NULL is allowed. */
void object_free(struct object *o);
