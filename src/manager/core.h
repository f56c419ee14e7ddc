/*
 * The shape of the manager's cores: orchestrators, restart supervisor, allocator, scheduler,
 * reaper, constraint enforcer. A core is a step function: given the store and the time it yields
 * changes; it has no other effect, and no clock, randomness or I/O of its own. What it keeps
 * between steps is only derived from the store (what is dirty, sums a node), told by events and
 * rebuilt by core_reset() when leadership starts. The leader runs all cores in turn between two
 * proposals; a step sees the store with all earlier steps applied.
 */
#pragma once

#include "base/id.h"
#include "manager/changes.h"
#include "manager/store.h"

#define CORE_IDLE INT64_MAX

struct measures;

/* What a step is given besides the store. */
struct core_step {
	const struct store *store;
	int64_t now_ns; /* wall clock of the leader; never goes back between steps */
	/* A fresh object id; the proposer's randomness. */
	void (*new_id)(void *arg, char ret[ID_CLUSTER_LEN + 1]);
	void *new_id_arg;
	const struct measures *measures; /* of tasks, by their agents; NULL: there are none */
	struct changes *out; /* stop adding when changes_fit() says so; the rest comes next step */
	bool behind;         /* the core's own: its events lag behind the store it was given */
};

struct core;
/* Kinds of objects that a core derives from, at most. */
#define CORE_DERIVES_MAX 5

/* What one core is. Whatever may be NULL or empty is left out of its initialiser. */
struct core_class {
	const char *name;
	size_t size; /* of its struct, which begins with the struct core */
	/* What it begins with besides zeros, or NULL; and its end, which frees what it keeps. */
	void (*init)(struct core *c);
	void (*done)(struct core *c);
	/* The kinds whose objects it is told of as if they were new, in this order. */
	enum object_kind derives[CORE_DERIVES_MAX];
	/* After that: what it derives of its own sums. Short, as it is one piece; or NULL. */
	void (*derived)(struct core *c, const struct store *s);
	/*
	 * One applied change: `old` NULL for a create, `new` for a delete. Cheap. NULL: objects of
	 * the kind mean nothing to it.
	 */
	void (*cluster)(struct core *c, const struct store *s, const struct cluster *old,
			const struct cluster *new);
	void (*node)(struct core *c, const struct store *s, const struct node *old,
		     const struct node *new);
	void (*service)(struct core *c, const struct store *s, const struct service *old,
			const struct service *new);
	void (*template)(struct core *c, const struct store *s, const struct template *old,
			 const struct template *new);
	void (*task)(struct core *c, const struct store *s, const struct task *old,
		     const struct task *new);
	void (*network)(struct core *c, const struct store *s, const struct network *old,
			const struct network *new);
	/*
	 * Adds its changes to step->out. Returns the wall time (ns) at which it wants to step again
	 * though nothing changed, or CORE_IDLE. Must be cheap when nothing is dirty: O(1).
	 */
	int64_t (*step)(struct core *c, struct core_step *step);
};
struct core {
	const struct core_class *class;
};

struct core *core_new(const struct core_class *class);
void core_free(struct core *c);
/*
 * Forgets all and derives it again: leadership starts, or the store was swapped. In pieces, as the
 * loop is not to be held while a hundred thousand tasks are looked at: `at` begins as zeros, and
 * the store stays as it is until false says that all the cores have all.
 */
#define CORE_DERIVE_OBJECTS 1000 /* a piece */
struct core_derive {
	size_t core, kind;
	bool walking;
	struct store_walk walk;
};
bool core_derive(struct core *const *cores, size_t n, const struct store *s,
		 struct core_derive *at);
/* One core, at once. */
void core_reset(struct core *c, const struct store *s);
/* One applied change, of whatever kind. */
void core_event(struct core *c, const struct store *s, const struct object *old,
		const struct object *new);

struct core *core_replicated_new(void); /* slots of replicated services, scaling, replacement */
struct core *core_update_new(void);     /* changed templates: rolling updates and rollbacks */
struct core *core_rebalance_new(void);  /* running tasks to where there are fewer */
struct core *core_global_new(void);     /* a task on each node that fits: global services, jobs */
struct core *core_job_new(void);        /* completions of replicated jobs */
struct core *core_cron_new(void);       /* iterations of scheduled jobs */
struct core *core_depends_new(void);    /* whether what a service waits for has come */
struct core *core_autoscale_new(void);  /* replicas by what tasks use */
struct core *core_restart_new(void);    /* failed tasks: policy, delay, attempts, window */
struct core *core_reaper_new(void);     /* old finished tasks, unused templates, removed services */
struct core *core_enforcer_new(void);   /* constraints and reservations that no longer hold */
struct core *core_allocator_new(void);  /* addresses, VXLAN ids, VIPs; NEW to PENDING */
struct core *core_scheduler_new(void);  /* PENDING to ASSIGNED; feeds scheduler/ */

/* All of them, in the order in which a leader lets them step. */
enum core_index {
	CORE_REPLICATED,
	CORE_GLOBAL,
	CORE_JOB,
	CORE_CRON,
	CORE_UPDATE,
	CORE_REBALANCE,
	CORE_RESTART,
	CORE_ENFORCER,
	CORE_REAPER,
	CORE_DEPENDS,
	CORE_ALLOCATOR,
	CORE_SCHEDULER,
	CORE_AUTOSCALE,
	CORE_COUNT
};
extern struct core *(*const core_makers[CORE_COUNT])(void);
