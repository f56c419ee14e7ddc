/*
 * Running the cores over a copy of the store. See plan.h.
 */
#include "manager/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manager/plan_impl.h"

#define PIECE_MS 2 /* of work a turn of the loop */

static unsigned open_plans; /* each holds what the cores derive from the whole store */

/* Whatever may change the planned services; not what decides of itself, by time or by policy. */
static struct core *(*const makers[PLAN_CORES])(void) = {
	core_replicated_new, core_global_new,  core_job_new,       core_update_new,
	core_restart_new,    core_depends_new, core_allocator_new, core_scheduler_new,
};

static void new_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	struct plan *p = arg;

	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "planned%018" PRIu64, ++p->ids);
}

static void changed(void *arg, const struct object *old, const struct object *new)
{
	struct plan *p = arg;

	for (size_t i = 0; i < PLAN_CORES && p->ready; i++)
		core_event(p->cores[i], p->store, old, new);
	if (new &&new->kind == KIND_TASK)
		(void)idset_add(&p->agents, new->id);
}

int plan_new(const struct store *s, int64_t now_ns, struct plan **ret, struct err *e)
{
	struct plan *p;

	if (open_plans >= LIMIT_PLANS)
		return err_set(e, -EAGAIN, "%u plans are being made: try again when one is done",
			       LIMIT_PLANS);
	open_plans++;
	p = xcalloc(1, sizeof *p);
	p->before = store_fork(s);
	p->store = store_fork(s);
	p->watch = (struct store_watch){.changed = changed, .arg = p};
	store_watch_add(p->store, &p->watch);
	p->now = p->start = now_ns;
	for (size_t i = 0; i < PLAN_CORES; i++)
		p->cores[i] = makers[i]();
	*ret = p;
	return 0;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	if (p->world)
		world_timer_stop(p->world, &p->timer);
	for (size_t i = 0; i < PLAN_CORES; i++)
		core_free(p->cores[i]);
	store_watch_remove(p->store, &p->watch);
	store_free(p->store);
	store_free(p->before);
	idset_done(&p->agents);
	strs_done(&p->services);
	free(p);
	open_plans--;
}

static void apply(struct plan *p, struct changes *c)
{
	struct store_result r;

	store_apply_changes(p->store, c, &r);
	assert(r.verdict == STORE_APPLIED); /* nobody else writes to the copy */
	changes_done(c);
}

int plan_ask(struct plan *p, const struct control_request *r, struct err *e)
{
	struct control_answer answer = {0};
	struct changes changes;
	struct control c = {.view = p->store,
			    .now_ns = p->now,
			    .new_id = new_id,
			    .new_id_arg = p,
			    .self = "",
			    .out = &changes,
			    .answer = &answer};
	int rc;

	changes_init(&changes);
	rc = control_build(&c, r, e);
	if (rc == 0 && (r->op == CONTROL_SERVICE_CREATE || r->op == CONTROL_SERVICE_UPDATE ||
			r->op == CONTROL_SERVICE_REMOVE))
		strs_add(&p->services, answer.id);
	if (rc == 0)
		apply(p, &changes);
	else
		changes_done(&changes);
	table_done(&control_answer_table, &answer);
	return rc;
}

/* Agents */

static bool node_is_up(const struct plan *p, const struct task *t)
{
	const struct node *n = t->node ? store_node(p->store, t->node) : NULL;

	return n && n->status.state != NODE_DOWN;
}

/* What its agent makes of the task next: its own state when nothing. */
static enum task_state task_next(const struct plan *p, const struct task *t)
{
	enum task_state state = t->status.state;

	if (state < TASK_ASSIGNED || state > TASK_RUNNING || !node_is_up(p, t))
		return state;
	if (t->desired >= TASK_SHUTDOWN)
		return TASK_SHUTDOWN;
	if (t->desired == TASK_READY)
		return MAX_OF(state, TASK_READY);
	return state == TASK_RUNNING && t->desired == TASK_COMPLETE ? TASK_COMPLETE : TASK_RUNNING;
}

/* False when no agent has anything to say. */
static bool agents_say(struct plan *p)
{
	struct changes c;
	bool any;

	changes_init(&c);
	IDSET_EACH(entry, &p->agents)
	{
		const struct task *t = store_task(p->store, entry->id);
		enum task_state next = t ? task_next(p, t) : TASK_NEW;

		if (!changes_fit(&c))
			break;
		if (t && next != t->status.state) {
			struct task *new = object_clone(&t->o);

			new->status.state = next;
			new->status.timestamp = p->now;
			str_set(&new->status.err, NULL);
			changes_update(&c, &t->o, &new->o, p->now);
		}
		(void)idset_remove(&p->agents, entry->id);
	}
	any = c.n > 0;
	if (any)
		apply(p, &c);
	else
		changes_done(&c);
	return any;
}

/* Time */

/* Whether something of the service only waits for time to pass. */
static bool service_waits(const struct plan *p, const char *id)
{
	const struct service *svc = store_service(p->store, id);
	const struct task *t;
	struct store_walk w;

	if (svc && update_is_under_way(svc->update_status))
		return true;
	store_walk_service_tasks(&w, p->store, id);
	while ((t = store_walk_next(&w)))
		if (t->desired == TASK_READY)
			return true;
	return false;
}

/* Puts the clock on when something that was asked for waits for that. */
static bool time_passes(struct plan *p, int64_t next)
{
	if (next == CORE_IDLE)
		return false;
	STRS_EACH (id, &p->services) {
		if (!service_waits(p, id))
			continue;
		p->now = MAX_OF(p->now, next);
		return true;
	}
	return false;
}

/* Working */

static bool cores_step(struct plan *p, int64_t *ret_next)
{
	bool any = false;

	*ret_next = CORE_IDLE;
	for (size_t i = 0; i < PLAN_CORES; i++) {
		struct changes c;
		struct core_step step = {.store = p->store,
					 .now_ns = p->now,
					 .new_id = new_id,
					 .new_id_arg = p,
					 .out = &c};
		int64_t wish;

		changes_init(&c);
		wish = p->cores[i]->class->step(p->cores[i], &step);
		*ret_next = MIN_OF(*ret_next, wish);
		if (c.n) {
			any = true;
			apply(p, &c);
		} else {
			changes_done(&c);
		}
	}
	return any;
}

/* The tasks that the services have already: their agents may have something to say as well. */
static void agents_begin(struct plan *p)
{
	const struct task *t;
	struct store_walk w;

	STRS_EACH (id, &p->services) {
		store_walk_service_tasks(&w, p->store, id);
		while ((t = store_walk_next(&w)))
			(void)idset_add(&p->agents, t->o.id);
	}
}

bool plan_step(struct plan *p)
{
	int64_t next;

	if (!p->ready) {
		p->ready = !core_derive(p->cores, PLAN_CORES, p->store, &p->derive);
		if (p->ready)
			agents_begin(p);
		return true;
	}
	if (++p->rounds > LIMIT_PLAN_ROUNDS)
		return false;
	if (cores_step(p, &next) || next <= p->now || agents_say(p) || idset_count(&p->agents))
		return true;
	p->complete = !time_passes(p, next);
	return !p->complete;
}

static void on_timer(struct world_timer *t)
{
	struct plan *p = container_of(t, struct plan, timer);
	uint64_t until = world_mono_ms(p->world) + PIECE_MS;
	bool more;

	do
		more = plan_step(p);
	while (more && world_mono_ms(p->world) < until);
	if (more)
		world_timer_start(p->world, &p->timer, 0);
	else
		p->done(p->done_arg);
}

void plan_run(struct plan *p, const struct world *world, void (*done)(void *arg), void *arg)
{
	p->world = world;
	p->done = done;
	p->done_arg = arg;
	p->timer.fire = on_timer;
	world_timer_start(world, &p->timer, 0);
}
