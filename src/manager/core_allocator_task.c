/*
 * Tasks: one address in each network, then NEW becomes PENDING. See core_allocator.h.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "manager/core_allocator.h"

static bool task_is_new(const struct task *t)
{
	return t && t->status.state == TASK_NEW && task_is_wanted(t);
}

static bool task_holds(const struct task *t)
{
	return t && t->networks.n && !task_is_over(t);
}

static void networks_hold(struct core_allocator *c, const struct task *t, bool hold)
{
	LIST_EACH (a, &t->networks)
		STRS_EACH (address, &a->addresses)
			alloc_network_hold(c, a->network, address, hold);
}

void alloc_task_event(struct core *core, const struct store *s, const struct task *old,
		      const struct task *new)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);
	bool had = task_holds(old), has = task_holds(new);

	/* Once it is PENDING a task's networks never change. */
	if (had && !(has && old->status.state >= TASK_PENDING)) {
		networks_hold(c, old, false);
		c->freed = true;
	}
	if (has && !(had && old->status.state >= TASK_PENDING))
		networks_hold(c, new, true);
	if (task_is_new(new) && !task_is_new(old))
		(void)idset_add(&c->tasks, new->o.id);
	if (task_is_new(old) && !task_is_new(new)) {
		(void)idset_remove(&c->tasks, old->o.id);
		(void)idset_remove(&c->waiting, old->o.id);
	}
}

static int attachment_add(struct core_allocator *c, const struct store *s, struct task *t,
			  const char *id, const struct strs *aliases, struct err *e)
{
	struct alloc_network *n = alloc_network_find(c, id);
	const struct network *net = store_network(s, id);
	char text[NET_PREFIX_TEXT];
	struct attachment *a;
	bool any = false;

	if (!net)
		return err_set(e, -ENOENT, "network %s was removed", id);
	if (!n)
		return alloc_network_missing(c, s, id, e);
	a = LIST_ADD(&t->networks);
	a->network = xstrdup(id);
	for (size_t i = 0; aliases && i < aliases->n; i++)
		strs_add(&a->aliases, aliases->v[i]);
	if (!n->vni)
		return 0;
	for (int v6 = 0; v6 < 2; v6++) {
		if (!alloc_address(c, n, v6 ? AF_INET6 : AF_INET, text))
			continue;
		strs_add(&a->addresses, text);
		any = true;
	}
	if (!any)
		return err_set(e, -ENOSPC, "no free address is left in network %s", net->spec.name);
	return 0;
}

static int networks_fill(struct core_allocator *c, const struct store *s, struct task *t,
			 struct err *e)
{
	const struct template *template = store_template(s, t->service, t->template_version);
	const struct service *svc = store_service(s, t->service);
	int rc = 0;

	if (!template || !svc)
		return err_set(e, -ENOENT, "the task's service was removed");
	if (alloc_why(c, svc->o.id))
		return err_set(e, -ENOSPC, "%s", alloc_why(c, svc->o.id));
	if (idset_has(&c->dirty_services, svc->o.id))
		return err_set(e, -EAGAIN, "service %s is being allocated", svc->o.id);
	LIST_EACH (a, &template->spec.networks) {
		if (rc == 0 && a->target && !network_is_nodes_own(a->target))
			rc = attachment_add(c, s, t, a->target, &a->aliases, e);
	}
	if (rc == 0 && c->ingress && alloc_service_has_ingress(svc))
		rc = attachment_add(c, s, t, c->ingress, NULL, e);
	return rc;
}

/* Says at once why the task cannot go on; it is looked at again when something was freed. */
static void task_wait(struct core_allocator *c, struct core_step *step, const struct task *t,
		      const char *why)
{
	struct task *new;

	if (t->status.err && strcmp(t->status.err, why) == 0) {
		(void)idset_add(&c->waiting, t->o.id);
		return;
	}
	new = core_task_status(step, t, WRITER_ALLOCATOR, TASK_NEW, t->status.message, why);
	changes_update(step->out, &t->o, &new->o, step->now_ns);
}

bool alloc_task_step(struct core_allocator *c, struct core_step *step, const char *id)
{
	const struct task *t = store_task(step->store, id);
	size_t marks = c->n_marks;
	struct err e = ERR_INIT;
	struct task *new;
	int rc;

	if (!task_is_new(t))
		return false;
	new = core_task_status(step, t, WRITER_ALLOCATOR, TASK_PENDING, "pending task scheduling",
			       NULL);
	rc = networks_fill(c, step->store, new, &e);
	if (rc == 0) {
		changes_update(step->out, &t->o, &new->o, step->now_ns);
		return false;
	}
	alloc_unmark(c, marks);
	object_free(&new->o);
	if (rc != -EAGAIN)
		task_wait(c, step, t, e.msg);
	return rc == -EAGAIN;
}
