/*
 * base/x509.h: what is issued says what was asked for, and nothing else is believed.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/clock.h"
#include "base/x509.h"

#define NOW (1800000000LL * NS_PER_SEC)
#define HOUR (3600LL * NS_PER_SEC)
#define NODE "0123456789abcdefghijklmno"
#define CLUSTER "zyxwvutsrqponmlkjihgfedcb"

struct root {
	struct pkey *key;
	struct cert *cert;
};

static struct root root_make(void)
{
	struct root r;
	struct err e = ERR_INIT;

	assert_ok(pkey_new(&r.key, &e), &e);
	assert_ok(cert_new_root(r.key, NOW, &r.cert, &e), &e);
	return r;
}

static void root_done(struct root *r)
{
	pkey_unref(r->key);
	cert_unref(r->cert);
}

static struct csr *csr_make(const struct pkey *key)
{
	auto_buf pem = BUF_INIT(LIMIT_PEM);
	struct csr *csr = NULL;
	struct err e = ERR_INIT;

	assert_ok(csr_new(key, &pem, &e), &e);
	assert_ok(csr_read(pem.p, pem.len, &csr, &e), &e);
	return csr;
}

static int issue(struct root *r, const struct cert_request *what, struct cert **ret, struct err *e)
{
	auto_pkey *key = NULL;
	auto_csr *csr = NULL;

	assert_int_equal(pkey_new(&key, NULL), 0);
	csr = csr_make(key);
	return cert_issue(r->key, r->cert, csr, what, ret, e);
}

static const struct cert_request manager = {
	.node_id = NODE, .role = CERT_ROLE_MANAGER, .cluster_id = CLUSTER, .now_ns = NOW};

static void a_root_lasts_twenty_years(void **state)
{
	struct root r = root_make();
	const struct cert_info *info = cert_info(r.cert);
	const uint8_t *subject, *issuer, *key;
	size_t subject_len, issuer_len, key_len;

	assert_string_equal(info->common_name, "swarm-ca");
	assert_string_equal(info->unit, "");
	assert_int_equal(info->role, CERT_ROLE_NONE);
	assert_true(info->not_before_ns == NOW - HOUR);
	assert_true(info->not_after_ns == NOW - HOUR + CERT_ROOT_NS);
	cert_subject_der(r.cert, &subject, &subject_len);
	cert_issuer_der(r.cert, &issuer, &issuer_len);
	cert_public_key_der(r.cert, &key, &key_len);
	assert_true(subject_len > 10 && subject_len == issuer_len);
	assert_memory_equal(subject, issuer, issuer_len);
	assert_int_equal(key_len, 91); /* a P-256 SubjectPublicKeyInfo */
	assert_int_equal(cert_match(r.cert, r.key, NULL), 0);
	root_done(&r);
}

static void a_node_certificate_says_who_and_until_when(void **state)
{
	struct root r = root_make();
	auto_cert *c = NULL;
	struct err e = ERR_INIT;
	const uint8_t *subject, *issuer;
	size_t subject_len, issuer_len;

	assert_ok(issue(&r, &manager, &c, &e), &e);
	assert_string_equal(cert_info(c)->common_name, NODE);
	assert_string_equal(cert_info(c)->unit, "swarm-manager");
	assert_string_equal(cert_info(c)->organization, CLUSTER);
	assert_int_equal(cert_info(c)->role, CERT_ROLE_MANAGER);
	assert_true(cert_info(c)->not_before_ns == NOW - HOUR);
	assert_true(cert_info(c)->not_after_ns == NOW + CERT_NODE_NS);
	cert_issuer_der(c, &issuer, &issuer_len);
	cert_subject_der(r.cert, &subject, &subject_len);
	assert_int_equal(issuer_len, subject_len);
	assert_memory_equal(issuer, subject, issuer_len);
	root_done(&r);
}

static void requests_are_checked(void **state)
{
	struct root r = root_make();
	struct cert *c = NULL;
	struct err e = ERR_INIT;
	struct cert_request what = manager;

	what.life_ns = HOUR - 1;
	assert_int_equal(issue(&r, &what, &c, &e), -EINVAL);
	what.life_ns = HOUR;
	assert_int_equal(issue(&r, &what, &c, &e), 0);
	assert_true(cert_info(c)->not_after_ns == NOW + HOUR);
	cert_unref(c);
	what = manager;
	what.role = CERT_ROLE_NONE;
	assert_int_equal(issue(&r, &what, &c, &e), -EINVAL);
	what = manager;
	what.node_id = "abc,DNS:evil"; /* would become a name of its own in the extension */
	assert_int_equal(issue(&r, &what, &c, &e), -EINVAL);
	what.node_id = "";
	assert_int_equal(issue(&r, &what, &c, &e), -EINVAL);
	what = manager;
	what.now_ns = cert_info(r.cert)->not_after_ns;
	assert_int_equal(issue(&r, &what, &c, &e), -EKEYEXPIRED);
	what.now_ns -= 24 * HOUR; /* the issuer's end is the node's end */
	assert_int_equal(issue(&r, &what, &c, &e), 0);
	assert_true(cert_info(c)->not_after_ns == cert_info(r.cert)->not_after_ns);
	cert_unref(c);
	root_done(&r);
}

static void verification_knows_root_and_time(void **state)
{
	struct root r = root_make(), other = root_make();
	auto_certs chain = {0}, roots = {0}, others = {0}, none = {0};
	auto_cert *c = NULL;
	struct err e = ERR_INIT;

	assert_ok(issue(&r, &manager, &c, &e), &e);
	certs_add(&chain, c);
	certs_add(&others, other.cert);
	certs_add(&roots, other.cert);
	certs_add(&roots, r.cert);
	assert_ok(certs_verify(&chain, &roots, NOW, &e), &e);
	assert_ok(certs_verify(&chain, &roots, NOW + CERT_NODE_NS - NS_PER_SEC, &e), &e);
	assert_int_equal(certs_verify(&chain, &roots, NOW + CERT_NODE_NS, &e), -EKEYEXPIRED);
	assert_non_null(strstr(e.msg, NODE));
	assert_int_equal(certs_verify(&chain, &roots, NOW - HOUR - NS_PER_SEC, &e), -EKEYREJECTED);
	assert_non_null(strstr(e.msg, "clock"));
	assert_int_equal(certs_verify(&chain, &others, NOW, &e), -EKEYREJECTED);
	assert_int_equal(certs_verify(&chain, &none, NOW, &e), -EKEYREJECTED);
	assert_int_equal(certs_verify(&none, &roots, NOW, &e), -EKEYREJECTED);
	root_done(&r);
	root_done(&other);
}

static void a_node_certificate_cannot_issue(void **state)
{
	struct root r = root_make();
	auto_certs chain = {0}, roots = {0};
	auto_pkey *node_key = NULL;
	auto_csr *node_csr = NULL;
	auto_cert *node = NULL, *forged = NULL;
	struct err e = ERR_INIT;
	struct root fake;

	assert_int_equal(pkey_new(&node_key, NULL), 0);
	node_csr = csr_make(node_key);
	assert_ok(cert_issue(r.key, r.cert, node_csr, &manager, &node, &e), &e);
	fake = (struct root){.key = node_key, .cert = node};
	assert_ok(issue(&fake, &manager, &forged, &e), &e);
	certs_add(&chain, forged);
	certs_add(&chain, node);
	certs_add(&roots, r.cert);
	assert_int_equal(certs_verify(&chain, &roots, NOW, &e), -EKEYREJECTED);
	root_done(&r);
}

static void keys_and_certificates_survive_pem(void **state)
{
	struct root r = root_make(), other = root_make();
	auto_buf key_pem = BUF_INIT(LIMIT_PEM), cert_pem = BUF_INIT(LIMIT_PEM);
	auto_pkey *key = NULL;
	auto_certs certs = {0};
	struct err e = ERR_INIT;

	assert_int_equal(buf_reserve(&key_pem, 4096), 0);
	assert_ok(pkey_write(r.key, &key_pem, &e), &e);
	assert_ok(pkey_read(key_pem.p, key_pem.len, &key, &e), &e);
	assert_ok(cert_write(r.cert, &cert_pem, &e), &e);
	assert_ok(cert_write(other.cert, &cert_pem, &e), &e);
	assert_ok(certs_read(cert_pem.p, cert_pem.len, &certs, &e), &e);
	assert_int_equal(certs.n, 2);
	assert_memory_equal(cert_info(certs.v[0])->sha256, cert_info(r.cert)->sha256, SHA256_LEN);
	assert_int_equal(cert_match(certs.v[0], key, &e), 0);
	assert_int_equal(cert_match(certs.v[1], key, &e), -EKEYREJECTED);
	buf_burn(&key_pem);
	assert_null(key_pem.p);
	root_done(&r);
	root_done(&other);
}

static void garbage_is_refused(void **state)
{
	static const char rsa[] = "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----\n";
	struct root r = root_make();
	auto_buf pem = BUF_INIT(LIMIT_PEM * 2);
	struct certs certs = {0};
	struct pkey *key = NULL;
	struct cert *cert = NULL;
	struct csr *csr = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(pkey_read("hello", 5, &key, &e), -EINVAL);
	assert_int_equal(cert_read("", 0, &cert, &e), -EINVAL);
	assert_int_equal(certs_read(rsa, sizeof rsa - 1, &certs, &e), -EINVAL);
	assert_int_equal(csr_read(rsa, sizeof rsa - 1, &csr, &e), -EINVAL);
	for (int i = 0; i < LIMIT_CERTS; i++)
		assert_int_equal(cert_write(r.cert, &pem, &e), 0);
	assert_ok(certs_read(pem.p, pem.len, &certs, &e), &e);
	certs_done(&certs);
	assert_int_equal(cert_write(r.cert, &pem, &e), 0);
	assert_int_equal(certs_read(pem.p, pem.len, &certs, &e), -EINVAL);
	pem.p[pem.len - 40] = '!'; /* the last one is damaged */
	assert_int_equal(certs_read(pem.p, pem.len, &certs, &e), -EINVAL);
	while (pem.len <= LIMIT_PEM)
		assert_int_equal(cert_write(r.cert, &pem, &e), 0);
	assert_int_equal(cert_read(pem.p, pem.len, &cert, &e), -EINVAL);
	root_done(&r);
}

static void a_request_must_be_signed_by_its_own_key(void **state)
{
	auto_pkey *key = NULL;
	auto_buf pem = BUF_INIT(LIMIT_PEM);
	struct csr *csr = NULL;
	struct err e = ERR_INIT;
	int refused = 0;

	assert_int_equal(pkey_new(&key, NULL), 0);
	assert_ok(csr_new(key, &pem, &e), &e);
	/* Whatever character is changed, in the key or in the signature, the request is worthless.
	 */
	for (size_t i = 60; i + 60 < pem.len; i += 7) {
		char old = pem.p[i];

		if (old == '\n')
			continue;
		pem.p[i] = old == 'A' ? 'B' : 'A';
		assert_int_equal(csr_read(pem.p, pem.len, &csr, &e), -EINVAL);
		pem.p[i] = old;
		refused++;
	}
	assert_true(refused > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_root_lasts_twenty_years),
		TEST(a_node_certificate_says_who_and_until_when),
		TEST(requests_are_checked),
		TEST(verification_knows_root_and_time),
		TEST(a_node_certificate_cannot_issue),
		TEST(keys_and_certificates_survive_pem),
		TEST(garbage_is_refused),
		TEST(a_request_must_be_signed_by_its_own_key),
	};

	return RUN_TESTS(tests);
}
