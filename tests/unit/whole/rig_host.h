/*
 * The hosts of rig.h: each has an address, an identity and, as far as it is one, a manager; and how
 * a test asks that for something and looks at what it has.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "agent/session.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/seal.h"
#include "base/tls.h"
#include "manager/ca.h"
#include "manager/manager.h"
#include "manager/raft_disk.h"
#include "manager/world_uv.h"
#include "model/join.h"

#define RIG_HOSTS 8
#define RIG_WAIT_MS 15000 /* no test waits longer for anything */

/* A task as a faked worker has it. */
struct fake_task {
	char id[ID_CLUSTER_LEN + 1];
	enum task_state state, desired;
};

struct host {
	struct rig *rig;
	struct stream_hub *hub;
	struct stream_listener *listener;
	char address[STREAM_ADDRESS_MAX];
	struct pkey *key;
	struct tls_identity *identity;
	char node[ID_CLUSTER_LEN + 1];
	uint64_t raft_id;
	char dir[256];
	struct raft_disk *disk;
	struct manager *manager;
	bool cut, removed, hub_gone, manager_gone;
	struct strs secrets;      /* ids of those that came */
	struct data_request data; /* what it was asked for last */
	unsigned data_asked;
	/* The agent */
	struct session_client *session;
	bool session_gone, connected, mute;
	unsigned connects, completes;
	int refused; /* why it was not let in last */
	struct session_manager known[RIG_HOSTS];
	struct fake_task *tasks;
	size_t n_tasks, tasks_cap;
	/* Of the one network that tests use */
	uint64_t net_version;
	struct strs peers; /* tasks */
	unsigned nets_gone, deltas, stale;
	struct session_measure measure; /* what it was asked to measure last */
	unsigned measure_asks;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t tick;
	struct world world;
	char dir[128];
	struct seal_key *key;
	char *worker_token, *manager_token;
	struct host hosts[RIG_HOSTS];
	struct raft_node_options raft;
	int64_t heartbeat_ns;
};

static inline void rig_tick(uv_timer_t *t)
{
	(void)t;
}

/* Runs the loop until the condition holds; true when it did in time. */
#define RIG_TRY(r, condition, ms)                                      \
	({                                                             \
		uint64_t end_ = clock_mono_ms() + (ms);                \
		bool ok_;                                              \
		while (!(ok_ = (condition)) && clock_mono_ms() < end_) \
			(void)uv_run(&(r)->loop, UV_RUN_ONCE);         \
		ok_;                                                   \
	})
#define RIG_UNTIL(r, condition)                                                            \
	do {                                                                               \
		if (!RIG_TRY(r, condition, RIG_WAIT_MS))                                   \
			fail_msg("line %d: waited in vain for: %s", __LINE__, #condition); \
	} while (0)
/* For what must not happen: runs the loop for the time. */
#define RIG_RUN_MS(r, ms) (void)RIG_TRY(r, false, ms)

/* Hosts */

static inline int host_accept(struct stream *s, const struct stream_peer *peer, void *data,
			      struct err *e)
{
	struct host *h = data;

	if (!h->manager)
		return err_set(e, -EAGAIN, "no manager here");
	return manager_accept(h->manager, s, peer, e);
}

static inline void host_listen(struct host *h, const char *address)
{
	struct err e = ERR_INIT;

	assert_ok(stream_listen(h->hub, address, host_accept, h, &h->listener, &e), &e);
	(void)snprintf(h->address, sizeof h->address, "%s", stream_listener_address(h->listener));
}

static inline struct host *host_new(struct rig *r, size_t i)
{
	struct host *h = &r->hosts[i];
	struct err e = ERR_INIT;

	h->rig = r;
	h->hub = stream_hub_new(&r->loop, &(struct stream_hub_conf){0});
	(void)snprintf(h->dir, sizeof h->dir, "%s/host%zu", r->dir, i);
	assert_ok(pkey_new(&h->key, &e), &e);
	host_listen(h, "127.0.0.1:0");
	return h;
}

static inline void host_identity(struct host *h, const char *cert, const char *roots)
{
	auto_certs chain = {0}, trusted = {0};
	struct err e = ERR_INIT;

	assert_ok(certs_read(cert, strlen(cert), &chain, &e), &e);
	assert_ok(certs_read(roots, strlen(roots), &trusted, &e), &e);
	tls_identity_unref(h->identity);
	assert_ok(tls_identity_new(h->key, &chain, &trusted, &h->identity, &e), &e);
	stream_hub_set_identity(h->hub, h->identity);
}

static inline bool stream_cut(struct stream *s, void *data)
{
	(void)data;
	stream_abort(s);
	return true;
}

/* No goodbye: from now on nothing comes out of this host or goes in. */
static inline void host_cut(struct host *h)
{
	h->cut = true;
	stream_hub_set_identity(h->hub, NULL);
	stream_listener_close(TAKE_PTR(h->listener));
	stream_hub_each(h->hub, NULL, stream_cut, NULL);
}

static inline void host_heal(struct host *h)
{
	char address[STREAM_ADDRESS_MAX];

	(void)snprintf(address, sizeof address, "%s", h->address);
	h->cut = false;
	stream_hub_set_identity(h->hub, h->identity);
	host_listen(h, address);
}

/* Managers */

static inline void host_removed(void *arg)
{
	((struct host *)arg)->removed = true;
}

/* What a daemon remembers on its own disk. */
static inline int host_address(void *arg, const char *node, char ret[STREAM_ADDRESS_MAX])
{
	struct host *h = arg;

	for (size_t i = 0; i < RIG_HOSTS; i++) {
		if (strcmp(h->rig->hosts[i].node, node) != 0)
			continue;
		(void)snprintf(ret, STREAM_ADDRESS_MAX, "%s", h->rig->hosts[i].address);
		return 0;
	}
	return -ENOENT;
}

static inline struct manager_config host_config(struct host *h)
{
	struct err e = ERR_INIT;

	assert_ok(raft_disk_new(&h->disk, &h->rig->loop, h->dir, h->rig->key, &e), &e);
	return (struct manager_config){.world = &h->rig->world,
				       .hub = h->hub,
				       .io = raft_disk_io(h->disk),
				       .node = h->node,
				       .raft_id = h->raft_id,
				       .raft = h->rig->raft,
				       .arg = h,
				       .address = host_address,
				       .removed = host_removed};
}

static inline void host_open(struct host *h)
{
	struct manager_config config = host_config(h);
	struct err e = ERR_INIT;

	h->manager_gone = false;
	assert_ok(manager_open(&h->manager, &config, &e), &e);
}

static inline void host_manager_gone(void *arg)
{
	((struct host *)arg)->manager_gone = true;
}

static inline void host_close(struct host *h)
{
	if (!h->manager)
		return;
	manager_close(h->manager, host_manager_gone, h);
	RIG_UNTIL(h->rig, h->manager_gone);
	h->manager = NULL;
	raft_disk_free(TAKE_PTR(h->disk));
}

/* Requests */

struct asked {
	int status;
	bool done;
	char id[ID_CLUSTER_LEN + 1];
	uint64_t version;
	struct err e;
};

static inline void asked_done(void *arg, int status, const struct control_answer *answer,
			      const struct err *e)
{
	struct asked *a = arg;

	assert_false(a->done);
	a->done = true;
	a->status = status;
	if (answer) {
		(void)snprintf(a->id, sizeof a->id, "%s", answer->id ? answer->id : "");
		a->version = answer->version;
	}
	if (status < 0 && e)
		a->e = *e;
}

static inline struct asked host_ask(struct host *h, const struct control_request *request)
{
	struct asked a = {0};

	(void)manager_control(h->manager, request, asked_done, &a);
	RIG_UNTIL(h->rig, a.done);
	return a;
}

static inline void spec_json(struct service_spec *ret, const char *json)
{
	struct err e = ERR_INIT;

	*ret = (struct service_spec){0};
	assert_ok(json_read(&service_spec_table, json, strlen(json), ret, &e), &e);
}

static inline void spec_of(struct service_spec *ret, const char *name, unsigned replicas)
{
	auto_free char *json = xasprintf(
		"{\"Name\":\"%s\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"busybox\"},"
		"\"RestartPolicy\":{\"Condition\":\"any\",\"Delay\":1000000}},"
		"\"Mode\":{\"Replicated\":{\"Replicas\":%u}}}",
		name, replicas);

	spec_json(ret, json);
}

static inline struct asked host_create(struct host *h, const char *name, unsigned replicas)
{
	struct control_request r = {.op = CONTROL_SERVICE_CREATE};
	struct service_spec spec;
	struct asked a;

	spec_of(&spec, name, replicas);
	r.service = &spec;
	a = host_ask(h, &r);
	table_done(&service_spec_table, &spec);
	return a;
}

static inline const struct service *service_of(struct host *h, const char *name)
{
	return (const struct service *)store_named(manager_store(h->manager), KIND_SERVICE, name);
}

static inline struct asked host_scale(struct host *h, const char *name, unsigned replicas)
{
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE, .id = (char *)(uintptr_t)name};
	struct service_spec spec;
	struct asked a;

	assert_non_null(service_of(h, name));
	r.version = service_of(h, name)->o.version.index;
	spec_of(&spec, name, replicas);
	r.service = &spec;
	a = host_ask(h, &r);
	table_done(&service_spec_table, &spec);
	return a;
}

static inline struct asked host_name(struct host *h, enum control_op op, const char *name,
				     bool force)
{
	struct control_request r = {.op = op, .id = (char *)(uintptr_t)name, .force = force};

	return host_ask(h, &r);
}

/* What a manager's store has */

/* Wanted tasks of a service that run (on `node`, unless NULL). */
static inline unsigned tasks_running(struct host *h, const char *name, const char *node)
{
	const struct service *service = service_of(h, name);
	const struct task *t;
	struct store_walk w;
	unsigned n = 0;

	if (!service)
		return 0;
	store_walk_service_tasks(&w, manager_store(h->manager), service->o.id);
	while ((t = store_walk_next(&w)))
		n += t->status.state == TASK_RUNNING && task_is_wanted(t) &&
		     (!node || strcmp(t->node, node) == 0);
	return n;
}

static inline enum node_state node_state_of(struct host *h, const char *node)
{
	const struct node *n = store_node(manager_store(h->manager), node);

	return n ? n->status.state : NODE_UNKNOWN;
}

static inline struct host *rig_leader(struct rig *r)
{
	for (size_t i = 0; i < RIG_HOSTS; i++)
		if (r->hosts[i].manager && !r->hosts[i].cut &&
		    manager_is_leading(r->hosts[i].manager))
			return &r->hosts[i];
	return NULL;
}

static inline size_t voters_of(struct host *h)
{
	const struct raft_member *v;
	size_t n = raft_node_members(manager_raft(h->manager), &v), voters = 0;

	for (size_t i = 0; i < n; i++)
		voters += v[i].role == RAFT_NODE_VOTER;
	return voters;
}
