/*
 * A node's identity on cluster streams: its key, its certificate chain and the roots that it
 * trusts, made ready once and shared by every connection. Knows nothing of sockets (stream.h) and
 * nothing of the store. Callers: whoever loads or renews the node's certificate.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/x509.h"

/* Immutable, reference-counted atomically. */
struct tls_identity;

/*
 * `chain` is the node's certificate first, `roots` the cluster's; both and the key are only
 * borrowed for the call. The roots are presented to peers too, so that a joining node can compare
 * them with its token. -EKEYREJECTED when key and certificate do not belong together. The
 * certificate's time is not judged here: peers do that at each handshake.
 */
int tls_identity_new(struct pkey *key, const struct certs *chain, const struct certs *roots,
		     struct tls_identity **ret, struct err *e);
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity *id);
/* The node's own certificate; lives as long as the identity. */
const struct cert *tls_identity_cert(const struct tls_identity *id);
const struct certs *tls_identity_roots(const struct tls_identity *id);
