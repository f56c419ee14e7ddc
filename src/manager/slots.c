/*
 * See slots.h. Most slots have one task, so that one is kept without an array.
 */
#include "manager/slots.h"

#include <assert.h>
#include <string.h>

struct slot_service *slots_find(const struct slots *s, const char *service)
{
	struct slot_service *found;

	HASH_FIND(hh, s->services, service, strlen(service), found);
	return found;
}

const struct slot *slots_at(const struct slots *s, const char *service, uint64_t number)
{
	const struct slot_service *found = slots_find(s, service);

	return found && number < found->n && found->v[number].n ? &found->v[number] : NULL;
}

static struct slot_node *node_find(const struct slot_service *service, const char *id)
{
	struct slot_node *node;

	HASH_FIND(hh, service->nodes, id, strlen(id), node);
	return node;
}

const struct slot *slots_at_node(const struct slots *s, const char *service, const char *node)
{
	const struct slot_service *found = slots_find(s, service);
	const struct slot_node *at = found ? node_find(found, node) : NULL;

	return at ? &at->slot : NULL;
}

const struct slot *slots_of(const struct slots *s, const struct task *t)
{
	return t->global ? slots_at_node(s, t->service, t->node) : slots_at(s, t->service, t->slot);
}

static struct slot_service *service_get(struct slots *s, const char *id)
{
	struct slot_service *service = slots_find(s, id);

	if (service)
		return service;
	service = xcalloc(1, sizeof *service);
	service->id = xstrdup(id);
	HASH_ADD_KEYPTR(hh, s->services, service->id, strlen(service->id), service);
	return service;
}

static struct slot *node_slot_get(struct slot_service *service, const char *id)
{
	struct slot_node *node = node_find(service, id);

	if (!node) {
		node = xcalloc(1, sizeof *node);
		node->id = xstrdup(id);
		HASH_ADD_KEYPTR(hh, service->nodes, node->id, strlen(node->id), node);
	}
	return &node->slot;
}

static struct slot *slot_get(struct slot_service *service, const struct task *t)
{
	uint64_t number = t->slot;

	if (t->global)
		return node_slot_get(service, t->node);
	if (number >= service->n) {
		size_t n = MAX_OF(service->n + service->n / 4, (size_t)number + 1);

		service->v = xreallocarray(service->v, n, sizeof *service->v);
		memset(service->v + service->n, 0, (n - service->n) * sizeof *service->v);
		service->n = n;
	}
	return &service->v[number];
}

/* By age; the id decides between two of one moment. */
static bool task_older(const struct task *a, const struct task *b)
{
	if (a->o.created != b->o.created)
		return a->o.created < b->o.created;
	return strcmp(a->o.id, b->o.id) < 0;
}

static void slot_insert(struct slot *slot, const struct task *t)
{
	const struct task *one = slot->one;
	size_t at;

	assert(slot->n < 1u << 21); /* LIMIT_TASK_HISTORY is far below */
	if (!slot->n++) {
		slot->one = t;
		return;
	}
	if (slot->n == 2) {
		slot->many = xmalloc(2 * sizeof(struct task *));
		slot->many[0] = one;
	} else {
		slot->many = xreallocarray(slot->many, slot->n, sizeof(struct task *));
	}
	for (at = slot->n - 1; at > 0 && task_older(t, slot->many[at - 1]); at--)
		slot->many[at] = slot->many[at - 1];
	slot->many[at] = t;
}

static size_t slot_find(const struct slot *slot, const struct task *t)
{
	for (size_t i = 0; i < slot->n; i++)
		if (slot_task(slot, i) == t)
			return i;
	assert(!"a task that the slot does not have");
	return 0;
}

static void slot_remove(struct slot *slot, const struct task *t)
{
	size_t at = slot_find(slot, t);

	if (!--slot->n) {
		slot->one = NULL;
		return;
	}
	memmove(slot->many + at, slot->many + at + 1, (slot->n - at) * sizeof(struct task *));
	if (slot->n == 1) {
		const struct task *last = slot->many[0];

		free(slot->many);
		slot->one = last;
	}
}

/* What the task is for the counts; `sign` is 1 or -1. */
static void slot_count(struct slot_service *service, struct slot *slot, const struct task *t,
		       int sign)
{
	bool used = slot->kept > 0, doubled = slot->wanted > 1;

	slot->kept += t->desired != TASK_REMOVE ? (uint64_t)sign : 0;
	slot->wanted += task_is_wanted(t) ? (uint64_t)sign : 0;
	service->used += (size_t)(slot->kept > 0) - (size_t)used;
	service->doubled += (size_t)(slot->wanted > 1) - (size_t)doubled;
}

static void task_add(struct slots *s, const struct task *t)
{
	struct slot_service *service = service_get(s, t->service);

	slot_insert(slot_get(service, t), t);
	slot_count(service, slot_get(service, t), t, 1);
	service->tasks++;
}

static void node_free(struct slot_service *service, struct slot_node *node)
{
	HASH_DEL(service->nodes, node);
	if (node->slot.n > 1)
		free(node->slot.many);
	free(node->id);
	free(node);
}

static void service_free(struct slots *s, struct slot_service *service)
{
	struct slot_node *node, *next;

	for (size_t i = 0; i < service->n; i++)
		if (service->v[i].n > 1)
			free(service->v[i].many);
	HASH_ITER (hh, service->nodes, node, next)
		node_free(service, node);
	HASH_DEL(s->services, service);
	free(service->v);
	free(service->id);
	free(service);
}

static void task_remove(struct slots *s, const struct task *t)
{
	struct slot_service *service = slots_find(s, t->service);
	struct slot *slot;

	assert(service);
	slot = slot_get(service, t);
	slot_count(service, slot, t, -1);
	slot_remove(slot, t);
	if (t->global && !slot->n)
		node_free(service, node_find(service, t->node));
	if (!--service->tasks)
		service_free(s, service);
}

/* Most changes leave a task where it is: service, slot and age never change. */
static void task_replace(struct slots *s, const struct task *old, const struct task *new)
{
	struct slot_service *service = slots_find(s, old->service);
	struct slot *slot;

	assert(service);
	slot = slot_get(service, old);
	if (slot->n == 1)
		slot->one = new;
	else
		slot->many[slot_find(slot, old)] = new;
	slot_count(service, slot, new, 1);
	slot_count(service, slot, old, -1);
}

void slots_event(struct slots *s, const struct task *old, const struct task *new)
{
	if (old && new)
		task_replace(s, old, new);
	else if (old)
		task_remove(s, old);
	else
		task_add(s, new);
}

void slots_done(struct slots *s)
{
	struct slot_service *service, *next;

	HASH_ITER (hh, s->services, service, next)
		service_free(s, service);
}

const struct task *slot_wanted(const struct slot *slot)
{
	for (size_t i = slot->n; i > 0; i--)
		if (task_is_wanted(slot_task(slot, i - 1)))
			return slot_task(slot, i - 1);
	return NULL;
}

const struct task *slot_newest(const struct slot *slot)
{
	for (size_t i = slot->n; i > 0; i--)
		if (slot_task(slot, i - 1)->desired != TASK_REMOVE)
			return slot_task(slot, i - 1);
	return NULL;
}

bool slot_has(const struct slot *slot, const struct task *t)
{
	for (size_t i = 0; i < slot->n; i++)
		if (slot_task(slot, i) == t)
			return true;
	return false;
}
