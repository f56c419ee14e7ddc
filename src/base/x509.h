/*
 * Keys and certificates: ECDSA P-256 keys, a self-signed root, node certificates from a request
 * (the node's id as CN, its role as OU, the cluster's id as O, as Swarm has them), reading and
 * verifying them. Pure: times are given, nothing is stored. Callers: the CA of a manager, whoever
 * joins, tls.c. No type of OpenSSL crosses this header.
 *
 * Everything here is immutable once made and reference-counted atomically, so that the pool's
 * threads may use it. Private keys live in locked memory and are burned when freed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/limits.h"

struct pkey; /* a private key (with its public half) */
struct cert; /* one certificate */
struct csr;  /* a certificate request whose own signature has been checked */

/* The OU of a certificate. A root has none. */
enum cert_role { CERT_ROLE_NONE, CERT_ROLE_WORKER, CERT_ROLE_MANAGER };

#define CERT_NAME_MAX 64 /* bytes of a CN, OU or O (X.520) */

#define CERT_ROOT_NS (20LL * 365 * 24 * 3600 * 1000000000) /* a root's life */
#define CERT_NODE_NS (90LL * 24 * 3600 * 1000000000)       /* a node certificate's default life */
#define CERT_NODE_MIN_NS (3600LL * 1000000000)             /* the shortest that may be asked for */
#define CERT_BACKDATE_NS (3600LL * 1000000000) /* allowance for clocks that run behind */

struct cert_info {
	char common_name[CERT_NAME_MAX + 1];  /* a node's id; "swarm-ca" of a root */
	char unit[CERT_NAME_MAX + 1];         /* OU as written, "" where there is none */
	char organization[CERT_NAME_MAX + 1]; /* the cluster's id, "" where there is none */
	enum cert_role role;                  /* from the OU */
	int64_t not_before_ns, not_after_ns;  /* since the epoch */
	uint8_t sha256[SHA256_LEN];           /* of the whole certificate in DER */
};

/* Certificates in the order of their PEM file: a chain (leaf first) or a set of roots. */
struct certs {
	struct cert **v;
	size_t n;
};

#define auto_pkey CLEANUP(pkey_unref_at) struct pkey
#define auto_cert CLEANUP(cert_unref_at) struct cert
#define auto_csr CLEANUP(csr_free_at) struct csr
#define auto_certs CLEANUP(certs_done) struct certs

/* "swarm-manager", "swarm-worker" or "". */
const char *cert_role_text(enum cert_role role);

/* Makes a P-256 key. 0 or -EIO. */
int pkey_new(struct pkey **ret, struct err *e);
/* Reads PKCS#8 or SEC1 PEM, unencrypted, P-256 only. 0 or -EINVAL. */
int pkey_read(const char *pem, size_t n, struct pkey **ret, struct err *e);
/*
 * Adds PKCS#8 PEM to `ret`: it holds the key in the clear, so reserve LIMIT_PEM first (growing
 * leaves copies behind) and burn it with buf_burn(). 0 or -EMSGSIZE.
 */
int pkey_write(const struct pkey *k, struct buf *ret, struct err *e);
struct pkey *pkey_ref(struct pkey *k);
void pkey_unref(struct pkey *k);
void pkey_unref_at(struct pkey **k);
/* Overwrites what the buffer holds, then empties it. */
void buf_burn(struct buf *b);

/* Adds a PEM request signed with `k`. What it asks for in its subject is ignored by the CA. */
int csr_new(const struct pkey *k, struct buf *ret, struct err *e);
/* Reads a PEM request. -EINVAL unless it is a P-256 key that signed it itself. */
int csr_read(const char *pem, size_t n, struct csr **ret, struct err *e);
void csr_free(struct csr *r);
void csr_free_at(struct csr **r);

/* Makes a root signed by itself, CN "swarm-ca", valid from an hour before `now_ns` for 20 years. */
int cert_new_root(const struct pkey *k, int64_t now_ns, struct cert **ret, struct err *e);

struct cert_request {
	const char *node_id;    /* CN */
	enum cert_role role;    /* OU; never CERT_ROLE_NONE */
	const char *cluster_id; /* O */
	int64_t now_ns;         /* the certificate holds from an hour before */
	int64_t life_ns;        /* 0: CERT_NODE_NS; shorter than CERT_NODE_MIN_NS is -EINVAL */
};

/*
 * Issues a node certificate for the key of `csr`, signed by `issuer_key` (whose certificate is
 * `issuer`), never valid longer than its issuer. SANs: the node's id, its role, and "swarm-ca" for
 * a manager. 0, -EINVAL for a bad request, -EKEYEXPIRED when the issuer is not valid at now_ns.
 */
int cert_issue(const struct pkey *issuer_key, const struct cert *issuer, const struct csr *csr,
	       const struct cert_request *what, struct cert **ret, struct err *e);

/* Reads the first certificate of a PEM text. 0 or -EINVAL. */
int cert_read(const char *pem, size_t n, struct cert **ret, struct err *e);
/* Adds PEM. 0 or -EMSGSIZE. */
int cert_write(const struct cert *c, struct buf *ret, struct err *e);
struct cert *cert_ref(struct cert *c);
void cert_unref(struct cert *c);
void cert_unref_at(struct cert **c);
/* Valid as long as the certificate. */
const struct cert_info *cert_info(const struct cert *c);
/*
 * The issuer's and the subject's name and the public key (SubjectPublicKeyInfo), as DER: what
 * NodeDescription.TLSInfo shows in base64. Valid as long as the certificate.
 */
void cert_issuer_der(const struct cert *c, const uint8_t **ret, size_t *ret_len);
void cert_subject_der(const struct cert *c, const uint8_t **ret, size_t *ret_len);
void cert_public_key_der(const struct cert *c, const uint8_t **ret, size_t *ret_len);
/* 0, or -EKEYREJECTED when the certificate was not made for this key. */
int cert_match(const struct cert *c, const struct pkey *k, struct err *e);

/* Reads every certificate of a PEM text, at least one, at most LIMIT_CERTS. 0 or -EINVAL. */
int certs_read(const char *pem, size_t n, struct certs *ret, struct err *e);
/* Adds a reference of its own. */
void certs_add(struct certs *to, struct cert *c);
void certs_done(struct certs *c);

/*
 * Is chain->v[0], helped by the others of the chain, issued under one of `roots` and valid at
 * `at_ns`? 0, -EKEYEXPIRED (too late), -EKEYREJECTED with the reason (too early is told apart in
 * the sentence, which names this machine's clock).
 */
int certs_verify(const struct certs *chain, const struct certs *roots, int64_t at_ns,
		 struct err *e);
