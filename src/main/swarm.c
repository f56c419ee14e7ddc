/*
 * What a member of a swarm runs, started and stopped in order. See swarm.h.
 */
#include "main/swarm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "main/swarm_impl.h"

void swarm_manager_set(struct swarm *s, struct manager *m)
{
	s->manager = m;
	if (s->config.manager_changed)
		s->config.manager_changed(s->config.arg, m);
}

void swarm_answer(struct swarm *s, int status, const struct err *e)
{
	swarm_done done = TAKE_PTR(s->done);

	if (done)
		done(s->done_arg, status, status == 0 ? s->state.node : NULL, e);
}

/* Who may come in: the manager says; a node that is none serves nobody. */
static int on_accept(struct stream *stream, const struct stream_peer *peer, void *data,
		     struct err *e)
{
	struct swarm *s = data;

	if (!s->manager)
		return err_set(e, -EAGAIN, "this node's manager is not running");
	return manager_accept(s->manager, stream, peer, e);
}

/* The pieces, in the order in which they start */

int swarm_hub_start(struct swarm *s, struct err *e)
{
	struct stream_hub_conf conf = {0};
	struct tls_identity *identity = NULL;
	int rc = swarm_state_identity(&s->state, &identity, e);

	if (rc < 0)
		return rc;
	s->hub = stream_hub_new(s->config.loop, &conf);
	stream_hub_set_identity(s->hub, identity);
	tls_identity_unref(identity);
	if (s->state.role != ROLE_MANAGER)
		return 0;
	return stream_listen(s->hub, s->state.listen_addr, on_accept, s, &s->listener, e);
}

static int seal_key_get(struct swarm *s, struct err *e)
{
	auto_close int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, "cannot open %s", s->dir);
	rc = seal_key_load(fd, "raft.key", NULL, &s->seal_key, e);
	if (rc != -ENOENT)
		return rc;
	s->seal_key = seal_key_new();
	return seal_key_store(s->seal_key, fd, "raft.key", NULL, e);
}

int swarm_disk_open(struct swarm *s, struct err *e)
{
	auto_free char *dir = xasprintf("%s/raft", s->dir);
	int rc = seal_key_get(s, e);

	return rc < 0 ? rc : raft_disk_new(&s->disk, s->config.loop, dir, s->seal_key, e);
}

static void on_manager_changed(void *arg)
{
	(void)arg; /* who leads is asked for when it matters */
}

static void on_removed(void *arg)
{
	struct swarm *s = arg;

	if (s->phase == SWARM_ACTIVE)
		swarm_demoted(s);
}

static int known_address(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX])
{
	const struct swarm *s = arg;

	LIST_EACH (m, &s->state.managers) {
		if (strcmp(m->node, node) != 0)
			continue;
		(void)snprintf(ret, STREAM_ADDRESS_MAX, "%s", m->addr);
		return 0;
	}
	return -ENOENT;
}

void swarm_manager_config(struct swarm *s, struct manager_config *ret)
{
	*ret = (struct manager_config){.world = &s->world,
				       .hub = s->hub,
				       .io = raft_disk_io(s->disk),
				       .node = s->state.node,
				       .raft_id = s->state.raft_id,
				       .raft = {.election_ms = s->config.election_ms,
						.heartbeat_ms = s->config.heartbeat_ms},
				       .arg = s,
				       .address = known_address,
				       .changed = on_manager_changed,
				       .removed = on_removed};
}

/*
 * A manager whose log cannot be loaded stays off; the agent goes on with the other managers. An
 * operator reads the reason in the log and in `info`.
 */
static void manager_start(struct swarm *s)
{
	struct manager_config config;
	struct manager *m = NULL;
	struct err e = ERR_INIT;
	int rc = swarm_disk_open(s, &e);

	if (rc == 0) {
		swarm_manager_config(s, &config);
		rc = manager_open(&m, &config, &e);
	}
	if (rc == 0) {
		swarm_manager_set(s, m);
		return;
	}
	s->error = e;
	log_error("this node's manager stays off: %s", e.msg);
}

int swarm_start(struct swarm *s, struct err *e)
{
	int rc = swarm_hub_start(s, e);

	if (rc < 0)
		return rc;
	if (s->state.role == ROLE_MANAGER)
		manager_start(s);
	rc = swarm_agent_start(s, e);
	if (rc == 0) {
		s->phase = SWARM_ACTIVE;
		swarm_cert_watch(s);
	}
	return rc;
}

/* Stopping: each step ends in a callback that begins the next. */

struct stop {
	struct swarm *swarm;
	void (*next)(struct swarm *s);
};

static void stop_end(void *arg)
{
	struct stop *stop = arg;
	struct swarm *s = stop->swarm;
	void (*next)(struct swarm * s) = stop->next;

	s->hub = NULL;
	s->listener = NULL;
	if (s->disk)
		raft_disk_free(TAKE_PTR(s->disk));
	seal_key_unref(TAKE_PTR(s->seal_key));
	free(stop);
	next(s);
}

static void stop_hub(void *arg)
{
	struct stop *stop = arg;
	struct swarm *s = stop->swarm;

	if (s->hub)
		stream_hub_close(s->hub, stop_end, stop);
	else
		stop_end(stop);
}

static void stop_manager(void *arg)
{
	struct stop *stop = arg;
	struct swarm *s = stop->swarm;
	struct manager *m = s->manager;

	s->session = NULL;
	if (s->logs)
		data_logs_free(TAKE_PTR(s->logs));
	if (s->execs)
		data_execs_free(TAKE_PTR(s->execs));
	if (s->measurer)
		measurer_free(TAKE_PTR(s->measurer));
	if (s->worker)
		worker_close(TAKE_PTR(s->worker));
	if (s->listener)
		stream_listener_close(TAKE_PTR(s->listener));
	if (!m) {
		stop_hub(stop);
		return;
	}
	swarm_manager_set(s, NULL);
	manager_close(m, stop_hub, stop);
}

void swarm_stop(struct swarm *s, void (*next)(struct swarm *s))
{
	struct stop *stop = xcalloc(1, sizeof *stop);

	stop->swarm = s;
	stop->next = next;
	swarm_cert_stop(s);
	if (s->session)
		session_client_close(s->session, stop_manager, stop);
	else
		stop_manager(stop);
}

/* What the API asks */

static struct manager *api_manager_of(void *arg)
{
	return ((struct swarm *)arg)->manager;
}

static bool api_active(void *arg)
{
	return ((struct swarm *)arg)->phase != SWARM_INACTIVE;
}

/* The managers as the agent knows them, in the API's form: kept until the next question. */
static void peers_fill(struct swarm *s)
{
	s->peers = xreallocarray(s->peers, s->state.managers.n, sizeof *s->peers);
	for (size_t i = 0; i < s->state.managers.n; i++)
		s->peers[i] = (struct swarm_peer){.node = s->state.managers.v[i].node,
						  .addr = s->state.managers.v[i].addr};
}

static void api_status(void *arg, struct swarm_status *ret)
{
	static const char *const names[] = {
		[SWARM_INACTIVE] = "inactive",
		[SWARM_STARTING] = "pending",
		[SWARM_ACTIVE] = "active",
		[SWARM_LEAVING] = "active",
	};
	struct swarm *s = arg;

	ret->local_state = names[s->phase];
	if (s->error.code)
		ret->error = s->error.msg;
	if (s->phase != SWARM_ACTIVE)
		return;
	if (!s->error.code && !s->manager && s->refused.code)
		ret->error = s->refused.msg;
	peers_fill(s);
	ret->node = s->state.node;
	ret->addr = s->state.data_addr;
	ret->managers = s->peers;
	ret->n_managers = s->state.managers.n;
}

struct api_swarm *swarm_api(struct swarm *s)
{
	return &s->api;
}

const char *swarm_ping(struct swarm *s)
{
	switch (s->phase) {
	case SWARM_INACTIVE:
		return "inactive";
	case SWARM_STARTING:
		return "pending";
	default:
		return s->manager ? "active/manager" : "active/worker";
	}
}

int swarm_open(struct swarm **ret, const struct swarm_config *config, struct err *e)
{
	struct swarm *s = xcalloc(1, sizeof *s);
	int rc;

	s->config = *config;
	s->dir = xasprintf("%s/swarm", config->data_root);
	if (gethostname(s->hostname, sizeof s->hostname - 1) < 0)
		s->hostname[0] = '\0';
	world_uv_init(&s->world, config->loop);
	swarm_cert_init(s);
	s->api = (struct api_swarm){.arg = s,
				    .status = api_status,
				    .manager = api_manager_of,
				    .active = api_active,
				    .init = swarm_init_begin,
				    .join = swarm_join_begin,
				    .leave = swarm_leave_begin};
	rc = swarm_state_load(s->dir, &s->state, e);
	if (rc == 0)
		rc = swarm_start(s, e);
	else if (rc == -ENOENT)
		rc = 0;
	*ret = s;
	return rc;
}

void swarm_closed(struct swarm *s)
{
	void (*done)(void *arg) = s->closed;
	void *arg = s->closed_arg;

	/* The worker's last operations may still come back to the runner: it goes with the process.
	 */
	swarm_state_done(&s->state);
	free(s->dir);
	free(s->peers);
	free(s);
	if (done)
		done(arg);
}

void swarm_close(struct swarm *s, void (*done)(void *arg), void *arg)
{
	struct err e = ERR_INIT;

	s->closed = done;
	s->closed_arg = arg;
	(void)err_set(&e, -ECANCELED, "the daemon stops");
	swarm_answer(s, -ECANCELED, &e);
	if (!s->changing) /* else what stops it already goes on from there */
		swarm_stop(s, swarm_closed);
}
