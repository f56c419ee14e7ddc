/*
 * See ca.h.
 */
#include "manager/ca.h"

#include <string.h>

int ca_new(int64_t now_ns, struct ca *ret, struct err *e)
{
	auto_pkey *key = NULL;
	int rc = pkey_new(&key, e);

	if (rc == 0)
		rc = cert_new_root(key, now_ns, &ret->root, e);
	if (rc == 0)
		ret->key = TAKE_PTR(key);
	return rc;
}

int ca_load(const char *root_pem, const char *key_pem, struct ca *ret, struct err *e)
{
	auto_ca ca = {0};
	int rc = cert_read(root_pem, strlen(root_pem), &ca.root, e);

	if (rc == 0 && key_pem)
		rc = pkey_read(key_pem, strlen(key_pem), &ca.key, e);
	if (rc == 0 && key_pem)
		rc = cert_match(ca.root, ca.key, e);
	if (rc == 0) {
		*ret = ca;
		ca = (struct ca){0};
	}
	return rc;
}

void ca_done(struct ca *ca)
{
	pkey_unref(ca->key);
	cert_unref(ca->root);
	*ca = (struct ca){0};
}

const uint8_t *ca_root_sha256(const struct ca *ca)
{
	return cert_info(ca->root)->sha256;
}

int ca_issue(const struct ca *ca, const char *csr_pem, size_t csr_len,
	     const struct cert_request *what, struct buf *ret, struct err *e)
{
	auto_csr *csr = NULL;
	auto_cert *cert = NULL;
	int rc;

	if (!ca->key)
		return err_set(e, -ENOKEY, "this node does not hold the cluster's root key");
	rc = csr_read(csr_pem, csr_len, &csr, e);
	if (rc == 0)
		rc = cert_issue(ca->key, ca->root, csr, what, &cert, e);
	return rc == 0 ? cert_write(cert, ret, e) : rc;
}

int ca_join_role(const char *text, const char *worker, const char *manager, enum cert_role *ret,
		 struct err *e)
{
	struct join_token given;
	bool is_worker, is_manager;
	int rc = join_token_parse(text, &given, e);

	if (rc < 0)
		return rc;
	explicit_bzero(&given, sizeof given);
	is_worker = secret_text_equal(worker, text);
	is_manager = secret_text_equal(manager, text);
	if (!(is_worker | is_manager))
		return err_set(e, -EACCES,
			       "the join token is not valid: it is another cluster's or has been "
			       "rotated (see swarm join-token on a manager)");
	*ret = is_manager ? CERT_ROLE_MANAGER : CERT_ROLE_WORKER;
	return 0;
}

void ca_token_new(const struct ca *ca, char ret[TOKEN_TEXT_LEN + 1])
{
	struct join_token t;

	join_token_new(ca_root_sha256(ca), &t);
	join_token_format(&t, ret);
	explicit_bzero(&t, sizeof t);
}

int64_t ca_renew_at(const struct cert_info *info, uint64_t random)
{
	int64_t life = info->not_after_ns - info->not_before_ns;
	int64_t span = life / 10 * 3;

	return info->not_before_ns + life / 2 + (int64_t)(random % (uint64_t)(span + 1));
}
