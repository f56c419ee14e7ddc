/*
 * See x509.h: requests, roots and issued certificates.
 */
#include "base/x509_impl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"

#define ROOT_NAME "swarm-ca"
#define SERIAL_LEN 16

int csr_new(const struct pkey *k, struct buf *ret, struct err *e)
{
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	int rc = -EIO;
	char *p;
	long n;

	if (req && bio && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_pubkey(req, k->evp) == 1 && X509_REQ_sign(req, k->evp, EVP_sha256()) > 0 &&
	    PEM_write_bio_X509_REQ(bio, req) == 1) {
		n = BIO_get_mem_data(bio, &p);
		rc = buf_add(ret, p, (size_t)n);
	}
	X509_REQ_free(req);
	BIO_free(bio);
	return rc < 0 ? err_openssl(e, rc, "cannot write a certificate request") : 0;
}

int csr_read(const char *pem, size_t n, struct csr **ret, struct err *e)
{
	auto_csr *csr = xcalloc(1, sizeof *csr);
	BIO *bio = n <= LIMIT_PEM ? BIO_new_mem_buf(pem, (int)n) : NULL;

	crypto_init();
	ERR_clear_error();
	csr->x = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	if (!csr->x)
		return err_openssl(e, -EINVAL, "this is not a certificate request in PEM");
	csr->evp = X509_REQ_get0_pubkey(csr->x);
	if (!csr->evp || !evp_is_p256(csr->evp))
		return err_openssl(e, -EINVAL,
				   "the certificate request is not for an ECDSA P-256 key");
	if (X509_REQ_verify(csr->x, csr->evp) != 1)
		return err_openssl(e, -EINVAL, "the certificate request is not signed by its key");
	*ret = TAKE_PTR(csr);
	return 0;
}

void csr_free(struct csr *r)
{
	if (r)
		X509_REQ_free(r->x);
	free(r);
}

void csr_free_at(struct csr **r)
{
	csr_free(*r);
}

/* A serial number of 127 random bits, never 0. */
static int serial_set(X509 *x)
{
	uint8_t bytes[SERIAL_LEN];
	BIGNUM *n;
	bool ok;

	random_bytes(bytes, sizeof bytes);
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	n = BN_bin2bn(bytes, sizeof bytes, NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok ? 0 : -EIO;
}

static bool times_set(X509 *x, int64_t from_ns, int64_t to_ns)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(from_ns / NS_PER_SEC)) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(to_ns / NS_PER_SEC));
}

static bool name_add(X509_NAME *name, const char *field, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
					  0) == 1;
}

static bool extension_add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool root_fill(X509 *x, const struct pkey *k, int64_t now_ns)
{
	int64_t from = now_ns - CERT_BACKDATE_NS;

	return X509_set_version(x, X509_VERSION_3) == 1 && serial_set(x) == 0 &&
	       times_set(x, from, from + CERT_ROOT_NS) && X509_set_pubkey(x, k->evp) == 1 &&
	       name_add(X509_get_subject_name(x), "CN", ROOT_NAME) &&
	       X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	       extension_add(x, x, NID_basic_constraints, "critical,CA:TRUE") &&
	       extension_add(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       extension_add(x, x, NID_subject_key_identifier, "hash") &&
	       X509_sign(x, k->evp, EVP_sha256()) > 0;
}

int cert_new_root(const struct pkey *k, int64_t now_ns, struct cert **ret, struct err *e)
{
	X509 *x = X509_new();

	ERR_clear_error();
	if (!x || !root_fill(x, k, now_ns)) {
		X509_free(x);
		return err_openssl(e, -EIO, "cannot make a root certificate");
	}
	return cert_wrap(x, ret, e);
}

/* Identities go into names and, as text, into an extension: letters and digits only. */
static bool identity_fits(const char *id)
{
	size_t n = id ? strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;

	return n > 0 && n <= CERT_NAME_MAX && id[n] == '\0';
}

static bool node_names(X509 *x, const struct cert_request *what)
{
	X509_NAME *name = X509_get_subject_name(x);
	const char *role = cert_role_text(what->role);
	bool manager = what->role == CERT_ROLE_MANAGER;
	auto_free char *alt =
		xasprintf("DNS:%s,DNS:%s%s", what->node_id, role, manager ? ",DNS:" ROOT_NAME : "");

	return name_add(name, "O", what->cluster_id) && name_add(name, "OU", role) &&
	       name_add(name, "CN", what->node_id) &&
	       extension_add(x, NULL, NID_subject_alt_name, alt) &&
	       /* Only managers are ever dialled. */
	       extension_add(x, NULL, NID_ext_key_usage,
			     manager ? "serverAuth,clientAuth" : "clientAuth");
}

static bool node_fill(X509 *x, const struct pkey *key, const struct cert *issuer,
		      const struct csr *csr, const struct cert_request *what)
{
	int64_t life = what->life_ns ? what->life_ns : CERT_NODE_NS;
	int64_t from = MAX_OF(what->now_ns - CERT_BACKDATE_NS, issuer->info.not_before_ns);
	int64_t to = MIN_OF(what->now_ns + life, issuer->info.not_after_ns);

	return X509_set_version(x, X509_VERSION_3) == 1 && serial_set(x) == 0 &&
	       times_set(x, from, to) && X509_set_pubkey(x, csr->evp) == 1 &&
	       X509_set_issuer_name(x, X509_get_subject_name(issuer->x)) == 1 &&
	       extension_add(x, issuer->x, NID_basic_constraints, "critical,CA:FALSE") &&
	       extension_add(x, issuer->x, NID_key_usage, "critical,digitalSignature") &&
	       extension_add(x, issuer->x, NID_subject_key_identifier, "hash") &&
	       extension_add(x, issuer->x, NID_authority_key_identifier, "keyid:always") &&
	       node_names(x, what) && X509_sign(x, key->evp, EVP_sha256()) > 0;
}

static int request_check(const struct cert *issuer, const struct cert_request *what, struct err *e)
{
	if (!identity_fits(what->node_id) || !identity_fits(what->cluster_id))
		return err_set(e, -EINVAL,
			       "a certificate names a node and a cluster by their ids "
			       "(lower-case letters and digits)");
	if (what->role != CERT_ROLE_MANAGER && what->role != CERT_ROLE_WORKER)
		return err_set(e, -EINVAL, "a node certificate is for a manager or a worker");
	if (what->life_ns && what->life_ns < CERT_NODE_MIN_NS)
		return err_set(e, -EINVAL, "a node certificate must hold for at least one hour");
	if (what->life_ns > CERT_ROOT_NS)
		return err_set(e, -EINVAL, "a node certificate cannot hold for over 20 years");
	if (what->now_ns >= issuer->info.not_after_ns)
		return err_set(e, -EKEYEXPIRED,
			       "the cluster's root certificate has ended: it must be rotated");
	return 0;
}

int cert_issue(const struct pkey *issuer_key, const struct cert *issuer, const struct csr *csr,
	       const struct cert_request *what, struct cert **ret, struct err *e)
{
	int rc = request_check(issuer, what, e);
	X509 *x;

	if (rc < 0)
		return rc;
	ERR_clear_error();
	x = X509_new();
	if (!x || !node_fill(x, issuer_key, issuer, csr, what)) {
		X509_free(x);
		return err_openssl(e, -EIO, "cannot issue a certificate to %s", what->node_id);
	}
	return cert_wrap(x, ret, e);
}
