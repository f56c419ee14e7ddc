/*
 * The slots of services and the tasks in each, as the cores need them: derived from the store, kept
 * by its events. It points at the store's own objects: after all events of a batch it is as the
 * store is. Called by the cores alone.
 */
#pragma once

#include "base/hash.h"
#include "manager/store.h"

struct slot {
	union {
		const struct task *one; /* n is 1 */
		const struct task **many;
	};
	/* Four cores have a slot for each task: the counts share a word. */
	uint64_t n : 22;
	uint64_t kept : 21;   /* whose desired state is not REMOVE: the slot is taken */
	uint64_t wanted : 21; /* that should run */
};

/* A node is the slot of the tasks that a global service has there. */
struct slot_node {
	char *id;
	struct slot slot;
	UT_hash_handle hh;
};

struct slot_service {
	char *id;
	struct slot *v; /* by slot number */
	size_t n;
	struct slot_node *nodes; /* of a global service */
	size_t tasks;            /* in all */
	size_t used;             /* slots that are taken */
	size_t doubled;          /* slots with more than one wanted task */
	UT_hash_handle hh;
};

struct slots {
	struct slot_service *services;
};

/* One change of a task. */
void slots_event(struct slots *s, const struct task *old, const struct task *new);
void slots_done(struct slots *s);

/* NULL when the service has no task. */
struct slot_service *slots_find(const struct slots *s, const char *service);
/* NULL when the slot has no task. */
const struct slot *slots_at(const struct slots *s, const char *service, uint64_t number);
const struct slot *slots_at_node(const struct slots *s, const char *service, const char *node);
/* The slot of the task's own kind; NULL when the task's events are still to come. */
const struct slot *slots_of(const struct slots *s, const struct task *t);

/* The tasks of a slot, the oldest first. */
static inline const struct task *slot_task(const struct slot *slot, size_t i)
{
	return slot->n == 1 ? slot->one : slot->many[i];
}

/* The newest task that is wanted, or NULL. */
const struct task *slot_wanted(const struct slot *slot);
/* The newest task that is not to be removed, or NULL. */
const struct task *slot_newest(const struct slot *slot);
bool slot_has(const struct slot *slot, const struct task *t);
