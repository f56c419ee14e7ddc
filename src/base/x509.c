/*
 * See x509.h: keys, and certificates read and verified. Issuing is in x509_issue.c.
 */
#include "base/x509_impl.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define VERIFY_DEPTH 4 /* intermediates between a node's certificate and a root */

static void bio_free_at(BIO **b)
{
	BIO_free(*b);
}

#define auto_bio CLEANUP(bio_free_at) BIO

int err_openssl(struct err *e, int code, const char *fmt, ...)
{
	unsigned long why = ERR_peek_error();
	const char *reason = why ? ERR_reason_error_string(why) : NULL;
	char text[ERR_MSG_MAX];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	ERR_clear_error();
	if (!reason)
		return err_set(e, code, "%s", text);
	return err_set(e, code, "%.300s: %.100s", text, reason);
}

/* Nothing may ever ask for a passphrase on a terminal. */
static int no_passphrase(char *p, int size, int writing, void *data)
{
	return -1;
}

static BIO *bio_over(const char *pem, size_t n)
{
	crypto_init();
	ERR_clear_error();
	return n <= LIMIT_PEM ? BIO_new_mem_buf(pem, (int)n) : NULL;
}

static int bio_take(BIO *bio, struct buf *ret)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);

	return buf_add(ret, p, (size_t)n);
}

const char *cert_role_text(enum cert_role role)
{
	static const char *const texts[] = {"", "swarm-worker", "swarm-manager"};

	return texts[role];
}

bool evp_is_p256(const EVP_PKEY *k)
{
	char group[32];
	size_t n;

	return EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, &n) == 1 &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static struct pkey *pkey_wrap(EVP_PKEY *evp)
{
	struct pkey *k = xcalloc(1, sizeof *k);

	k->refs = 1;
	k->evp = evp;
	return k;
}

int pkey_new(struct pkey **ret, struct err *e)
{
	EVP_PKEY *evp;

	crypto_init();
	evp = EVP_EC_gen("P-256");
	if (!evp)
		return err_openssl(e, -EIO, "cannot make a key");
	*ret = pkey_wrap(evp);
	return 0;
}

int pkey_read(const char *pem, size_t n, struct pkey **ret, struct err *e)
{
	auto_bio *bio = bio_over(pem, n);
	EVP_PKEY *evp = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	if (!evp)
		return err_openssl(e, -EINVAL, "this is not a private key in PEM");
	if (!evp_is_p256(evp)) {
		EVP_PKEY_free(evp);
		return err_set(e, -EINVAL, "the private key is not an ECDSA P-256 key");
	}
	*ret = pkey_wrap(evp);
	return 0;
}

int pkey_write(const struct pkey *k, struct buf *ret, struct err *e)
{
	auto_bio *bio = BIO_new(BIO_s_secmem());
	char *p;
	long n;

	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, k->evp, NULL, NULL, 0, NULL, NULL) != 1)
		return err_openssl(e, -EIO, "cannot write the private key as PEM");
	n = BIO_get_mem_data(bio, &p);
	if (buf_add(ret, p, (size_t)n) < 0)
		return err_set(e, -EMSGSIZE, "the private key does not fit where it is written");
	return 0;
}

struct pkey *pkey_ref(struct pkey *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void pkey_unref(struct pkey *k)
{
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	EVP_PKEY_free(k->evp);
	free(k);
}

void pkey_unref_at(struct pkey **k)
{
	pkey_unref(*k);
}

void buf_burn(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_done(b);
}

static int name_text(const X509_NAME *name, int nid, char ret[CERT_NAME_MAX + 1])
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8;
	int n;

	ret[0] = '\0';
	if (at < 0)
		return 0;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0)
		return -EINVAL;
	if (n <= CERT_NAME_MAX && !memchr(utf8, 0, (size_t)n)) {
		memcpy(ret, utf8, (size_t)n);
		ret[n] = '\0';
	}
	OPENSSL_free(utf8);
	/* Two names of one kind would leave open which one counts. */
	if (!ret[0] || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return -EINVAL;
	return 0;
}

static int time_of(const ASN1_TIME *t, int64_t *ret_ns)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return -EINVAL;
	if (tm.tm_year + 1900 > 2261) /* does not fit 64-bit nanoseconds: as good as never */
		*ret_ns = INT64_MAX;
	else if (tm.tm_year + 1900 < 1700)
		*ret_ns = INT64_MIN;
	else
		*ret_ns = (int64_t)timegm(&tm) * NS_PER_SEC;
	return 0;
}

static enum cert_role role_of(const char *unit)
{
	for (enum cert_role r = CERT_ROLE_WORKER; r <= CERT_ROLE_MANAGER; r++)
		if (strcmp(unit, cert_role_text(r)) == 0)
			return r;
	return CERT_ROLE_NONE;
}

static int cert_fill(struct cert *c)
{
	const X509_NAME *subject = X509_get_subject_name(c->x);
	struct cert_info *info = &c->info;
	unsigned n = sizeof info->sha256;
	int len;

	if (name_text(subject, NID_commonName, info->common_name) < 0 ||
	    name_text(subject, NID_organizationalUnitName, info->unit) < 0 ||
	    name_text(subject, NID_organizationName, info->organization) < 0 ||
	    time_of(X509_get0_notBefore(c->x), &info->not_before_ns) < 0 ||
	    time_of(X509_get0_notAfter(c->x), &info->not_after_ns) < 0 ||
	    X509_digest(c->x, EVP_sha256(), info->sha256, &n) != 1)
		return -EINVAL;
	info->role = role_of(info->unit);
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(c->x), &c->spki);
	c->spki_len = len > 0 ? (size_t)len : 0;
	return len > 0 ? 0 : -EINVAL;
}

int cert_wrap(X509 *x, struct cert **ret, struct err *e)
{
	struct cert *c = xcalloc(1, sizeof *c);

	c->refs = 1;
	c->x = x;
	if (cert_fill(c) < 0) {
		cert_unref(c);
		return err_openssl(e, -EINVAL, "the certificate's names or times cannot be read");
	}
	*ret = c;
	return 0;
}

int cert_read(const char *pem, size_t n, struct cert **ret, struct err *e)
{
	auto_bio *bio = bio_over(pem, n);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;

	if (!x)
		return err_openssl(e, -EINVAL, "this is not a certificate in PEM");
	return cert_wrap(x, ret, e);
}

int cert_write(const struct cert *c, struct buf *ret, struct err *e)
{
	auto_bio *bio = BIO_new(BIO_s_mem());

	if (!bio || PEM_write_bio_X509(bio, c->x) != 1)
		return err_openssl(e, -EIO, "cannot write the certificate as PEM");
	if (bio_take(bio, ret) < 0)
		return err_set(e, -EMSGSIZE, "the certificate does not fit where it is written");
	return 0;
}

struct cert *cert_ref(struct cert *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void cert_unref(struct cert *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	X509_free(c->x);
	OPENSSL_free(c->spki);
	free(c);
}

void cert_unref_at(struct cert **c)
{
	cert_unref(*c);
}

const struct cert_info *cert_info(const struct cert *c)
{
	return &c->info;
}

static void name_der(const X509_NAME *name, const uint8_t **ret, size_t *ret_len)
{
	if (X509_NAME_get0_der(name, ret, ret_len) != 1)
		*ret_len = 0;
}

void cert_issuer_der(const struct cert *c, const uint8_t **ret, size_t *ret_len)
{
	name_der(X509_get_issuer_name(c->x), ret, ret_len);
}

void cert_subject_der(const struct cert *c, const uint8_t **ret, size_t *ret_len)
{
	name_der(X509_get_subject_name(c->x), ret, ret_len);
}

void cert_public_key_der(const struct cert *c, const uint8_t **ret, size_t *ret_len)
{
	*ret = c->spki;
	*ret_len = c->spki_len;
}

int cert_match(const struct cert *c, const struct pkey *k, struct err *e)
{
	if (X509_check_private_key(c->x, k->evp) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, -EKEYREJECTED, "the certificate of %s was not made for this key",
		       c->info.common_name);
}

int certs_read(const char *pem, size_t n, struct certs *ret, struct err *e)
{
	auto_bio *bio = bio_over(pem, n);
	auto_certs all = {0};
	int rc = 0;
	X509 *x;

	while (rc == 0 && bio && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		auto_cert *c = NULL;

		rc = cert_wrap(x, &c, e);
		if (rc == 0 && all.n == LIMIT_CERTS)
			return err_set(e, -EINVAL, "more than %d certificates in one PEM text",
				       LIMIT_CERTS);
		if (rc == 0)
			certs_add(&all, c);
	}
	if (rc < 0)
		return rc;
	if (all.n == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return err_openssl(e, -EINVAL, "these are not certificates in PEM");
	ERR_clear_error();
	*ret = all;
	all = (struct certs){0};
	return 0;
}

void certs_add(struct certs *to, struct cert *c)
{
	to->v = xreallocarray(to->v, to->n + 1, sizeof *to->v);
	to->v[to->n++] = cert_ref(c);
}

void certs_done(struct certs *c)
{
	for (size_t i = 0; i < c->n; i++)
		cert_unref(c->v[i]);
	free(c->v);
	*c = (struct certs){0};
}

int cert_verify_error(int reason, const struct cert_info *info, struct err *e)
{
	char when[TIME_TEXT_MAX];

	if (reason == X509_V_ERR_CERT_HAS_EXPIRED) {
		time_format(info->not_after_ns, when);
		return err_set(e, -EKEYEXPIRED, "the certificate of %s ended at %s",
			       info->common_name, when);
	}
	if (reason == X509_V_ERR_CERT_NOT_YET_VALID) {
		time_format(info->not_before_ns, when);
		return err_set(e, -EKEYREJECTED,
			       "the certificate of %s begins only at %s: look at the clocks of "
			       "both machines",
			       info->common_name, when);
	}
	return err_set(e, -EKEYREJECTED, "the certificate of %s is not of this cluster: %s",
		       info->common_name, X509_verify_cert_error_string(reason));
}

static STACK_OF(X509) * stack_of(const struct certs *c, size_t from)
{
	STACK_OF(X509) *s = sk_X509_new_null();

	for (size_t i = from; s && i < c->n; i++)
		(void)sk_X509_push(s, c->v[i]->x);
	return s;
}

int certs_verify(const struct certs *chain, const struct certs *roots, int64_t at_ns, struct err *e)
{
	STACK_OF(X509) *others = stack_of(chain, 1), *trusted = stack_of(roots, 0);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int reason = X509_V_ERR_OUT_OF_MEM;

	if (others && trusted && ctx &&
	    X509_STORE_CTX_init(ctx, NULL, chain->n ? chain->v[0]->x : NULL, others) == 1) {
		X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
		param = X509_STORE_CTX_get0_param(ctx);
		X509_VERIFY_PARAM_set_time(param, (time_t)(at_ns / NS_PER_SEC));
		X509_VERIFY_PARAM_set_depth(param, VERIFY_DEPTH);
		reason = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	}
	X509_STORE_CTX_free(ctx);
	sk_X509_free(others);
	sk_X509_free(trusted);
	ERR_clear_error();
	if (reason == X509_V_OK)
		return 0;
	return chain->n ? cert_verify_error(reason, &chain->v[0]->info, e)
			: err_set(e, -EKEYREJECTED, "there is no certificate");
}
