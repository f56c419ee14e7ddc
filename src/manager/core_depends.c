/*
 * Opens the gates of services that wait for others (service_depends.h): notes in the service what
 * it waits for, and then that it waits no longer, for the template that it has. The scheduler
 * places none of its tasks and the updater replaces none before that. A service that waits is
 * looked at again whenever something of what it waits for changes.
 */
#include <string.h>

#include "manager/core_impl.h"
#include "manager/service_depends.h"
#include "model/depends.h"

/* Characters of what a service waits for, as its tasks say it. */
#define WHY_MAX 512

/* Who waits for the service of a name, which need not be there. */
struct awaited {
	char *name;
	struct idset services;
	UT_hash_handle hh;
};

struct core_depends {
	struct core core;
	struct idset dirty; /* services */
	struct awaited *awaited;
};

static void await(struct core_depends *c, const char *name, const char *service)
{
	struct awaited *a;

	HASH_FIND(hh, c->awaited, name, strlen(name), a);
	if (!a) {
		a = xcalloc(1, sizeof *a);
		a->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, c->awaited, a->name, strlen(a->name), a);
	}
	(void)idset_add(&a->services, service);
}

static void awaited_free(struct core_depends *c, struct awaited *a)
{
	HASH_DEL(c->awaited, a);
	idset_done(&a->services);
	free(a->name);
	free(a);
}

/* Whoever waits for it is looked at, and waits for it again if need be. */
static void name_changed(struct core_depends *c, const char *name)
{
	struct awaited *a;

	HASH_FIND(hh, c->awaited, name, strlen(name), a);
	if (!a)
		return;
	IDSET_EACH(entry, &a->services)
	{
		(void)idset_add(&c->dirty, entry->id);
	}
	awaited_free(c, a);
}

/* Nobody else may ever wait for these names, or change what is called so. */
static void await_no_more(struct core_depends *c, const struct service *svc)
{
	struct depends d = {0};
	struct awaited *a;

	if (!c->awaited || depends_read(&svc->spec, &d, NULL) < 0)
		return;
	for (size_t i = 0; i < d.n; i++) {
		HASH_FIND(hh, c->awaited, d.v[i].service, strlen(d.v[i].service), a);
		if (a && idset_remove(&a->services, svc->o.id) && !idset_count(&a->services))
			awaited_free(c, a);
	}
	depends_done(&d);
}

static void gate_set(struct core_step *step, const struct service *svc, const char *waits)
{
	const struct service_gate *had = svc->gate;
	struct service *new;

	if (waits && had && had->waits && strcmp(had->waits, waits) == 0)
		return;
	new = object_clone(&svc->o);
	if (!new->gate)
		new->gate = xcalloc(1, sizeof *new->gate);
	str_set(&new->gate->waits, waits);
	if (!waits)
		new->gate->open = svc->template_version;
	changes_update(step->out, &svc->o, &new->o, step->now_ns);
}

static void service_step(struct core_depends *c, struct core_step *step, const char *id)
{
	const struct service *svc = store_service(step->store, id);
	auto_buf why = BUF_INIT(WHY_MAX);
	struct depends d = {0};

	if (!svc || svc->pending_delete || !depends_is_set(&svc->spec) ||
	    (svc->gate && svc->gate->open == svc->template_version))
		return;
	if (service_is_held(svc)) /* else it is rolled back */
		service_depends_look(step->store, svc, &why);
	if (why.len && depends_read(&svc->spec, &d, NULL) == 0)
		for (size_t i = 0; i < d.n; i++)
			await(c, d.v[i].service, id);
	depends_done(&d);
	gate_set(step, svc, why.len ? buf_text(&why) : NULL);
}

static int64_t depends_step(struct core *core, struct core_step *step)
{
	struct core_depends *c = container_of(core, struct core_depends, core);
	size_t start = step->out->n, looks = 0;

	IDSET_EACH(entry, &c->dirty)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++looks > CORE_LOOKS / 50)
			return step->now_ns;
		service_step(c, step, entry->id);
		if (core_is_clean(step, before))
			(void)idset_remove(&c->dirty, entry->id);
	}
	return idset_count(&c->dirty) ? step->now_ns : CORE_IDLE;
}

static void service_event(struct core *core, const struct store *s, const struct service *old,
			  const struct service *new)
{
	struct core_depends *c = container_of(core, struct core_depends, core);

	if (old) {
		name_changed(c, old->spec.name);
		await_no_more(c, old);
	}
	if (new) {
		name_changed(c, new->spec.name);
		if (depends_is_set(&new->spec))
			(void)idset_add(&c->dirty, new->o.id);
	}
}

static void task_event(struct core *core, const struct store *s, const struct task *old,
		       const struct task *new)
{
	struct core_depends *c = container_of(core, struct core_depends, core);
	const struct service *svc =
		c->awaited ? store_service(s, (new ? new : old)->service) : NULL;

	if (svc)
		name_changed(c, svc->spec.name);
}

static void depends_end(struct core *core)
{
	struct core_depends *c = container_of(core, struct core_depends, core);
	struct awaited *a, *next;

	HASH_ITER (hh, c->awaited, a, next)
		awaited_free(c, a);
	idset_done(&c->dirty);
}

static const struct core_class depends_class = {
	.name = "depends",
	.size = sizeof(struct core_depends),
	.done = depends_end,
	.derives = {KIND_SERVICE},
	.service = service_event,
	.task = task_event,
	.step = depends_step,
};

struct core *core_depends_new(void)
{
	return core_new(&depends_class);
}
