/*
 * What every user of keys needs: OpenSSL's locked memory, compares in constant time and SHA-256
 * (our own is secret_memory.h's). The only header through which other folders touch OpenSSL's
 * primitives; no type of OpenSSL crosses it. Called by x509, tls, seal and the join tokens.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

/*
 * Lays out that memory (LIMIT_KEY_MEMORY), and has OpenSSL overwrite what it frees: the latter only
 * before it has taken any, so main() calls it. Every constructor of x509.h, tls.h and seal.h calls
 * it; calling it again does nothing. Thread-safe.
 */
void crypto_init(void);

/* Compares in a time that depends on `n` alone. */
bool secret_equal(const void *a, const void *b, size_t n);
/* The same for texts: the time says nothing of where they differ. */
bool secret_text_equal(const char *secret, const char *given);

void crypto_sha256(const void *p, size_t n, uint8_t ret[SHA256_LEN]);
