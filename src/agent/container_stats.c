/*
 * What a container uses, measured once a second on the pool for all who follow it. The sampler
 * lives from the first of them to the last; one that is being measured outlives its container.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/clock.h"
#include "base/file.h"
#include "runtime/container/cgroup.h"

#define INTERVAL_MS 1000
#define PROC_MAX (1u << 20) /* bytes of a file of /proc */

struct engine_stats {
	struct sampler *sampler;
	const struct engine_stats_ops *ops;
	void *arg;
	struct engine_stats *prev, *next;
};

struct sampler {
	struct job job;
	struct engine *engine;
	struct container_live *live; /* NULL: nobody follows any more */
	struct engine_stats *clients, *walk_next;
	size_t n_clients;
	uv_timer_t timer;
	bool busy, closed;
	/* The job's own while it is busy. */
	char *group;
	int64_t pid; /* 0: its network is the host's */
	struct engine_sample sample;
};

/* ---- The job ---- */

/* The first line of /proc/stat: what the processors did, the guests' part not counted twice. */
static void read_host(struct engine_sample *s)
{
	auto_buf text = BUF_INIT(PROC_MAX);
	uint64_t t[7] = {0};
	long page = sysconf(_SC_PAGESIZE), pages = sysconf(_SC_PHYS_PAGES);

	s->cpus = (uint32_t)MAX_OF(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	s->host_memory = (uint64_t)MAX_OF(page, 0L) * (uint64_t)MAX_OF(pages, 0L);
	if (file_read_at(AT_FDCWD, "/proc/stat", &text) < 0)
		return;
	if (sscanf(buf_text(&text),
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64,
		   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6]) != 7)
		return;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		s->system_ns += t[i];
	s->system_ns *= NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void read_nets(int64_t pid, struct engine_sample *s)
{
	auto_free char *path = xasprintf("/proc/%lld/net/dev", (long long)pid);
	auto_buf text = BUF_INIT(PROC_MAX);

	if (file_read_at(AT_FDCWD, path, &text) < 0)
		return;
	for (const char *p = buf_text(&text); *p && s->n_nets < LIMIT_STATS_NETS;
	     p += strcspn(p, "\n"), p += *p == '\n') {
		struct engine_net_use *n = &s->nets[s->n_nets];

		*n = (struct engine_net_use){0};
		if (sscanf(p,
			   " %15[^: ]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
			   n->name, &n->rx_bytes, &n->rx_packets, &n->rx_errors, &n->rx_dropped,
			   &n->tx_bytes, &n->tx_packets, &n->tx_errors, &n->tx_dropped) == 9 &&
		    strcmp(n->name, "lo") != 0)
			s->n_nets++;
	}
}

static void sample_run(struct job *j)
{
	struct sampler *s = container_of(j, struct sampler, job);
	struct engine_sample *to = &s->sample;
	struct cgroup g;

	*to = (struct engine_sample){0};
	if (cgroup_open(CGROUP_ROOT, s->group, &g, NULL) < 0)
		return; /* it has ended meanwhile */
	cgroup_stats_read(&g, &to->use);
	cgroup_io_read(&g, &to->io);
	to->v2 = g.v2;
	cgroup_done(&g);
	read_host(to);
	if (s->pid)
		read_nets(s->pid, to);
	to->read_ns = clock_wall_ns();
	to->running = true;
}

/* ---- On the loop ---- */

static void sampler_free(struct sampler *s)
{
	struct engine *e = s->engine;

	if (s->busy || !s->closed)
		return;
	free(s->group);
	free(s);
	engine_release(e);
}

static void on_closed(uv_handle_t *h)
{
	struct sampler *s = h->data;

	s->closed = true;
	sampler_free(s);
}

static void sampler_stop(struct sampler *s)
{
	if (!s->live)
		return;
	s->live->sampler = NULL;
	s->live = NULL;
	uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void deliver(struct sampler *s)
{
	for (struct engine_stats *c = s->clients; c; c = s->walk_next) {
		s->walk_next = c->next;
		c->ops->sample(c->arg, &s->sample);
	}
}

static void sample_done(struct job *j)
{
	struct sampler *s = container_of(j, struct sampler, job);

	deliver(s);
	s->busy = false;
	sampler_free(s);
}

static void on_tick(uv_timer_t *t)
{
	struct sampler *s = t->data;
	const struct container *c = s->live->c;

	if (s->busy)
		return; /* the pool is late: this second is left out */
	if (c->status != CONTAINER_RUNNING) {
		s->sample = (struct engine_sample){0};
		deliver(s);
		return;
	}
	s->pid = c->host.network_mode && strcmp(c->host.network_mode, "host") == 0 ? 0 : c->pid;
	s->busy = true;
	s->job.run = sample_run;
	s->job.done = sample_done;
	job_start(s->engine->config.loop, &s->job);
}

static struct sampler *sampler_new(struct container_live *l)
{
	struct sampler *s = xcalloc(1, sizeof *s);

	s->engine = l->engine;
	s->live = l;
	s->group = container_cgroup_path(l->c, l->engine->config.cgroup_parent);
	engine_hold(l->engine);
	(void)uv_timer_init(l->engine->config.loop, &s->timer);
	s->timer.data = s;
	(void)uv_timer_start(&s->timer, on_tick, 0, INTERVAL_MS);
	return s;
}

struct engine_stats *engine_stats(struct engine *e, struct container *c,
				  const struct engine_stats_ops *ops, void *arg, struct err *err)
{
	struct container_live *l = c->live;
	struct engine_stats *n;

	if (e->closing) {
		(void)err_set(err, -ESHUTDOWN, "the daemon stops");
		return NULL;
	}
	if (!l->sampler)
		l->sampler = sampler_new(l);
	if (l->sampler->n_clients == LIMIT_STATS_CLIENTS) {
		(void)err_set(err, -EAGAIN,
			      "%d clients follow the figures of container %s already: end one",
			      LIMIT_STATS_CLIENTS, c->id);
		return NULL;
	}
	n = xcalloc(1, sizeof *n);
	*n = (struct engine_stats){.sampler = l->sampler, .ops = ops, .arg = arg};
	n->next = l->sampler->clients;
	if (n->next)
		n->next->prev = n;
	l->sampler->clients = n;
	l->sampler->n_clients++;
	return n;
}

void engine_stats_close(struct engine_stats *c)
{
	struct sampler *s = c->sampler;

	if (s->walk_next == c)
		s->walk_next = c->next;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
	if (--s->n_clients == 0)
		sampler_stop(s);
}

void stats_end(struct container_live *l)
{
	struct sampler *s = l->sampler;

	if (!s)
		return;
	sampler_stop(s);
	engine_hold(s->engine); /* `s` stays until its timer is closed */
	for (struct engine_stats *c = s->clients; c; c = s->walk_next) {
		s->walk_next = c->next;
		c->ops->end(c->arg);
	}
	engine_release(s->engine);
}
