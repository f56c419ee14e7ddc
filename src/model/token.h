/*
 * The secrets that people carry between nodes: join tokens (SWMTKN-1-<sha256 of the root
 * certificate>-<secret>) and unlock keys (SWMKEY-1-<key>), in Swarm's form. Pure. The joining side
 * reads the root's digest from them, the CA (manager/ca.h) compares the secret.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"
#include "base/err.h"

#define TOKEN_SECRET_LEN 16
#define TOKEN_TEXT_LEN 85 /* "SWMTKN-1-", 50 characters of digest, "-", 25 of secret */
#define UNLOCK_KEY_LEN 32
#define UNLOCK_TEXT_LEN 52 /* "SWMKEY-1-" and 43 characters of base64 */

struct join_token {
	uint8_t root_sha256[SHA256_LEN]; /* of the cluster's root certificate in DER */
	uint8_t secret[TOKEN_SECRET_LEN];
};

/* Draws a new secret. */
void join_token_new(const uint8_t root_sha256[SHA256_LEN], struct join_token *ret);
void join_token_format(const struct join_token *t, char ret[TOKEN_TEXT_LEN + 1]);
/* 0, or -EINVAL with a sentence that does not repeat the token. */
int join_token_parse(const char *text, struct join_token *ret, struct err *e);
/* In constant time. */
bool join_token_equal(const struct join_token *a, const struct join_token *b);

void unlock_key_format(const uint8_t key[UNLOCK_KEY_LEN], char ret[UNLOCK_TEXT_LEN + 1]);
/* 0 or -EINVAL. */
int unlock_key_parse(const char *text, uint8_t ret[UNLOCK_KEY_LEN], struct err *e);
