/*
 * What x509.c, x509_issue.c and tls.c share: our types as OpenSSL's. Included by them alone, so
 * that no other file of Shoal depends on OpenSSL's types.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/x509.h"

struct pkey {
	int refs;
	EVP_PKEY *evp;
};

struct csr {
	X509_REQ *x;
	EVP_PKEY *evp; /* the request's public key, owned by x */
};

struct cert {
	int refs;
	X509 *x;
	struct cert_info info;
	uint8_t *spki; /* DER of the public key */
	size_t spki_len;
};

/* Fills `e` with the sentence and OpenSSL's own reason, and empties its queue. Returns `code`. */
int err_openssl(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Wraps `x`, whose reference it takes in every case. 0 or -EINVAL. */
int cert_wrap(X509 *x, struct cert **ret, struct err *e);
/* The sentence for a verification result. Returns -EKEYEXPIRED or -EKEYREJECTED. */
int cert_verify_error(int reason, const struct cert_info *info, struct err *e);
/* Is it a P-256 key? */
bool evp_is_p256(const EVP_PKEY *k);
