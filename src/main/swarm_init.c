/*
 * `swarm init` and `swarm leave`: a cluster of one is made; a member becomes none.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "main/swarm_impl.h"
#include "manager/ca.h"

/* Undoes what a failed init has made, then answers. */
static void init_undone(struct swarm *s)
{
	struct err e = ERR_INIT;

	if (swarm_state_remove(s->dir, &e) < 0)
		log_error("what a failed init left cannot be removed: %s", e.msg);
	swarm_state_done(&s->state);
	s->phase = SWARM_INACTIVE;
	swarm_answer(s, s->error.code, &s->error);
	s->error = ERR_INIT;
}

static void init_fail(struct swarm *s, const struct err *e)
{
	s->error = *e;
	swarm_stop(s, init_undone);
}

static int availability_parse(const char *text, enum node_availability *ret, struct err *e)
{
	*ret = AVAILABILITY_ACTIVE;
	if (!text || !*text || strcmp(text, "active") == 0)
		return 0;
	if (strcmp(text, "pause") == 0)
		*ret = AVAILABILITY_PAUSE;
	else if (strcmp(text, "drain") == 0)
		*ret = AVAILABILITY_DRAIN;
	else
		return err_set(e, -EINVAL, "invalid availability \"%.20s\": active, pause or drain",
			       text);
	return 0;
}

static int init_check(const struct swarm *s, const struct swarm_init *r, struct err *e)
{
	if (s->phase != SWARM_INACTIVE)
		return err_set(
			e, -EAGAIN,
			"This node is already part of a swarm. Use \"docker swarm leave\" to "
			"leave this swarm and join another one.");
	if (r->force_new_cluster)
		return err_set(e, -ENOSYS, "ForceNewCluster is not implemented");
	if (r->auto_lock)
		return err_set(e, -ENOSYS, "AutoLockManagers is not implemented");
	if (r->subnet_size && (r->subnet_size < 8 || r->subnet_size > 29))
		return err_set(e, -EINVAL, "invalid subnet size %" PRId64 ": 8 to 29 bits",
			       r->subnet_size);
	if (r->data_path_port && (r->data_path_port < 1024 || r->data_path_port > 49151))
		return err_set(e, -EINVAL, "invalid data path port %" PRId64 ": 1024 to 49151",
			       r->data_path_port);
	return cluster_spec_check(&r->spec, e);
}

/* Where this node listens, what it tells others, and where its tunnels end. */
static int addresses_find(struct swarm_state *state, const char *listen, const char *advertise,
			  const char *data, struct err *e)
{
	auto_free char *given = NULL;
	int rc = swarm_listen_address(listen, &state->listen_addr, e);

	if (rc == 0 && (!advertise || !*advertise) &&
	    strncmp(state->listen_addr, "0.0.0.0:", 8) != 0 &&
	    strncmp(state->listen_addr, "[::]:", 5) != 0)
		advertise = state->listen_addr;
	if (rc == 0)
		rc = swarm_address(advertise, "--advertise-addr", &state->advertise_addr, e);
	if (rc == 0 && data && *data)
		rc = swarm_address(data, "--data-path-addr", &given, e);
	if (rc == 0)
		state->data_addr = swarm_address_ip(given ? given : state->advertise_addr);
	return rc;
}

/* The authority, this node's key and its certificate. */
static int identity_make(struct swarm_state *state, struct cluster *cluster, struct err *e)
{
	auto_ca ca = {0};
	auto_pkey *key = NULL;
	auto_buf pem = BUF_INIT(LIMIT_FILE_SMALL), csr = BUF_INIT(LIMIT_FILE_SMALL);
	struct cert_request what = {.node_id = state->node,
				    .role = CERT_ROLE_MANAGER,
				    .cluster_id = state->cluster,
				    .now_ns = clock_wall_ns(),
				    .life_ns = cluster->spec.ca.node_cert_expiry};
	char token[TOKEN_TEXT_LEN + 1];
	int rc = ca_new(what.now_ns, &ca, e);

	if (rc == 0)
		rc = pkey_new(&key, e);
	if (rc == 0)
		rc = csr_new(key, &csr, e);
	if (rc == 0)
		rc = ca_issue(&ca, csr.p, csr.len, &what, &pem, e);
	if (rc < 0)
		return rc;
	state->cert = buf_take(&pem);
	(void)buf_reserve(&pem, LIMIT_PEM);
	rc = pkey_write(key, &pem, e);
	state->key = buf_take(&pem);
	if (rc == 0)
		rc = cert_write(ca.root, &pem, e);
	state->roots = buf_take(&pem);
	str_set(&cluster->root_cert, state->roots);
	(void)buf_reserve(&pem, LIMIT_PEM);
	if (rc == 0)
		rc = pkey_write(ca.key, &pem, e);
	cluster->root_key = (struct bytes){xmemdup(buf_text(&pem), pem.len), pem.len};
	buf_burn(&pem);
	ca_token_new(&ca, token);
	str_set(&cluster->tokens.worker, token);
	ca_token_new(&ca, token);
	str_set(&cluster->tokens.manager, token);
	explicit_bzero(token, sizeof token);
	return rc;
}

static struct cluster *cluster_make(const struct swarm_init *r)
{
	char id[ID_CLUSTER_LEN + 1];
	struct cluster *c;

	id_cluster(id);
	c = object_new(KIND_CLUSTER, id, clock_wall_ns());
	table_copy(&cluster_spec_table, &c->spec, &r->spec);
	str_set(&c->spec.name, "default");
	STRS_EACH (pool, &r->default_addr_pool)
		strs_add(&c->default_pools, pool);
	c->subnet_size = (uint32_t)r->subnet_size;
	c->data_port = (uint32_t)r->data_path_port;
	c->feature_level = 1;
	return c;
}

static struct node *self_make(struct swarm *s, enum node_availability availability)
{
	struct node *n = object_new(KIND_NODE, s->state.node, clock_wall_ns());
	struct session_open open = {0};

	swarm_describe(s, &open);
	n->description = open.description; /* taken */
	free(open.data_addr);
	n->spec.role = ROLE_MANAGER;
	n->spec.availability = availability;
	n->status.state = NODE_UNKNOWN;
	n->data_addr = xstrdup(s->state.data_addr);
	n->manager = xcalloc(1, sizeof *n->manager);
	n->manager->raft_id = s->state.raft_id;
	n->manager->addr = xstrdup(s->state.advertise_addr);
	return n;
}

static void self_remember(struct swarm_state *state)
{
	struct session_manager *m = LIST_ADD(&state->managers);

	m->node = xstrdup(state->node);
	m->addr = xstrdup(state->advertise_addr);
}

static void init_stored(void *arg, int status, const struct control_answer *answer,
			const struct err *e)
{
	struct swarm *s = arg;
	struct err why = ERR_INIT;
	int rc = status;

	(void)answer;
	if (rc == 0)
		rc = swarm_agent_start(s, &why);
	else
		why = *e;
	if (rc < 0) {
		init_fail(s, &why);
		return;
	}
	s->phase = SWARM_ACTIVE;
	log_info("this node is the first manager of a new swarm, at %s", s->state.advertise_addr);
	swarm_answer(s, 0, NULL);
}

static int init_run(struct swarm *s, const struct swarm_init *r,
		    enum node_availability availability, struct err *e)
{
	struct cluster *cluster = cluster_make(r);
	struct manager_config config;
	struct manager *m = NULL;
	char id[ID_CLUSTER_LEN + 1];
	int rc;

	id_cluster(id);
	s->state.node = xstrdup(id);
	s->state.cluster = xstrdup(cluster->o.id);
	s->state.role = ROLE_MANAGER;
	s->state.raft_id = (random_u64() & INT64_MAX) | 1;
	s->state.data_port = cluster->data_port ? cluster->data_port : DATA_PORT;
	self_remember(&s->state);
	rc = identity_make(&s->state, cluster, e);
	if (rc == 0)
		rc = swarm_state_store(s->dir, &s->state, e);
	if (rc == 0)
		rc = swarm_hub_start(s, e);
	if (rc == 0)
		rc = swarm_disk_open(s, e);
	if (rc < 0) {
		object_free(&cluster->o);
		return rc;
	}
	swarm_manager_config(s, &config);
	rc = manager_bootstrap(&m, &config, cluster, self_make(s, availability), init_stored, s, e);
	if (rc == 0)
		swarm_manager_set(s, m);
	return rc;
}

void swarm_init_begin(void *arg, const struct swarm_init *r, swarm_done done, void *done_arg)
{
	enum node_availability availability = AVAILABILITY_ACTIVE;
	struct swarm *s = arg;
	struct err e = ERR_INIT;
	int rc = init_check(s, r, &e);

	if (rc == 0)
		rc = availability_parse(r->availability, &availability, &e);
	if (rc == 0) {
		swarm_state_done(&s->state);
		rc = addresses_find(&s->state, r->listen_addr, r->advertise_addr, r->data_path_addr,
				    &e);
	}
	if (rc < 0) {
		done(done_arg, rc, NULL, &e);
		return;
	}
	s->done = done;
	s->done_arg = done_arg;
	s->phase = SWARM_STARTING;
	rc = init_run(s, r, availability, &e);
	if (rc < 0)
		init_fail(s, &e);
}

/* Leaving */

static void leave_stopped(struct swarm *s)
{
	struct err e = ERR_INIT;
	int rc;

	/* The worker has no tasks left, so nothing comes back to its runner. */
	if (s->runner)
		runner_engine_free(TAKE_PTR(s->runner));
	rc = swarm_state_remove(s->dir, &e);
	swarm_state_done(&s->state);
	s->phase = SWARM_INACTIVE;
	log_info("this node has left its swarm");
	swarm_answer(s, rc, &e);
}

static void leave_vote_gone(void *arg, int status, const struct control_answer *answer,
			    const struct err *e)
{
	(void)answer;
	if (status < 0)
		log_warn("this manager leaves its swarm all the same: %s", err_text(e));
	swarm_stop(arg, leave_stopped);
}

static void leave_told(void *arg)
{
	struct swarm *s = arg;

	if (s->manager)
		manager_leave(s->manager, leave_vote_gone, s);
	else
		swarm_stop(s, leave_stopped);
}

static void leave_tasks_gone(void *arg)
{
	struct swarm *s = arg;

	if (s->session)
		session_client_leave(s->session, leave_told, s);
	else
		leave_told(s);
}

void swarm_leave_begin(void *arg, bool force, swarm_done done, void *done_arg)
{
	struct swarm *s = arg;
	struct err e = ERR_INIT;
	int rc = 0;

	if (s->phase == SWARM_INACTIVE)
		rc = err_set(&e, -EAGAIN, "This node is not part of a swarm");
	else if (s->phase != SWARM_ACTIVE)
		rc = err_set(&e, -EAGAIN, "this node is joining or leaving a swarm: try again");
	else if (s->state.role == ROLE_MANAGER && !force)
		rc = err_set(
			&e, -EAGAIN,
			"You are attempting to leave the swarm on a node that is participating "
			"as a manager. Removing this manager may cost the swarm its quorum, and "
			"removing the last manager erases all current state of the swarm. Use "
			"`--force` to leave all the same.");
	if (rc < 0) {
		done(done_arg, rc, NULL, &e);
		return;
	}
	s->done = done;
	s->done_arg = done_arg;
	s->phase = SWARM_LEAVING;
	worker_leave(s->worker, leave_tasks_gone, s);
}
