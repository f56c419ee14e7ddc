/*
 * See crypto.h.
 */
#include "base/crypto.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret_memory.h"

#define KEY_MIN 32 /* smallest piece of the locked memory: a P-256 scalar */

static pthread_once_t crypto_once = PTHREAD_ONCE_INIT;

/* Plaintext lies in what it frees: it decrypts each record where it has read it. */
static void wiping_free(void *p, const char *file, int line)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *plain_malloc(size_t n, const char *file, int line)
{
	return malloc(n);
}

static void *wiping_realloc(void *p, size_t n, const char *file, int line)
{
	void *ret = malloc(n);

	if (ret && p) {
		memcpy(ret, p, MIN_OF(n, malloc_usable_size(p)));
		wiping_free(p, file, line);
	}
	return ret;
}

static void crypto_lay_out(void)
{
	/* SSL_OP_CLEANSE_PLAINTEXT does it twice, slowly: a quarter of a stream's rate. */
	(void)CRYPTO_set_mem_functions(plain_malloc, wiping_realloc, wiping_free);
	/* Where mlock() is denied OpenSSL still gives guarded memory that no core dump holds. */
	if (CRYPTO_secure_malloc_init(LIMIT_KEY_MEMORY, KEY_MIN) != 1)
		secret_loose_found(-ENOMEM);
}

void crypto_init(void)
{
	(void)pthread_once(&crypto_once, crypto_lay_out);
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
