/*
 * A whole cluster in one loop: managers with real raft logs and real mTLS streams on 127.0.0.1, and
 * agents' sessions whose worker is faked (a task that is wanted runs at once). For test_*.c here
 * and for the bench of the managers.
 */
#pragma once

#include "unit/whole/rig_host.h"

/* The agent with its faked worker */

static inline struct fake_task *fake_find(struct host *h, const char *id)
{
	for (size_t i = 0; i < h->n_tasks; i++)
		if (strcmp(h->tasks[i].id, id) == 0)
			return &h->tasks[i];
	return NULL;
}

static inline unsigned fake_running(struct host *h)
{
	unsigned n = 0;

	for (size_t i = 0; i < h->n_tasks; i++)
		n += h->tasks[i].state == TASK_RUNNING;
	return n;
}

static inline void fake_step(struct host *h, struct fake_task *f)
{
	struct task_status status = {.timestamp = clock_wall_ns()};

	if (h->mute)
		return;
	if (f->desired > TASK_RUNNING && f->state < TASK_COMPLETE)
		f->state = TASK_SHUTDOWN;
	else if (f->desired == TASK_RUNNING && f->state < TASK_RUNNING)
		f->state = TASK_RUNNING;
	status.state = f->state;
	session_client_report(h->session, f->id, &status);
}

static inline void fake_forget(struct host *h, size_t i)
{
	h->tasks[i] = h->tasks[--h->n_tasks];
}

static inline void fake_assign(void *arg, const struct session_assign *a)
{
	struct host *h = arg;

	h->completes += a->complete && !a->more;
	LIST_EACH (t, &a->tasks) {
		struct fake_task *f = fake_find(h, t->o.id);
		bool has_template = false, has_network = t->networks.n == 0;

		assert_string_equal(t->node, h->node);
		LIST_EACH (tpl, &a->templates)
			has_template = has_template || strcmp(tpl->service, t->service) == 0;
		if (!f) { /* as a worker: what is new needs its template */
			if (!has_template || task_state_final(t->status.state))
				continue;
			LIST_EACH (n, &a->networks)
				has_network = has_network ||
					      strcmp(n->o.id, t->networks.v[0].network) == 0;
			assert_true(has_network);
			if (h->n_tasks == h->tasks_cap) {
				h->tasks_cap = MAX_OF(h->tasks_cap * 2, (size_t)64);
				h->tasks = xreallocarray(h->tasks, h->tasks_cap, sizeof *h->tasks);
			}
			f = &h->tasks[h->n_tasks++];
			*f = (struct fake_task){.state = TASK_ASSIGNED};
			(void)snprintf(f->id, sizeof f->id, "%s", t->o.id);
		}
		f->desired = t->desired;
		if (t->status.state >= TASK_REJECTED && f->desired <= TASK_RUNNING)
			f->desired = TASK_SHUTDOWN;
		fake_step(h, f);
	}
	if (a->gone_networks.n) {
		h->nets_gone++;
		h->net_version = 0;
		strs_done(&h->peers);
		strs_done(&h->secrets);
	}
	for (size_t i = h->n_tasks; i-- > 0;) {
		bool gone = a->complete && !a->more;

		if (gone)
			LIST_EACH (t, &a->tasks)
				gone = gone && strcmp(t->o.id, h->tasks[i].id) != 0;
		if (gone || strs_has(&a->gone_tasks, h->tasks[i].id))
			fake_forget(h, i);
	}
}

static inline void fake_describe(void *arg, struct session_open *ret)
{
	struct host *h = arg;

	ret->description.hostname = xasprintf("host%td", h - h->rig->hosts);
	ret->description.platform.os = xstrdup("linux");
	ret->description.platform.architecture = xstrdup("x86_64");
	ret->description.resources.nano_cpus = 4000000000LL;
	ret->description.resources.memory = 8LL << 30;
}

static inline void fake_connected(void *arg, bool connected)
{
	struct host *h = arg;

	h->connected = connected;
	h->connects += connected;
	for (size_t i = 0; connected && i < h->n_tasks; i++)
		fake_step(h, &h->tasks[i]);
}

static inline void fake_welcome(void *arg, const struct session_welcome *w)
{
	(void)arg;
	assert_true(w->managers.n > 0);
}

static inline int fake_peers(void *arg, const struct session_peers *p)
{
	struct host *h = arg;

	if (!p->complete && p->from != h->net_version) {
		h->stale++;
		return -ESTALE;
	}
	h->deltas += !p->complete;
	if (p->complete)
		strs_done(&h->peers);
	strs_done(&h->secrets);
	STRS_EACH (id, &p->gone)
		for (size_t i = 0; i < h->peers.n; i++)
			if (strcmp(h->peers.v[i], id) == 0) {
				free(h->peers.v[i]);
				h->peers.v[i] = h->peers.v[--h->peers.n];
				break;
			}
	LIST_EACH (peer, &p->peers)
		if (!strs_has(&h->peers, peer->task))
			strs_add(&h->peers, peer->task);
	h->net_version = p->version;
	return 0;
}

static inline void fake_secret(void *arg, const struct session_secret *s)
{
	strs_add(&((struct host *)arg)->secrets, s->id);
}

static inline void fake_data(void *arg, const struct data_request *r)
{
	struct host *h = arg;

	table_done(&data_request_table, &h->data);
	table_copy(&data_request_table, &h->data, r);
	h->data_asked++;
}

static inline void fake_measure(void *arg, const struct session_measure *m)
{
	struct host *h = arg;

	h->measure_asks++;
	table_done(&session_measure_table, &h->measure);
	table_copy(&session_measure_table, &h->measure, m);
}

static inline void fake_refused(void *arg, const struct err *why)
{
	((struct host *)arg)->refused = why->code;
}

static const struct session_client_ops fake_ops = {
	.describe = fake_describe,
	.connected = fake_connected,
	.welcome = fake_welcome,
	.assign = fake_assign,
	.secret = fake_secret,
	.data = fake_data,
	.peers = fake_peers,
	.measure = fake_measure,
	.refused = fake_refused,
};

/* Opens the host's session; it knows the managers that are up. */
static inline void host_session(struct host *h)
{
	struct session_client_config config = {
		.loop = &h->rig->loop, .hub = h->hub, .node = h->node, .ops = &fake_ops, .arg = h};
	size_t n = 0;

	for (size_t i = 0; i < RIG_HOSTS; i++)
		if (h->rig->hosts[i].manager)
			h->known[n++] = (struct session_manager){.node = h->rig->hosts[i].node,
								 .addr = h->rig->hosts[i].address};
	h->session_gone = false;
	h->session = session_client_new(&config, h->known, n);
}

static inline void host_session_gone(void *arg)
{
	((struct host *)arg)->session_gone = true;
}

static inline void host_session_close(struct host *h)
{
	if (!h->session)
		return;
	session_client_close(TAKE_PTR(h->session), host_session_gone, h);
	RIG_UNTIL(h->rig, h->session_gone);
	h->connected = false;
}

/* Joining */

struct joining {
	struct host *host;
	struct join_request request;
	struct join_answer answer;
	bool answered, closed;
	struct err why;
};

static inline void joining_open(struct stream *s, void *data)
{
	struct joining *j = data;
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	assert_int_equal(tlv_write(&join_request_table, &j->request, &bytes), 0);
	assert_int_equal(stream_send_copy(s, JOIN_REQUEST, bytes.p, bytes.len), 0);
}

static inline void joining_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct joining *j = data;
	struct err e = ERR_INIT;

	(void)s;
	assert_int_equal(f->type, JOIN_ANSWER);
	assert_ok(tlv_read(&join_answer_table, f->payload, f->len, &j->answer, &e), &e);
	j->answered = true;
}

static inline void joining_closed(struct stream *s, const struct err *why, void *data)
{
	struct joining *j = data;

	(void)s;
	j->closed = true;
	j->why = *why;
}

static const struct stream_ops joining_ops = {
	.open = joining_open, .recv = joining_recv, .closed = joining_closed};

/* Asks the manager `at` to let it in: 0 and the host has its certificate, or the refusal. */
static inline int host_join(struct host *h, struct host *at, const char *token)
{
	auto_buf csr = BUF_INIT(LIMIT_PEM);
	struct joining j = {.host = h};
	struct join_token parsed;
	struct stream_target target = {.address = at->address, .purpose = STREAM_JOIN};
	struct err e = ERR_INIT;
	struct stream *s;
	int status;

	assert_ok(join_token_parse(token, &parsed, &e), &e);
	target.root_sha256 = parsed.root_sha256;
	assert_ok(csr_new(h->key, &csr, &e), &e);
	j.request = (struct join_request){.token = (char *)(uintptr_t)token,
					  .csr = (char *)(uintptr_t)buf_text(&csr),
					  .hostname = h->dir,
					  .listen_addr = h->address};
	assert_ok(stream_connect(h->hub, &target, &joining_ops, &j, &s, &e), &e);
	RIG_UNTIL(h->rig, j.closed);
	if (!j.answered)
		return j.why.code;
	status = j.answer.status;
	if (status == 0) {
		(void)snprintf(h->node, sizeof h->node, "%s", j.answer.node);
		h->raft_id = j.answer.raft_id;
		host_identity(h, j.answer.cert, j.answer.roots);
		assert_true(j.answer.managers.n > 0);
	}
	table_done(&join_answer_table, &j.answer);
	return status;
}

static inline struct host *rig_worker(struct rig *r, size_t i)
{
	struct host *h = host_new(r, i);

	assert_int_equal(host_join(h, rig_leader(r), r->worker_token), 0);
	host_session(h);
	RIG_UNTIL(r, rig_leader(r) && node_state_of(rig_leader(r), h->node) == NODE_READY);
	return h;
}

static inline struct host *rig_manager(struct rig *r, size_t i)
{
	struct host *h = host_new(r, i);
	size_t voters = voters_of(rig_leader(r));

	assert_int_equal(host_join(h, rig_leader(r), r->manager_token), 0);
	host_open(h);
	RIG_UNTIL(r, rig_leader(r) && voters_of(rig_leader(r)) == voters + 1);
	return h;
}

/* The cluster */

static inline struct cluster *rig_cluster(struct rig *r, struct host *h)
{
	auto_ca ca = {0};
	auto_buf key = BUF_INIT(LIMIT_PEM), root = BUF_INIT(LIMIT_PEM), csr = BUF_INIT(LIMIT_PEM),
		 cert = BUF_INIT(LIMIT_PEM);
	struct cluster *c = object_new(KIND_CLUSTER, "cluster000000000000000000", clock_wall_ns());
	char token[TOKEN_TEXT_LEN + 1];
	struct cert_request what = {.node_id = h->node,
				    .role = CERT_ROLE_MANAGER,
				    .cluster_id = c->o.id,
				    .now_ns = clock_wall_ns()};
	struct err e = ERR_INIT;

	assert_ok(ca_new(clock_wall_ns(), &ca, &e), &e);
	assert_ok(pkey_write(ca.key, &key, &e), &e);
	assert_ok(cert_write(ca.root, &root, &e), &e);
	assert_ok(csr_new(h->key, &csr, &e), &e);
	assert_ok(ca_issue(&ca, buf_text(&csr), csr.len, &what, &cert, &e), &e);
	host_identity(h, buf_text(&cert), buf_text(&root));
	str_set(&c->spec.name, "default");
	c->spec.dispatcher.heartbeat_period = r->heartbeat_ns;
	str_set(&c->root_cert, buf_text(&root));
	c->root_key.n = key.len;
	c->root_key.p = xmemdup(key.p, key.len);
	ca_token_new(&ca, token);
	c->tokens.worker = xstrdup(token);
	ca_token_new(&ca, token);
	c->tokens.manager = xstrdup(token);
	r->worker_token = xstrdup(c->tokens.worker);
	r->manager_token = xstrdup(c->tokens.manager);
	return c;
}

static inline struct rig *rig_new_with(const struct raft_node_options *raft)
{
	struct rig *r = xcalloc(1, sizeof *r);
	struct manager_config config;
	struct asked made = {0};
	struct cluster *c;
	struct err e = ERR_INIT;
	struct node *self;
	struct host *h;

	(void)uv_loop_init(&r->loop);
	(void)uv_timer_init(&r->loop, &r->tick);
	(void)uv_timer_start(&r->tick, rig_tick, 5, 5);
	world_uv_init(&r->world, &r->loop);
	(void)snprintf(r->dir, sizeof r->dir, "/tmp/shoal-whole-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->key = seal_key_new();
	r->heartbeat_ns = 300000000;
	if (raft)
		r->raft = *raft;
	h = host_new(r, 0);
	(void)snprintf(h->node, sizeof h->node, "founder000000000000000000");
	h->raft_id = 1;
	c = rig_cluster(r, h);
	self = object_new(KIND_NODE, h->node, clock_wall_ns());
	self->spec.role = ROLE_MANAGER;
	self->description.hostname = xstrdup("host0");
	self->manager = xcalloc(1, sizeof *self->manager);
	self->manager->raft_id = h->raft_id;
	self->manager->addr = xstrdup(h->address);
	config = host_config(h);
	assert_ok(manager_bootstrap(&h->manager, &config, c, self, asked_done, &made, &e), &e);
	RIG_UNTIL(r, made.done);
	assert_ok(made.status, &made.e);
	return r;
}

static inline struct rig *rig_new(void)
{
	return rig_new_with(NULL);
}

static inline void host_hub_gone(void *arg)
{
	((struct host *)arg)->hub_gone = true;
}

/* Closes all; whatever is left open on the loop then is a leak. */
static inline void rig_done(struct rig *r)
{
	struct err e = ERR_INIT;

	for (size_t i = RIG_HOSTS; i-- > 0;)
		host_session_close(&r->hosts[i]);
	for (size_t i = RIG_HOSTS; i-- > 0;)
		host_close(&r->hosts[i]);
	for (size_t i = 0; i < RIG_HOSTS; i++) {
		struct host *h = &r->hosts[i];

		if (!h->hub)
			continue;
		stream_hub_close(h->hub, host_hub_gone, h);
		RIG_UNTIL(r, h->hub_gone);
		strs_done(&h->peers);
		strs_done(&h->secrets);
		table_done(&data_request_table, &h->data);
		table_done(&session_measure_table, &h->measure);
		free(h->tasks);
		tls_identity_unref(h->identity);
		pkey_unref(h->key);
	}
	uv_close((uv_handle_t *)&r->tick, NULL);
	(void)uv_run(&r->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&r->loop), 0);
	seal_key_unref(r->key);
	(void)dir_remove(AT_FDCWD, r->dir, &e);
	free(r->worker_token);
	free(r->manager_token);
	free(r);
}
