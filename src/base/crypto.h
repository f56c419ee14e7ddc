/*
 * What every user of keys needs: memory that is locked and burned, compares in constant time and
 * SHA-256. The only header through which other folders touch OpenSSL's primitives; no type of
 * OpenSSL crosses it. Called by x509, tls, seal and the join tokens.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

/*
 * Lays out the locked memory (LIMIT_SECRET_MEMORY). Every function below and every constructor of
 * x509.h, tls.h and seal.h calls it; calling it again does nothing. Thread-safe.
 */
void crypto_init(void);

/*
 * `n` zeroed bytes in memory that is locked and left out of core dumps, or ordinary memory once
 * that is used up (it is burned all the same). Never NULL. Free with secret_free() and the same
 * `n`; NULL is allowed.
 */
void *secret_new(size_t n);
/* The same with a copy of what lies at `from`; none of the memory for keys is taken by it. */
void *secret_copy(const void *from, size_t n);
void secret_free(void *p, size_t n);

/* Compares in a time that depends on `n` alone. */
bool secret_equal(const void *a, const void *b, size_t n);
/* The same for texts: the time says nothing of where they differ. */
bool secret_text_equal(const char *secret, const char *given);

void crypto_sha256(const void *p, size_t n, uint8_t ret[SHA256_LEN]);
