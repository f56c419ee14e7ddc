/*
 * See task_exec.h: which processes there are, of whom and where. How one of them goes is
 * task_exec_stream.c's.
 */
#include "manager/task_exec_impl.h"

#include <errno.h>
#include <string.h>

#include "base/id.h"
#include "base/mem.h"
#include "manager/manager_impl.h"

/* ---- Made, started, forgotten ---- */

static void forget(struct task_execs *all, struct live **at)
{
	struct live *x = *at;

	*at = x->next;
	all->n--;
	world_timer_stop(world_of(all), &x->limit);
	world_timer_stop(world_of(all), &x->soon);
	live_stream_drop(x, -ECANCELED, "the manager stops");
	data_ask_done(manager_data(all->manager), &x->ask);
	buf_done(&x->request);
	buf_done(&x->in);
	buf_done(&x->out);
	table_done(&exec_config_table, &x->v.config);
	free(x->v.task);
	free(x->v.node);
	free(x->v.container);
	free(x->v.error);
	free(x);
}

/* What nobody will start or has asked for in LIMIT_EXEC_KEPT_MS, and at the bound the oldest. */
static void forget_old(struct task_execs *all)
{
	uint64_t now = world_mono_ms(world_of(all));
	bool full = all->n >= LIMIT_TASK_EXECS;

	for (struct live **at = &all->first, *x; (x = *at);) {
		bool idle = x->v.state == TASK_EXEC_CREATED || x->v.state == TASK_EXEC_ENDED;

		if (idle && !x->ops && (full || now - x->since_ms >= LIMIT_EXEC_KEPT_MS)) {
			forget(all, at);
			full = false;
		} else {
			at = &x->next;
		}
	}
}

static int target_check(const struct store *store, const struct task *t, struct err *e)
{
	const struct node *n = t->node ? store_node(store, t->node) : NULL;

	if (t->status.state != TASK_RUNNING)
		return err_set(e, -ESRCH, "task %s is not running: it is %s%s%s", t->o.id,
			       task_state_name(t->status.state),
			       t->status.err && *t->status.err ? ", " : "",
			       t->status.err ? t->status.err : "");
	if (!n || n->status.state == NODE_DOWN)
		return err_set(e, -EHOSTUNREACH,
			       "node %s, which runs task %s, is down: nothing can be executed "
			       "there until it is back",
			       t->node ? t->node : "", t->o.id);
	return 0;
}

static int config_check(const struct exec_config *config, struct buf *ret_json, struct err *e)
{
	uint32_t rows, cols;

	if (config->cmd.n == 0 || !*config->cmd.v[0])
		return err_set(e, -EINVAL, "No exec command specified");
	if (config->privileged)
		return err_set(e, -EPERM,
			       "a privileged process can be executed in a task on its own node "
			       "alone: use \"docker exec --privileged\" there");
	if (json_write(&exec_config_table, config, ret_json) < 0)
		return err_set(e, -EMSGSIZE,
			       "the command and its environment are larger than %u bytes",
			       LIMIT_EXEC_CONFIG);
	return console_size_read(config->console_size, &rows, &cols, e);
}

static void id_make(const struct world *w, char ret[ID_HOST_LEN + 1])
{
	uint8_t bytes[ID_HOST_LEN / 2];

	world_random(w, bytes, sizeof bytes);
	hex_encode(bytes, sizeof bytes, ret);
}

static struct live *exec_new(struct task_execs *all, const struct task *t,
			     struct exec_config *config)
{
	struct live *x = xcalloc(1, sizeof *x), **at = &all->first;

	id_make(world_of(all), x->v.id);
	x->all = all;
	x->v.task = xstrdup(t->o.id);
	x->v.node = xstrdup(t->node);
	x->v.container = xstrdup(t->status.container ? t->status.container->container : NULL);
	x->v.config = *config;
	*config = (struct exec_config){0};
	live_init(x);
	while (*at)
		at = &(*at)->next;
	*at = x;
	all->n++;
	return x;
}

int task_exec_create(struct manager *m, const char *task, struct exec_config *config,
		     struct task_exec **ret, struct err *e)
{
	const struct store *store = manager_store(m);
	struct buf json = BUF_INIT(LIMIT_EXEC_CONFIG);
	const struct task *t;
	struct live *x;
	int rc = task_exec_target(store, task, &t, e);

	if (rc == 0)
		rc = target_check(store, t, e);
	if (rc == 0)
		rc = config_check(config, &json, e);
	if (rc == 0)
		forget_old(m->execs);
	if (rc == 0 && m->execs->n >= LIMIT_TASK_EXECS)
		rc = err_set(e, -EBUSY,
			     "%d processes that this manager executed in tasks run already: end "
			     "some of them first, or ask another manager",
			     LIMIT_TASK_EXECS);
	if (rc < 0) {
		buf_done(&json);
		return rc;
	}
	x = exec_new(m->execs, t, config);
	x->request = json;
	*ret = &x->v;
	return 0;
}

struct task_exec *task_exec_find(struct manager *m, const char *id)
{
	struct live *x = m->execs->first;

	while (x && strcmp(x->v.id, id) != 0)
		x = x->next;
	return x ? &x->v : NULL;
}

int task_exec_start(struct task_exec *v, bool detach, uint32_t rows, uint32_t cols,
		    const struct task_exec_ops *ops, void *arg, struct err *e)
{
	struct live *x = live_of(v);
	const struct store *store = manager_store(x->all->manager);
	const struct task *t = store_task(store, x->v.task);
	int rc;

	if (x->v.state != TASK_EXEC_CREATED)
		return err_set(e, -EBUSY, "Error: Exec command %s is already running, or has run",
			       x->v.id);
	if (!t)
		return err_set(e, -ESRCH, "task %s is no more", x->v.task);
	rc = target_check(store, t, e);
	if (rc < 0)
		return rc;
	if (rows && cols) {
		x->rows = rows;
		x->cols = cols;
	}
	x->detach = detach;
	x->ops = ops;
	x->arg = arg;
	live_state_set(x, TASK_EXEC_STARTING);
	x->ask.taken = live_taken;
	x->ask.request.kind = DATA_KIND_EXEC;
	x->ask.request.node = xstrdup(x->v.node);
	x->ask.request.task = xstrdup(x->v.task);
	world_timer_start(world_of(x->all), &x->limit, LIMIT_EXEC_OPEN_MS);
	data_ask(manager_data(x->all->manager), &x->ask);
	return 0;
}

/* ---- Nodes that go down ---- */

static void node_lost(struct task_execs *all, const char *node)
{
	auto_free char *why = xasprintf(
		"node %s is down: the process is lost, or runs on without being seen", node);

	for (struct live *x = all->first, *next; x; x = next) {
		next = x->next;
		if (x->v.state != TASK_EXEC_CREATED && x->v.state != TASK_EXEC_ENDED &&
		    strcmp(x->v.node, node) == 0)
			live_broken(x, -EHOSTUNREACH, why);
	}
}

static void on_changed(void *arg, const struct object *old, const struct object *new)
{
	const struct object *o = new ? new : old;

	if (o->kind == KIND_NODE && (!new || ((const struct node *)new)->status.state == NODE_DOWN))
		node_lost(arg, o->id);
}

static void on_applied(void *arg, uint64_t version, bool swapped)
{
	struct task_execs *all = arg;
	const struct store *store = manager_store(all->manager);
	const struct node *n;
	struct store_walk w;

	(void)version;
	if (!swapped)
		return;
	store_walk_kind(&w, store, KIND_NODE);
	while ((n = store_walk_next(&w)))
		if (n->status.state == NODE_DOWN)
			node_lost(all, n->o.id);
}

struct task_execs *task_execs_new(struct manager *m)
{
	struct task_execs *all = xcalloc(1, sizeof *all);

	all->manager = m;
	all->watch = (struct store_watch){.changed = on_changed, .applied = on_applied, .arg = all};
	store_watch_add(manager_store(m), &all->watch);
	return all;
}

void task_execs_free(struct task_execs *all)
{
	store_watch_remove(manager_store(all->manager), &all->watch);
	for (struct live *x = all->first; x; x = x->next)
		live_broken(x, -EAGAIN, "the manager stops; the process may run on");
	/* Nobody will take what is left: each client hears of the end now. */
	for (struct live *x = all->first; x; x = x->next) {
		const struct task_exec_ops *ops = TAKE_PTR(x->ops);

		if (ops && !x->told)
			ops->end(x->arg);
	}
	while (all->first)
		forget(all, &all->first);
	free(all);
}
