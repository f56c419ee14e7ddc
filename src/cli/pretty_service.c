/*
 * A service for people. See pretty.h.
 */
#include "cli/pretty.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/text.h"

static const char *or_else(const char *text, const char *other)
{
	return text && *text ? text : other;
}

static void words(struct buf *b, const char *title, const struct strs *list)
{
	if (list->n)
		buf_adds(b, title);
	STRS_EACH (word, list)
		buf_addf(b, "%s ", word);
}

/* As Go prints a list of texts. */
static void bracketed(struct buf *b, const char *title, const struct strs *list, const char *sep)
{
	if (!list->n)
		return;
	buf_adds(b, title);
	for (size_t i = 0; i < list->n; i++)
		buf_addf(b, "%s%s", i ? sep : "", list->v[i]);
}

static void duration(struct buf *b, const char *title, int64_t ns)
{
	char text[DURATION_TEXT_MAX];

	duration_format(ns, text);
	buf_addf(b, "%s%s", title, text);
}

static void ago(struct buf *b, const char *title, int64_t then_ns, int64_t now_ns)
{
	char text[TEXT_SHORT];

	duration_human(now_ns - then_ns, text);
	buf_addf(b, "%s%s ago", title, text);
}

static void mode(const struct service_mode *m, struct buf *b)
{
	buf_adds(b, "\nService Mode:");
	if (m->global)
		buf_adds(b, "\tGlobal");
	if (!m->replicated)
		return;
	buf_adds(b, "\tReplicated");
	if (m->replicated->replicas)
		buf_addf(b, "\n Replicas:\t%" PRIu64, *m->replicated->replicas);
}

static void update_status(const struct update_status *u, int64_t now_ns, struct buf *b)
{
	if (!u)
		return;
	buf_addf(b, "\nUpdateStatus:\n State:\t\t%s", update_state_name(u->state));
	if (u->started)
		ago(b, "\n Started:\t", u->started, now_ns);
	if (u->state == UPDATE_COMPLETED && u->completed)
		ago(b, "\n Completed:\t", u->completed, now_ns);
	buf_addf(b, "\n Message:\t%s", u->message ? u->message : "");
}

static void placement(const struct placement *p, struct buf *b)
{
	struct strs spreads = {0};

	buf_adds(b, "\nPlacement:");
	if (!p)
		return;
	LIST_EACH (pref, &p->preferences) {
		auto_free char *text =
			pref->spread ? xasprintf("spread=%s", pref->spread->descriptor) : NULL;

		if (text)
			strs_add(&spreads, text);
	}
	bracketed(b, "\n Constraints:\t[", &p->constraints, " ");
	if (p->constraints.n)
		buf_addc(b, ']');
	bracketed(b, "\n Preferences:   [", &spreads, " ");
	if (spreads.n)
		buf_addc(b, ']');
	if (p->max_replicas)
		buf_addf(b, "\n Max Replicas Per Node:   %" PRIu64, p->max_replicas);
	strs_done(&spreads);
}

static void update_config(const struct update_config *u, const char *title, const char *order,
			  struct buf *b)
{
	if (!u)
		return;
	buf_addf(b, "\n%s:\n Parallelism:\t%" PRIu64, title, u->parallelism);
	if (u->delay)
		duration(b, "\n Delay:\t\t", u->delay);
	buf_addf(b, "\n On failure:\t%s", or_else(u->failure_action, ""));
	if (u->monitor)
		duration(b, "\n Monitoring Period: ", u->monitor);
	buf_addf(b, "\n Max failure ratio: %g\n %s%s", u->max_failure_ratio, order,
		 or_else(u->order, ""));
}

static int by_ulimit(const void *a, const void *b)
{
	return strcmp((*(const struct ulimit *const *)a)->name,
		      (*(const struct ulimit *const *)b)->name);
}

static void ulimits(const struct container_spec *c, struct buf *b)
{
	auto_free const struct ulimit **sorted = xcalloc(c->ulimits.n + 1, sizeof *sorted);

	if (c->ulimits.n)
		buf_adds(b, "\nUlimits:");
	for (size_t i = 0; i < c->ulimits.n; i++)
		sorted[i] = &c->ulimits.v[i];
	qsort(sorted, c->ulimits.n, sizeof *sorted, by_ulimit);
	for (size_t i = 0; i < c->ulimits.n; i++)
		buf_addf(b, "\n %s: %" PRId64 ":%" PRId64, sorted[i]->name, sorted[i]->soft,
			 sorted[i]->hard);
}

static void capabilities(const struct container_spec *c, struct buf *b)
{
	if (c->cap_add.n || c->cap_drop.n)
		buf_adds(b, "\nCapabilities:");
	bracketed(b, "\n Add: ", &c->cap_add, ", ");
	bracketed(b, "\n Drop: ", &c->cap_drop, ", ");
}

static void mounts(const struct container_spec *c, struct buf *b)
{
	if (c->mounts.n)
		buf_adds(b, "\nMounts:");
	LIST_EACH (m, &c->mounts)
		buf_addf(b, "\n Target:\t%s\n  Source:\t%s\n  ReadOnly:\t%s\n  Type:\t\t%s",
			 or_else(m->target, ""), or_else(m->source, ""),
			 m->read_only ? "true" : "false", or_else(m->type, ""));
}

static void files(const struct container_spec *c, struct buf *b)
{
	if (c->configs.n)
		buf_adds(b, "\nConfigs:");
	LIST_EACH (r, &c->configs)
		buf_addf(b, "\n Target:\t%s\n  Source:\t%s", r->file ? r->file->name : "", r->name);
	if (c->secrets.n)
		buf_adds(b, "\nSecrets:");
	LIST_EACH (r, &c->secrets)
		buf_addf(b, "\n Target:\t%s\n  Source:\t%s", r->file ? r->file->name : "", r->name);
}

static void container(const struct container_spec *c, struct buf *b)
{
	if (!c)
		return;
	buf_addf(b, "\nContainerSpec:\n Image:\t\t%s", or_else(c->image, ""));
	words(b, "\n Args:\t\t", &c->args);
	words(b, "\n Env:\t\t", &c->env);
	if (c->dir && *c->dir)
		buf_addf(b, "\n Dir:\t\t%s", c->dir);
	if (c->init)
		buf_addf(b, "\n Init:\t\t%s", *c->init ? "true" : "false");
	if (c->user && *c->user)
		buf_addf(b, "\n User: %s", c->user);
	capabilities(c, b);
	if (c->sysctls.n)
		buf_adds(b, "\nSysCtls:");
	LIST_EACH (v, &c->sysctls)
		buf_addf(b, "\n %s%s%s", v->key, *v->value ? ": " : "", v->value);
	ulimits(c, b);
	mounts(c, b);
	files(c, b);
}

static void log_driver(const struct driver *d, struct buf *b)
{
	if (!d)
		return;
	buf_adds(b, "\nLog Driver:");
	if (d->name && *d->name)
		buf_addf(b, "\n Name:\t\t%s", d->name);
	if (d->options.n)
		buf_adds(b, "\n LogOpts:");
	LIST_EACH (v, &d->options)
		buf_addf(b, "\n  %s%s%s", v->key, *v->value ? ":       " : "", v->value);
	buf_addc(b, '\n');
}

static void resource_set(const struct resources *r, const char *title, struct buf *b)
{
	char text[TEXT_SHORT];

	if (!r || (!r->nano_cpus && !r->memory && !r->pids))
		return;
	buf_addf(b, "\n %s:", title);
	if (r->nano_cpus > 0)
		buf_addf(b, "\n  CPU:\t\t%g", (double)r->nano_cpus / 1e9);
	if (!r->memory)
		return;
	size_binary((double)r->memory, text);
	buf_addf(b, "\n  Memory:\t%s", text);
}

static void resources(const struct resource_needs *r, struct buf *b)
{
	if (!r)
		return;
	buf_adds(b, "\nResources:");
	resource_set(r->reservations, "Reservations", b);
	resource_set(r->limits, "Limits", b);
	if (r->limits && r->limits->pids > 0)
		buf_addf(b, "\n  PIDs:\t\t%" PRId64, r->limits->pids);
}

static void endpoint(const struct service *s, struct buf *b)
{
	const struct endpoint *e = &s->endpoint;

	buf_addf(b, "\nEndpoint Mode:\t%s",
		 !s->spec.endpoint                          ? "" /* as docker has it */
		 : s->spec.endpoint->mode == ENDPOINT_DNSRR ? "dnsrr"
							    : "vip");
	if (e->ports.n)
		buf_adds(b, "\nPorts:");
	LIST_EACH (p, &e->ports)
		buf_addf(b,
			 "\n PublishedPort = %" PRIu32 "\n  Protocol = %s\n  TargetPort = %" PRIu32
			 "\n  PublishMode = %s",
			 p->published, port_protocol_name(p->protocol), p->target,
			 p->mode == PUBLISH_HOST ? "host" : "ingress");
	if (e->ports.n)
		buf_addc(b, ' ');
}

static void health(const struct healthcheck *h, struct buf *b)
{
	if (!h)
		return;
	buf_adds(b, "\n Healthcheck:");
	duration(b, "\n  Interval = ", h->interval);
	buf_addf(b, "\n  Retries = %" PRId64, h->retries);
	duration(b, "\n  StartPeriod =\t", h->start_period);
	duration(b, "\n  Timeout =\t", h->timeout);
	if (!h->test.n)
		return;
	buf_adds(b, "\n  Tests:");
	STRS_EACH (word, &h->test)
		buf_addf(b, "\n\t Test = %s", word);
	buf_addc(b, ' ');
}

void pretty_service(const struct service *s, const struct strs *networks, int64_t now_ns,
		    struct buf *ret)
{
	const struct container_spec *c = s->spec.task.container;

	buf_addf(ret, "\nID:\t\t%s\nName:\t\t%s", s->o.id, or_else(s->spec.name, ""));
	if (s->spec.labels.n)
		buf_adds(ret, "\nLabels:");
	LIST_EACH (v, &s->spec.labels)
		buf_addf(ret, "\n %s%s%s", v->key, *v->value ? "=" : "", v->value);
	mode(&s->spec.mode, ret);
	update_status(s->update_status, now_ns, ret);
	placement(s->spec.task.placement, ret);
	update_config(s->spec.update, "UpdateConfig", "Update order:      ", ret);
	update_config(s->spec.rollback, "RollbackConfig", "Rollback order:    ", ret);
	container(c, ret);
	log_driver(s->spec.task.log_driver, ret);
	resources(s->spec.task.resources, ret);
	if (networks->n)
		buf_adds(ret, "\nNetworks:");
	STRS_EACH (name, networks)
		buf_addf(ret, " %s", name);
	if (networks->n)
		buf_addc(ret, ' ');
	endpoint(s, ret);
	health(c ? c->healthcheck : NULL, ret);
	buf_adds(ret, "\n\n");
}
