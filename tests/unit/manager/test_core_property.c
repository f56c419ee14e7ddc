/*
 * Random lives of a cluster: services come, change and go, nodes go down, drain, leave and return,
 * tasks fail, batches are lost, leadership changes, in any order and with steps of the cores in
 * between. After each batch the rules of cores.h hold; at the end, with all nodes back and time to
 * heal, everything that was asked for runs, and then nothing says anything any more.
 *
 * usage: test_core_property [SEED]: runs this seed alone, longer. The seed of a failure is printed.
 */
#include "unit/manager/cores.h"

#include "manager/service_depends.h"
#include "model/depends.h"

#define NODES 6
#define SERVICES 8
#define NETWORKS 3
#define SEEDS 60
#define STEPS 300

static const char *pick(struct cores *c, const char *letter, uint64_t n)
{
	static char text[4][16];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof text[turn], "%s%" PRIu64, letter, cores_random(c, n));
	return text[turn];
}

/* The order belongs to the name, so that a slot with two wanted tasks can be judged. */
static struct update_config *random_update(struct cores *c, const char *id)
{
	static const char *const actions[] = {"pause", "continue", "rollback"};
	bool start_first = id[strlen(id) - 1] % 2;
	struct update_config *u = update_make(cores_random(c, 4), actions[cores_random(c, 3)],
					      start_first ? "start-first" : "stop-first");

	u->delay = (int64_t)cores_random(c, 3) * NS_PER_SEC;
	u->monitor = (int64_t)cores_random(c, 5) * NS_PER_SEC;
	u->max_failure_ratio = (double)cores_random(c, 3) / 4;
	return u;
}

/* Half of them replicated; a small network is for these alone, as the others cannot be scaled. */
static struct service *random_mode(struct cores *c, const char *id)
{
	switch (cores_random(c, 6)) {
	case 0:
		return service_global_make(c, id);
	case 1:
		return service_job_make(c, id, 0, 0);
	case 2:
		return service_job_make(c, id, 1 + cores_random(c, 3), 1 + cores_random(c, 6));
	default:
		return service_make(c, id, cores_random(c, 7));
	}
}

/* For a service of a lower number, which need not be there: they never wait for one another. */
static void random_wait(struct cores *c, struct service *s)
{
	static const char *const conditions[] = {"service_started", "service_healthy:optional"};
	uint64_t number = strtoull(s->spec.name + 3, NULL, 10);
	auto_free char *label = NULL;

	if (number == 0 || cores_random(c, 3))
		return;
	label = xasprintf("svc%" PRIu64 ":%s", cores_random(c, number), conditions[number % 2]);
	strmap_set(&s->spec.labels, DEPENDS_LABEL, label);
}

static void random_scaling(struct cores *c, struct service *s)
{
	char most[8];

	snprintf(most, sizeof most, "%d", (int)(1 + cores_random(c, 8)));
	strmap_set(&s->spec.labels, "shoal.autoscale.max", most);
	strmap_set(&s->spec.labels, "shoal.autoscale.cpu", "50");
	strmap_set(&s->spec.labels, "shoal.autoscale.window", cores_random(c, 2) ? "5s" : "1m");
}

static struct service *random_service(struct cores *c, const char *id)
{
	struct service *s = random_mode(c, id);

	random_wait(c, s);

	if (s->spec.mode.replicated && cores_random(c, 3) == 0)
		random_scaling(c, s);
	service_restart(s, cores_random(c, 6) ? RESTART_ANY : RESTART_ON_FAILURE,
			(int64_t)cores_random(c, 4) * NS_PER_SEC, 0, 0);
	if (cores_random(c, 2))
		service_reserve(s, (int64_t)cores_random(c, 2) * CPU / 2, GIB / 8);
	if (cores_random(c, 4) == 0)
		service_constrain(s, "node.labels.zone != west");
	if (cores_random(c, 2))
		service_attach(s,
			       pick(c, "net", s->spec.mode.replicated ? NETWORKS : NETWORKS - 1));
	if (cores_random(c, 3) == 0)
		service_publish(s, 80, 0);
	s->spec.update = random_update(c, id);
	s->spec.rollback = random_update(c, id);
	if (s->spec.mode.replicated && cores_random(c, 2))
		strmap_set(&s->spec.labels, REBALANCE_LABEL, "auto");
	return s;
}

static void random_size(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);

	if (s->spec.mode.replicated)
		*s->spec.mode.replicated->replicas = cores_random(c, 9);
	if (s->spec.mode.replicated_job)
		*s->spec.mode.replicated_job->total_completions = cores_random(c, 7);
	service_change(c, s);
}

static bool service_is_there(struct cores *c, const char *id)
{
	const struct service *s = store_service(c->store, id);

	return s && !s->pending_delete;
}

static void service_op(struct cores *c)
{
	static unsigned n;
	const char *id = pick(c, "svc", SERVICES);
	struct service *s;

	if (!store_service(c->store, id)) {
		service_add(c, random_service(c, id));
		return;
	}
	if (!service_is_there(c, id))
		return;
	switch (cores_random(c, 8)) {
	case 7:
		if (store_service(c->store, id)->spec.mode.replicated)
			service_rebalance(c, id);
		break;
	case 0:
		service_remove(c, id);
		break;
	case 1:
	case 2:
		service_force(c, id);
		break;
	case 3:
		if (store_service(c->store, id)->previous_spec)
			service_roll_back(c, id);
		break;
	case 4:
		s = cores_edit(c, KIND_SERVICE, id);
		service_constrain(s, n++ % 2 ? NULL : "node.labels.zone == east");
		service_change(c, s);
		break;
	default:
		random_size(c, id);
	}
}

static void node_label(struct cores *c, const char *id)
{
	struct node *n = cores_edit(c, KIND_NODE, id);

	strmap_set(&n->spec.labels, "zone", cores_random(c, 2) ? "west" : "east");
	cores_update(c, n);
}

static void node_op(struct cores *c)
{
	const char *id = pick(c, "node", NODES);
	const struct node *n = store_node(c->store, id);

	if (!n) {
		node_add(c, id, (int64_t)(1 + cores_random(c, 4)) * CPU, GIB);
		return;
	}
	switch (cores_random(c, 10)) {
	case 0:
		if (n->status.state == NODE_DOWN)
			cores_delete(c, KIND_NODE, id);
		break;
	case 1:
	case 2:
		node_label(c, id);
		break;
	case 3:
	case 4:
		node_availability(c, id, (enum node_availability)cores_random(c, 3));
		break;
	case 5:
		node_availability(c, id, AVAILABILITY_ACTIVE);
		break;
	default:
		node_state(c, id, cores_random(c, 2) ? NODE_DOWN : NODE_READY);
	}
}

/* Anything but what a healthy agent does at once. */
static enum task_state random_fate(struct cores *c, const struct task *t)
{
	static const enum task_state ends[] = {TASK_FAILED, TASK_REJECTED, TASK_COMPLETE};
	enum task_state goal = t->desired == TASK_READY ? TASK_READY : TASK_RUNNING;

	switch (cores_random(c, 12)) {
	case 0:
		return ends[cores_random(c, 3)];
	case 1:
	case 2:
		return t->status.state;
	case 3:
		return MAX_OF(t->status.state, MIN_OF(goal, TASK_PREPARING));
	default:
		return goal;
	}
}

static void some_agents(struct cores *c)
{
	struct strs ids = {0};
	const struct task *t;
	struct store_walk w;

	store_walk_kind(&w, c->store, KIND_TASK);
	while ((t = store_walk_next(&w)))
		if (cores_random(c, 3) == 0)
			strs_add(&ids, t->o.id);
	STRS_EACH (id, &ids) {
		t = store_task(c->store, id);
		if (t)
			(void)agent_task(c, t);
	}
	strs_done(&ids);
}

static void some_loads(struct cores *c)
{
	const struct task *t;
	struct store_walk w;

	store_walk_kind(&w, c->store, KIND_TASK);
	while ((t = store_walk_next(&w))) {
		int64_t cpu = (int64_t)cores_random(c, 200) * (CPU / 100);
		struct task_load load = {.task = (char *)(uintptr_t)t->o.id,
					 .value = {&cpu, NULL, NULL}};

		if (cores_random(c, 4))
			measures_put(&c->measures, &load, c->now);
	}
}

/* A step whose batch never arrives. */
static void lost_step(struct cores *c)
{
	struct changes batch;
	struct core_step step = {.store = c->store,
				 .now_ns = c->now,
				 .new_id = cores_new_id,
				 .new_id_arg = c,
				 .measures = &c->measures,
				 .out = &batch};
	struct core *core = c->core[cores_random(c, CORES)];

	changes_init(&batch);
	(void)core->class->step(core, &step);
	changes_done(&batch);
}

/* All cores over one fork, each seeing what the others changed, and no events in between. */
static void forked_step(struct cores *c)
{
	struct store *fork = store_fork(c->store);
	struct changes batch;
	struct core_step step = {.store = fork,
				 .now_ns = c->now,
				 .new_id = cores_new_id,
				 .new_id_arg = c,
				 .measures = &c->measures,
				 .out = &batch};
	struct store_result r;
	uint64_t first = cores_random(c, CORES);
	size_t from;

	changes_init(&batch);
	for (int i = 0; i < CORES; i++) {
		struct core *core = c->core[(first + (uint64_t)i) % CORES];

		from = batch.n;
		(void)core->class->step(core, &step);
		store_stage(fork, &batch, from, &r);
		if (r.verdict != STORE_APPLIED)
			fail_msg("%s: verdict %d, change %zu, object %s", core->class->name,
				 r.verdict, r.change, r.id);
	}
	store_free(fork);
	if (batch.n)
		cores_apply(c, &batch);
	changes_done(&batch);
}

static void one_op(struct cores *c)
{
	switch (cores_random(c, 17)) {
	case 0:
	case 1:
		service_op(c);
		break;
	case 2:
	case 3:
		node_op(c);
		break;
	case 4:
	case 5:
		some_agents(c);
		break;
	case 6:
		c->now += (int64_t)cores_random(c, 3000) * NS_PER_MS;
		break;
	case 7:
		if (cores_random(c, 4) == 0)
			c->now += 61 * NS_PER_SEC;
		break;
	case 8:
		if (cores_random(c, 4) == 0)
			cores_reset(c);
		break;
	case 9:
		lost_step(c);
		break;
	case 10:
		forked_step(c);
		break;
	case 11:
		(void)cores_settle(c);
		break;
	case 12:
		some_loads(c);
		break;
	default:
		(void)cores_step(c, (enum which_core)cores_random(c, CORES), NULL);
	}
	check_unique_all(c->store);
}

/* All nodes are back, strong enough, and of the zone that every constraint allows. */
static void heal(struct cores *c)
{
	for (int i = 0; i < NODES; i++) {
		char id[16];
		struct node *n;

		snprintf(id, sizeof id, "node%d", i);
		if (!store_node(c->store, id))
			node_add(c, id, 1, 1);
		n = cores_edit(c, KIND_NODE, id);
		n->status.state = NODE_READY;
		n->spec.availability = AVAILABILITY_ACTIVE;
		n->description.resources.nano_cpus = 100 * CPU;
		n->description.resources.memory = 100 * GIB;
		strmap_set(&n->spec.labels, "zone", "east");
		cores_update(c, n);
	}
	c->fate = NULL;
}

/* What ended by its own policy counts: COMPLETE is not restarted on failure alone. */
static size_t slots_filled(struct cores *c, const char *id)
{
	bool seen[16] = {false};
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, c->store, id);
	while ((t = store_walk_next(&w))) {
		bool ended = t->desired == TASK_SHUTDOWN && t->status.state == TASK_COMPLETE &&
			     !task_in(c, id, t->slot);

		assert_in_range(t->slot, 1, 15);
		if (seen[t->slot] || !(is_running(t) || ended))
			continue;
		seen[t->slot] = true;
		n++;
	}
	return n;
}

/* Each node has its task, or that has ended by its policy and is not wanted again. */
static void check_global(struct cores *c, const struct service *s)
{
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	for (int i = 0; i < NODES; i++) {
		char node[16];
		bool ended = false, runs = false;

		snprintf(node, sizeof node, "node%d", i);
		store_walk_service_tasks(&w, c->store, s->o.id);
		while ((t = store_walk_next(&w))) {
			if (strcmp(t->node, node) != 0)
				continue;
			runs |= is_running(t) && service_task_is_current(c->store, s, t);
			ended |= t->status.state == TASK_COMPLETE;
		}
		n += runs || ended;
	}
	assert_int_equal(n, NODES);
}

/* Of its iteration every slot, or node, has been completed once, and nothing is under way. */
static void check_job(struct cores *c, const struct service *s)
{
	uint64_t want = s->spec.mode.global_job ? NODES : job_completions(&s->spec);
	const struct task *t;
	struct store_walk w;
	size_t n = 0;

	store_walk_service_tasks(&w, c->store, s->o.id);
	while ((t = store_walk_next(&w))) {
		assert_false(task_is_live(t));
		if (task_iteration(t) == service_iteration(s) && t->status.state == TASK_COMPLETE &&
		    t->slot < want)
			n++;
	}
	assert_int_equal(n, want);
}

static void check_replicated(struct cores *c, const struct service *s)
{
	assert_int_equal(slots_filled(c, s->o.id), service_replicas(&s->spec));
	for (uint64_t slot = 1; slot < 16; slot++)
		if (task_in(c, s->o.id, slot))
			assert_true(
				service_task_is_current(c->store, s, task_in(c, s->o.id, slot)));
}

static void check_converged(struct cores *c)
{
	const struct service *s;
	const struct template *template;
	struct store_walk w;

	store_walk_kind(&w, c->store, KIND_SERVICE);
	while ((s = store_walk_next(&w))) {
		assert_false(s->pending_delete);
		assert_true(!s->rebalance || s->rebalance->state != REBALANCE_MOVING);
		if (s->update_status && s->update_status->state != UPDATE_COMPLETED)
			assert_int_equal(s->update_status->state, UPDATE_ROLLBACK_COMPLETED);
		if (s->spec.mode.replicated)
			check_replicated(c, s);
		else if (s->spec.mode.global)
			check_global(c, s);
		else
			check_job(c, s);
		LIST_EACH (a, &s->spec.task.networks)
			assert_int_equal(s->endpoint.vips.n, 1);
	}
	store_walk_kind(&w, c->store, KIND_TEMPLATE);
	while ((template = store_walk_next(&w)))
		assert_true(store_service(c->store, template->service) &&
			    (store_service(c->store, template->service)->template_version ==
				     template->template_version ||
			     store_template_users(c->store, template->service,
						  template->template_version)));
}

/* What a service waits for may never come, as it was removed or has ended: then no longer. */
static void wait_no_more(struct cores *c)
{
	for (int i = 0; i < SERVICES; i++) {
		char id[16];
		struct service *s;

		snprintf(id, sizeof id, "svc%d", i);
		if (!service_is_there(c, id) || !service_is_held(store_service(c->store, id)))
			continue;
		s = cores_edit(c, KIND_SERVICE, id);
		strmap_remove(&s->spec.labels, DEPENDS_LABEL);
		service_change(c, s);
	}
}

/* To one replica, whatever its load. */
static void scale_back(struct cores *c, const char *id)
{
	struct service *s = cores_edit(c, KIND_SERVICE, id);

	strmap_done(&s->spec.labels);
	*s->spec.mode.replicated->replicas = 1;
	service_change(c, s);
}

static void one_life(uint64_t seed, size_t steps)
{
	struct cores *c = cores_new(seed);
	size_t batches;

	c->fate = random_fate;
	for (int i = 0; i < NETWORKS; i++) {
		char id[16];

		snprintf(id, sizeof id, "net%d", i);
		/* The last is so small that it runs out. */
		network_add(c, id, i == NETWORKS - 1 ? "10.9.0.0/28" : NULL);
	}
	for (int i = 0; i < NODES / 2; i++)
		node_op(c);
	for (size_t i = 0; i < steps; i++)
		one_op(c);
	heal(c);
	/* The small network may be too small for all: fewer replicas then. */
	for (int i = 0; i < SERVICES; i++) {
		char id[16];

		snprintf(id, sizeof id, "svc%d", i);
		if (service_is_there(c, id) && store_service(c->store, id)->spec.mode.replicated)
			scale_back(c, id);
		else if (service_is_there(c, id) && store_service(c->store, id)->spec.mode.global)
			service_force(c, id); /* an update may have paused */
	}
	cores_pass(c, 900 * NS_PER_SEC);
	wait_no_more(c);
	cores_pass(c, 900 * NS_PER_SEC);
	check_converged(c);
	batches = c->batches;
	cores_pass(c, 24 * 3600 * NS_PER_SEC);
	cores_reset(c);
	cores_pass(c, 24 * 3600 * NS_PER_SEC);
	assert_int_equal(c->batches, batches);
	cores_free(c);
}

static uint64_t only_seed;

static void random_lives(void **state)
{
	if (only_seed) {
		one_life(only_seed, STEPS * 10);
		return;
	}
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("seed %" PRIu64 "\n", seed);
		one_life(seed, STEPS);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {TEST(random_lives)};

	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	return RUN_TESTS(tests);
}
