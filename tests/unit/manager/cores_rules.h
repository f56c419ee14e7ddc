/*
 * What must hold in the store after every batch of any core: states go one way, nothing is there
 * twice, and updates and rebalances take no more at a time than they may. See cores.h.
 */
#pragma once

#include "unit/test.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "manager/service_spec.h"

static inline void check_task(const struct store *s, const struct task *old, const struct task *new)
{
	if (!new) {
		assert_true(task_state_final(old->status.state) ||
			    old->status.state < TASK_ASSIGNED || !store_node(s, old->node));
		return;
	}
	if (!old) {
		assert_int_equal(new->status.state, TASK_NEW);
		return;
	}
	assert_true(new->status.state >= old->status.state);
	assert_true(new->desired >= old->desired);
	assert_true(new->slot == old->slot &&new->template_version == old->template_version);
	assert_true(new->global == old->global &&task_iteration(new) == task_iteration(old));
	if (old->node)
		assert_string_equal(old->node, new->node);
	if (old->status.state >= TASK_PENDING)
		assert_int_equal(old->networks.n, new->networks.n);
}

static inline int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts, and fails on a double. */
static inline void check_unique(struct strs *s, const char *what)
{
	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, text_compare);
	for (size_t i = 1; i < s->n; i++)
		if (strcmp(s->v[i - 1], s->v[i]) == 0)
			fail_msg("%s given twice: %s", what, s->v[i]);
	strs_done(s);
}

static inline void add_text(struct strs *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline void add_text(struct strs *s, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	strs_add(s, text);
}

static inline bool starts_first(const struct store *s, const char *id)
{
	const struct service *svc = store_service(s, id);
	const struct update_config *update = svc ? svc->spec.update : NULL;

	return update && update->order && strcmp(update->order, "start-first") == 0;
}

/* A task that is to take another's place stands beside it until it runs. */
static inline bool move_is_open(const struct task *t)
{
	return t->move && t->move->of && !t->move->up && !t->move->failed;
}

static inline void check_unique_all(const struct store *s)
{
	struct strs slots = {0}, addresses = {0}, ports = {0}, vnis = {0}, subnets = {0};
	const struct network *n;
	const struct service *svc;
	const struct task *t;
	struct store_walk w;

	store_walk_kind(&w, s, KIND_NETWORK);
	while ((n = store_walk_next(&w))) {
		if (!n->vni)
			continue;
		add_text(&vnis, "%u", n->vni);
		LIST_EACH (p, &n->ipam.config) {
			add_text(&subnets, "%s", p->subnet);
			add_text(&addresses, "%s %s", n->o.id, p->gateway);
		}
	}
	store_walk_kind(&w, s, KIND_SERVICE);
	while ((svc = store_walk_next(&w))) {
		LIST_EACH (vip, &svc->endpoint.vips)
			add_text(&addresses, "%s %.*s", vip->network,
				 (int)strcspn(vip->address, "/"), vip->address);
		LIST_EACH (p, &svc->endpoint.ports)
			if (p->mode == PUBLISH_INGRESS)
				add_text(&ports, "%d/%u", p->protocol, p->published);
	}
	store_walk_kind(&w, s, KIND_TASK);
	while ((t = store_walk_next(&w))) {
		/* With start-first the old task stands until the new one runs. */
		if (task_is_wanted(t))
			add_text(&slots, "%s.%" PRIu64 ".%s.%" PRIu64 " %" PRIu64 "%s", t->service,
				 t->slot, t->global ? t->node : "", task_iteration(t),
				 starts_first(s, t->service) ? t->template_version : 0,
				 move_is_open(t) ? " moving" : "");
		if (task_is_over(t))
			continue;
		LIST_EACH (a, &t->networks)
			STRS_EACH (text, &a->addresses)
				add_text(&addresses, "%s %.*s", a->network, (int)strcspn(text, "/"),
					 text);
	}
	check_unique(&slots, "slot");
	check_unique(&addresses, "address");
	check_unique(&ports, "port");
	check_unique(&vnis, "VXLAN id");
	check_unique(&subnets, "subnet");
}

/* Tasks of the service's present update that have neither come up nor failed. */
static inline size_t tasks_in_flight(const struct store *s, const struct service *svc)
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, s, svc->o.id);
	while ((t = store_walk_next(&w)))
		n += t->update && t->update->run == svc->update.number && !t->update->up &&
		     !t->update->failed && task_is_live(t);
	return n;
}

static inline void check_updates(const struct store *s)
{
	struct update_rules rules;
	const struct service *svc;
	struct store_walk w;
	bool back;

	store_walk_kind(&w, s, KIND_SERVICE);
	while ((svc = store_walk_next(&w))) {
		if (!svc->update.total)
			continue;
		back = svc->update_status && svc->update_status->state >= UPDATE_ROLLBACK_STARTED;
		update_rules_of(back ? svc->spec.rollback : svc->spec.update, &rules);
		if (rules.parallelism < UINT64_MAX)
			assert_in_range(tasks_in_flight(s, svc), 0, rules.parallelism);
	}
}

/* Replacements of the service's present rebalance that are on their way. */
static inline size_t moves_in_flight(const struct store *s, const struct service *svc)
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, s, svc->o.id);
	while ((t = store_walk_next(&w)))
		n += t->move && t->move->run == svc->rebalance->number && move_is_open(t) &&
		     task_is_live(t);
	return n;
}

static inline void check_moves(const struct store *s)
{
	struct update_rules rules;
	const struct service *svc;
	struct store_walk w;

	store_walk_kind(&w, s, KIND_SERVICE);
	while ((svc = store_walk_next(&w))) {
		if (!svc->rebalance)
			continue;
		update_rules_of(svc->spec.update, &rules);
		assert_in_range(moves_in_flight(s, svc), 0,
				rules.parallelism == UINT64_MAX ? 1 : rules.parallelism);
	}
}
