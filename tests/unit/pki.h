/*
 * A cluster's keys for tests: a root, and nodes with certificates of any role, time and cluster.
 */
#pragma once

#include "unit/test.h"

#include "base/clock.h"
#include "base/tls.h"
#include "base/x509.h"

#define PKI_CLUSTER "cluster0000000000000000aa"

struct pki {
	struct pkey *key;
	struct cert *root;
};

static inline void pki_init(struct pki *p)
{
	struct err e = ERR_INIT;

	assert_ok(pkey_new(&p->key, &e), &e);
	assert_ok(cert_new_root(p->key, clock_wall_ns(), &p->root, &e), &e);
}

static inline void pki_done(struct pki *p)
{
	pkey_unref(p->key);
	cert_unref(p->root);
}

/* An identity that says what `what` says; the clock of `what` is the issuer's. */
static inline struct tls_identity *pki_identity(struct pki *p, const struct cert_request *what)
{
	auto_pkey *key = NULL;
	auto_csr *csr = NULL;
	auto_buf pem = BUF_INIT(LIMIT_PEM);
	auto_certs chain = {0}, roots = {0};
	auto_cert *cert = NULL;
	struct tls_identity *id = NULL;
	struct err e = ERR_INIT;

	assert_ok(pkey_new(&key, &e), &e);
	assert_ok(csr_new(key, &pem, &e), &e);
	assert_ok(csr_read(pem.p, pem.len, &csr, &e), &e);
	assert_ok(cert_issue(p->key, p->root, csr, what, &cert, &e), &e);
	certs_add(&chain, cert);
	certs_add(&roots, p->root);
	assert_ok(tls_identity_new(key, &chain, &roots, &id, &e), &e);
	return id;
}

static inline struct tls_identity *pki_node(struct pki *p, const char *node_id, enum cert_role role)
{
	return pki_identity(p, &(struct cert_request){.node_id = node_id,
						      .role = role,
						      .cluster_id = PKI_CLUSTER,
						      .now_ns = clock_wall_ns()});
}
