/*
 * A member's certificate: renewed between half and four fifths of its life, and exchanged when the
 * managers want another role of this node. What runs is stopped and started again for a new role,
 * as at a restart of the daemon: containers run on. See swarm_impl.h.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "main/swarm_impl.h"
#include "manager/ca.h"

#define LOOK_MS 3600000   /* between two looks at the clock: it may be set */
#define ASK_AGAIN_MS 5000 /* an answer that does not come by then is asked for again */
#define CHANGE_AGAIN_MS 5000
#define STRAY_MS 3000 /* as another member than it is to be, before it gives that up */
#define PACE_MS 60000 /* between two certificates, where the managers' clocks are others */

static int own_cert(const struct swarm *s, struct cert **ret)
{
	return cert_read(s->state.cert, strlen(s->state.cert), ret, NULL);
}

static enum node_role role_of(const struct cert *c)
{
	return cert_info(c)->role == CERT_ROLE_MANAGER ? ROLE_MANAGER : ROLE_WORKER;
}

/* Asking */

int swarm_key_make(struct buf *ret_key, struct buf *ret_csr, struct err *e)
{
	auto_pkey *key = NULL;
	int rc = pkey_new(&key, e);

	if (rc == 0)
		rc = buf_reserve(ret_key, LIMIT_PEM);
	if (rc == 0)
		rc = pkey_write(key, ret_key, e);
	return rc == 0 ? csr_new(key, ret_csr, e) : rc;
}

static void cert_ask(struct swarm *s)
{
	auto_buf csr = BUF_INIT(LIMIT_FILE_SMALL);
	struct session_cert_request r = {.listen_addr = s->state.advertise_addr,
					 .raft_id = s->state.role == ROLE_MANAGER ? s->state.raft_id
										  : 0};
	struct err e = ERR_INIT;

	if (!s->session)
		return;
	buf_burn(&s->new_key);
	if (swarm_key_make(&s->new_key, &csr, &e) < 0) {
		log_error("a new certificate cannot be asked for: %s", e.msg);
		return;
	}
	r.csr = csr.p;
	session_client_certify(s->session, &r);
	world_timer_start(&s->world, &s->renew, ASK_AGAIN_MS);
}

static void renew_arm(struct swarm *s, uint64_t at_least_ms)
{
	int64_t left_ms = MAX_OF((s->renew_ns - clock_wall_ns()) / NS_PER_MS, 0);

	world_timer_start(&s->world, &s->renew,
			  MAX_OF(MIN_OF((uint64_t)left_ms, (uint64_t)LOOK_MS), at_least_ms));
}

static void renew_fire(struct world_timer *t)
{
	struct swarm *s = container_of(t, struct swarm, renew);

	if (s->new_key.len > 0 || s->renew_ns <= clock_wall_ns())
		cert_ask(s);
	else
		renew_arm(s, 0);
}

/*
 * Demoted and promoted again before it heard of it, say: the group knows it as another member, or
 * as none, and nothing would ever reach it. Not at once, as whoever says it may lag behind.
 */
static void stray_look(struct swarm *s, enum node_role role, uint64_t raft_id)
{
	if (role == ROLE_MANAGER && s->state.role == ROLE_MANAGER && raft_id != 0 &&
	    raft_id != s->state.raft_id)
		world_timer_start(&s->world, &s->stray, STRAY_MS);
	else
		world_timer_stop(&s->world, &s->stray);
}

static void stray_fire(struct world_timer *t)
{
	struct swarm *s = container_of(t, struct swarm, stray);

	if (s->phase == SWARM_ACTIVE && s->new_key.len == 0 && s->state.role == ROLE_MANAGER)
		swarm_demoted(s); /* as a worker it asks for its new place */
}

void swarm_role_wanted(struct swarm *s, enum node_role role, uint64_t raft_id)
{
	auto_cert *cert = NULL;

	stray_look(s, role, raft_id);

	if (s->phase != SWARM_ACTIVE || s->new_key.len > 0 || own_cert(s, &cert) < 0)
		return;
	if (role != s->state.role || role != role_of(cert))
		cert_ask(s);
}

static void renew_plan(struct swarm *s, uint64_t at_least_ms)
{
	auto_cert *cert = NULL;

	if (own_cert(s, &cert) < 0)
		return;
	s->renew_ns = ca_renew_at(cert_info(cert), random_u64());
	renew_arm(s, at_least_ms);
}

void swarm_cert_watch(struct swarm *s)
{
	renew_plan(s, 0);
}

/* The answer */

/* Nothing of it is taken before all of it fits. */
static int cert_check(const struct swarm *s, const struct session_cert *c, struct cert **ret,
		      struct err *e)
{
	auto_pkey *key = NULL;
	auto_certs chain = {0};
	auto_certs roots = {0};
	const struct cert_info *info;
	int rc;

	if (c->status < 0)
		return err_set(e, c->status, "%s", c->message ? c->message : "no reason was given");
	if (!c->cert)
		return err_set(e, -EPROTO, "the manager's answer is incomplete");
	rc = certs_read(c->cert, strlen(c->cert), &chain, e);
	if (rc == 0)
		rc = certs_read(s->state.roots, strlen(s->state.roots), &roots, e);
	if (rc == 0)
		rc = certs_verify(&chain, &roots, clock_wall_ns(), e);
	if (rc == 0)
		rc = pkey_read(buf_text(&s->new_key), s->new_key.len, &key, e);
	if (rc == 0)
		rc = cert_match(chain.v[0], key, e);
	if (rc < 0)
		return rc;
	info = cert_info(chain.v[0]);
	if (strcmp(info->common_name, s->state.node) != 0)
		return err_set(e, -EKEYREJECTED, "it was made for another node");
	if (info->role == CERT_ROLE_MANAGER && (!c->raft_id || !c->addr))
		return err_set(e, -EPROTO, "the manager's answer is incomplete");
	*ret = cert_ref(chain.v[0]);
	return 0;
}

static void cert_keep(struct swarm *s, const struct session_cert *c, enum node_role role)
{
	struct err e = ERR_INIT;

	explicit_bzero(s->state.key, strlen(s->state.key));
	free(s->state.key);
	s->state.key = xstrdup(buf_text(&s->new_key));
	buf_burn(&s->new_key);
	str_set(&s->state.cert, c->cert);
	s->state.role = role;
	s->state.raft_id = role == ROLE_MANAGER ? c->raft_id : 0;
	if (role == ROLE_MANAGER)
		str_set(&s->state.advertise_addr, c->addr);
	if (swarm_state_store(s->dir, &s->state, &e) < 0)
		log_error("this node's new certificate cannot be kept: %s", e.msg);
}

static void identity_set(struct swarm *s)
{
	struct tls_identity *identity = NULL;
	struct err e = ERR_INIT;

	if (swarm_state_identity(&s->state, &identity, &e) < 0) {
		log_error("this node's new certificate cannot be used: %s", e.msg);
		return;
	}
	stream_hub_set_identity(s->hub, identity);
	tls_identity_unref(identity);
}

void swarm_cert_taken(struct swarm *s, const struct session_cert *c)
{
	auto_cert *cert = NULL;
	struct err e = ERR_INIT;
	bool another;

	if (s->phase != SWARM_ACTIVE || s->new_key.len == 0)
		return;
	if (cert_check(s, c, &cert, &e) < 0) {
		log_warn("this node did not get a new certificate: %s", err_text(&e));
		return; /* it is asked for again */
	}
	another = role_of(cert) != s->state.role;
	cert_keep(s, c, role_of(cert));
	log_info("this node has a new certificate, as a %s",
		 s->state.role == ROLE_MANAGER ? "manager" : "worker");
	if (another) {
		world_timer_start(&s->world, &s->change, 0);
	} else {
		identity_set(s);
		renew_plan(s, PACE_MS);
	}
}

/* Another role */

static void change_start(struct swarm *s);

/* A worker keeps nothing of the swarm's state. */
static void manager_forget(struct swarm *s)
{
	auto_close int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;
	int rc = fd < 0 ? -errno : dir_remove(fd, "raft", &e);

	if (rc < 0 && rc != -ENOENT)
		log_error("the swarm's state cannot be removed from %s: %s", s->dir, err_text(&e));
	if (fd >= 0)
		(void)unlinkat(fd, "raft.key", 0);
}

static void change_stopped(struct swarm *s)
{
	s->changing = false;
	if (s->closed)
		swarm_closed(s);
	else
		change_start(s);
}

static void change_failed(struct swarm *s)
{
	s->changing = false;
	if (s->closed)
		swarm_closed(s);
	else
		world_timer_start(&s->world, &s->change, CHANGE_AGAIN_MS);
}

static void change_start(struct swarm *s)
{
	struct err e = ERR_INIT;

	if (s->state.role != ROLE_MANAGER)
		manager_forget(s);
	s->error = ERR_INIT;
	if (swarm_start(s, &e) == 0) {
		log_info("this node is a %s of its swarm now",
			 s->state.role == ROLE_MANAGER ? "manager" : "worker");
		return;
	}
	log_error("this node cannot become a %s yet: %s",
		  s->state.role == ROLE_MANAGER ? "manager" : "worker", e.msg);
	s->error = e;
	s->changing = true;
	swarm_stop(s, change_failed);
}

static void change_fire(struct world_timer *t)
{
	struct swarm *s = container_of(t, struct swarm, change);

	if (s->phase == SWARM_STARTING) {
		change_start(s);
	} else if (s->phase == SWARM_ACTIVE) {
		s->phase = SWARM_STARTING;
		s->changing = true;
		swarm_stop(s, change_stopped);
	}
}

void swarm_demoted(struct swarm *s)
{
	struct err e = ERR_INIT;

	log_warn("this node is no manager of its swarm any more; if it was removed, use `swarm "
		 "leave` on it");
	s->state.role = ROLE_WORKER;
	s->state.raft_id = 0;
	if (swarm_state_update(s->dir, &s->state, &e) < 0)
		log_error("this node's role cannot be kept: %s", e.msg);
	world_timer_start(&s->world, &s->change, 0);
}

void swarm_cert_init(struct swarm *s)
{
	s->new_key = BUF_INIT(LIMIT_PEM);
	s->renew.fire = renew_fire;
	s->stray.fire = stray_fire;
	s->change.fire = change_fire;
}

void swarm_cert_stop(struct swarm *s)
{
	world_timer_stop(&s->world, &s->renew);
	world_timer_stop(&s->world, &s->stray);
	world_timer_stop(&s->world, &s->change);
	buf_burn(&s->new_key);
}
