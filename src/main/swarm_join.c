/*
 * `swarm join`: asks the managers that the user names, one after the other, for a certificate, with
 * the token that pins their root; then starts what a member runs.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "main/swarm_impl.h"
#include "model/token.h"

#define JOIN_TIMEOUT_MS 20000

struct joining {
	struct swarm *swarm;
	struct swarm_join request;
	struct join_token token;
	size_t next; /* of the remote addresses */
	struct stream_hub *hub;
	struct stream *stream;
	char *address;
	char *csr;
	struct err last;
	bool answered;
};

static void joining_end(void *arg)
{
	struct joining *j = arg;

	explicit_bzero(&j->token, sizeof j->token);
	table_done(&swarm_join_table, &j->request);
	free(j->address);
	free(j->csr);
	free(j);
}

static void join_fail(struct joining *j, const struct err *e)
{
	struct swarm *s = j->swarm;

	swarm_state_done(&s->state);
	s->phase = SWARM_INACTIVE;
	swarm_answer(s, e->code, e);
	stream_hub_close(j->hub, joining_end, j);
}

static void join_next(struct joining *j);

/* The answer */

static int answer_take(struct joining *j, struct join_answer *a, struct err *e)
{
	struct swarm_state *state = &j->swarm->state;

	if (a->status < 0)
		return err_set(e, a->status, "the swarm did not let this node in: %s",
			       a->message ? a->message : "no reason was given");
	if (!a->node || !a->cluster || !a->cert || !a->roots)
		return err_set(e, -EPROTO, "the manager's answer is incomplete");
	state->node = TAKE_PTR(a->node);
	state->cluster = TAKE_PTR(a->cluster);
	state->cert = TAKE_PTR(a->cert);
	state->roots = TAKE_PTR(a->roots);
	state->role = a->role == ROLE_MANAGER ? ROLE_MANAGER : ROLE_WORKER;
	state->raft_id = a->raft_id;
	if (a->addr)
		str_set(&state->advertise_addr, a->addr);
	LIST_EACH (m, &a->managers)
		table_copy(&session_manager_table, LIST_ADD(&state->managers), m);
	return 0;
}

static void start_undone(struct swarm *s)
{
	struct err e = ERR_INIT;

	(void)swarm_state_remove(s->dir, &e);
	swarm_state_done(&s->state);
	s->phase = SWARM_INACTIVE;
	swarm_answer(s, s->error.code, &s->error);
	s->error = ERR_INIT;
}

static void join_finish(struct joining *j)
{
	struct swarm *s = j->swarm;
	struct err e = ERR_INIT;
	int rc = 0;

	if (!s->state.data_addr)
		rc = swarm_address_towards(j->address, &s->state.data_addr, &e);
	if (rc == 0)
		rc = swarm_state_store(s->dir, &s->state, &e);
	stream_hub_close(j->hub, joining_end, j);
	if (rc == 0)
		rc = swarm_start(s, &e);
	if (rc < 0) {
		s->error = e;
		swarm_stop(s, start_undone);
		return;
	}
	log_info("this node has joined a swarm as a %s",
		 s->state.role == ROLE_MANAGER ? "manager" : "worker");
	swarm_answer(s, 0, NULL);
}

static void join_recv(struct stream *stream, const struct frame_view *f, void *data)
{
	struct join_answer answer = {0};
	struct joining *j = data;
	struct err e = ERR_INIT;
	int rc;

	if (j->answered)
		return;
	j->answered = true;
	if (f->type != JOIN_ANSWER)
		rc = err_set(&e, -EPROTO, "the manager's answer is not understood");
	else
		rc = tlv_read(&join_answer_table, f->payload, f->len, &answer, &e);
	if (rc == 0)
		rc = answer_take(j, &answer, &e);
	table_done(&join_answer_table, &answer);
	stream_close(stream, 0, NULL);
	if (rc < 0)
		join_fail(j, &e);
	else
		join_finish(j);
}

static void join_closed(struct stream *stream, const struct err *why, void *data)
{
	struct joining *j = data;

	(void)stream;
	j->stream = NULL;
	if (j->answered)
		return;
	(void)err_set(&j->last, why->code < 0 ? why->code : -ECONNRESET,
		      "cannot join through %s: %s", j->address, err_text(why));
	join_next(j);
}

static void join_open(struct stream *stream, void *data)
{
	struct joining *j = data;
	struct join_request r = {.token = j->request.token,
				 .csr = j->csr,
				 .hostname = j->swarm->hostname,
				 .listen_addr = j->swarm->state.advertise_addr,
				 .availability = j->request.availability};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (tlv_write(&join_request_table, &r, &bytes) == 0)
		(void)stream_send_copy(stream, JOIN_REQUEST, bytes.p, bytes.len);
}

static const struct stream_ops join_ops = {
	.open = join_open,
	.recv = join_recv,
	.closed = join_closed,
};

static void join_next(struct joining *j)
{
	struct stream_target target = {.purpose = STREAM_JOIN,
				       .root_sha256 = j->token.root_sha256,
				       .timeout_ms = JOIN_TIMEOUT_MS};

	while (j->next < j->request.remote_addrs.n) {
		const char *remote = j->request.remote_addrs.v[j->next++];

		free(j->address);
		j->address = strchr(remote, ':') ? xstrdup(remote)
						 : xasprintf("%s:%s", remote, CLUSTER_PORT_TEXT);
		target.address = j->address;
		if (stream_connect(j->hub, &target, &join_ops, j, &j->stream, &j->last) == 0)
			return;
	}
	join_fail(j, &j->last);
}

/* The request */

static int join_check(const struct swarm *s, const struct swarm_join *r, struct join_token *token,
		      struct err *e)
{
	if (s->phase != SWARM_INACTIVE)
		return err_set(
			e, -EAGAIN,
			"This node is already part of a swarm. Use \"docker swarm leave\" to "
			"leave this swarm and join another one.");
	if (r->remote_addrs.n == 0)
		return err_set(
			e, -EINVAL,
			"at least one RemoteAddr is required to join: HOST:2377 of a manager");
	if (!r->token || !*r->token)
		return err_set(e, -EINVAL, "a join token is required: see `swarm join-token`");
	return join_token_parse(r->token, token, e);
}

/* The joining node's own addresses; a manager's are settled by those that let it in. */
static int join_addresses(struct swarm_state *state, const struct swarm_join *r, struct err *e)
{
	auto_free char *given = NULL;
	const char *port;
	int rc = swarm_listen_address(r->listen_addr, &state->listen_addr, e);

	if (rc < 0)
		return rc;
	port = strrchr(state->listen_addr, ':');
	if (r->advertise_addr && *r->advertise_addr)
		rc = swarm_address(r->advertise_addr, "--advertise-addr", &state->advertise_addr,
				   e);
	else if (strncmp(state->listen_addr, "0.0.0.0:", 8) == 0 ||
		 strncmp(state->listen_addr, "[::]:", 5) == 0)
		state->advertise_addr = xstrdup(port); /* ":PORT": the address it dials from */
	else
		state->advertise_addr = xstrdup(state->listen_addr);
	if (rc == 0 && r->data_path_addr && *r->data_path_addr)
		rc = swarm_address(r->data_path_addr, "--data-path-addr", &given, e);
	if (rc == 0 && given)
		state->data_addr = swarm_address_ip(given);
	else if (rc == 0 && r->advertise_addr && *r->advertise_addr)
		state->data_addr = swarm_address_ip(state->advertise_addr);
	return rc;
}

static int key_make(struct joining *j, struct err *e)
{
	auto_buf key = BUF_INIT(LIMIT_PEM), csr = BUF_INIT(LIMIT_FILE_SMALL);
	int rc = swarm_key_make(&key, &csr, e);

	j->csr = buf_take(&csr);
	j->swarm->state.key = buf_take(&key);
	return rc;
}

void swarm_join_begin(void *arg, const struct swarm_join *r, swarm_done done, void *done_arg)
{
	struct stream_hub_conf conf = {0};
	struct swarm *s = arg;
	struct joining *j = xcalloc(1, sizeof *j);
	struct err e = ERR_INIT;
	int rc = join_check(s, r, &j->token, &e);

	j->swarm = s;
	if (rc == 0) {
		swarm_state_done(&s->state);
		rc = join_addresses(&s->state, r, &e);
	}
	if (rc == 0)
		rc = key_make(j, &e);
	if (rc < 0) {
		if (s->phase == SWARM_INACTIVE)
			swarm_state_done(&s->state);
		joining_end(j);
		done(done_arg, rc, NULL, &e);
		return;
	}
	table_copy(&swarm_join_table, &j->request, r);
	s->done = done;
	s->done_arg = done_arg;
	s->phase = SWARM_STARTING;
	s->error = ERR_INIT;
	j->hub = stream_hub_new(s->config.loop, &conf);
	join_next(j);
}
