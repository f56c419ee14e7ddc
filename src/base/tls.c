/*
 * See tls.h and tls_session.h. Sessions are never resumed: each connection proves its certificate.
 */
#include "base/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/x509_impl.h"

#define TLS_DEPTH 4
#define TLS_WRITE_MAX (1u << 30)

struct tls_identity {
	int refs;
	SSL_CTX *ctx;
	struct cert *cert; /* NULL for one that only joins */
	struct certs roots;
};

/* A BIO that reads from t->in and writes to t->out, so that no byte waits in a buffer of its own.
 */
static BIO_METHOD *tls_bio;
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *b, char *p, size_t n, size_t *ret)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*ret = MIN_OF(n, t->in_left);
	if (*ret == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(p, t->in, *ret);
	t->in += *ret;
	t->in_left -= *ret;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *ret)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*ret = n;
	return buf_add(t->out, p, n) == 0;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	return cmd == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static void tls_prepare(void)
{
	tls_bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shoal");
	if (!tls_bio)
		abort();
	(void)BIO_meth_set_read_ex(tls_bio, bio_read);
	(void)BIO_meth_set_write_ex(tls_bio, bio_write);
	(void)BIO_meth_set_ctrl(tls_bio, bio_ctrl);
	(void)BIO_meth_set_create(tls_bio, bio_create);
}

/* Finds the certificate with the token's digest in what the server presented. */
static X509 *pinned_root(const struct tls *t, X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *given = X509_STORE_CTX_get0_untrusted(ctx);
	X509 *found = NULL;

	for (int i = 0; i < sk_X509_num(given); i++) {
		X509 *x = sk_X509_value(given, i);
		uint8_t digest[SHA256_LEN];

		if (X509_digest(x, EVP_sha256(), digest, NULL) == 1 &&
		    secret_equal(digest, t->root_sha256, SHA256_LEN))
			found = x;
	}
	return found;
}

static int verify_chain(struct tls *t, X509_STORE_CTX *ctx)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	STACK_OF(X509) *trusted = NULL;
	X509 *root;
	int ok;

	if (t->pinned) {
		root = pinned_root(t, ctx);
		if (!root)
			return err_set(&t->why, -EKEYREJECTED,
				       "the remote manager's root certificate is not the one that "
				       "the join token names: wrong address or wrong token");
		trusted = sk_X509_new_null();
		(void)sk_X509_push(trusted, root);
		X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
	}
	X509_VERIFY_PARAM_set_time(param, (time_t)(t->now_ns / NS_PER_SEC));
	X509_VERIFY_PARAM_set_depth(param, TLS_DEPTH);
	ok = X509_verify_cert(ctx);
	sk_X509_free(trusted);
	if (ok != 1)
		return cert_verify_error(X509_STORE_CTX_get_error(ctx), &t->peer->info, &t->why);
	return 0;
}

/* Is it someone with whom this side speaks at all? Who may do what is the store's business. */
static int verify_names(struct tls *t)
{
	const struct cert_info *peer = &t->peer->info;

	if (!t->pinned && strcmp(peer->organization, t->id->cert->info.organization) != 0)
		return err_set(&t->why, -EKEYREJECTED,
			       "the certificate of %s is for another cluster", peer->common_name);
	if (strlen(peer->common_name) > ID_CLUSTER_LEN)
		return err_set(&t->why, -EKEYREJECTED, "the certificate of %s names no node",
			       peer->common_name);
	if (peer->role == CERT_ROLE_NONE)
		return err_set(&t->why, -EKEYREJECTED, "the certificate of %s names no role",
			       peer->common_name);
	if (!t->server && peer->role != CERT_ROLE_MANAGER)
		return err_set(&t->why, -EKEYREJECTED, "node %s is not a manager",
			       peer->common_name);
	if (t->expect_node[0] && strcmp(peer->common_name, t->expect_node) != 0)
		return err_set(&t->why, -EKEYREJECTED, "expected node %s there but found node %s",
			       t->expect_node, peer->common_name);
	return 0;
}

static int tls_verify(X509_STORE_CTX *ctx, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx), *root;
	STACK_OF(X509) * chain;

	X509_up_ref(leaf);
	if (cert_wrap(leaf, &t->peer, &t->why) < 0 || verify_chain(t, ctx) < 0 ||
	    verify_names(t) < 0) {
		if (X509_STORE_CTX_get_error(ctx) == X509_V_OK)
			X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	chain = X509_STORE_CTX_get0_chain(ctx);
	root = sk_X509_value(chain, sk_X509_num(chain) - 1);
	X509_up_ref(root);
	return cert_wrap(root, &t->peer_root, &t->why) == 0;
}

static bool ctx_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					       SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, tls_verify, NULL);
	(void)SSL_CTX_set_max_cert_list(ctx, LIMIT_HANDSHAKE_BYTES);
	/* Both ends are Shoal: nothing older is ever needed, so nothing older is there to attack.
	 */
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					     "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	       SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1;
}

static bool ctx_identify(SSL_CTX *ctx, struct pkey *key, const struct certs *chain,
			 const struct certs *roots)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	if (SSL_CTX_use_certificate(ctx, chain->v[0]->x) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, key->evp) != 1)
		return false;
	for (size_t i = 1; i < chain->n; i++)
		if (SSL_CTX_add1_chain_cert(ctx, chain->v[i]->x) != 1)
			return false;
	for (size_t i = 0; i < roots->n; i++)
		if (X509_STORE_add_cert(store, roots->v[i]->x) != 1)
			return false;
	return true;
}

static struct tls_identity *identity_alloc(void)
{
	struct tls_identity *id = xcalloc(1, sizeof *id);

	crypto_init();
	(void)pthread_once(&tls_once, tls_prepare);
	ERR_clear_error();
	id->refs = 1;
	id->ctx = SSL_CTX_new(TLS_method());
	if (id->ctx && ctx_prepare(id->ctx))
		return id;
	tls_identity_unref(id);
	return NULL;
}

int tls_identity_new(struct pkey *key, const struct certs *chain, const struct certs *roots,
		     struct tls_identity **ret, struct err *e)
{
	struct tls_identity *id;
	int rc;

	if (chain->n == 0 || roots->n == 0)
		return err_set(e, -EINVAL, "an identity needs a certificate and a root");
	rc = cert_match(chain->v[0], key, e);
	if (rc < 0)
		return rc;
	id = identity_alloc();
	if (!id || !ctx_identify(id->ctx, key, chain, roots)) {
		tls_identity_unref(id);
		return err_openssl(e, -EIO, "cannot use the certificate of %s for TLS",
				   cert_info(chain->v[0])->common_name);
	}
	id->cert = cert_ref(chain->v[0]);
	for (size_t i = 0; i < roots->n; i++)
		certs_add(&id->roots, roots->v[i]);
	*ret = id;
	return 0;
}

struct tls_identity *tls_identity_ref(struct tls_identity *id)
{
	__atomic_add_fetch(&id->refs, 1, __ATOMIC_RELAXED);
	return id;
}

void tls_identity_unref(struct tls_identity *id)
{
	if (!id || __atomic_sub_fetch(&id->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	SSL_CTX_free(id->ctx);
	cert_unref(id->cert);
	certs_done(&id->roots);
	free(id);
}

const struct cert *tls_identity_cert(const struct tls_identity *id)
{
	return id->cert;
}

const struct certs *tls_identity_roots(const struct tls_identity *id)
{
	return &id->roots;
}

/* A server shows its roots as well: a node that joins compares them with its token. */
static bool show_roots(struct tls *t)
{
	for (size_t i = 0; i < t->id->roots.n; i++)
		if (SSL_add1_chain_cert(t->ssl, t->id->roots.v[i]->x) != 1)
			return false;
	return true;
}

int tls_init(struct tls *t, struct tls_identity *id, bool server, const char *expect_node,
	     const uint8_t *root_sha256, int64_t now_ns)
{
	BIO *bio;

	*t = (struct tls){.server = server, .now_ns = now_ns, .pinned = root_sha256 != NULL};
	t->id = id ? tls_identity_ref(id) : identity_alloc();
	if (root_sha256)
		memcpy(t->root_sha256, root_sha256, SHA256_LEN);
	if (expect_node)
		(void)snprintf(t->expect_node, sizeof t->expect_node, "%s", expect_node);
	ERR_clear_error();
	t->ssl = t->id ? SSL_new(t->id->ctx) : NULL;
	bio = t->ssl ? BIO_new(tls_bio) : NULL;
	if (!bio || (server && !show_roots(t))) {
		BIO_free(bio);
		tls_done(t);
		ERR_clear_error();
		return -EIO;
	}
	BIO_set_data(bio, t);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	if (server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return 0;
}

void tls_done(struct tls *t)
{
	SSL_free(t->ssl);
	t->ssl = NULL;
	cert_unref(t->peer);
	cert_unref(t->peer_root);
	tls_identity_unref(t->id);
	t->peer = t->peer_root = NULL;
	t->id = NULL;
}

void tls_give(struct tls *t, const void *p, size_t n)
{
	t->in = p;
	t->in_left = n;
}

/* What the peer's alert means for this node (RFC 8446 section 6.2). */
static int alert_error(struct tls *t, int alert)
{
	const char *text = SSL_alert_desc_string_long(alert);

	switch (alert) {
	case SSL_AD_CERTIFICATE_EXPIRED:
		return err_set(&t->why, -EKEYEXPIRED,
			       "the peer says that this node's certificate is not valid now: it "
			       "has ended, or a clock is wrong");
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_HANDSHAKE_FAILURE:
		return err_set(&t->why, -EKEYREJECTED,
			       "the peer does not accept this node's certificate (%s)", text);
	default:
		return err_set(&t->why, -EPROTO, "the peer ended TLS: %s", text);
	}
}

static int tls_error(struct tls *t)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);

	if (t->why.code < 0) { /* said by tls_verify() */
		ERR_clear_error();
		return t->why.code;
	}
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
		ERR_clear_error();
		return alert_error(t, reason - SSL_AD_REASON_OFFSET);
	}
	if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
	    (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	     reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_BAD_RECORD_TYPE)) {
		ERR_clear_error();
		return err_set(&t->why, -EPROTO, "the peer does not speak TLS");
	}
	return err_openssl(&t->why, -EPROTO, "TLS failed");
}

int tls_handshake(struct tls *t)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1)
		return 1;
	return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : tls_error(t);
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
	size_t got;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, p, n, &got);
	if (rc == 1)
		return (ssize_t)got;
	rc = SSL_get_error(t->ssl, rc);
	if (rc == SSL_ERROR_WANT_READ)
		return 0;
	if (rc == SSL_ERROR_ZERO_RETURN)
		return err_set(&t->why, -EPIPE, "the peer closed the stream");
	return tls_error(t);
}

int tls_write(struct tls *t, const void *p, size_t n)
{
	size_t done;

	if (n > TLS_WRITE_MAX)
		return -EMSGSIZE;
	ERR_clear_error();
	t->written += n;
	if (t->written > TLS_REKEY) {
		(void)SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		t->written = n;
	}
	return SSL_write_ex(t->ssl, p, n, &done) == 1 ? 0 : tls_error(t);
}

void tls_close(struct tls *t)
{
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}
