/*
 * New certificates for members: when one grows old, and when its node's role has changed. The
 * request is stored first, and with it a new manager's place in the raft group, so that a
 * certificate never says more than the store. See dispatcher_impl.h.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "manager/certify.h"
#include "manager/dispatcher_impl.h"

static void cert_refuse(struct session *s, int status, const char *why)
{
	struct session_cert answer = {.status = status, .message = (char *)(uintptr_t)why};

	log_warn("node %s gets no new certificate: %s", s->node, why);
	session_send(s, SESSION_CERT, &session_cert_table, &answer);
}

static int cert_make(struct session *s, struct session_cert *ret, struct err *e)
{
	struct manager *m = s->dispatcher->manager;
	const struct node *n = store_node(manager_store(m), s->node);
	enum cert_role role = CERT_ROLE_WORKER;

	if (!n)
		return err_set(e, -ENOENT, "node %s is not in the swarm", s->node);
	if (n->spec.role == ROLE_MANAGER && !n->manager)
		return err_set(e, -EAGAIN, "node %s has become a manager meanwhile", s->node);
	if (n->spec.role == ROLE_MANAGER) {
		role = CERT_ROLE_MANAGER;
		ret->raft_id = n->manager->raft_id;
		str_set(&ret->addr, n->manager->addr);
	}
	return certify(m, s->cert_csr, s->node, role, &ret->cert, e);
}

static void cert_stored(void *arg, int status, const struct control_answer *answer,
			const struct err *e)
{
	struct session *s = arg;
	struct session_cert cert = {0};
	struct err why = ERR_INIT;
	int rc = status;

	(void)answer;
	s->cert_call = NULL;
	if (rc == 0)
		rc = cert_make(s, &cert, &why);
	else
		why = *e;
	if (rc == 0)
		session_send(s, SESSION_CERT, &session_cert_table, &cert);
	else
		cert_refuse(s, rc, err_text(&why));
	table_done(&session_cert_table, &cert);
	str_set(&s->cert_csr, NULL);
}

static int cert_check(const struct session_cert_request *r, struct err *e)
{
	auto_csr *csr = NULL;

	if (!r->csr || strlen(r->csr) > LIMIT_PEM)
		return err_set(e, -EINVAL, "its request is missing or too long");
	return csr_read(r->csr, strlen(r->csr), &csr, e);
}

/* One at a time: a node that asks again before it was answered is answered once. */
void session_cert_requested(struct session *s, const struct session_cert_request *r)
{
	struct manager *m = s->dispatcher->manager;
	const struct node *n = store_node(manager_store(m), s->node);
	struct control_request request = {.op = CONTROL_NODE_CERTIFY, .id = s->node, .csr = r->csr};
	struct err e = ERR_INIT;
	int rc = cert_check(r, &e);

	if (s->cert_csr)
		return;
	if (rc < 0) {
		cert_refuse(s, rc, err_text(&e));
		return;
	}
	if (n && n->spec.role == ROLE_MANAGER) {
		request.raft_id = certify_raft_id(manager_world(m));
		request.held_raft_id = r->raft_id;
		request.addr = certify_address(r->listen_addr, stream_peer(s->stream));
	}
	s->cert_csr = xstrdup(r->csr);
	s->cert_call = manager_control(m, &request, cert_stored, s);
	free(request.addr);
}

void session_cert_clear(struct session *s)
{
	manager_cancel(TAKE_PTR(s->cert_call));
	str_set(&s->cert_csr, NULL);
}
