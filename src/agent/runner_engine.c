/*
 * See runner_engine.h. A task's container is found by the task's id, which it carries.
 */
#include "agent/runner_engine.h"

#include <string.h>
#include <uthash.h>

#include "agent/task_files.h"
#include "base/id.h"
#include "base/mem.h"

struct runner_engine {
	struct engine *engine;
	struct task_node node; /* its strings are this struct's */
	struct engine_watch watch;
	struct port_status ports; /* of the state that was told last */
	runner_changed changed;
	void *changed_arg;
};

/* An operation of the worker on its way through the engine. */
struct run_op {
	struct runner_engine *runner;
	char task[ID_CLUSTER_LEN + 1];
	runner_done done;
	void *done_arg;
	uv_timer_t later; /* for answers that are known at once: never from within the call */
	int status;
	struct err err;
};

static void port_put(struct port_status *s, const char *key, const struct port_binding *b)
{
	const char *protocol = strchr(key, '/');
	struct port_config *p = LIST_ADD(&s->ports);

	p->mode = PUBLISH_HOST;
	p->target = (uint32_t)strtoul(key, NULL, 10);
	p->published = (uint32_t)strtoul(b->host_port ? b->host_port : "", NULL, 10);
	if (protocol)
		(void)port_protocol_parse(protocol + 1, &p->protocol);
}

static const struct port_status *ports_of(struct runner_engine *r, const struct container *c)
{
	table_done(&port_status_table, &r->ports);
	for (size_t i = 0; i < c->ports.n; i++)
		LIST_EACH (b, &c->ports.v[i].value.list)
			port_put(&r->ports, c->ports.v[i].key, b);
	return r->ports.ports.n ? &r->ports : NULL;
}

static struct runner_state state_of(struct runner_engine *r, const struct container *c)
{
	bool running;

	if (!c)
		return (struct runner_state){0};
	running = c->status == CONTAINER_RUNNING;
	return (struct runner_state){
		.exists = true,
		.running = running,
		.starting = running && c->health && c->health->status == HEALTH_STARTING,
		.unhealthy = running && c->health && c->health->status == HEALTH_UNHEALTHY,
		.started = c->started_ns != 0,
		.container = c->id,
		.pid = c->pid,
		.exit_code = c->exit_code,
		.error = c->error && *c->error ? c->error
			 : c->oom_killed       ? "out of memory"
					       : NULL,
		.finished_ns = c->finished_ns,
		.ports = running ? ports_of(r, c) : NULL,
	};
}

static struct container *container_of_task(const struct run_op *op)
{
	return engine_container_of_task(op->runner->engine, op->task);
}

static void op_end(struct run_op *op, int status, const struct err *e)
{
	struct runner_state state = state_of(op->runner, container_of_task(op));

	op->done(op->done_arg, status, &state, e);
	free(op);
}

static void later_closed(uv_handle_t *h)
{
	struct run_op *op = h->data;

	op_end(op, op->status, op->status < 0 ? &op->err : NULL);
}

static void later_fire(uv_timer_t *t)
{
	uv_close((uv_handle_t *)t, later_closed);
}

static struct run_op *op_new(struct runner_engine *r, const char *task, runner_done done,
			     void *done_arg)
{
	struct run_op *op = xcalloc(1, sizeof *op);

	op->runner = r;
	memcpy(op->task, task, strnlen(task, ID_CLUSTER_LEN));
	op->done = done;
	op->done_arg = done_arg;
	return op;
}

static void op_later(struct run_op *op, int status)
{
	op->status = status;
	op->later.data = op;
	(void)uv_timer_init(engine_loop(op->runner->engine), &op->later);
	(void)uv_timer_start(&op->later, later_fire, 0, 0);
}

static void op_done(void *arg, int status, const struct err *e)
{
	op_end(arg, status, e);
}

/* Prepare */

static void op_created(void *arg, int status, const struct container *c,
		       const struct strs *warnings, const struct err *e)
{
	(void)c;
	(void)warnings;
	op_end(arg, status, e);
}

static void run_prepare(void *arg, const struct task *t, const struct template *tpl,
			runner_done done, void *done_arg)
{
	struct runner_engine *r = arg;
	struct run_op *op = op_new(r, t->o.id, done, done_arg);
	struct container_create spec = {0};
	auto_free char *name = task_container_name(tpl->service_name, t);
	auto_free struct engine_endpoint *endpoints = xcalloc(t->networks.n, sizeof *endpoints);
	struct engine_create create = {.spec = &spec,
				       .name = name,
				       .task = t->o.id,
				       .files = task_has_files(tpl),
				       .endpoints = endpoints};
	int rc;

	if (container_of_task(op)) {
		op_later(op, 0);
		return;
	}
	rc = task_container_make(t, tpl, &r->node, &spec, &op->err);
	if (rc < 0) {
		op_later(op, rc);
		return;
	}
	LIST_EACH (a, &t->networks)
		endpoints[create.n_endpoints++] = (struct engine_endpoint){
			.network = a->network, .addresses = a->addresses, .aliases = a->aliases};
	engine_container_create(r->engine, &create, op_created, op);
}

/* The others */

static void run_start(void *arg, const struct task *t, const struct template *tpl,
		      const struct vault *vault, runner_done done, void *done_arg)
{
	struct runner_engine *r = arg;
	struct run_op *op = op_new(r, t->o.id, done, done_arg);
	struct container *c = container_of_task(op);
	struct engine_files *files = NULL;
	int rc;

	if (!c)
		op_later(op, err_set(&op->err, -ENOENT, "the task's container is gone"));
	else if (c->status == CONTAINER_RUNNING)
		op_later(op, 0);
	else if ((rc = task_permit_check(tpl, r->node.permit, &op->err)) < 0)
		op_later(op, rc);
	else if ((rc = task_files_make(t, tpl, &r->node, vault, &files, &op->err)) < 0)
		op_later(op, rc);
	else
		engine_container_start_files(r->engine, c, files, op_done, op);
}

static void run_stop(void *arg, const char *task, int64_t grace_ns, runner_done done,
		     void *done_arg)
{
	struct run_op *op = op_new(arg, task, done, done_arg);
	struct container *c = container_of_task(op);

	if (!c || c->status != CONTAINER_RUNNING)
		op_later(op, 0);
	else
		engine_container_stop(op->runner->engine, c, 0, (grace_ns + 999999999) / 1000000000,
				      op_done, op);
}

static void run_remove(void *arg, const char *task, runner_done done, void *done_arg)
{
	struct run_op *op = op_new(arg, task, done, done_arg);
	struct container *c = container_of_task(op);

	if (!c)
		op_later(op, 0);
	else
		engine_container_remove(op->runner->engine, c, true, true, op_done, op);
}

static void run_inspect(void *arg, const char *task, struct runner_state *ret)
{
	struct runner_engine *r = arg;

	*ret = state_of(r, engine_container_of_task(r->engine, task));
}

static void run_watch(void *arg, runner_changed changed, void *changed_arg)
{
	struct runner_engine *r = arg;

	r->changed = changed;
	r->changed_arg = changed_arg;
}

static void run_list(void *arg, struct strs *ret)
{
	struct runner_engine *r = arg;
	size_t n;
	auto_free struct container **all = engine_containers(r->engine, &n);

	for (size_t i = 0; i < n; i++)
		if (all[i]->task)
			strs_add(ret, all[i]->task);
}

static const struct runner_ops ops = {
	.prepare = run_prepare,
	.start = run_start,
	.stop = run_stop,
	.remove = run_remove,
	.inspect = run_inspect,
	.watch = run_watch,
	.list = run_list,
};

static bool is_change(const char *action)
{
	static const char health[] = "health_status";

	return strcmp(action, "die") == 0 || strncmp(action, health, sizeof health - 1) == 0;
}

static void on_event(void *arg, const struct engine_event *ev)
{
	struct runner_engine *r = arg;
	struct runner_state state;
	struct container *c;

	if (!r->changed || strcmp(ev->type, "container") != 0 || !is_change(ev->action) ||
	    engine_container_find(r->engine, ev->id, &c, NULL) < 0 || !c->task)
		return;
	state = state_of(r, c);
	r->changed(r->changed_arg, c->task, &state);
}

struct runner_engine *runner_engine_new(struct engine *e, const struct task_node *node)
{
	struct runner_engine *r = xcalloc(1, sizeof *r);

	r->engine = e;
	r->node = (struct task_node){.id = xstrdup(node->id),
				     .hostname = xstrdup(node->hostname),
				     .os = xstrdup(node->os),
				     .architecture = xstrdup(node->architecture),
				     .permit = node->permit};
	r->watch = (struct engine_watch){.event = on_event, .arg = r};
	engine_watch_add(e, &r->watch);
	return r;
}

void runner_engine_free(struct runner_engine *r)
{
	engine_watch_remove(r->engine, &r->watch);
	table_done(&port_status_table, &r->ports);
	free((char *)r->node.id);
	free((char *)r->node.hostname);
	free((char *)r->node.os);
	free((char *)r->node.architecture);
	free(r);
}

struct runner runner_engine_runner(struct runner_engine *r)
{
	return (struct runner){.ops = &ops, .arg = r};
}
