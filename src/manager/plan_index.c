/*
 * The check index of plans, and the request that does nothing but check it. See plan.h.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "manager/plan.h"

static uint64_t kind_latest(const struct store *s, enum object_kind kind)
{
	const struct object *o;
	struct store_walk w;
	uint64_t ret = 0;

	store_walk_kind(&w, s, kind);
	while ((o = store_walk_next(&w)))
		ret = MAX_OF(ret, o->version.index);
	return ret;
}

/* Of other services what they are to be counts, and not each step on the way there. */
static uint64_t specs_latest(const struct store *s)
{
	const struct service *svc;
	struct store_walk w;
	uint64_t ret = 0;

	store_walk_kind(&w, s, KIND_SERVICE);
	while ((svc = store_walk_next(&w)))
		ret = MAX_OF(ret, svc->pending_delete ? svc->o.version.index : svc->spec_version);
	return ret;
}

static uint64_t service_latest(const struct store *s, const struct object *o)
{
	uint64_t ret = o->version.index;
	const struct task *t;
	struct store_walk w;

	store_walk_service_tasks(&w, s, o->id);
	while ((t = store_walk_next(&w)))
		if (task_is_wanted(t))
			ret = MAX_OF(ret, t->o.version.index);
	return ret;
}

uint64_t plan_index(const struct store *s, const struct strs *services)
{
	uint64_t ret = MAX_OF(kind_latest(s, KIND_NODE), kind_latest(s, KIND_NETWORK));
	const struct object *o;

	ret = MAX_OF(ret, specs_latest(s));
	STRS_EACH (ref, services) {
		if (control_find(s, KIND_SERVICE, ref, &o, NULL) == 0)
			ret = MAX_OF(ret, service_latest(s, o));
	}
	return ret;
}

int plan_check(const struct store *s, const struct strs *services, uint64_t index, struct err *e)
{
	uint64_t now = index ? plan_index(s, services) : 0;

	if (now == index)
		return 0;
	return err_set(e, -ESTALE,
		       "the state has moved since the plan was made (check index %" PRIu64
		       ", now %" PRIu64 "): nothing was done; make the plan again",
		       index, now);
}

int control_plan_check(struct control *c, const struct control_request *r, struct err *e)
{
	return plan_check(c->view, &r->ids, r->check, e);
}
