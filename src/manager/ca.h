/*
 * The cluster's certificate authority: makes the root, issues node certificates, says which role a
 * join token gives. Pure functions over what they are given (keys, texts, times); knows neither
 * the store nor streams. Callers: the join service of a manager and swarm init.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/x509.h"
#include "model/token.h"

struct ca {
	struct pkey *key; /* NULL on a node that only verifies */
	struct cert *root;
};

#define auto_ca CLEANUP(ca_done) struct ca

/* A new root key and certificate. */
int ca_new(int64_t now_ns, struct ca *ret, struct err *e);
/* From PEM, as the store keeps it; -EKEYREJECTED when they do not belong together. */
int ca_load(const char *root_pem, const char *key_pem, struct ca *ret, struct err *e);
void ca_done(struct ca *ca);

/* The root's SHA-256, for tokens and pinning. Valid as long as `ca`. */
const uint8_t *ca_root_sha256(const struct ca *ca);

/* Issues to a PEM request; adds the PEM certificate to `ret`. Errors as cert_issue(). */
int ca_issue(const struct ca *ca, const char *csr_pem, size_t csr_len,
	     const struct cert_request *what, struct buf *ret, struct err *e);

/*
 * Which role does this token give? `worker` and `manager` are the cluster's tokens as text. 0;
 * -EINVAL for a text that is no token; -EACCES for a token of another cluster or one that has been
 * rotated. Always compares with both, in constant time.
 */
int ca_join_role(const char *text, const char *worker, const char *manager, enum cert_role *ret,
		 struct err *e);

/* A fresh token for this root. */
void ca_token_new(const struct ca *ca, char ret[TOKEN_TEXT_LEN + 1]);

/*
 * When to renew a certificate: at a point between half and four fifths of its life, chosen by
 * `random`.
 */
int64_t ca_renew_at(const struct cert_info *info, uint64_t random);
