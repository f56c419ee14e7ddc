/*
 * See service_spec.h. Templates of a service are few (one for each version that a task still runs),
 * so they are compared where it matters instead of being indexed.
 */
#include "manager/service_spec.h"

#include "base/mem.h"
#include "manager/service_autoscale.h"
#include "model/schedule.h"
#include "scheduler/constraint.h"

struct object *service_template_make(const struct service *s, int64_t now_ns)
{
	char id[TEMPLATE_ID_MAX];
	struct template *t;

	template_id(s->o.id, s->template_version, id);
	t = object_new(KIND_TEMPLATE, id, now_ns);
	t->service = xstrdup(s->o.id);
	t->template_version = s->template_version;
	t->service_name = xstrdup(s->spec.name);
	for (size_t i = 0; i < s->spec.labels.n; i++)
		strmap_set(&t->service_labels, s->spec.labels.v[i].key, s->spec.labels.v[i].value);
	table_copy(&task_spec_table, &t->spec, &s->spec.task);
	if (s->spec.endpoint)
		t->endpoint = table_dup(&endpoint_spec_table, s->spec.endpoint);
	return &t->o;
}

/* The one with which new tasks would be as the specification says; NULL when there is none. */
static const struct template *template_like(const struct store *view, const struct service *s)
{
	const struct template *t;
	struct store_walk w;

	store_walk_service_templates(&w, view, s->o.id);
	while ((t = store_walk_next(&w)))
		if (table_equal(&task_spec_table, &t->spec, &s->spec.task) &&
		    endpoint_host_ports_equal(t->endpoint, s->spec.endpoint))
			return t;
	return NULL;
}

/*
 * Another template starts the job anew. One with a schedule uses the template from its next time
 * on, unless it is told to start now (--force).
 */
static void job_update(const struct service_spec *old, struct service *s, bool same_task,
		       int64_t now_ns)
{
	bool scheduled = schedule_is_set(&s->spec);
	bool forced = s->spec.task.force_update != old->task.force_update;

	if (!scheduled || schedule_differs(old, &s->spec)) {
		table_free(&job_schedule_table, s->job->schedule);
		s->job->schedule = NULL;
	}
	if (scheduled && !s->job->schedule) {
		s->job->schedule = xcalloc(1, sizeof *s->job->schedule);
		s->job->schedule->since = now_ns;
	}
	if (scheduled ? !forced : same_task && s->job->last_execution)
		return;
	if (s->job->last_execution)
		s->job->iteration.index++;
	s->job->last_execution = now_ns;
}

void service_spec_set(struct service *s, const struct service_spec *spec, const struct store *view,
		      int64_t now_ns, struct changes *out)
{
	bool same_task = table_equal(&task_spec_table, &s->spec.task, &spec->task) &&
			 endpoint_host_ports_equal(s->spec.endpoint, spec->endpoint);
	struct service_spec old = s->spec;
	const struct template *like;

	s->spec = (struct service_spec){0};
	table_copy(&service_spec_table, &s->spec, spec);
	if (s->job)
		job_update(&old, s, same_task, now_ns);
	table_done(&service_spec_table, &old);
	s->spec_version = store_version(view);
	s->update.number++;
	s->update.total = s->update.failed = 0;
	if (same_task)
		return;
	like = template_like(view, s);
	s->template_version = like ? like->template_version : s->spec_version;
	if (!like)
		changes_create(out, service_template_make(s, now_ns));
}

void service_spec_roll_back(struct service *s, bool swap, const struct store *view, int64_t now_ns,
			    struct changes *out)
{
	struct service_spec *to = TAKE_PTR(s->previous_spec);

	if (swap)
		s->previous_spec = table_dup(&service_spec_table, &s->spec);
	service_autoscale_keep(s, to);
	service_spec_set(s, to, view, now_ns, out);
	table_free(&service_spec_table, to);
}

static int gone(const char *what, const char *which, struct err *e)
{
	return err_set(e, -ENOENT, "%s %s, which the previous spec uses, is gone", what, which);
}

int service_spec_holds(const struct store *view, const struct service_spec *s, struct err *e)
{
	LIST_EACH (a, &s->task.networks) {
		const struct network *n = store_network(view, a->target);

		if (network_is_nodes_own(a->target))
			continue;
		if (!n || n->pending_delete)
			return gone("network", a->target, e);
	}
	if (!s->task.container)
		return 0;
	LIST_EACH (r, &s->task.container->secrets)
		if (!store_get(view, KIND_SECRET, r->id))
			return gone("secret", r->name, e);
	LIST_EACH (r, &s->task.container->configs)
		if (!store_get(view, KIND_CONFIG, r->id))
			return gone("config", r->name, e);
	return 0;
}

enum template_fit service_template_fit(const struct service *s, const struct template *old)
{
	struct task_spec a, b;

	if (!old)
		return TEMPLATE_DIFFERS;
	if (old->template_version == s->template_version)
		return TEMPLATE_SAME;
	if (!endpoint_host_ports_equal(old->endpoint, s->spec.endpoint))
		return TEMPLATE_DIFFERS;
	a = old->spec; /* lent, without where they may be placed */
	b = s->spec.task;
	a.placement = b.placement = NULL;
	if (!table_equal(&task_spec_table, &a, &b))
		return TEMPLATE_DIFFERS;
	return table_equal(&task_spec_table, &old->spec, &s->spec.task) ? TEMPLATE_SAME
									: TEMPLATE_MOVES;
}

static bool node_allows(const struct node *n, const struct placement *p)
{
	struct constraints c;
	bool ret;

	if (!n)
		return false; /* not placed yet: it will be by the older constraints */
	if (!p || !p->constraints.n)
		return true;
	if (constraints_parse(&p->constraints, &c, NULL) < 0)
		return false;
	ret = constraints_match(&c, n);
	constraints_done(&c);
	return ret;
}

bool service_task_fits(const struct store *view, const struct service *s, const struct task *t,
		       enum template_fit fit)
{
	if (fit != TEMPLATE_MOVES)
		return fit == TEMPLATE_SAME;
	return node_allows(t->node ? store_node(view, t->node) : NULL, s->spec.task.placement);
}

bool service_task_is_current(const struct store *view, const struct service *s,
			     const struct task *t)
{
	if (t->template_version == s->template_version)
		return true;
	return service_task_fits(
		view, s, t,
		service_template_fit(s, store_template(view, t->service, t->template_version)));
}
