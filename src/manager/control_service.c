/*
 * Creating, changing and removing services. See control.h.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "manager/control.h"
#include "manager/plan.h"
#include "manager/service_depends.h"
#include "manager/service_autoscale.h"
#include "manager/service_spec.h"
#include "model/depends.h"
#include "model/schedule.h"
#include "scheduler/constraint.h"

static int own_network_check(const struct service_spec *spec, const struct network_attachment *a,
			     struct err *e)
{
	if (spec->task.networks.n > 1)
		return err_set(e, -EINVAL,
			       "the network %s cannot be combined with other networks of a service",
			       a->target);
	if (a->aliases.n)
		return err_set(e, -EINVAL,
			       "network-scoped alias is supported only for containers in user "
			       "defined networks, not in %s",
			       a->target);
	return 0;
}

/* Networks are given by name or id; stored by id, so that a rename or a new one changes nothing. */
static int networks_resolve(const struct store *view, struct service_spec *spec, struct err *e)
{
	if (spec->task.networks.n == 0 && spec->networks.n > 0) {
		/* the place of old clients: moved to where new ones put it */
		spec->task.networks.v = TAKE_PTR(spec->networks.v);
		spec->task.networks.n = spec->networks.n;
		spec->networks.n = 0;
	}
	LIST_EACH (a, &spec->task.networks) {
		const struct network *network;
		const struct object *o;
		int rc;

		if (network_is_nodes_own(a->target)) {
			if (own_network_check(spec, a, e) < 0)
				return e->code;
			continue;
		}
		rc = control_find(view, KIND_NETWORK, a->target, &o, e);
		if (rc < 0)
			return rc;
		network = (const struct network *)o;
		if (network->pending_delete)
			return err_set(e, -ENOENT, "network %s is being removed",
				       network->spec.name);
		if (network->spec.ingress)
			return err_set(e, -EINVAL,
				       "a service cannot be attached to the ingress network %s",
				       network->spec.name);
		str_set(&a->target, network->o.id);
	}
	return 0;
}

/* Host-mode ports of two services go together: the scheduler keeps their tasks apart. */
static int port_conflict(const struct endpoint_spec *mine, const struct port_config *theirs,
			 const struct service *other, struct err *e)
{
	LIST_EACH (p, &mine->ports) {
		if (!p->published || p->published != theirs->published ||
		    p->protocol != theirs->protocol ||
		    (p->mode == PUBLISH_HOST && theirs->mode == PUBLISH_HOST))
			continue;
		return err_set(e, -EINVAL,
			       "port '%" PRIu32
			       "' is already in use by service '%s' (%s) as %s port",
			       p->published, other->spec.name, other->o.id,
			       theirs->mode == PUBLISH_HOST ? "a host-published" : "an ingress");
	}
	return 0;
}

static int ports_check(const struct store *view, const struct service_spec *spec, const char *self,
		       struct err *e)
{
	const struct service *other;
	struct store_walk w;

	if (!spec->endpoint)
		return 0;
	store_walk_kind(&w, view, KIND_SERVICE);
	while ((other = store_walk_next(&w))) {
		/* One that is being removed lets go of its ports soon: the allocator waits for it.
		 */
		if ((self && strcmp(other->o.id, self) == 0) || other->pending_delete)
			continue;
		LIST_EACH (theirs, &other->endpoint.ports)
			if (port_conflict(spec->endpoint, theirs, other, e) < 0)
				return e->code;
		if (!other->spec.endpoint)
			continue;
		LIST_EACH (theirs, &other->spec.endpoint->ports)
			if (port_conflict(spec->endpoint, theirs, other, e) < 0)
				return e->code;
	}
	return 0;
}

static int name_check(const struct store *view, const char *name, const char *self, struct err *e)
{
	const struct object *holder = store_named(view, KIND_SERVICE, name);

	if (holder && (!self || strcmp(holder->id, self) != 0))
		return err_set(e, -EEXIST,
			       "rpc error: code = AlreadyExists desc = name conflicts with an "
			       "existing object: service %s already exists",
			       name);
	return 0;
}

#define DROP_EMPTY(type, p)                                        \
	do {                                                       \
		static const struct type none;                     \
		if ((p) && table_equal(&type##_table, (p), &none)) \
			table_free(&type##_table, TAKE_PTR(p));    \
	} while (0)

/* What says nothing is left out: some clients send it, and tasks are not replaced for that. */
static void spec_plain(struct service_spec *spec)
{
	DROP_EMPTY(placement, spec->task.placement);
	DROP_EMPTY(resource_needs, spec->task.resources);
	DROP_EMPTY(endpoint_spec, spec->endpoint);
	if (spec->task.container)
		DROP_EMPTY(privileges, spec->task.container->privileges);
}

/* What is stored as it is though it will not do what was meant: Swarm says nothing of it. */
static void constraints_warn(struct control *c, const struct service_spec *spec)
{
	const struct placement *p = spec->task.placement;
	struct constraints parsed;

	if (!p || constraints_parse(&p->constraints, &parsed, NULL) < 0)
		return;
	for (size_t i = 0; i < parsed.n; i++) {
		auto_free char *text = NULL;

		if (parsed.v[i].key != CONSTRAINT_UNKNOWN)
			continue;
		text = xasprintf(
			"no node can satisfy the constraint \"%.200s\": its key is unknown "
			"(there are node.id, node.hostname, node.ip, node.role, "
			"node.platform.os, node.platform.arch, node.labels.NAME and "
			"engine.labels.NAME)",
			p->constraints.v[i]);
		strs_add(&c->answer->warnings, text);
	}
	constraints_done(&parsed);
}

/* A program that listens on the node itself needs no port published; what is named is only kept
 * free. */
static void ports_warn(struct control *c, const struct service_spec *spec)
{
	if (!spec->endpoint || !spec->endpoint->ports.n || spec->task.networks.n != 1 ||
	    strcmp(spec->task.networks.v[0].target, "host") != 0)
		return;
	strs_add(&c->answer->warnings,
		 "Published ports are discarded when using host network mode");
}

static void depends_warn(struct control *c, const struct service_spec *spec)
{
	struct depends d = {0};

	if (depends_read(spec, &d, NULL) < 0)
		return;
	for (size_t i = 0; i < d.n; i++) {
		auto_free char *text = NULL;

		if (d.v[i].optional || store_named(c->view, KIND_SERVICE, d.v[i].service))
			continue;
		text = xasprintf("service %s waits for %s, which is not there", spec->name,
				 d.v[i].service);
		strs_add(&c->answer->warnings, text);
	}
	depends_done(&d);
}

/* Checks a spec against the store and makes it the one to be stored. `self`: of an update. */
static int spec_prepare(struct control *c, struct service_spec *spec, const char *self,
			struct err *e)
{
	int rc = service_spec_check(spec, e);

	spec_plain(spec);
	if (rc == 0)
		rc = name_check(c->view, spec->name, self, e);
	if (rc == 0)
		rc = networks_resolve(c->view, spec, e);
	if (rc == 0)
		rc = secrets_check(c->view, spec->task.container, e);
	if (rc == 0)
		rc = ports_check(c->view, spec, self, e);
	if (rc == 0)
		rc = service_depends_check(c->view, spec, e);
	if (rc == 0) {
		constraints_warn(c, spec);
		ports_warn(c, spec);
		depends_warn(c, spec);
	}
	return rc;
}

/* What is allowed, and may not go as its writer thinks. */
static void spec_warn(const struct service_spec *spec, struct strs *warnings)
{
	if (!spec->endpoint || service_is_job(spec) ||
	    !(update_starts_first(spec->update) || update_starts_first(spec->rollback)))
		return;
	LIST_EACH (p, &spec->endpoint->ports) {
		auto_free char *text = xasprintf(
			"start-first with the host-mode port %" PRIu32
			": an update needs a node for each new task where that port is free, and "
			"waits while there is none; use stop-first, or have more nodes than tasks",
			p->published);

		if (p->mode == PUBLISH_HOST && p->published)
			strs_add(warnings, text);
	}
}

/* What has a schedule waits for it. */
static void job_create(struct service *s, int64_t now_ns)
{
	s->job = xcalloc(1, sizeof *s->job);
	if (!schedule_is_set(&s->spec)) {
		s->job->last_execution = now_ns;
		return;
	}
	s->job->schedule = xcalloc(1, sizeof *s->job->schedule);
	s->job->schedule->since = now_ns;
}

int control_service_create(struct control *c, const struct control_request *r, struct err *e)
{
	char id[ID_CLUSTER_LEN + 1];
	struct service *s;
	int rc;

	if (!r->service)
		return err_set(e, -EINVAL, "the service's specification is missing");
	rc = plan_check(c->view, &(struct strs){0}, r->check, e);
	if (rc < 0)
		return rc;
	c->new_id(c->new_id_arg, id);
	s = object_new(KIND_SERVICE, id, c->now_ns);
	table_copy(&service_spec_table, &s->spec, r->service);
	rc = spec_prepare(c, &s->spec, NULL, e);
	if (rc < 0) {
		object_free(&s->o);
		return rc;
	}
	s->spec_version = s->template_version = store_version(c->view);
	if (service_is_job(&s->spec))
		job_create(s, c->now_ns);
	service_autoscale_fit(s, true, &s->spec, &c->answer->warnings);
	if (s->spec.endpoint)
		table_copy(&endpoint_spec_table, &s->endpoint.spec, s->spec.endpoint);
	changes_create(c->out, &s->o);
	changes_create(c->out, service_template_make(s, c->now_ns));
	str_set(&c->answer->id, id);
	spec_warn(&s->spec, &c->answer->warnings);
	return 0;
}

static const char *mode_name(const struct service_mode *m)
{
	return m->replicated       ? "replicated"
	       : m->global         ? "global"
	       : m->replicated_job ? "replicated-job"
	       : m->global_job     ? "global-job"
				   : "none";
}

/*
 * Whoever has seen the specification as it is may change it: what an update writes of itself into
 * the service meanwhile is no other's change, as it would be with Swarm.
 */
static int update_check(const struct service *old, const struct control_request *r, struct err *e)
{
	if (!r->service && !r->rollback)
		return err_set(e, -EINVAL, "the service's specification is missing");
	if (old->pending_delete)
		return err_set(e, -ENOENT, "service %s is being removed", old->spec.name);
	if (r->version > old->o.version.index || r->version < old->spec_version)
		return err_set(
			e, -ESTALE,
			"rpc error: code = Unknown desc = update out of sequence: service %s "
			"has changed since it was read (version %" PRIu64 ", not %" PRIu64
			"): read it again",
			old->spec.name, old->o.version.index, r->version);
	if (r->rollback)
		return old->previous_spec
			       ? 0
			       : err_set(e, -EINVAL,
					 "rpc error: code = FailedPrecondition desc = service %s "
					 "does not have a previous spec",
					 old->spec.name);
	if (r->service->name && strcmp(r->service->name, old->spec.name) != 0)
		return err_set(e, -EINVAL, "renaming services is not supported: %s stays %s",
			       r->service->name, old->spec.name);
	return 0;
}

/* As the older specification is stored it was checked; what it refers to may have changed. */
static int previous_check(struct control *c, struct service *s, struct err *e)
{
	int rc = spec_prepare(c, s->previous_spec, s->o.id, e);

	return rc < 0 ? err_wrap(e, "the previous specification of service %s no longer holds",
				 s->spec.name)
		      : 0;
}

static int roll_back(struct control *c, struct service *s, struct err *e)
{
	int rc = previous_check(c, s, e);

	if (rc < 0)
		return rc;
	service_spec_roll_back(s, true, c->view, c->now_ns, c->out);
	table_free(&update_status_table, TAKE_PTR(s->update_status));
	if (service_is_job(&s->spec))
		return 0; /* it runs anew as it was: nothing is replaced */
	s->update_status = xcalloc(1, sizeof *s->update_status);
	s->update_status->state = UPDATE_ROLLBACK_STARTED;
	s->update_status->started = c->now_ns;
	s->update_status->message = xstrdup("manually requested rollback");
	return 0;
}

/*
 * A specification that says nothing new lets an update that was paused go on; what to roll back to
 * stays as it was then.
 */
static void spec_change(struct control *c, struct service *s, const struct service_spec *spec)
{
	if (!table_equal(&service_spec_table, &s->spec, spec)) {
		table_free(&service_spec_table, s->previous_spec);
		s->previous_spec = table_dup(&service_spec_table, &s->spec);
	} else if (!s->update_status || (s->update_status->state != UPDATE_PAUSED &&
					 s->update_status->state != UPDATE_ROLLBACK_PAUSED)) {
		return;
	}
	service_spec_set(s, spec, c->view, c->now_ns, c->out);
	table_free(&update_status_table, s->update_status);
	s->update_status = NULL;
}

static int spec_update(struct control *c, struct service *s, const struct service_spec *wish,
		       struct err *e)
{
	struct service_spec spec;
	int rc;

	table_copy(&service_spec_table, &spec, wish);
	if (!spec.name)
		str_set(&spec.name, s->spec.name);
	rc = spec_prepare(c, &spec, s->o.id, e);
	if (rc == 0 && strcmp(mode_name(&s->spec.mode), mode_name(&spec.mode)) != 0)
		rc = err_set(e, -EINVAL, "the mode of service %s cannot change from %s to %s",
			     s->spec.name, mode_name(&s->spec.mode), mode_name(&spec.mode));
	if (rc == 0) {
		service_autoscale_fit(s, false, &spec, &c->answer->warnings);
		spec_change(c, s, &spec);
	}
	table_done(&service_spec_table, &spec);
	return rc;
}

int control_service_update(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	struct service *s;
	int rc = control_find(c->view, KIND_SERVICE, r->id, &o, e);

	if (rc == 0)
		rc = update_check((const struct service *)o, r, e);
	if (rc == 0)
		rc = plan_check(c->view, &(struct strs){(char **)(uintptr_t)&o->id, 1}, r->check,
				e);
	if (rc < 0)
		return rc;
	s = object_clone(o);
	rc = r->rollback ? roll_back(c, s, e) : spec_update(c, s, r->service, e);
	if (rc < 0) {
		object_free(&s->o);
		return rc;
	}
	changes_update(c->out, o, &s->o, c->now_ns);
	str_set(&c->answer->id, o->id);
	spec_warn(&s->spec, &c->answer->warnings);
	return 0;
}

/*
 * The service stays, marked, until its tasks have ended: the reaper removes it then. To users it is
 * gone at once, and its name is free: the mark renames it to its id.
 */
int control_service_remove(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	struct service *s;
	int rc = control_find(c->view, KIND_SERVICE, r->id, &o, e);

	if (rc < 0)
		return rc;
	if (((const struct service *)o)->pending_delete)
		return err_set(e, -ENOENT, "service %s not found", r->id);
	s = object_clone(o);
	s->pending_delete = true;
	str_set(&s->spec.name, o->id);
	changes_update(c->out, o, &s->o, c->now_ns);
	str_set(&c->answer->id, o->id);
	return 0;
}
