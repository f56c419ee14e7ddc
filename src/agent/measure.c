/*
 * See measure.h. A round has one job for what groups of processes have used, and reads metrics side
 * by side, LIMIT_SCRAPES at a time. One that is not over when the next is due ends then: what was
 * not read is reported so.
 */
#include "agent/measure.h"

#include <stdio.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/scrape.h"
#include "base/clock.h"

#define PERIOD_MIN_MS 500
#define PERIOD_MAX_MS 60000
#define INTERVAL_MIN_NS (NS_PER_SEC / 4) /* below it an average says little */

/* What is kept of a task from round to round: what only rises. */
struct known {
	char task[ID_CLUSTER_LEN + 1];
	char container[ID_HOST_LEN + 1];
	uint64_t cpu_ns;
	int64_t cpu_at_ns; /* monotonic; 0: not known */
	int64_t count, count_at_ns;
	uint64_t round; /* in which it was last asked for */
	UT_hash_handle hh;
};

/* A task in a round. */
struct item {
	struct measurer *measurer;
	const struct session_measure_group *group;
	const struct metric_selector *selector; /* NULL: no metric is wanted */
	struct scrape *scrape;
	struct task_load load;
	struct known *known;
};

struct measurer {
	struct engine *engine;
	measured_fn report;
	void *arg;
	uv_timer_t timer;
	struct session_measure wanted, current; /* `current` is the round's */
	bool changed;                           /* `wanted` is to become `current` */
	struct known *known;
	/* The round */
	uint64_t round;
	bool running;
	struct metric_selector *selectors; /* one a group */
	struct item *items;
	size_t n, next; /* `next`: whose metric is read next */
	unsigned scrapes;
	bool using;         /* the job has not come back, */
	uint64_t using_for; /* which this round has begun */
	bool closing, closed;
};

static void number_set(int64_t **to, double v)
{
	int64_t n = v < 0 ? 0 : v > (double)LIMIT_METRIC_VALUE ? LIMIT_METRIC_VALUE : (int64_t)v;

	free(*to);
	*to = xmemdup(&n, sizeof n);
}

static struct known *known_get(struct measurer *m, const char *task, const char *container)
{
	struct known *k;

	HASH_FIND_STR(m->known, task, k);
	if (!k) {
		k = xcalloc(1, sizeof *k);
		(void)snprintf(k->task, sizeof k->task, "%s", task);
		HASH_ADD_STR(m->known, task, k);
	}
	if (strcmp(k->container, container) != 0) { /* it was made anew */
		(void)snprintf(k->container, sizeof k->container, "%s", container);
		k->cpu_at_ns = k->count_at_ns = 0;
	}
	k->round = m->round;
	return k;
}

static void known_prune(struct measurer *m, bool all)
{
	struct known *k, *next;

	HASH_ITER (hh, m->known, k, next) {
		if (all || k->round != m->round) {
			HASH_DEL(m->known, k);
			free(k);
		}
	}
}

/* The end of a round */

static void round_clear(struct measurer *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->items[i].scrape)
			scrape_cancel(m->items[i].scrape);
		table_done(&task_load_table, &m->items[i].load);
	}
	for (size_t i = 0; m->selectors && i < m->current.groups.n; i++)
		metric_selector_done(&m->selectors[i]);
	free(TAKE_PTR(m->selectors));
	free(TAKE_PTR(m->items));
	m->n = m->next = m->scrapes = 0;
	m->running = false;
}

static void round_report(struct measurer *m)
{
	struct session_measured all = {0};

	for (size_t i = 0; i < m->n; i++) {
		struct task_load *l = &m->items[i].load;

		if (m->items[i].selector && !l->value[AUTOSCALE_METRIC] && !l->error &&
		    (m->items[i].scrape || i >= m->next))
			l->error = xstrdup("its metric was not read in time");
		*LIST_ADD(&all.loads) = *l; /* lent */
	}
	known_prune(m, false);
	if (all.loads.n)
		m->report(m->arg, &all);
	free(all.loads.v);
	round_clear(m);
}

static void round_check(struct measurer *m)
{
	if (m->running && !m->using && !m->scrapes && m->next == m->n)
		round_report(m);
}

/* Metrics */

static void scrapes_start(struct measurer *m);

/* Of a counter: how much it rises a second. */
static void metric_take(struct item *item, int64_t sum, bool counter)
{
	struct known *k = item->known;
	int64_t now = clock_mono_ns(), since = now - k->count_at_ns;

	if (!counter) {
		number_set(&item->load.value[AUTOSCALE_METRIC], (double)sum);
		return;
	}
	if (k->count_at_ns && sum >= k->count && since < INTERVAL_MIN_NS)
		return;
	if (k->count_at_ns && sum >= k->count)
		number_set(&item->load.value[AUTOSCALE_METRIC],
			   (double)(sum - k->count) * NS_PER_SEC / (double)since);
	k->count = sum;
	k->count_at_ns = now;
}

static void on_scraped(void *arg, int status, int64_t sum, bool counter, const struct err *e)
{
	struct item *item = arg;
	struct measurer *m = item->measurer;

	item->scrape = NULL;
	m->scrapes--;
	if (status == 0)
		metric_take(item, sum, counter);
	else
		item->load.error = xasprintf("%.*s", LIMIT_AUTOSCALE_ERROR, err_text(e));
	scrapes_start(m);
	round_check(m);
}

static void scrapes_start(struct measurer *m)
{
	while (m->next < m->n && m->scrapes < LIMIT_SCRAPES) {
		struct item *item = &m->items[m->next++];
		const struct container *c =
			item->selector ? engine_container_of_task(m->engine, item->load.task)
				       : NULL;
		struct scrape_target target;

		if (!c || c->status != CONTAINER_RUNNING || c->pid <= 0)
			continue;
		target = (struct scrape_target){.pid = c->pid,
						.host_network =
							c->host.network_mode &&
							strcmp(c->host.network_mode, "host") == 0,
						.port = item->group->port,
						.path = item->group->path,
						.selector = item->selector};
		m->scrapes++;
		item->scrape = scrape_start(m->engine, &target, on_scraped, item);
	}
}

/* Processors and memory */

static void use_take(struct item *item, const struct container_use *u)
{
	struct known *k = item->known;
	int64_t since = u->mono_ns - k->cpu_at_ns;

	if (!u->known || strcmp(u->container, k->container) != 0)
		return;
	number_set(&item->load.value[AUTOSCALE_MEMORY], (double)u->memory);
	if (k->cpu_at_ns && u->cpu_ns >= k->cpu_ns && since < INTERVAL_MIN_NS)
		return;
	if (k->cpu_at_ns && u->cpu_ns >= k->cpu_ns)
		number_set(&item->load.value[AUTOSCALE_CPU],
			   (double)(u->cpu_ns - k->cpu_ns) * NS_PER_SEC / (double)since);
	k->cpu_ns = u->cpu_ns;
	k->cpu_at_ns = u->mono_ns;
}

static void measurer_gone(struct measurer *m);

static void on_used(void *arg, const struct container_uses *uses)
{
	struct measurer *m = arg;
	size_t at = 0;

	m->using = false;
	if (m->closing) {
		measurer_gone(m);
		return;
	}
	/* In the order of asking; a round that has ended meanwhile asked for it in vain. */
	for (size_t i = 0; m->using_for == m->round && i < m->n && at < uses->n; i++)
		if (strcmp(m->items[i].load.task, uses->v[at].task) == 0)
			use_take(&m->items[i], &uses->v[at++]);
	round_check(m);
}

/* The beginning of one */

static void item_add(struct measurer *m, size_t group, const char *task, struct strs *used)
{
	const struct session_measure_group *g = &m->current.groups.v[group];
	const struct container *c = engine_container_of_task(m->engine, task);
	struct item *item;

	if (!c || c->status != CONTAINER_RUNNING || strlen(task) > ID_CLUSTER_LEN)
		return;
	item = &m->items[m->n++];
	item->measurer = m;
	item->group = g;
	item->selector = m->selectors[group].name ? &m->selectors[group] : NULL;
	item->load.task = xstrdup(task);
	item->known = known_get(m, task, c->id);
	if (g->use)
		strs_add(used, task);
}

static void round_begin(struct measurer *m)
{
	struct strs used = {0};
	size_t most = 0;

	if (m->changed) {
		table_done(&session_measure_table, &m->current);
		table_copy(&session_measure_table, &m->current, &m->wanted);
		m->changed = false;
	}
	m->round++;
	LIST_EACH (g, &m->current.groups)
		most += g->tasks.n;
	m->items = xcalloc(most, sizeof *m->items);
	m->selectors = xcalloc(m->current.groups.n, sizeof *m->selectors);
	for (size_t i = 0; i < m->current.groups.n; i++) {
		const struct session_measure_group *g = &m->current.groups.v[i];

		if (g->metric && g->path)
			(void)metric_selector_read(g->metric, &m->selectors[i], NULL);
		STRS_EACH (task, &g->tasks)
			item_add(m, i, task, &used);
	}
	m->running = true;
	if (used.n && !m->using) {
		m->using = true;
		m->using_for = m->round;
		engine_container_uses(m->engine, &used, on_used, m);
	}
	strs_done(&used);
	scrapes_start(m);
	round_check(m);
}

static void on_tick(uv_timer_t *t)
{
	struct measurer *m = t->data;

	if (m->running)
		round_report(m);
	if (!m->wanted.groups.n) {
		(void)uv_timer_stop(t);
		known_prune(m, true);
		return;
	}
	round_begin(m);
}

void measurer_set(struct measurer *m, const struct session_measure *what)
{
	uint64_t period =
		MIN_OF(MAX_OF(what->period_ms, (uint32_t)PERIOD_MIN_MS), (uint32_t)PERIOD_MAX_MS);

	table_done(&session_measure_table, &m->wanted);
	table_copy(&session_measure_table, &m->wanted, what);
	m->changed = true;
	if (!uv_is_active((uv_handle_t *)&m->timer) && what->groups.n)
		(void)uv_timer_start(&m->timer, on_tick, 0, period);
}

struct measurer *measurer_new(struct engine *e, measured_fn report, void *arg)
{
	struct measurer *m = xcalloc(1, sizeof *m);

	m->engine = e;
	m->report = report;
	m->arg = arg;
	engine_hold(e);
	(void)uv_timer_init(e->config.loop, &m->timer);
	m->timer.data = m;
	return m;
}

/* Once its timer is closed and its job is back. */
static void measurer_gone(struct measurer *m)
{
	struct engine *e = m->engine;

	if (m->using || !m->closed)
		return;
	free(m);
	engine_release(e);
}

static void timer_closed(uv_handle_t *h)
{
	struct measurer *m = h->data;

	m->closed = true;
	measurer_gone(m);
}

void measurer_free(struct measurer *m)
{
	m->closing = true;
	round_clear(m);
	known_prune(m, true);
	table_done(&session_measure_table, &m->wanted);
	table_done(&session_measure_table, &m->current);
	uv_close((uv_handle_t *)&m->timer, timer_closed);
}
