/*
 * One task's way from assignment to its end: which operation comes next, and what its outcome
 * means. Everything that happens to a task passes work_step().
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/worker_impl.h"
#include "base/clock.h"
#include "base/mem.h"

#define RETRY_MS 1000 /* after a failure that may pass */

static struct task_status *status_of(struct work *work)
{
	return &work->record.task.status;
}

static const struct runner *runner_of(const struct work *work)
{
	return &work->worker->config.runner;
}

void work_status(struct work *work, enum task_state state, const char *message, const char *err)
{
	struct task_status *s = status_of(work);

	if (!task_transition_allowed(WRITER_AGENT, s->state, state))
		return;
	s->state = state;
	s->timestamp = MAX_OF(clock_wall_ns(), s->timestamp + 1);
	str_set(&s->message, message);
	str_set(&s->err, err);
	work_save(work);
	if (!work->worker->closing && !work->record.gone)
		work->worker->config.report(work->worker->config.arg, work->id, s);
}

static void container_note(struct work *work, const struct runner_state *state)
{
	struct task_status *s = status_of(work);

	if (!state || !state->container)
		return;
	if (!s->container)
		s->container = xcalloc(1, sizeof *s->container);
	str_set(&s->container->container, state->container);
	s->container->pid = state->running ? state->pid : 0;
	s->container->exit_code = state->exit_code;
	if (!state->ports && !s->ports)
		return;
	table_free(&port_status_table, s->ports);
	s->ports = state->ports ? table_dup(&port_status_table, state->ports) : NULL;
}

static void work_later(struct work *work, uint64_t ms)
{
	work->due_ms = uv_now(work->worker->config.loop) + MAX_OF(ms, (uint64_t)1);
	worker_timer_arm(work->worker);
}

static bool is_wanted(const struct work *work)
{
	return !work->record.gone && task_is_wanted(&work->record.task);
}

/* An end */

static void exit_report(struct work *work, const struct runner_state *state)
{
	auto_free char *err = NULL;

	container_note(work, state);
	if (work->stopping || !is_wanted(work)) {
		work_status(work, TASK_SHUTDOWN, "shutdown", NULL);
	} else if (work->unhealthy) {
		err = xasprintf("task: non-zero exit (%d): unhealthy container", state->exit_code);
		work_status(work, TASK_FAILED, "started", err);
	} else if (state->exit_code == 0 && !state->error) {
		work_status(work, TASK_COMPLETE, "finished", NULL);
	} else {
		err = state->error && *state->error
			      ? xasprintf("task: non-zero exit (%d): %s", state->exit_code,
					  state->error)
			      : xasprintf("task: non-zero exit (%d)", state->exit_code);
		work_status(work, TASK_FAILED, "started", err);
	}
}

/* Whether the restart policy is this node's to carry out, and says to start again. */
static bool restarts_here(struct work *work, int exit_code, int64_t *ret_delay_ns)
{
	struct restart_rules rules;

	if (work->worker->connected || work->stopping || !is_wanted(work))
		return false;
	restart_rules_of(&work->record.template.spec, &rules);
	*ret_delay_ns = rules.delay;
	if (work->record.task.iteration && rules.condition == RESTART_ANY)
		rules.condition = RESTART_ON_FAILURE;
	if (rules.condition == RESTART_NONE ||
	    (rules.condition == RESTART_ON_FAILURE && exit_code == 0))
		return false;
	return rules.max_attempts == 0 || work->record.local_restarts < rules.max_attempts;
}

/* No manager hears of it: the container is made anew after the delay, as the same task. */
static void restart_begin(struct work *work, const struct runner_state *state, int64_t delay_ns)
{
	work->restart = RESTART_REMOVE;
	work->unhealthy = false;
	work->record.local_restarts++;
	container_note(work, state);
	work_save(work);
	work_later(work, (uint64_t)(delay_ns / NS_PER_MS));
}

void work_exited(struct work *work, const struct runner_state *state)
{
	int64_t delay;

	if (task_state_final(status_of(work)->state) || status_of(work)->state < TASK_STARTING ||
	    work->restart != RESTART_NO)
		return;
	if (restarts_here(work, state->exit_code, &delay))
		restart_begin(work, state, delay);
	else
		exit_report(work, state);
	if (task_state_final(status_of(work)->state))
		worker_vault_prune(work->worker);
	work_step(work);
}

void work_health(struct work *work, const struct runner_state *state)
{
	/* Of one that is being started the answer says it. */
	if (task_state_final(status_of(work)->state) || status_of(work)->state < TASK_STARTING ||
	    work->restart != RESTART_NO || work->op == OP_START)
		return;
	work->unhealthy = work->unhealthy || state->unhealthy;
	if (work->awaits_health && !state->starting && !work->unhealthy) {
		work->awaits_health = false;
		container_note(work, state);
		work_status(work, TASK_RUNNING, "started", NULL);
	}
	work_step(work);
}

/* Outcomes */

static void prepared(struct work *work, int status, const struct runner_state *state,
		     const struct err *e)
{
	if (status == 0) {
		work->prepared = true;
		if (work->restart != RESTART_NO) {
			work->restart = RESTART_START;
			return;
		}
		container_note(work, state);
		work_status(work, TASK_READY, "prepared", NULL);
		return;
	}
	if (work->restart != RESTART_NO) {
		work_later(work, RETRY_MS);
	} else if (status == -EAGAIN) {
		work_status(work, status_of(work)->state, "preparing", err_text(e));
		work_later(work, RETRY_MS);
	} else {
		work_status(work, TASK_REJECTED, "preparing", err_text(e));
	}
}

static void started(struct work *work, int status, const struct runner_state *state,
		    const struct err *e)
{
	bool again = work->restart != RESTART_NO;

	if (status == -ENOKEY) { /* a manager's turn: worker_secret() goes on at once */
		if (strcmp(status_of(work)->err ? status_of(work)->err : "", err_text(e)) != 0)
			work_status(work, status_of(work)->state, "waiting for its secrets",
				    err_text(e));
		work->waits_for_secret = true;
		work_later(work, RETRY_MS);
		return;
	}
	work->restart = RESTART_NO;
	container_note(work, state);
	work->unhealthy = status == 0 && state->unhealthy;
	/* One that is started again has been healthy before: it goes on as running. */
	work->awaits_health = status == 0 && !again && (state->starting || state->unhealthy);
	if (status < 0)
		work_status(work, TASK_FAILED, "starting", err_text(e));
	else if (work->awaits_health)
		work_status(work, TASK_STARTING, "waiting for its health check", NULL);
	else
		work_status(work, TASK_RUNNING,
			    again ? "started again while no manager was in reach" : "started",
			    NULL);
}

static void stopped(struct work *work, int status, const struct runner_state *state,
		    const struct err *e)
{
	struct runner_state gone = {0};

	if (status < 0) {
		work_status(work, status_of(work)->state, "stopping", err_text(e));
		work_later(work, RETRY_MS);
		return;
	}
	if (!task_state_final(status_of(work)->state) && work->restart == RESTART_NO)
		exit_report(work, state ? state : &gone);
}

static void removed(struct work *work, int status)
{
	if (status < 0) {
		work_later(work, RETRY_MS);
		return;
	}
	work->prepared = false;
	if (work->restart == RESTART_REMOVE)
		work->restart = RESTART_PREPARE;
	else
		work->removed = true;
}

static void op_done(void *arg, int status, const struct runner_state *state, const struct err *e)
{
	struct work *work = arg;
	enum work_op op = work->op;

	work->op = OP_NONE;
	work->waits_for_secret = false;
	if (work->worker->closing) {
		work_free(work);
		return;
	}
	switch (op) {
	case OP_PREPARE:
		prepared(work, status, state, e);
		break;
	case OP_START:
		started(work, status, state, e);
		break;
	case OP_STOP:
		stopped(work, status, state, e);
		break;
	case OP_REMOVE:
		removed(work, status);
		break;
	case OP_NONE:
		break;
	}
	if (task_state_final(status_of(work)->state))
		worker_vault_prune(work->worker);
	work_step(work);
}

/* What comes next */

static void op_prepare(struct work *work)
{
	work->op = OP_PREPARE;
	runner_of(work)->ops->prepare(runner_of(work)->arg, &work->record.task,
				      &work->record.template, op_done, work);
}

static void op_start(struct work *work)
{
	work->op = OP_START;
	runner_of(work)->ops->start(runner_of(work)->arg, &work->record.task,
				    &work->record.template, work->worker->vault, op_done, work);
}

static void op_stop(struct work *work)
{
	work->op = OP_STOP;
	work->stopping = !is_wanted(work);
	runner_of(work)->ops->stop(runner_of(work)->arg, work->id,
				   stop_grace_of(work->record.template.spec.container), op_done,
				   work);
}

static void op_remove(struct work *work)
{
	work->op = OP_REMOVE;
	runner_of(work)->ops->remove(runner_of(work)->arg, work->id, op_done, work);
}

/* It is to end: stop what runs, then remove it where its record goes too. */
static void step_down(struct work *work)
{
	enum task_state state = status_of(work)->state;
	bool remove = work->record.gone || work->record.task.desired == TASK_REMOVE;

	if (!task_state_final(state)) {
		if (state >= TASK_STARTING) {
			op_stop(work);
			return;
		}
		work_status(work, TASK_SHUTDOWN, "shutdown before it was started", NULL);
	}
	if (remove && !work->removed)
		op_remove(work);
	else if (work->record.gone)
		work_free(work);
}

/* A container that ended while no manager was in reach is removed, made and started anew. */
static void step_restart(struct work *work)
{
	if (work->restart == RESTART_REMOVE)
		op_remove(work);
	else if (work->restart == RESTART_PREPARE)
		op_prepare(work);
	else
		op_start(work);
}

static void step_up(struct work *work)
{
	const struct task *t = &work->record.task;

	switch (t->status.state) {
	case TASK_ASSIGNED:
		work_status(work, TASK_ACCEPTED, "accepted", NULL);
		__attribute__((fallthrough));
	case TASK_ACCEPTED:
		work_status(work, TASK_PREPARING, "preparing", NULL);
		__attribute__((fallthrough));
	case TASK_PREPARING:
		op_prepare(work);
		break;
	case TASK_READY:
		if (!work->prepared) { /* its container did not outlive the daemon */
			op_prepare(work);
		} else if (t->desired >= TASK_RUNNING) { /* still wanted: see above */
			work_status(work, TASK_STARTING, "starting", NULL);
			op_start(work);
		}
		break;
	case TASK_STARTING: /* the daemon was restarted in between */
		if (!work->awaits_health)
			op_start(work);
		break;
	default:
		break;
	}
}

void work_step(struct work *work)
{
	if (work->op != OP_NONE || work->worker->closing)
		return;
	if (!is_wanted(work)) {
		work->due_ms = 0;
		work->restart = RESTART_NO;
		step_down(work);
		return;
	}
	if (work->due_ms > uv_now(work->worker->config.loop))
		return;
	work->due_ms = 0;
	if (work->restart != RESTART_NO)
		step_restart(work);
	else if (work->unhealthy && !task_state_final(status_of(work)->state))
		op_stop(work);
	else
		step_up(work);
}
