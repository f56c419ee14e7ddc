/*
 * The replicated state of the cluster, in memory: typed, immutable, reference-counted objects with
 * indexes, versions and watchers. It changes only by store_apply() and store_swap(), on the loop
 * thread, with what raft committed; applying is deterministic: no clock, no randomness, no I/O.
 * Knows nothing of raft, of sessions, or of what the objects mean beyond their indexes.
 */
#pragma once

#include "manager/changes.h"
#include "manager/tree.h"
#include "model/cluster.h"
#include "model/network.h"
#include "model/node.h"
#include "model/service.h"
#include "model/task.h"

struct store;

struct store *store_new(void);
void store_free(struct store *s);

/* The counter that every applied batch raises by one: Version.Index of what it changed. */
uint64_t store_version(const struct store *s);

/* Objects. What is returned lives until the next change; keep it longer with object_ref(). */
const struct object *store_get(const struct store *s, enum object_kind kind, const char *id);
/* By the name that is unique within the kind (services, networks, the cluster). */
const struct object *store_named(const struct store *s, enum object_kind kind, const char *name);
size_t store_count(const struct store *s, enum object_kind kind);

#define store_cluster(s) ((const struct cluster *)store_named(s, KIND_CLUSTER, "default"))
#define store_node(s, id) ((const struct node *)store_get(s, KIND_NODE, id))
#define store_service(s, id) ((const struct service *)store_get(s, KIND_SERVICE, id))
#define store_task(s, id) ((const struct task *)store_get(s, KIND_TASK, id))
#define store_network(s, id) ((const struct network *)store_get(s, KIND_NETWORK, id))
/* The template that a task runs, NULL when it is gone. */
const struct template *store_template(const struct store *s, const char *service,
				      uint64_t template_version);

/*
 * Walking a kind in the order of ids, the tasks of a service in the order of (template version,
 *id), or those of a node in the order of ids. The store must not change meanwhile (a fork may), and
 *the key must live as long. No end call is needed. struct store_walk w; for (store_walk_kind(&w, s,
 *KIND_NODE); (node = store_walk_next(&w));)
 */
struct store_walk {
	struct tree_walk tree;
	struct store_key {
		const char *id;
		uint64_t version;
	} key;
};
void store_walk_kind(struct store_walk *w, const struct store *s, enum object_kind kind);
/* Continues after the object with this id ("": from the start), for a walk that was left. */
void store_walk_kind_after(struct store_walk *w, const struct store *s, enum object_kind kind,
			   const char *id);
void store_walk_service_tasks(struct store_walk *w, const struct store *s, const char *service);
void store_walk_node_tasks(struct store_walk *w, const struct store *s, const char *node);
/* The templates of one service. */
void store_walk_service_templates(struct store_walk *w, const struct store *s, const char *service);
const void *store_walk_next(struct store_walk *w);

/* Counting, in O(log n). */
size_t store_service_task_count(const struct store *s, const char *service);
size_t store_node_task_count(const struct store *s, const char *node);
/* Tasks that refer to this template; it may go when none does and its service has moved on. */
size_t store_template_users(const struct store *s, const char *service, uint64_t template_version);

/* Watching */
struct store_watch {
	/*
	 * After a batch was applied, once for each of its changes in order. `old` is NULL for a
	 * create, `new` for a delete; both live until the callback returns. The store must not be
	 * changed.
	 */
	void (*changed)(void *arg, const struct object *old, const struct object *new);
	/* After all changes of a batch (or after a swap: `swapped`, everything may differ). */
	void (*applied)(void *arg, uint64_t version, bool swapped);
	void *arg;
	struct store_watch *next; /* the store's */
};
void store_watch_add(struct store *s, struct store_watch *w);
void store_watch_remove(struct store *s, struct store_watch *w);

/* Applying */
enum store_verdict {
	STORE_APPLIED,
	STORE_STALE,   /* a version did not match: "update out of sequence" */
	STORE_EXISTS,  /* a create of an id or name that is taken */
	STORE_MISSING, /* an update or delete of what is not there */
};
struct store_result {
	enum store_verdict verdict;
	uint64_t version; /* the store's after the batch */
	size_t change;    /* which change was refused */
	char id[64];      /* its object */
};
/*
 * Applies an encoded batch whole or not at all. The verdict is an expected outcome (0 is returned);
 * -EBADMSG means that the bytes are damaged, which is a bug or a broken disk.
 */
int store_apply(struct store *s, const void *p, size_t n, struct store_result *ret, struct err *e);
/* The same without going through bytes; the objects of `c` are shared with it from then on. */
void store_apply_changes(struct store *s, const struct changes *c, struct store_result *ret);

/*
 * A fork is a store of its own that starts as `s` is, made in O(1): on it a proposal is built
 * without touching what is committed. It has no watchers. All that is staged on it gets the one
 * version that the entry will get, if nothing else is applied before it.
 */
struct store *store_fork(const struct store *s);
/* Stages the changes from `from` on. On a refusal nothing of them is staged. */
void store_stage(struct store *fork, const struct changes *c, size_t from,
		 struct store_result *ret);
/* Takes the fork back to where it was at the last store_mark(), or at its start. */
void store_mark(struct store *fork);
void store_rewind(struct store *fork);

/* Frees a part of what was dropped; false when nothing is left. Called each turn of the loop. */
bool store_collect(struct store *s);

/* Snapshots: pinned in O(1) on the loop, encoded on any thread, released on the loop. */
struct store_pin;
struct store_pin *store_pin(struct store *s);
/* Appends pieces of the snapshot through `sink` (0, or an error that ends it). */
int store_pin_encode(const struct store_pin *pin, int (*sink)(void *arg, const void *p, size_t n),
		     void *arg);
void store_unpin(struct store *s, struct store_pin *pin);

/* Walking what was pinned, on the loop, piece by piece over many turns. */
void store_pin_walk(struct store_walk *w, const struct store_pin *pin, enum object_kind kind);
uint64_t store_pin_version(const struct store_pin *pin);

/*
 * Restoring, in slices so that the loop is never held: begin, feed all bytes in pieces of any size,
 * finish; then swap the new store's content in (watchers are told once with `swapped`).
 */
struct store_load;
struct store_load *store_load_new(void);
int store_load_feed(struct store_load *l, const void *p, size_t n, struct err *e);
/* -EBADMSG when the snapshot is cut short. */
int store_load_finish(struct store_load *l, struct err *e);
void store_load_free(struct store_load *l);
void store_swap(struct store *s, struct store_load *l);
