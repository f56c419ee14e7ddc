/*
 * See seal.h: boxes. The key's file is in seal_key.c.
 */
#include "base/seal.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "base/frame.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/seal_impl.h"

#define SEAL_VERSION 1
#define SEAL_KEY_NUMBER 1
#define SEAL_SALT 12
#define SEAL_TAG 16
#define SEAL_NONCE 12
#define SEAL_TEXT_MAX (1u << 30)

struct sealer {
	struct seal_key *key;
	EVP_CIPHER *cipher;
	EVP_CIPHER_CTX *seal; /* under this sealer's own derived key */
	EVP_CIPHER_CTX *open; /* under the key of the box that was opened last */
	uint8_t salt[SEAL_SALT], open_salt[SEAL_SALT];
	bool open_ready;
	uint64_t counter;
};

struct seal_key *seal_key_wrap(const uint8_t *bytes)
{
	struct seal_key *k = xcalloc(1, sizeof *k);

	k->refs = 1;
	k->bytes = secret_copy(bytes, SEAL_KEY_LEN);
	return k;
}

struct seal_key *seal_key_new(void)
{
	struct seal_key *k = xcalloc(1, sizeof *k);

	k->refs = 1;
	k->bytes = secret_new(SEAL_KEY_LEN);
	random_bytes(k->bytes, SEAL_KEY_LEN);
	return k;
}

struct seal_key *seal_key_ref(struct seal_key *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void seal_key_unref(struct seal_key *k)
{
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	secret_free(k->bytes, SEAL_KEY_LEN);
	free(k);
}

/* HKDF-SHA-256 of the data key and a salt. */
static int key_derive(const struct seal_key *k, const uint8_t *salt, uint8_t *ret)
{
	static const char label[] = "shoal seal 1";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, k->bytes, SEAL_KEY_LEN),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, SEAL_SALT),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)label,
						  sizeof label - 1),
		OSSL_PARAM_construct_end(),
	};
	bool ok = ctx && EVP_KDF_derive(ctx, ret, SEAL_KEY_LEN, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -EIO;
}

/* Makes `ctx` ready for boxes with this salt. */
static int key_schedule(struct sealer *s, EVP_CIPHER_CTX *ctx, const uint8_t *salt, int seal)
{
	uint8_t *key = secret_new(SEAL_KEY_LEN);
	int rc = key_derive(s->key, salt, key);

	if (rc == 0 && EVP_CipherInit_ex2(ctx, s->cipher, key, NULL, seal, NULL) != 1)
		rc = -EIO;
	secret_free(key, SEAL_KEY_LEN);
	return rc;
}

int sealer_new(struct seal_key *k, struct sealer **ret, struct err *e)
{
	struct sealer *s = xcalloc(1, sizeof *s);

	s->key = seal_key_ref(k);
	s->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	s->seal = EVP_CIPHER_CTX_new();
	s->open = EVP_CIPHER_CTX_new();
	random_bytes(s->salt, SEAL_SALT);
	if (!s->cipher || !s->seal || !s->open || key_schedule(s, s->seal, s->salt, 1) < 0) {
		sealer_free(s);
		return err_set(e, -EIO,
			       "the cryptographic library has no AES-256-GCM to seal with");
	}
	*ret = s;
	return 0;
}

void sealer_free(struct sealer *s)
{
	if (!s)
		return;
	EVP_CIPHER_CTX_free(s->seal);
	EVP_CIPHER_CTX_free(s->open);
	EVP_CIPHER_free(s->cipher);
	seal_key_unref(s->key);
	free(s);
}

/* The nonce is the header's counter: unique under the key that its salt gives. */
static void nonce_of(const uint8_t *header, uint8_t ret[SEAL_NONCE])
{
	memcpy(ret, header + 4 + SEAL_SALT, 8);
	memset(ret + 8, 0, SEAL_NONCE - 8);
}

static bool feed_ad(EVP_CIPHER_CTX *ctx, const uint8_t *header, const void *ad, size_t ad_len)
{
	int n;

	return EVP_CipherUpdate(ctx, NULL, &n, header, SEAL_HEADER) == 1 &&
	       (ad_len == 0 || EVP_CipherUpdate(ctx, NULL, &n, ad, (int)ad_len) == 1);
}

int seal_box(struct sealer *s, const void *ad, size_t ad_len, const void *plain, size_t n,
	     uint8_t *ret)
{
	uint8_t nonce[SEAL_NONCE];
	int done = 0;

	if (n > SEAL_TEXT_MAX || ad_len > SEAL_TEXT_MAX)
		return -EMSGSIZE;
	ret[0] = SEAL_VERSION;
	ret[1] = SEAL_KEY_NUMBER;
	le16_put(ret + 2, 0);
	memcpy(ret + 4, s->salt, SEAL_SALT);
	le64_put(ret + 4 + SEAL_SALT, s->counter++);
	nonce_of(ret, nonce);
	if (EVP_CipherInit_ex2(s->seal, NULL, NULL, nonce, 1, NULL) != 1 ||
	    !feed_ad(s->seal, ret, ad, ad_len) ||
	    (n && EVP_CipherUpdate(s->seal, ret + SEAL_HEADER, &done, plain, (int)n) != 1) ||
	    EVP_CipherFinal_ex(s->seal, ret + SEAL_HEADER + done, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, ret + SEAL_HEADER + n) !=
		    1)
		return -EIO;
	return 0;
}

/* Logs are read in the order in which they were written, so the last salt is nearly always it. */
static int open_prepare(struct sealer *s, const uint8_t *salt)
{
	if (s->open_ready && memcmp(s->open_salt, salt, SEAL_SALT) == 0)
		return 0;
	s->open_ready = key_schedule(s, s->open, salt, 0) == 0;
	memcpy(s->open_salt, salt, SEAL_SALT);
	return s->open_ready ? 0 : -EIO;
}

int seal_open(struct sealer *s, const void *ad, size_t ad_len, const void *box, size_t n,
	      uint8_t *ret)
{
	const uint8_t *p = box;
	uint8_t nonce[SEAL_NONCE], tag[SEAL_TAG];
	size_t len = n - SEAL_OVERHEAD;
	int done = 0;

	if (n < SEAL_OVERHEAD || len > SEAL_TEXT_MAX || ad_len > SEAL_TEXT_MAX)
		return -EBADMSG;
	memcpy(tag, p + n - SEAL_TAG, SEAL_TAG);
	nonce_of(p, nonce);
	if (p[0] != SEAL_VERSION || p[1] != SEAL_KEY_NUMBER || le16_get(p + 2) != 0 ||
	    open_prepare(s, p + 4) < 0 ||
	    EVP_CipherInit_ex2(s->open, NULL, NULL, nonce, 0, NULL) != 1 ||
	    !feed_ad(s->open, p, ad, ad_len) ||
	    (len && EVP_CipherUpdate(s->open, ret, &done, p + SEAL_HEADER, (int)len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) != 1 ||
	    EVP_CipherFinal_ex(s->open, ret + done, &done) != 1) {
		if (len)
			explicit_bzero(ret, len);
		return -EBADMSG;
	}
	return 0;
}
