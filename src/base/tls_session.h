/*
 * One TLS connection without a socket: bytes are given to it and taken from it. Only the files of
 * stream.h include this. A session is used by one thread at a time; the handshake may run on the
 * pool while the loop leaves the session alone.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/tls.h"

#define TLS_REKEY (64ull << 30) /* bytes under one key: far below what AES-GCM bears */

struct ssl_st;

struct tls {
	struct ssl_st *ssl;
	const uint8_t *in; /* ciphertext that was given and not yet read */
	size_t in_left;
	struct buf *out;  /* where ciphertext goes; the owner sets it before each call */
	uint64_t written; /* plaintext bytes under the present key */
	int64_t now_ns;   /* the time that certificates are judged by */
	bool server;
	struct tls_identity *id;
	char expect_node[CERT_NAME_MAX + 1]; /* client: the server's node id, "" any */
	bool pinned; /* client: root_sha256 counts, not the identity's roots */
	uint8_t root_sha256[SHA256_LEN];
	struct cert *peer;      /* once verified; NULL for a client without a certificate */
	struct cert *peer_root; /* what it was verified under */
	struct err why;         /* of the last failure */
};

/*
 * `id` NULL is a client without a certificate, which must be `pinned`. `expect_node` and
 * `root_sha256` may be NULL; both are for clients. 0 or -EIO.
 */
int tls_init(struct tls *t, struct tls_identity *id, bool server, const char *expect_node,
	     const uint8_t *root_sha256, int64_t now_ns);
void tls_done(struct tls *t);
/* Ciphertext to work on; must stay valid until it is used up or the next call of this. */
void tls_give(struct tls *t, const void *p, size_t n);
/* 1 when done, 0 when more input is needed, -errno with t->why (an alert may be in `out`). */
int tls_handshake(struct tls *t);
/* Bytes of plaintext; 0 when more input is needed; -EPIPE at the peer's close_notify; -errno. */
ssize_t tls_read(struct tls *t, void *p, size_t n);
/* Encrypts all of it into `out`. 0 or -errno with t->why. */
int tls_write(struct tls *t, const void *p, size_t n);
/* Adds close_notify to `out`. */
void tls_close(struct tls *t);
