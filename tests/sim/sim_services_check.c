/*
 * What must hold of the cluster at every version on every manager, and in the end; see
 * sim_services_impl.h. The record of versions is kept outside of all managers.
 */
#include "sim/sim_services_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * 0x100000001b3ull;
	return h;
}

/* Changes */

static void check_task(struct manager_life *m, const struct task *old, const struct task *new)
{
	struct sim *s = m->services->sim;
	const struct store *store = replica_store(m->replica);

	if (!new) {
		if (!task_is_over(old) && old->node && store_node(store, old->node) &&
		    old->status.state >= TASK_ASSIGNED)
			sim_fail(s, "task %s is removed in state %s", old->o.id,
				 task_state_name(old->status.state));
		return;
	}
	if (!old) {
		if (new->move &&new->o.version.index > m->services->highest)
			check_move(m, new);
		if (new->status.state != TASK_NEW)
			sim_fail(s, "task %s is made in state %s", new->o.id,
				 task_state_name(new->status.state));
		return;
	}
	if (new->move &&new->move->up && !(old->move && old->move->up) &&
	    new->status.state < TASK_RUNNING && !drain_is_over(new))
		sim_fail(s, "task %s has taken another's place and is %s", new->o.id,
			 task_state_name(new->status.state));
	if (new->status.state < old->status.state || new->desired < old->desired)
		sim_fail(s, "task %s goes back from %s (%s) to %s (%s)", new->o.id,
			 task_state_name(old->status.state), task_state_name(old->desired),
			 task_state_name(new->status.state), task_state_name(new->desired));
	if (new->status.state == TASK_COMPLETE &&
	    old->status.state != TASK_COMPLETE &&new->o.version.index > m->services->highest)
		check_completed(m->services, store, new);
	if (new->slot != old->slot || new->global != old->global ||
	    task_iteration(new) != task_iteration(old) ||
	    new->template_version != old->template_version ||
	    (old->node && (!new->node || strcmp(old->node, new->node) != 0)))
		sim_fail(s, "task %s changes its slot, its template or its node", new->o.id);
	if (old->status.state < TASK_PENDING)
		return;
	if (new->networks.n != old->networks.n)
		sim_fail(s, "task %s changes its networks", new->o.id);
	for (size_t i = 0; i < new->networks.n && !s->failure[0]; i++)
		if (!table_equal(&attachment_table, &new->networks.v[i], &old->networks.v[i]))
			sim_fail(s, "task %s changes its addresses", new->o.id);
}

static void note_write(struct manager_life *m, const struct strmap *labels, uint64_t version)
{
	struct services *v = m->services;
	const char *text = strmap_get(labels, "write");
	size_t number = text ? strtoull(text, NULL, 10) : SIZE_MAX;

	if (number < v->n_writes && v->writes[number].applied == 0)
		v->writes[number].applied = version;
}

static bool is_removal(const struct write *w)
{
	return w->op == CONTROL_SERVICE_REMOVE || w->op == CONTROL_NETWORK_REMOVE ||
	       w->op == CONTROL_SECRET_REMOVE;
}

/* Marked for removal, or gone: all open removals of it may have been this one. */
static void note_removal(struct manager_life *m, const char *id, uint64_t version)
{
	struct services *v = m->services;

	for (size_t i = 0; i < v->n_writes; i++) {
		struct write *w = &v->writes[i];

		if (is_removal(w) && w->applied == 0 && strcmp(w->id, id) == 0)
			w->applied = version;
	}
}

static void note_node(struct manager_life *m, const struct node *old, const struct node *new)
{
	struct services *v = m->services;

	roles_changed(m, old, new);
	if (!new || new->o.version.index > v->highest)
		slots_node_changed(v, replica_store(m->replica), old, new);
}

/* The version in which something went is told once the batch is over. */
static void note_gone(struct manager_life *m, const char *id)
{
	m->gone = true;
	strs_add(&m->services->gone, id);
}

void check_change(struct manager_life *m, const struct object *old, const struct object *new)
{
	const struct object *o = new ? new : old;
	auto_buf bytes = BUF_INIT(LIMIT_ENTRY);

	m->batch = hash_bytes(m->batch ? m->batch : 0xcbf29ce484222325ull, o->id, strlen(o->id));
	if (new &&tlv_write(object_table(o->kind), new, &bytes) == 0)
		m->batch = hash_bytes(m->batch, bytes.p, bytes.len);
	if (o->kind == KIND_TASK)
		check_task(m, (const struct task *)old, (const struct task *)new);
	if (o->kind == KIND_NODE)
		note_node(m, (const struct node *)old, (const struct node *)new);
	if (!new && (o->kind == KIND_SECRET || o->kind == KIND_CONFIG))
		note_gone(m, o->id);
	if (!new || new->version.index <= m->services->highest)
		return;
	if (o->kind == KIND_SERVICE) {
		const struct service *was = (const struct service *)old;
		const struct service *svc = (const struct service *)new;

		note_write(m, &svc->spec.labels, new->version.index);
		slots_service_changed(m->services, was, svc);
		if (svc->pending_delete && !(was && was->pending_delete))
			note_removal(m, o->id, new->version.index);
	} else if (o->kind == KIND_NETWORK) {
		const struct network *was = (const struct network *)old;
		const struct network *net = (const struct network *)new;

		note_write(m, &net->spec.labels, new->version.index);
		if (net->pending_delete && !(was && was->pending_delete))
			note_removal(m, o->id, new->version.index);
	} else if (o->kind == KIND_SECRET || o->kind == KIND_CONFIG) {
		note_write(m, &((const struct secret *)new)->spec.labels, new->version.index);
	}
}

/* Nothing twice */

static void add_text(struct strs *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_text(struct strs *s, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	strs_add(s, text);
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_unique(struct sim *sim, struct strs *s, const char *what)
{
	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, text_compare);
	for (size_t i = 1; i < s->n; i++)
		if (strcmp(s->v[i - 1], s->v[i]) == 0)
			sim_fail(sim, "%s given out twice: %s", what, s->v[i]);
	strs_done(s);
}

static void check_networks(struct sim *sim, const struct store *s, struct strs *addresses)
{
	struct strs vnis = {0}, subnets = {0};
	const struct network *n;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_NETWORK); (n = store_walk_next(&w));) {
		if (!n->vni)
			continue;
		add_text(&vnis, "%u", n->vni);
		LIST_EACH (p, &n->ipam.config) {
			add_text(&subnets, "%s", p->subnet);
			add_text(addresses, "%s %s", n->o.id, p->gateway);
		}
	}
	check_unique(sim, &vnis, "VXLAN id");
	check_unique(sim, &subnets, "subnet");
}

/* Until the update has ended. */
static bool starts_first(const struct store *s, const struct task *t)
{
	const struct service *svc = store_service(s, t->service);
	const struct update_status *u = svc ? svc->update_status : NULL;
	struct update_rules rules;

	__real_update_rules_of(svc ? svc->spec.update : NULL, &rules);
	return rules.start_first &&
	       !(u && (u->state == UPDATE_COMPLETED || u->state == UPDATE_ROLLBACK_COMPLETED));
}

/* What is under way of a job is never more than may run at a time. */
static void check_concurrency(struct sim *sim, const struct store *s, const struct service *svc)
{
	const struct task *t;
	struct store_walk w;
	uint64_t busy = 0;

	if (!svc->spec.mode.replicated_job)
		return;
	for (store_walk_service_tasks(&w, s, svc->o.id); (t = store_walk_next(&w));)
		busy += task_is_wanted(t) && t->status.state != TASK_COMPLETE &&
			task_iteration(t) == service_iteration(svc);
	if (busy > job_concurrency(&svc->spec))
		sim_fail(sim, "job %s has %" PRIu64 " tasks at a time", svc->spec.name, busy);
}

static void check_nothing_twice(struct sim *sim, const struct store *s)
{
	struct strs slots = {0}, addresses = {0};
	const struct service *svc;
	const struct task *t;
	struct store_walk w;

	check_networks(sim, s, &addresses);
	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));) {
		check_concurrency(sim, s, svc);
		LIST_EACH (vip, &svc->endpoint.vips)
			add_text(&addresses, "%s %.*s", vip->network,
				 (int)strcspn(vip->address, "/"), vip->address);
	}
	for (store_walk_kind(&w, s, KIND_TASK); (t = store_walk_next(&w));) {
		/* Beside an older task a newer one may start where that is the order. */
		if (task_is_wanted(t))
			add_text(&slots, "%s.%" PRIu64 ".%s.%" PRIu64 " %" PRIu64 "%s", t->service,
				 t->slot, t->global ? t->node : "", task_iteration(t),
				 starts_first(s, t) ? t->template_version : 0,
				 move_is_open(t) ? " moving" : "");
		if (task_is_over(t))
			continue;
		LIST_EACH (a, &t->networks)
			STRS_EACH (text, &a->addresses)
				add_text(&addresses, "%s %.*s", a->network, (int)strcspn(text, "/"),
					 text);
	}
	check_unique(sim, &slots, "slot");
	check_unique(sim, &addresses, "address");
}

/* Updates */

/* So many tasks at a time, and an end only when every task is of the specification. */
static void check_update(struct sim *sim, const struct store *s, const struct service *svc)
{
	const struct update_status *u = svc->update_status;
	bool back = u && u->state >= UPDATE_ROLLBACK_STARTED, over;
	const struct task *t;
	struct update_rules rules;
	struct restart_rules restart;
	struct store_walk w;
	uint64_t n = 0;

	__real_update_rules_of(back ? svc->spec.rollback : svc->spec.update, &rules);
	restart_rules_of(&svc->spec.task, &restart);
	/*
	 * Only with this policy is a task tried again until it runs. On a node that could not have
	 * the service an older task may stand until that node is back.
	 */
	over = u && !svc->spec.mode.global && restart.condition == RESTART_ANY &&
	       (u->state == UPDATE_COMPLETED || u->state == UPDATE_ROLLBACK_COMPLETED);
	for (store_walk_service_tasks(&w, s, svc->o.id); (t = store_walk_next(&w));) {
		n += t->update && t->update->run == svc->update.number && !t->update->up &&
		     !t->update->failed && task_is_live(t);
		if (over && task_is_wanted(t) &&
		    service_template_fit(svc, store_template(s, t->service, t->template_version)) ==
			    TEMPLATE_DIFFERS)
			sim_fail(sim, "the update of %s has ended, but task %s is an older one",
				 svc->o.id, t->o.id);
	}
	if (n > rules.parallelism)
		sim_fail(sim, "%" PRIu64 " tasks of %s are updated at once, %" PRIu64 " may be", n,
			 svc->o.id, rules.parallelism);
}

static void check_updates(struct sim *sim, const struct store *s)
{
	const struct service *svc;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));)
		if (!svc->pending_delete)
			check_update(sim, s, svc);
}

/* Versions */

static int hash_sink(void *arg, const void *p, size_t n)
{
	uint64_t *h = arg;

	*h = hash_bytes(*h, p, n);
	return 0;
}

uint64_t check_whole(const struct manager_life *m)
{
	struct store *s = replica_store(m->replica);
	struct store_pin *pin = store_pin(s);
	uint64_t h = 0xcbf29ce484222325ull;

	(void)store_pin_encode(pin, hash_sink, &h);
	store_unpin(s, pin);
	return h ? h : 1;
}

static struct version_record *record_at(struct services *v, uint64_t version)
{
	if (version >= v->n_versions) {
		size_t size = version * 2 + 1024;

		v->versions = xreallocarray(v->versions, size, sizeof *v->versions);
		memset(v->versions + v->n_versions, 0,
		       (size - v->n_versions) * sizeof *v->versions);
		v->n_versions = size;
	}
	return &v->versions[version];
}

void check_version(struct manager_life *m, uint64_t version)
{
	struct services *v = m->services;
	struct version_record *record = record_at(v, version);
	uint64_t whole;

	if (record->batch != 0 && m->batch != 0 && record->batch != m->batch)
		sim_fail(v->sim, "%s applies another version %" PRIu64 " than was applied before",
			 m->node->name, version);
	if (record->batch == 0)
		record->batch = m->batch;
	/* After a swap there is no batch: then the whole is all there is to see. */
	if (m->batch == 0 || version % SVC_COMPARE == 0) {
		whole = check_whole(m);
		if (record->whole != 0 && record->whole != whole)
			sim_fail(v->sim, "%s has another store at version %" PRIu64, m->node->name,
				 version);
		record->whole = whole;
	}
	m->batch = 0;
	if (m->gone && version > v->highest)
		STRS_EACH (id, &v->gone)
			note_removal(m, id, version);
	strs_done(&v->gone);
	m->gone = false;
	if (version <= v->highest)
		return;
	v->highest = version;
	check_secrets(v->sim, replica_store(m->replica));
	check_crons(v, replica_store(m->replica));
	check_nothing_twice(v->sim, replica_store(m->replica));
	check_updates(v->sim, replica_store(m->replica));
	check_moves(v->sim, replica_store(m->replica));
}

/* Writes */

static enum object_kind kind_of(const struct control_request *r)
{
	switch (r->op) {
	case CONTROL_NETWORK_CREATE:
	case CONTROL_NETWORK_REMOVE:
		return KIND_NETWORK;
	case CONTROL_SECRET_CREATE:
	case CONTROL_SECRET_UPDATE:
	case CONTROL_SECRET_REMOVE:
		return (enum object_kind)r->kind;
	default:
		return KIND_SERVICE;
	}
}

size_t write_ask(struct services *v, const struct control_request *r)
{
	struct write *w;

	if (v->n_writes == v->cap_writes) {
		v->cap_writes = v->cap_writes ? v->cap_writes * 2 : 256;
		v->writes = xreallocarray(v->writes, v->cap_writes, sizeof *v->writes);
	}
	w = &v->writes[v->n_writes];
	*w = (struct write){
		.op = (enum control_op)r->op, .kind = kind_of(r), .after = v->acknowledged_version};
	if (is_removal(w))
		(void)snprintf(w->id, sizeof w->id, "%s", r->id);
	return v->n_writes++;
}

void write_answer(struct services *v, size_t number, int status, uint64_t version,
		  const struct control_answer *a)
{
	struct write *w = &v->writes[number];

	w->status = status == 0 ? WRITE_OK : status == -EINPROGRESS ? WRITE_UNKNOWN : WRITE_REFUSED;
	sim_trace(v->sim, "write %zu: %d", number, status);
	if (status != 0)
		return;
	v->acknowledged++;
	w->version = version;
	if (a && a->id)
		(void)snprintf(w->id, sizeof w->id, "%s", a->id);
	/* One that finds what it asks for as it is has changed nothing. */
	if (version <= w->after && w->op != CONTROL_SERVICE_REBALANCE)
		sim_fail(v->sim,
			 "write %zu is acknowledged with version %" PRIu64 ", asked when %" PRIu64
			 " had been acknowledged",
			 number, version, w->after);
	if (!w->unmarked && w->applied != version)
		sim_fail(v->sim,
			 "write %zu is acknowledged with version %" PRIu64
			 ", but was applied with %" PRIu64,
			 number, version, w->applied);
	v->acknowledged_version = MAX_OF(v->acknowledged_version, version);
}

/* The end */

static char why[256];

static const char *because(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *because(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(why, sizeof why, fmt, args);
	va_end(args);
	return why;
}

/* Its place in `filled`: a slot, or a node's number. SIZE_MAX: neither. */
static size_t place_of(const struct task *t)
{
	int agent = t->global ? agent_place(t->node) : 0;

	return agent < 0 ? SIZE_MAX : t->global ? (size_t)agent : (size_t)t->slot;
}

/* How many places the service has to fill. */
static uint64_t places_wanted(const struct service *svc)
{
	if (service_is_global(&svc->spec))
		return SVC_AGENTS;
	return svc->spec.mode.replicated_job ? __real_job_completions(&svc->spec)
					     : service_replicas(&svc->spec);
}

/* A job's task of its iteration must have completed, or its slot was given up by its policy. */
static bool task_has_arrived(const struct service *svc, const struct task *t)
{
	if (service_is_job(&svc->spec))
		return t->status.state == TASK_COMPLETE;
	return t->status.state == TASK_RUNNING;
}

/* A slot that ended by its own policy counts as filled. */
static const char *service_converged(const struct store *s, const struct service *svc)
{
	uint64_t filled[SVC_REPLICAS * 4 + 1] = {0}, n = 0;
	const struct task *t;
	struct store_walk w;

	for (store_walk_service_tasks(&w, s, svc->o.id); (t = store_walk_next(&w));) {
		bool wanted = task_is_wanted(t);

		size_t place = place_of(t);

		if (task_iteration(t) != service_iteration(svc) && !wanted && task_is_over(t))
			continue; /* a job's history */
		if (place >= ARRAY_LEN(filled) || (svc->spec.mode.replicated && place == 0))
			return because("service %s has a slot %" PRIu64, svc->spec.name, t->slot);
		if (!task_is_over(t) && !wanted)
			return because("task %s (%s.%" PRIu64 ") lingers in state %s", t->o.id,
				       svc->spec.name, t->slot, task_state_name(t->status.state));
		if (wanted && (!task_has_arrived(svc, t) || (!service_is_job(&svc->spec) &&
							     !service_task_is_current(s, svc, t))))
			return because("task %s (%s.%" PRIu64 ") is wanted %s and %s: %s", t->o.id,
				       svc->spec.name, t->slot, task_state_name(t->desired),
				       task_state_name(t->status.state),
				       t->status.err ? t->status.err : "");
		if (wanted || t->status.state == TASK_COMPLETE)
			filled[place] = 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(filled); i++)
		n += filled[i];
	if (svc->update_status && svc->update_status->state != UPDATE_COMPLETED &&
	    svc->update_status->state != UPDATE_ROLLBACK_COMPLETED)
		return because("the update of %s: %s", svc->spec.name, svc->update_status->message);
	if (svc->rebalance && svc->rebalance->state == REBALANCE_MOVING)
		return because("the rebalance of %s: %s", svc->spec.name, svc->rebalance->message);
	if (n != places_wanted(svc))
		return because("service %s has %" PRIu64 " of %" PRIu64 " slots filled",
			       svc->spec.name, n, places_wanted(svc));
	if (svc->endpoint.vips.n != svc->spec.task.networks.n)
		return because("service %s has no address", svc->spec.name);
	return NULL;
}

static const char *removal_waits(const struct store *s, const struct service *svc)
{
	const struct task *t;
	struct store_walk w;

	store_walk_service_tasks(&w, s, svc->o.id);
	t = store_walk_next(&w);
	if (!t)
		return because("service %s is being removed though it has no task", svc->o.id);
	return because("service %s is being removed: task %s on node %s is wanted %s and %s%s",
		       svc->o.id, t->o.id, t->node ? t->node : "", task_state_name(t->desired),
		       task_state_name(t->status.state), t->evicted ? ", evicted" : "");
}

static const char *leftovers(const struct store *s)
{
	const struct template *template;
	const struct network *net;
	const struct task *t;
	struct store_walk w;

	for (store_walk_kind(&w, s, KIND_TASK); (t = store_walk_next(&w));)
		if (!store_service(s, t->service))
			return because("task %s of no service is left", t->o.id);
	for (store_walk_kind(&w, s, KIND_TEMPLATE); (template = store_walk_next(&w));) {
		const struct service *svc = store_service(s, template->service);

		if (!svc ||
		    (svc->template_version != template->template_version &&
		     !store_template_users(s, template->service, template->template_version)))
			return because("template %s is left", template->o.id);
	}
	for (store_walk_kind(&w, s, KIND_NETWORK); (net = store_walk_next(&w));) {
		if (net->pending_delete)
			return because("network %s is left", net->o.id);
		if (!net->vni)
			return because("network %s is not allocated", net->spec.name);
	}
	return NULL;
}

const char *check_converged(struct services *v, const struct store *s)
{
	const struct service *svc;
	const struct node *n;
	const char *what;
	struct store_walk w;

	if (store_count(s, KIND_NODE) != SVC_AGENTS + v->sim->options.nodes)
		return "not all nodes have joined";
	for (store_walk_kind(&w, s, KIND_NODE); (n = store_walk_next(&w));)
		if (agent_place(n->o.id) < 0 ? n->spec.role != ROLE_MANAGER
					     : n->status.state != NODE_READY ||
						       n->spec.availability != AVAILABILITY_ACTIVE)
			return because("node %s has state %d, availability %d", n->o.id,
				       (int)n->status.state, (int)n->spec.availability);
	for (store_walk_kind(&w, s, KIND_SERVICE); (svc = store_walk_next(&w));) {
		if (svc->pending_delete)
			return removal_waits(s, svc);
		what = service_converged(s, svc);
		if (what)
			return what;
	}
	if (schedule_left(s))
		return "a job is scheduled";
	return leftovers(s);
}

static bool removal_was_asked(const struct services *v, const char *id)
{
	for (size_t i = 0; i < v->n_writes; i++)
		if (is_removal(&v->writes[i]) && strcmp(v->writes[i].id, id) == 0)
			return true;
	return false;
}

void check_writes(struct services *v, const struct store *s)
{
	if (store_version(s) < v->acknowledged_version || store_version(s) < v->highest)
		sim_fail(v->sim, "versions up to %" PRIu64 " were applied, %" PRIu64 " are left",
			 v->highest, store_version(s));
	for (size_t i = 0; i < v->n_writes && !v->sim->failure[0]; i++) {
		const struct write *w = &v->writes[i];
		bool removal = is_removal(w);

		if (w->status == WRITE_REFUSED && w->applied != 0 && !removal)
			sim_fail(v->sim, "write %zu was refused, and made", i);
		if (w->status != WRITE_OK || w->op == CONTROL_NODE_UPDATE)
			continue;
		if (removal && store_get(s, w->kind, w->id))
			sim_fail(v->sim, "what write %zu removed is there: %s", i, w->id);
		if (!removal && !removal_was_asked(v, w->id) && !store_get(s, w->kind, w->id))
			sim_fail(v->sim, "what write %zu made is gone: %s", i, w->id);
	}
}
