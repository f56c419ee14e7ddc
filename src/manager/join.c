/*
 * See join.h.
 */
#include "manager/join.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/ca.h"
#include "manager/certify.h"

#define JOINS_MAX 256 /* requests served at once */

struct join {
	struct join_service *service; /* NULL once the service has gone */
	struct stream *stream;        /* NULL once closed */
	struct manager_call *call;
	struct join_answer answer;
	struct join *prev, *next;
	bool asked;
};

struct join_service {
	struct manager *manager;
	struct join *joins;
	unsigned count;
};

static void join_release(struct join *j)
{
	if (j->stream || j->call)
		return;
	if (j->service) {
		if (j->prev)
			j->prev->next = j->next;
		else
			j->service->joins = j->next;
		if (j->next)
			j->next->prev = j->prev;
		j->service->count--;
	}
	table_done(&join_answer_table, &j->answer);
	free(j);
}

static void join_reply(struct join *j, int status, const char *message)
{
	struct join_answer refusal = {.status = status, .message = (char *)(uintptr_t)message};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (!j->stream)
		return;
	if (tlv_write(&join_answer_table, status < 0 ? &refusal : &j->answer, &bytes) == 0)
		(void)stream_send_copy(j->stream, JOIN_ANSWER, bytes.p, bytes.len);
	stream_close(j->stream, 0, NULL);
}

void managers_list(const struct store *s, struct session_manager **ret_v, size_t *ret_n)
{
	const struct node *n;
	struct store_walk w;
	LIST_OF(struct session_manager) list = {0};

	store_walk_kind(&w, s, KIND_NODE);
	while ((n = store_walk_next(&w))) {
		struct session_manager *m;

		if (n->spec.role != ROLE_MANAGER || !n->manager || !n->manager->addr)
			continue;
		m = LIST_ADD(&list);
		m->node = xstrdup(n->o.id);
		m->addr = xstrdup(n->manager->addr);
	}
	*ret_v = list.v;
	*ret_n = list.n;
}

static void join_stored(void *arg, int status, const struct control_answer *answer,
			const struct err *e)
{
	struct join *j = arg;

	(void)answer;
	j->call = NULL;
	if (status == 0) {
		log_info("node %s has joined the swarm as a %s", j->answer.node,
			 j->answer.role == ROLE_MANAGER ? "manager" : "worker");
		managers_list(manager_store(j->service->manager), &j->answer.managers.v,
			      &j->answer.managers.n);
	}
	join_reply(j, status, e ? err_text(e) : "");
	join_release(j);
}

static int availability_of(const char *text, enum node_availability *ret, struct err *e)
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

/* Issues the certificate and fills in the answer. */
static int certificate_issue(struct join *j, const struct cluster *cluster,
			     const struct join_request *r, enum cert_role role, struct err *e)
{
	int rc = certify(j->service->manager, r->csr, j->answer.node, role, &j->answer.cert, e);

	if (rc < 0)
		return rc;
	str_set(&j->answer.roots, cluster->root_cert);
	str_set(&j->answer.cluster, cluster->o.id);
	return 0;
}

static struct node *node_make(struct join *j, const struct join_request *r,
			      enum node_availability availability)
{
	const struct world *world = manager_world(j->service->manager);
	struct node *n = object_new(KIND_NODE, j->answer.node, world_wall_ns(world));

	n->spec.role = (enum node_role)j->answer.role;
	n->spec.availability = availability;
	n->status.state = NODE_UNKNOWN;
	n->description.hostname = xstrdup(r->hostname);
	n->csr.n = strlen(r->csr);
	n->csr.p = xmemdup(r->csr, n->csr.n);
	if (n->spec.role == ROLE_WORKER)
		return n;
	j->answer.raft_id = certify_raft_id(world);
	j->answer.addr = certify_address(r->listen_addr, stream_peer(j->stream));
	n->manager = xcalloc(1, sizeof *n->manager);
	n->manager->raft_id = j->answer.raft_id;
	n->manager->addr = xstrdup(j->answer.addr);
	return n;
}

static int join_judge(struct join *j, const struct join_request *r, struct err *e)
{
	struct manager *m = j->service->manager;
	const struct cluster *cluster = store_cluster(manager_store(m));
	struct control_request request = {.op = CONTROL_NODE_JOIN};
	enum node_availability availability;
	char id[ID_CLUSTER_LEN + 1];
	enum cert_role role;
	uint8_t bytes[16];
	int rc;

	if (!r->token || !r->csr || !r->hostname || strlen(r->hostname) > 255)
		return err_set(e, -EINVAL, "the request to join is incomplete");
	if (!cluster)
		return err_set(e, -EAGAIN, "this manager does not have the swarm's state yet");
	rc = ca_join_role(r->token, cluster->tokens.worker, cluster->tokens.manager, &role, e);
	if (rc == 0)
		rc = availability_of(r->availability, &availability, e);
	if (rc < 0)
		return rc;
	world_random(manager_world(m), bytes, sizeof bytes);
	id_base36(bytes, sizeof bytes, id, ID_CLUSTER_LEN);
	j->answer.node = xstrdup(id);
	j->answer.role = role == CERT_ROLE_MANAGER ? ROLE_MANAGER : ROLE_WORKER;
	rc = certificate_issue(j, cluster, r, role, e);
	if (rc < 0)
		return rc;
	request.new_node = node_make(j, r, availability);
	j->call = manager_control(m, &request, join_stored, j);
	object_free(&request.new_node->o);
	return 0;
}

static void join_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct join_request r = {0};
	struct join *j = data;
	struct err e = ERR_INIT;
	int rc;

	if (!j->service || j->asked || f->type != JOIN_REQUEST ||
	    tlv_read(&join_request_table, f->payload, f->len, &r, NULL) < 0) {
		stream_close(s, -EPROTO, "a damaged request to join");
		return;
	}
	j->asked = true;
	rc = join_judge(j, &r, &e);
	if (rc < 0) {
		log_warn("a node at %s was not let into the swarm: %s", stream_peer(s)->address,
			 e.msg);
		join_reply(j, rc, e.msg);
	}
	table_done(&join_request_table, &r);
}

static void join_closed(struct stream *s, const struct err *why, void *data)
{
	struct join *j = data;

	(void)s;
	(void)why;
	j->stream = NULL;
	join_release(j); /* a request on its way to the leader still comes back to it */
}

static const struct stream_ops join_ops = {
	.recv = join_recv,
	.closed = join_closed,
};

void join_accept(struct join_service *service, struct stream *s)
{
	struct join *j = xcalloc(1, sizeof *j);

	j->service = service;
	j->stream = s;
	j->next = service->joins;
	if (j->next)
		j->next->prev = j;
	service->joins = j;
	stream_start(s, &join_ops, j);
	if (++service->count > JOINS_MAX)
		stream_close(s, -EAGAIN, "too many nodes are joining at once: try again");
}

struct join_service *join_service_new(struct manager *m)
{
	struct join_service *j = xcalloc(1, sizeof *j);

	j->manager = m;
	return j;
}

void join_service_free(struct join_service *service)
{
	struct join *j, *next;

	for (j = service->joins; j; j = next) {
		next = j->next;
		j->service = NULL;
		if (j->call)
			manager_cancel(TAKE_PTR(j->call));
		if (j->stream)
			stream_abort(j->stream);
		else
			join_release(j);
	}
	free(service);
}
