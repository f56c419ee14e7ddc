/*
 * Real raft nodes on real disks, in one process on one loop, linked by memory: for unit tests and
 * the bench. What is replicated is a growing run of bytes. Included once by each program.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seal.h"
#include "manager/proposer.h"
#include "manager/raft_disk.h"
#include "manager/raft_node.h"
#include "manager/world_uv.h"

#define RIG_NODES 3
#define RIG_STATE_MAX (64u << 20)

struct rig;

struct rig_node {
	struct rig *rig;
	unsigned place;
	char name[ID_CLUSTER_LEN + 1];
	char dir[256];
	struct raft_disk *disk;
	struct raft_node *raft;
	struct proposer *proposer;
	struct buf state; /* all batches, one after the other */
	uint64_t changes;
	unsigned restored; /* snapshots taken over */
	bool cut;          /* hears and says nothing */
	bool closed;
};

struct rig_packet {
	struct rig_packet *next;
	struct rig_node *from, *to;
	size_t len;
	uint8_t bytes[];
};

struct rig {
	uv_loop_t loop;
	uv_idle_t idle;
	struct world world;
	char dir[200];
	struct seal_key *key;
	struct raft_node_options options;
	bool (*prepare)(void *arg);
	uint64_t (*step)(void *arg, struct proposal *p, uint64_t term);
	void (*send)(void *arg, const char *peer, const void *p, size_t len); /* NULL: by memory */
	struct rig_node nodes[RIG_NODES];
	struct rig_packet *first, **last;
};

/* The links */

static void rig_deliver(uv_idle_t *idle)
{
	struct rig *r = idle->data;
	struct rig_packet *packet = TAKE_PTR(r->first);

	r->last = &r->first;
	(void)uv_idle_stop(idle);
	while (packet) {
		struct rig_packet *next = packet->next;

		if (packet->to->raft && !packet->to->cut && !packet->from->cut)
			(void)raft_node_receive(packet->to->raft, packet->from->name, packet->bytes,
						packet->len, NULL);
		free(packet);
		packet = next;
	}
}

static void rig_send(void *arg, const char *peer, const void *p, size_t len)
{
	struct rig_node *from = arg;
	struct rig *r = from->rig;
	struct rig_packet *packet;

	for (unsigned i = 0; i < RIG_NODES; i++) {
		if (strcmp(r->nodes[i].name, peer) != 0)
			continue;
		packet = xmalloc(sizeof(*packet) + len);
		packet->next = NULL;
		packet->from = from;
		packet->to = &r->nodes[i];
		packet->len = len;
		memcpy(packet->bytes, p, len);
		*r->last = packet;
		r->last = &packet->next;
		(void)uv_idle_start(&r->idle, rig_deliver);
	}
}

static void rig_send_snapshot(void *arg, const char *peer, struct raft_snapshot_out *out)
{
	auto_buf frame = BUF_INIT(LIMIT_FRAME);

	while (raft_snapshot_out_next(out, &frame) == 1)
		rig_send(arg, peer, frame.p, frame.len);
	raft_snapshot_out_free(out);
}

/* The state */

static int rig_apply(void *arg, uint64_t index, const void *p, size_t len, bool own,
		     uint64_t *ret_version)
{
	struct rig_node *n = arg;

	(void)index;
	(void)own;
	(void)buf_add(&n->state, p, len);
	*ret_version = ++n->changes;
	return 0;
}

static void *rig_pin(void *arg)
{
	struct rig_node *n = arg;
	struct buf *copy = xcalloc(1, sizeof(*copy));

	buf_init(copy, RIG_STATE_MAX);
	(void)buf_add(copy, &n->changes, sizeof(n->changes));
	(void)buf_add(copy, n->state.p, n->state.len);
	return copy;
}

static int rig_encode(void *arg, void *pin, struct buf *out)
{
	const struct buf *copy = pin;
	uint64_t len = copy->len;

	(void)arg;
	(void)buf_add(out, &len, sizeof(len));
	return buf_add(out, copy->p, copy->len);
}

static void rig_unpin(void *arg, void *pin)
{
	(void)arg;
	buf_done(pin);
	free(pin);
}

static int rig_prepare(void *arg, const void *p, size_t len, void **ret, struct err *e)
{
	struct buf *copy = xcalloc(1, sizeof(*copy));
	uint64_t n;

	(void)arg;
	buf_init(copy, RIG_STATE_MAX);
	memcpy(&n, p, sizeof(n));
	*ret = copy;
	if (n > len - sizeof(n))
		return err_set(e, -EBADMSG, "a state of %llu bytes in %zu", (unsigned long long)n,
			       len);
	return buf_add(copy, (const uint8_t *)p + sizeof(n), n);
}

static void rig_commit(void *arg, void *prepared, uint64_t index)
{
	struct rig_node *n = arg;
	struct buf *copy = prepared;

	(void)index;
	memcpy(&n->changes, copy->p, sizeof(n->changes));
	buf_reset(&n->state);
	(void)buf_add(&n->state, copy->p + sizeof(n->changes), copy->len - sizeof(n->changes));
	n->restored++;
	rig_unpin(NULL, copy);
}

/* Life */

static void rig_leadership(void *arg, bool leader, uint64_t term)
{
	struct rig_node *n = arg;

	proposer_leadership(n->proposer, leader, term);
}

static int rig_start(struct rig *r, unsigned place, bool bootstrap, struct err *e)
{
	struct rig_node *n = &r->nodes[place];
	struct raft_node_config config = {
		.world = &r->world,
		.id = 100 + place,
		.node = n->name,
		.state = {.arg = n,
			  .apply = rig_apply,
			  .snapshot_pin = rig_pin,
			  .snapshot_encode = rig_encode,
			  .snapshot_unpin = rig_unpin,
			  .restore_prepare = rig_prepare,
			  .restore_commit = rig_commit,
			  .restore_discard = rig_unpin},
		.events = {.arg = n, .leadership = rig_leadership},
		.transport = {.arg = n,
			      .send = r->send ? r->send : rig_send,
			      .send_snapshot = rig_send_snapshot},
		.options = r->options,
	};
	struct proposer_ops ops = {.arg = n, .prepare = r->prepare, .step = r->step};
	int rc;

	n->changes = 0;
	n->restored = 0;
	n->cut = false;
	buf_init(&n->state, RIG_STATE_MAX);
	rc = raft_disk_new(&n->disk, &r->loop, n->dir, r->key, e);
	if (rc < 0)
		return rc;
	config.io = raft_disk_io(n->disk);
	(void)proposer_new(&n->proposer, &r->world, &ops);
	rc = raft_node_new(&n->raft, &config, e);
	if (rc < 0)
		return rc;
	proposer_attach(n->proposer, n->raft);
	if (bootstrap)
		rc = raft_node_bootstrap(n->raft, e);
	return rc < 0 ? rc : raft_node_start(n->raft, e);
}

static void rig_closed(void *arg)
{
	struct rig_node *n = arg;

	n->closed = true;
}

static void rig_stop(struct rig *r, unsigned place)
{
	struct rig_node *n = &r->nodes[place];

	n->closed = n->raft == NULL;
	if (n->raft)
		raft_node_close(TAKE_PTR(n->raft), rig_closed, n);
	while (!n->closed)
		(void)uv_run(&r->loop, UV_RUN_ONCE);
	if (n->proposer) {
		proposer_attach(n->proposer, NULL);
		proposer_free(TAKE_PTR(n->proposer));
	}
	raft_disk_free(TAKE_PTR(n->disk));
	buf_done(&n->state);
}

static void rig_init(struct rig *r, const char *dir)
{
	memset(r, 0, sizeof(*r));
	(void)uv_loop_init(&r->loop);
	(void)uv_idle_init(&r->loop, &r->idle);
	r->idle.data = r;
	r->last = &r->first;
	world_uv_init(&r->world, &r->loop);
	r->key = seal_key_new();
	(void)snprintf(r->dir, sizeof(r->dir), "%s", dir);
	for (unsigned i = 0; i < RIG_NODES; i++) {
		struct rig_node *n = &r->nodes[i];

		n->rig = r;
		n->place = i;
		(void)snprintf(n->name, sizeof(n->name), "node%u", i);
		(void)snprintf(n->dir, sizeof(n->dir), "%s/%s", r->dir, n->name);
	}
}

static void rig_done(struct rig *r)
{
	for (unsigned i = 0; i < RIG_NODES; i++)
		rig_stop(r, i);
	rig_deliver(&r->idle);
	uv_close((uv_handle_t *)&r->idle, NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&r->loop);
	seal_key_unref(r->key);
}

/* Waiting: runs the loop until `done` says so; false after `ms`. */
static void rig_wake(uv_timer_t *t)
{
	(void)t;
}

static bool rig_until(struct rig *r, bool (*done)(struct rig *r), unsigned ms)
{
	uint64_t end = clock_mono_ms() + ms;
	uv_timer_t timer;
	bool ok;

	(void)uv_timer_init(&r->loop, &timer);
	(void)uv_timer_start(&timer, rig_wake, 5, 5);
	while (!(ok = done(r)) && clock_mono_ms() < end)
		(void)uv_run(&r->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&r->loop, UV_RUN_NOWAIT);
	return ok;
}

static struct rig_node *rig_leader(struct rig *r)
{
	for (unsigned i = 0; i < RIG_NODES; i++) {
		struct rig_node *n = &r->nodes[i];

		if (n->raft && !n->cut && n->proposer && proposer_ready(n->proposer))
			return n;
	}
	return NULL;
}

static bool rig_has_leader(struct rig *r)
{
	return rig_leader(r) != NULL;
}

/* One write, waited for. */
struct rig_write {
	struct proposer_write write;
	const void *p;
	size_t len;
	bool done;
	int status;
	char why[ERR_MSG_MAX];
};

static int rig_build(struct proposer_write *w, struct proposal *p, struct err *e)
{
	struct rig_write *write = container_of(w, struct rig_write, write);

	(void)e;
	(void)buf_add(&p->bytes, write->p, write->len);
	p->changes++;
	return 0;
}

static void rig_written(struct proposer_write *w, int status, uint64_t version, const struct err *e)
{
	struct rig_write *write = container_of(w, struct rig_write, write);

	(void)version;
	write->done = true;
	write->status = status;
	(void)snprintf(write->why, sizeof(write->why), "%s", e ? err_text(e) : "");
}

static struct rig_write *rig_waits_for;

static bool rig_is_written(struct rig *r)
{
	(void)r;
	return rig_waits_for->done;
}

/* The write's status; -ETIMEDOUT when nothing was heard for `ms`. */
static inline int rig_put(struct rig *r, struct rig_node *n, const void *p, size_t len, unsigned ms)
{
	struct rig_write *w = xcalloc(1, sizeof(*w));
	int rc;

	w->write.build = rig_build;
	w->write.done = rig_written;
	w->p = p;
	w->len = len;
	rc = proposer_write(n->proposer, &w->write, NULL);
	rig_waits_for = w;
	if (rc == 0 && !rig_until(r, rig_is_written, ms))
		return -ETIMEDOUT; /* still in use: left behind */
	rc = rc < 0 ? rc : w->status;
	free(w);
	return rc;
}

/* A group of all nodes, with node 0 as its first. */
static inline bool rig_is_formed(struct rig *r)
{
	struct rig_node *leader = rig_leader(r);
	const struct raft_member *m;
	size_t n, voters = 0;

	if (!leader)
		return false;
	n = raft_node_members(leader->raft, &m);
	for (size_t i = 0; i < n; i++) {
		voters += m[i].role == RAFT_NODE_VOTER;
		if (m[i].role == RAFT_NODE_SPARE)
			(void)raft_node_promote(leader->raft, m[i].id, NULL, NULL, NULL);
	}
	if (n < RIG_NODES)
		(void)raft_node_add(leader->raft, 100 + n, r->nodes[n].name, NULL, NULL, NULL);
	return voters == RIG_NODES;
}
