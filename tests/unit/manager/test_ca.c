/*
 * manager/ca.h: tokens give roles, requests become certificates.
 */
#include "unit/test.h"

#include <errno.h>

#include "base/clock.h"
#include "manager/ca.h"

#define NOW (1800000000LL * NS_PER_SEC)

static struct ca ca_make(void)
{
	struct ca ca = {0};
	struct err e = ERR_INIT;

	assert_ok(ca_new(NOW, &ca, &e), &e);
	return ca;
}

static void a_token_gives_its_role(void **state)
{
	auto_ca ca = ca_make(), other = ca_make();
	char worker[TOKEN_TEXT_LEN + 1], manager[TOKEN_TEXT_LEN + 1], rotated[TOKEN_TEXT_LEN + 1];
	char foreign[TOKEN_TEXT_LEN + 1];
	struct join_token t;
	enum cert_role role = CERT_ROLE_NONE;
	struct err e = ERR_INIT;

	ca_token_new(&ca, worker);
	ca_token_new(&ca, manager);
	ca_token_new(&ca, rotated);
	ca_token_new(&other, foreign);
	assert_int_equal(join_token_parse(worker, &t, NULL), 0);
	assert_memory_equal(t.root_sha256, ca_root_sha256(&ca), SHA256_LEN);
	assert_int_equal(ca_join_role(worker, worker, manager, &role, &e), 0);
	assert_int_equal(role, CERT_ROLE_WORKER);
	assert_int_equal(ca_join_role(manager, worker, manager, &role, &e), 0);
	assert_int_equal(role, CERT_ROLE_MANAGER);
	assert_int_equal(ca_join_role(worker, rotated, manager, &role, &e), -EACCES);
	assert_int_equal(ca_join_role(foreign, worker, manager, &role, &e), -EACCES);
	assert_int_equal(ca_join_role("", worker, manager, &role, &e), -EINVAL);
	assert_int_equal(ca_join_role("SWMTKN-1-x", worker, manager, &role, &e), -EINVAL);
}

static void issues_and_loads(void **state)
{
	auto_ca ca = ca_make(), back = {0}, verifier = {0}, other = ca_make();
	auto_buf root = BUF_INIT(LIMIT_PEM), key = BUF_INIT(LIMIT_PEM), csr = BUF_INIT(LIMIT_PEM);
	auto_buf pem = BUF_INIT(LIMIT_PEM), other_key = BUF_INIT(LIMIT_PEM);
	auto_pkey *node_key = NULL;
	auto_certs chain = {0}, roots = {0};
	struct cert_request what = {.node_id = "node1",
				    .role = CERT_ROLE_WORKER,
				    .cluster_id = "cluster1",
				    .now_ns = NOW};
	struct err e = ERR_INIT;

	assert_ok(cert_write(ca.root, &root, &e), &e);
	assert_ok(pkey_write(ca.key, &key, &e), &e);
	assert_ok(pkey_write(other.key, &other_key, &e), &e);
	assert_ok(ca_load(buf_text(&root), buf_text(&key), &back, &e), &e);
	assert_int_equal(ca_load(buf_text(&root), buf_text(&other_key), &verifier, &e),
			 -EKEYREJECTED);
	assert_null(verifier.root);
	assert_ok(ca_load(buf_text(&root), NULL, &verifier, &e), &e);
	assert_ok(pkey_new(&node_key, &e), &e);
	assert_ok(csr_new(node_key, &csr, &e), &e);
	assert_int_equal(ca_issue(&verifier, csr.p, csr.len, &what, &pem, &e), -ENOKEY);
	assert_int_equal(ca_issue(&back, "x", 1, &what, &pem, &e), -EINVAL);
	assert_ok(ca_issue(&back, csr.p, csr.len, &what, &pem, &e), &e);
	assert_ok(certs_read(pem.p, pem.len, &chain, &e), &e);
	certs_add(&roots, ca.root);
	assert_ok(certs_verify(&chain, &roots, NOW, &e), &e);
	assert_ok(cert_match(chain.v[0], node_key, &e), &e);
	assert_int_equal(cert_info(chain.v[0])->role, CERT_ROLE_WORKER);
}

static void renewal_falls_between_half_and_four_fifths(void **state)
{
	struct cert_info info = {.not_before_ns = NOW, .not_after_ns = NOW + 1000};
	bool low = false, high = false;

	for (uint64_t r = 0; r < 1000; r++) {
		int64_t at = ca_renew_at(&info, r * 0x9e3779b97f4a7c15u) - NOW;

		assert_in_range(at, 500, 800);
		low |= at < 550;
		high |= at > 750;
	}
	assert_true(low && high);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_gives_its_role),
		TEST(issues_and_loads),
		TEST(renewal_falls_between_half_and_four_fifths),
	};

	return RUN_TESTS(tests);
}
