/*
 * What the files of the updater share. Included by core_update*.c alone.
 *
 * A *place* is where a service wants one task: a slot of a replicated service, known by its number,
 * or a node of a global one, known by its id. What a place is in the midst of is told by its tasks
 * and the marks on them, never by what the updater remembers.
 */
#pragma once

#include "manager/core_impl.h"
#include "manager/service_spec.h"

enum place_state {
	PLACE_SETTLED, /* nothing is to be done here */
	PLACE_STALE,   /* it has an older template and waits for its turn */
	PLACE_RETRIED, /* the same, after a new task failed beside the old one; not before `until`
			*/
	PLACE_COMING,  /* its new task is on its way; it has failed by `until` */
	PLACE_RESTING, /* it came up or failed: the next one waits until `until` (the delay) */
	PLACE_WATCHED, /* it is up, and a failure before `until` counts (the monitor) */
	PLACE_UP,      /* its new task has come up: to be noted */
	PLACE_FAILED,  /* it has failed: to be counted */
	PLACE_DOUBLED, /* tasks are wanted beside the ones that should be */
};

struct place {
	enum place_state state;
	int64_t until;           /* INT64_MAX: not by time */
	const struct task *task; /* COMING, UP, FAILED: the new one */
	bool runs;               /* STALE: something runs there */
	bool again;              /* FAILED: this place has failed in this run before */
};

/* Which of an older service's templates fit the one it has, as far as they were compared. */
struct fits {
	uint64_t version; /* the service's */
	struct {
		uint64_t version;
		enum template_fit fit;
	} v[4];
	size_t n;
};

/* A look at a place: what it goes by. */
struct place_look {
	const struct store *store;
	const struct service *svc;
	const struct update_rules *rules;
	int64_t deadline; /* ns; 0: none */
	int64_t now_ns;
	struct fits *fits;
};
void place_look(const struct place_look *l, const struct slot *slot, struct place *ret);
/* Of a place that is UP: notes it on the new task, and shuts the old one down. */
void place_settle(const struct slot *slot, const struct task *up, struct core_step *step);
/* Shuts down what is wanted too many in a place that is DOUBLED. */
void place_thin(const struct place_look *l, const struct slot *slot, struct core_step *step);
/* Makes the new task of a STALE place, and shuts the old one down where the order says so. */
void place_replace(const struct place_look *l, const struct slot *slot, struct core_step *step);

/* The place of a service by its key; NULL when it has no task. */
const struct slot *place_find(const struct slots *slots, const struct service *svc,
			      const char *key);
/* The key of the place that a task belongs to; false when it belongs to none. */
bool place_key(const struct task *t, char ret[IDSET_ID_MAX]);

/* A place that this run has begun and that is not settled yet. */
struct open_place {
	enum place_state state;
	bool waits; /* its task cannot go on, and says why */
	UT_hash_handle hh;
	char key[];
};

enum queue { QUEUE_IDLE, QUEUE_RUNNING, QUEUE_RETRY, QUEUES };

/* One service under an update. What of it is worked out here is thrown away with each run. */
struct update {
	char *id;
	uint64_t run, spec_version;
	bool searched; /* all places were looked at */
	size_t pos;    /* the next slot to look at */
	char *node;    /* or the last node that was looked at */
	struct idset queue[QUEUES];
	struct idset touched; /* places to be looked at again */
	struct wakes wakes;   /* of places */
	struct open_place *open;
	size_t busy;    /* of them COMING or RESTING: what parallelism counts */
	size_t waiting; /* of them whose task cannot go on */
	struct fits fits;
	UT_hash_handle hh;
};

struct core_update {
	struct core core;
	struct slots slots;
	struct idset dirty; /* services */
	struct wakes wakes; /* of services */
	struct update *updates;
};

/* One step of one service. */
struct update_step {
	struct core_update *c;
	struct update *u;
	struct core_step *step;
	size_t start;
	size_t *looks;
	const struct service *svc;
	struct service *edit; /* what becomes of it, NULL: nothing yet */
	struct update_rules rules;
	struct place_look look;
	char failed[ID_CLUSTER_LEN + 1]; /* the task whose failure was counted last */
};

/* The parts of a step. False when it has to go on in the next step. */
bool update_search(struct update_step *s);
bool update_touched(struct update_step *s);
/* Begins the run, ends it, replaces what is next, tells what it waits for. */
void update_go_on(struct update_step *s);
void update_clear(struct update *u);

/* The copy of the service that this step writes. */
struct service *update_edit(struct update_step *s);
/* What follows from a failure that was counted. */
void update_judge(struct update_step *s);
void update_explain(struct update_step *s);
