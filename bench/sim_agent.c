/*
 * See sim_agent.h.
 */
#include "sim_agent.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/mem.h"

#define CPUS 4
#define MEMORY (8LL << 30)

struct sim_task {
	char id[ID_CLUSTER_LEN + 1];
	enum task_state state, goal;
	unsigned round;
	bool wanted, gone;
	UT_hash_handle hh;
};

static const char container_id[] =
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* Tasks */

/* What a worker reports of a task whose image is there, when nothing goes wrong. */
static enum task_state state_next(const struct sim_task *t)
{
	static const enum task_state path[] = {TASK_PREPARING, TASK_STARTING, TASK_RUNNING};

	if (t->goal == TASK_SHUTDOWN || (t->goal == TASK_READY && t->state == TASK_PREPARING))
		return t->goal;
	for (size_t i = 0; i < ARRAY_LEN(path); i++)
		if (path[i] > t->state)
			return path[i];
	return t->state;
}

static bool is_there(const struct sim_task *t)
{
	return t->state >= t->goal;
}

/* Brings the sums up to date after `t` has changed. */
static void count(struct sim_agent *a, const struct sim_task *t, bool was_wanted, bool was_running)
{
	struct sim_fleet *f = a->fleet;
	size_t wanted = t->wanted && !t->gone, running = wanted && t->state == TASK_RUNNING;

	a->assigned += wanted - was_wanted;
	f->assigned += wanted - was_wanted;
	a->running += running - was_running;
	f->running += running - was_running;
	f->moved(f);
}

static bool is_running(const struct sim_task *t)
{
	return t->wanted && !t->gone && t->state == TASK_RUNNING;
}

static void task_step(struct sim_agent *a, struct sim_task *t)
{
	struct container_status container = {.container = (char *)(uintptr_t)container_id,
					     .pid = 1000};
	struct task_status status = {.timestamp = clock_wall_ns()};
	bool ran = is_running(t);

	t->state = status.state = state_next(t);
	status.message = (char *)(uintptr_t)task_state_name(t->state);
	if (t->state >= TASK_STARTING)
		status.container = &container;
	session_client_report(a->session, t->id, &status);
	count(a, t, t->wanted && !t->gone, ran);
}

static void step_fire(uv_timer_t *timer)
{
	struct sim_agent *a = timer->data;
	struct sim_task *t, *next;
	bool more = false;

	HASH_ITER (hh, a->tasks, t, next) {
		if (!is_there(t))
			task_step(a, t);
		more = more || !is_there(t);
	}
	if (more)
		(void)uv_timer_start(timer, step_fire, a->fleet->step_ms, 0);
}

static void task_forget(struct sim_agent *a, struct sim_task *t)
{
	bool wanted = t->wanted, ran = is_running(t);

	t->gone = true;
	count(a, t, wanted, ran);
	HASH_DEL(a->tasks, t);
	free(t);
}

static void task_take(struct sim_agent *a, const struct task *from)
{
	struct sim_task *t;
	bool wanted, ran;

	HASH_FIND_STR(a->tasks, from->o.id, t);
	if (!t) {
		t = xcalloc(1, sizeof *t);
		(void)snprintf(t->id, sizeof t->id, "%s", from->o.id);
		t->state = from->status.state;
		HASH_ADD_STR(a->tasks, id, t);
	}
	wanted = t->wanted;
	ran = is_running(t);
	t->round = a->round;
	t->wanted = task_is_wanted(from);
	t->goal = !t->wanted                    ? TASK_SHUTDOWN
		  : from->desired == TASK_READY ? TASK_READY
						: TASK_RUNNING;
	count(a, t, wanted, ran);
	if (!is_there(t) && t->state < TASK_PREPARING)
		task_step(a, t); /* a worker begins at once */
	if (!is_there(t) && !uv_is_active((uv_handle_t *)&a->step))
		(void)uv_timer_start(&a->step, step_fire, a->fleet->step_ms, 0);
}

/* The session */

static void on_assign(void *arg, const struct session_assign *message)
{
	struct sim_agent *a = arg;
	struct sim_task *t, *next;

	LIST_EACH (task, &message->tasks)
		task_take(a, task);
	STRS_EACH (id, &message->gone_tasks) {
		HASH_FIND_STR(a->tasks, id, t);
		if (t)
			task_forget(a, t);
	}
	if (!message->complete || message->more)
		return;
	HASH_ITER (hh, a->tasks, t, next)
		if (t->round != a->round)
			task_forget(a, t);
	a->round++;
}

static void plugin_add(struct engine_description *e, const char *type, const char *name)
{
	struct engine_plugin *p = LIST_ADD(&e->plugins);

	p->type = xstrdup(type);
	p->name = xstrdup(name);
}

static void on_describe(void *arg, struct session_open *ret)
{
	struct sim_agent *a = arg;
	struct node_description *d = &ret->description;

	d->hostname = xstrdup(a->hostname);
	d->platform.os = xstrdup("linux");
	d->platform.architecture = xstrdup("x86_64");
	d->resources.nano_cpus = CPUS * NS_PER_SEC;
	d->resources.memory = MEMORY;
	d->engine.version = xstrdup(SHOAL_VERSION);
	plugin_add(&d->engine, "Log", "json-file");
	plugin_add(&d->engine, "Network", "bridge");
	plugin_add(&d->engine, "Network", "overlay");
	plugin_add(&d->engine, "Volume", "local");
	d->tls.trust_root = xstrdup(a->roots);
	d->session_version = STREAM_VERSION_MAX;
}

static void on_connected(void *arg, bool connected)
{
	struct sim_agent *a = arg;

	a->fleet->open += connected ? 1 : -(size_t)1;
	a->fleet->moved(a->fleet);
}

static void on_welcome(void *arg, const struct session_welcome *w)
{
	(void)arg;
	(void)w;
}

static void on_secret(void *arg, const struct session_secret *s)
{
	(void)arg;
	(void)s;
}

static int on_peers(void *arg, const struct session_peers *p)
{
	(void)arg;
	(void)p;
	return 0;
}

static void on_certificate(void *arg, const struct session_cert *c)
{
	(void)arg;
	(void)c;
}

static void on_refused(void *arg, const struct err *why)
{
	struct sim_agent *a = arg;

	if (a->fleet->refused++ == 0)
		(void)fprintf(stderr, "bench_agents: %s: %s\n", a->hostname, err_text(why));
}

static const struct session_client_ops session_ops = {
	.describe = on_describe,
	.connected = on_connected,
	.welcome = on_welcome,
	.assign = on_assign,
	.secret = on_secret,
	.peers = on_peers,
	.certificate = on_certificate,
	.refused = on_refused,
};

void sim_agent_start(struct sim_agent *a, struct tls_identity *id,
		     const struct session_manager *managers, size_t n)
{
	struct stream_hub_conf conf = {0};
	struct session_client_config session = {
		.loop = a->fleet->loop, .node = a->id, .ops = &session_ops, .arg = a};

	a->hub = session.hub = stream_hub_new(a->fleet->loop, &conf);
	stream_hub_set_identity(a->hub, id);
	(void)uv_timer_init(a->fleet->loop, &a->step);
	a->step.data = a;
	a->session = session_client_new(&session, managers, n);
}

static bool stream_cut(struct stream *s, void *data)
{
	(void)data;
	stream_abort(s);
	return true;
}

static void session_closed(void *arg)
{
	struct sim_agent *a = arg;

	stream_hub_close(a->hub, NULL, NULL);
}

void sim_agent_cut(struct sim_agent *a)
{
	struct sim_task *t, *next;

	(void)uv_timer_stop(&a->step);
	stream_hub_each(a->hub, NULL, stream_cut, NULL);
	session_client_close(a->session, session_closed, a);
	HASH_ITER (hh, a->tasks, t, next)
		task_forget(a, t);
}
