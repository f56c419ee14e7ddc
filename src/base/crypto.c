/*
 * See crypto.h.
 */
#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret_memory.h"

#define SECRET_BLOCK_MIN 32 /* smallest piece of locked memory: a P-256 scalar */
#define SECRET_LARGE 2048   /* from here on it is no key */

static pthread_once_t crypto_once = PTHREAD_ONCE_INIT;

static void crypto_lay_out(void)
{
	/* Where mlock() is denied OpenSSL still gives guarded memory that no core dump holds. */
	(void)CRYPTO_secure_malloc_init(LIMIT_SECRET_MEMORY, SECRET_BLOCK_MIN);
}

void crypto_init(void)
{
	(void)pthread_once(&crypto_once, crypto_lay_out);
}

/* The laid out memory is for keys, and there is little of it. */
static void *secret_large(size_t n)
{
	void *p = secret_memory_new(n);

	return p ? p : xcalloc(1, n);
}

void *secret_new(size_t n)
{
	void *p;

	if (n >= SECRET_LARGE)
		return secret_large(n);
	crypto_init();
	p = OPENSSL_secure_zalloc(n);
	return p ? p : secret_large(n);
}

void *secret_copy(const void *from, size_t n)
{
	void *p = secret_large(n);

	memcpy(p, from, n);
	return p;
}

void secret_free(void *p, size_t n)
{
	if (p && secret_memory_owns(p))
		secret_memory_free(p);
	else if (CRYPTO_secure_allocated(p))
		OPENSSL_secure_clear_free(p, n);
	else
		mem_burn(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

bool secret_text_equal(const char *secret, const char *given)
{
	uint8_t a[SHA256_LEN], b[SHA256_LEN];

	crypto_sha256(secret, strlen(secret), a);
	crypto_sha256(given, strlen(given), b);
	return secret_equal(a, b, sizeof a);
}

void crypto_sha256(const void *p, size_t n, uint8_t ret[SHA256_LEN])
{
	(void)SHA256(p, n, ret);
}
