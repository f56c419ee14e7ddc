/*
 * The worker as a whole: what it takes up at its start, what the managers assign, its timer. See
 * worker.h.
 */
#include "agent/worker.h"

#include <assert.h>
#include <string.h>

#include "agent/worker_impl.h"
#include "base/log.h"
#include "base/mem.h"

struct work *work_find(const struct worker *w, const char *task)
{
	struct work *work;

	HASH_FIND_STR(w->works, task, work);
	return work;
}

static void leave_check(struct worker *w)
{
	void (*left)(void *arg) = w->left;

	if (w->works || !left)
		return;
	w->left = NULL;
	left(w->left_arg);
}

void work_free(struct work *work)
{
	struct worker *w = work->worker;

	assert(work->op == OP_NONE);
	if (!w->closing)
		work_forget(work);
	HASH_DEL(w->works, work);
	table_done(&work_record_table, &work->record);
	free(work);
	if (w->closing && !w->works)
		worker_free(w);
	else if (!w->closing)
		leave_check(w);
}

/* Retries and delays: one timer, at the earliest of them. */

void worker_timer_arm(struct worker *w)
{
	uint64_t now = uv_now(w->config.loop), due = UINT64_MAX;
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next)
		if (work->due_ms)
			due = MIN_OF(due, work->due_ms);
	if (due == UINT64_MAX)
		(void)uv_timer_stop(&w->timer);
	else
		(void)uv_timer_start(&w->timer, worker_fire, due > now ? due - now : 0, 0);
}

void worker_fire(uv_timer_t *t)
{
	struct worker *w = t->data;
	uint64_t now = uv_now(w->config.loop);
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next)
		if (work->due_ms && work->due_ms <= now)
			work_step(work);
	worker_timer_arm(w);
}

/* Networks */

static bool network_used(const struct worker *w, const char *id)
{
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next)
		if (!task_state_final(work->record.task.status.state))
			LIST_EACH (a, &work->record.task.networks)
				if (strcmp(a->network, id) == 0)
					return true;
	return false;
}

static void network_tell(struct worker *w, const struct network *n)
{
	if (!strs_has(&w->networks, n->o.id))
		strs_add(&w->networks, n->o.id);
	w->config.network_set(w->config.arg, n);
}

static void network_drop(struct worker *w, const char *id)
{
	for (size_t i = 0; i < w->networks.n; i++) {
		if (strcmp(w->networks.v[i], id) != 0)
			continue;
		w->config.network_gone(w->config.arg, id);
		free(w->networks.v[i]);
		w->networks.v[i] = w->networks.v[--w->networks.n];
		return;
	}
}

/* Secrets and configs */

static bool secret_used(void *arg, const char *id)
{
	const struct worker *w = arg;
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next) {
		const struct container_spec *c = work->record.template.spec.container;

		if (!c || work->record.gone || task_state_final(work->record.task.status.state))
			continue;
		LIST_EACH (r, &c->secrets)
			if (strcmp(r->id, id) == 0)
				return true;
		LIST_EACH (r, &c->configs)
			if (strcmp(r->id, id) == 0)
				return true;
	}
	return false;
}

void worker_vault_prune(struct worker *w)
{
	vault_retain(w->vault, secret_used, w);
}

void worker_secret(struct worker *w, const struct session_secret *s)
{
	struct work *work, *next;

	if (w->left || !secret_used(w, s->id))
		return;
	vault_put(w->vault, s);
	HASH_ITER (hh, w->works, work, next) {
		if (!work->waits_for_secret)
			continue;
		work->due_ms = 0;
		work_step(work);
	}
}

/* Assignments */

static const struct template *template_in(const struct session_assign *a, const struct task *t)
{
	LIST_EACH (tpl, &a->templates)
		if (strcmp(tpl->service, t->service) == 0 &&
		    tpl->template_version == t->template_version)
			return tpl;
	return NULL;
}

/* A template comes once: a later task of it has it from an earlier one's record. */
static const struct template *template_known(const struct worker *w, const struct task *t)
{
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next)
		if (strcmp(work->record.task.service, t->service) == 0 &&
		    work->record.task.template_version == t->template_version)
			return &work->record.template;
	return NULL;
}

static bool task_is_sound(const struct task *t)
{
	return t->o.id && strlen(t->o.id) == ID_CLUSTER_LEN && t->service && t->node;
}

static void task_add(struct worker *w, const struct session_assign *a, const struct task *t)
{
	const struct template *tpl = template_in(a, t);
	struct work *work;

	if (!tpl)
		tpl = template_known(w, t);
	/* Of one that was evicted the managers wait to hear that nothing of it is left here. */
	if (t->evicted && task_state_final(t->status.state))
		w->config.report(w->config.arg, t->o.id, &t->status);
	if (!tpl || task_state_final(t->status.state))
		return; /* it ended before this node's record of it began */
	work = xcalloc(1, sizeof *work);
	work->worker = w;
	memcpy(work->id, t->o.id, ID_CLUSTER_LEN + 1);
	table_copy(&task_table, &work->record.task, t);
	table_copy(&template_table, &work->record.template, tpl);
	LIST_EACH (at, &t->networks)
		LIST_EACH (n, &a->networks)
			if (strcmp(n->o.id, at->network) == 0)
				table_copy(&network_table, LIST_ADD(&work->record.networks), n);
	HASH_ADD_STR(w->works, id, work);
	work_save(work);
}

/* What the managers decide is taken over; the status is this node's own, unless they ended it. */
static void task_update(struct work *work, const struct task *t)
{
	struct task_status own = work->record.task.status;
	bool ended = t->status.state >= TASK_REJECTED && t->status.state > own.state;

	work->record.task.status = (struct task_status){0};
	table_done(&task_table, &work->record.task);
	table_copy(&task_table, &work->record.task, t);
	table_done(&task_status_table, &work->record.task.status);
	work->record.task.status = own;
	work->record.gone = false;
	if (ended) /* rejected by the enforcer, or given up: it must not run on */
		work->record.task.desired = MAX_OF(t->desired, TASK_SHUTDOWN);
	work_save(work);
}

static bool assigned(const struct session_assign *a, const char *id)
{
	LIST_EACH (t, &a->tasks)
		if (t->o.id && strcmp(t->o.id, id) == 0)
			return true;
	return false;
}

static void work_gone(struct work *work)
{
	work->record.gone = true;
	work_save(work);
}

static void assign_apply(struct worker *w, const struct session_assign *a)
{
	struct work *work, *next;

	LIST_EACH (n, &a->networks)
		if (n->o.id)
			network_tell(w, n);
	LIST_EACH (t, &a->tasks) {
		if (!task_is_sound(t))
			continue;
		work = work_find(w, t->o.id);
		if (work)
			task_update(work, t);
		else
			task_add(w, a, t);
	}
	STRS_EACH (id, &a->gone_tasks) {
		work = work_find(w, id);
		if (work)
			work_gone(work);
	}
	if (a->complete)
		HASH_ITER (hh, w->works, work, next)
			if (!assigned(a, work->id))
				work_gone(work);
	/* First what ends, so that what begins finds room. */
	HASH_ITER (hh, w->works, work, next)
		if (work->record.gone || !task_is_wanted(&work->record.task))
			work_step(work);
	HASH_ITER (hh, w->works, work, next)
		work_step(work);
	STRS_EACH (id, &a->gone_networks)
		if (!network_used(w, id))
			network_drop(w, id);
	worker_vault_prune(w);
}

/* Appends what `from` has to `to`, taking it. */
static void assign_merge(struct session_assign *to, const struct session_assign *from)
{
	LIST_EACH (t, &from->tasks)
		table_copy(&task_table, LIST_ADD(&to->tasks), t);
	LIST_EACH (t, &from->templates)
		table_copy(&template_table, LIST_ADD(&to->templates), t);
	LIST_EACH (n, &from->networks)
		table_copy(&network_table, LIST_ADD(&to->networks), n);
	STRS_EACH (id, &from->gone_tasks)
		strs_add(&to->gone_tasks, id);
	STRS_EACH (id, &from->gone_networks)
		strs_add(&to->gone_networks, id);
	to->complete |= from->complete;
}

void worker_assign(struct worker *w, const struct session_assign *a)
{
	if (w->left)
		return; /* leaving: nothing new begins */
	if (!a->more && w->pending.tasks.n == 0) {
		assign_apply(w, a);
		return;
	}
	assign_merge(&w->pending, a);
	if (a->more)
		return;
	assign_apply(w, &w->pending);
	table_done(&session_assign_table, &w->pending);
}

/* Sessions */

static struct runner_state exit_state(const struct work *work)
{
	const struct container_status *c = work->record.task.status.container;

	return (struct runner_state){.exists = true,
				     .started = true,
				     .container = c ? c->container : NULL,
				     .exit_code = c ? (int)c->exit_code : 0,
				     .error = "it ended while no manager was in reach"};
}

void worker_connected(struct worker *w, bool connected)
{
	struct work *work, *next;

	w->connected = connected;
	if (!connected)
		return;
	table_done(&session_assign_table, &w->pending);
	HASH_ITER (hh, w->works, work, next) {
		struct runner_state state = exit_state(work);

		work->record.local_restarts = 0;
		if (work->restart == RESTART_NO || work->op != OP_NONE)
			continue;
		work->restart = RESTART_NO; /* from here on the managers restart it */
		work->due_ms = 0;
		work_exited(work, &state);
	}
}

void worker_report_all(struct worker *w)
{
	struct work *work, *next;

	HASH_ITER (hh, w->works, work, next)
		if (!work->record.gone)
			w->config.report(w->config.arg, work->id, &work->record.task.status);
}

void worker_leave(struct worker *w, void (*done)(void *arg), void *arg)
{
	struct work *work, *next;

	w->left = done;
	w->left_arg = arg;
	HASH_ITER (hh, w->works, work, next)
		work_gone(work);
	HASH_ITER (hh, w->works, work, next)
		work_step(work);
	leave_check(w);
}

size_t worker_task_count(const struct worker *w)
{
	return HASH_COUNT(w->works);
}

const struct task_status *worker_status(const struct worker *w, const char *task)
{
	const struct work *work = work_find(w, task);

	return work ? &work->record.task.status : NULL;
}

/* The start */

static void runner_says_changed(void *arg, const char *task, const struct runner_state *state)
{
	struct work *work = work_find(arg, task);

	if (!work || work->worker->closing)
		return;
	if (state->running)
		work_health(work, state);
	else
		work_exited(work, state);
}

/* What has become of a task's container while there was no daemon. */
static void work_resume(struct work *work)
{
	struct worker *w = work->worker;
	struct runner_state state = {0};
	enum task_state was = work->record.task.status.state;

	w->config.runner.ops->inspect(w->config.runner.arg, work->id, &state);
	work->prepared = state.exists;
	if (task_state_final(was) || was < TASK_STARTING)
		return;
	if (state.running) {
		work->awaits_health = was == TASK_STARTING;
		work_health(work, &state);
	} else if (state.exists && state.started) {
		work_exited(work, &state);
	} else if (!state.exists) {
		state.error = "its container is gone";
		state.exit_code = -1;
		work_exited(work, &state);
	}
}

/* Containers of tasks that this node has no record of: nobody else would ever remove them. */
static void strangers_remove(struct worker *w)
{
	struct strs tasks = {0};

	w->config.runner.ops->list(w->config.runner.arg, &tasks);
	STRS_EACH (id, &tasks) {
		struct work *work = work_find(w, id);

		if (work || strlen(id) != ID_CLUSTER_LEN)
			continue;
		work = xcalloc(1, sizeof *work);
		work->worker = w;
		memcpy(work->id, id, ID_CLUSTER_LEN + 1);
		work->record.gone = true;
		work->record.task.o.id = xstrdup(id);
		work->record.task.service = xstrdup("");
		work->record.task.status.state = TASK_RUNNING;
		HASH_ADD_STR(w->works, id, work);
	}
	strs_done(&tasks);
}

int worker_open(struct worker **ret, const struct worker_config *config, struct err *e)
{
	struct worker *w = xcalloc(1, sizeof *w);
	struct work *work, *next;
	int rc;

	w->config = *config;
	w->vault = vault_new();
	rc = worker_store_open(w, e);
	if (rc < 0) {
		HASH_ITER (hh, w->works, work, next) {
			HASH_DEL(w->works, work);
			table_done(&work_record_table, &work->record);
			free(work);
		}
		db_close(w->db);
		vault_free(w->vault);
		free(w);
		return rc;
	}
	(void)uv_timer_init(config->loop, &w->timer);
	w->timer.data = w;
	config->runner.ops->watch(config->runner.arg, runner_says_changed, w);
	strangers_remove(w);
	HASH_ITER (hh, w->works, work, next)
		LIST_EACH (n, &work->record.networks)
			network_tell(w, n);
	HASH_ITER (hh, w->works, work, next)
		work_resume(work);
	HASH_ITER (hh, w->works, work, next)
		work_step(work);
	*ret = w;
	return 0;
}

static void timer_closed(uv_handle_t *h)
{
	struct worker *w = h->data;

	table_done(&session_assign_table, &w->pending);
	strs_done(&w->networks);
	vault_free(w->vault);
	db_close(w->db);
	free(w);
}

void worker_free(struct worker *w)
{
	uv_close((uv_handle_t *)&w->timer, timer_closed);
}

/* Operations in flight come back to a worker that only waits for them. */
void worker_close(struct worker *w)
{
	struct work *work, *next;
	bool any = false;

	w->closing = true;
	w->config.runner.ops->watch(w->config.runner.arg, NULL, NULL);
	(void)uv_timer_stop(&w->timer);
	HASH_ITER (hh, w->works, work, next)
		any |= work->op != OP_NONE;
	HASH_ITER (hh, w->works, work, next) {
		if (work->op != OP_NONE)
			continue;
		HASH_DEL(w->works, work);
		table_done(&work_record_table, &work->record);
		free(work);
	}
	if (!any)
		worker_free(w);
}
