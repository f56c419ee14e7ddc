/*
 * See token.h.
 */
#include "model/token.h"

#include <string.h>

#include "base/id.h"

#define TOKEN_PREFIX "SWMTKN-1-"
#define UNLOCK_PREFIX "SWMKEY-1-"
#define PREFIX_LEN 9
#define DIGEST_CHARS 50
#define SECRET_CHARS 25

void join_token_new(const uint8_t root_sha256[SHA256_LEN], struct join_token *ret)
{
	memcpy(ret->root_sha256, root_sha256, SHA256_LEN);
	random_bytes(ret->secret, sizeof ret->secret);
}

void join_token_format(const struct join_token *t, char ret[TOKEN_TEXT_LEN + 1])
{
	memcpy(ret, TOKEN_PREFIX, PREFIX_LEN);
	id_base36(t->root_sha256, SHA256_LEN, ret + PREFIX_LEN, DIGEST_CHARS);
	ret[PREFIX_LEN + DIGEST_CHARS] = '-';
	id_base36(t->secret, TOKEN_SECRET_LEN, ret + PREFIX_LEN + DIGEST_CHARS + 1, SECRET_CHARS);
}

/* Reads `chars` base36 characters as `n` big-endian bytes. -EINVAL when they do not fit. */
static int base36_decode(const char *text, size_t chars, uint8_t *ret, size_t n)
{
	memset(ret, 0, n);
	for (size_t c = 0; c < chars; c++) {
		unsigned carry;

		if (text[c] >= '0' && text[c] <= '9')
			carry = (unsigned)(text[c] - '0');
		else if (text[c] >= 'a' && text[c] <= 'z')
			carry = (unsigned)(text[c] - 'a' + 10);
		else
			return -EINVAL;
		for (size_t i = n; i-- > 0;) {
			carry += ret[i] * 36u;
			ret[i] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return -EINVAL;
	}
	return 0;
}

int join_token_parse(const char *text, struct join_token *ret, struct err *e)
{
	const char *digest = text + PREFIX_LEN, *secret = digest + DIGEST_CHARS + 1;
	struct join_token t;

	if (strncmp(text, TOKEN_PREFIX, PREFIX_LEN) != 0)
		return err_set(e, -EINVAL,
			       "invalid join token: it must begin with " TOKEN_PREFIX
			       " (see swarm join-token)");
	if (strlen(text) != TOKEN_TEXT_LEN || digest[DIGEST_CHARS] != '-' ||
	    base36_decode(digest, DIGEST_CHARS, t.root_sha256, SHA256_LEN) < 0 ||
	    base36_decode(secret, SECRET_CHARS, t.secret, TOKEN_SECRET_LEN) < 0)
		return err_set(e, -EINVAL,
			       "invalid join token: it is not complete (see swarm join-token)");
	*ret = t;
	explicit_bzero(&t, sizeof t);
	return 0;
}

bool join_token_equal(const struct join_token *a, const struct join_token *b)
{
	bool root = secret_equal(a->root_sha256, b->root_sha256, SHA256_LEN);
	bool secret = secret_equal(a->secret, b->secret, TOKEN_SECRET_LEN);

	return root & secret;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Unpadded base64 of 32 bytes is 43 characters: ten groups of three bytes and one of two. */
void unlock_key_format(const uint8_t key[UNLOCK_KEY_LEN], char ret[UNLOCK_TEXT_LEN + 1])
{
	char *out = ret + PREFIX_LEN;

	memcpy(ret, UNLOCK_PREFIX, PREFIX_LEN);
	for (size_t bit = 0; bit < UNLOCK_KEY_LEN * 8; bit += 6) {
		size_t at = bit / 8;
		unsigned two = (unsigned)key[at] << 8;

		if (at + 1 < UNLOCK_KEY_LEN)
			two |= key[at + 1];
		*out++ = base64_digits[two >> (10 - bit % 8) & 63];
	}
	*out = '\0';
}

int unlock_key_parse(const char *text, uint8_t ret[UNLOCK_KEY_LEN], struct err *e)
{
	uint8_t key[UNLOCK_KEY_LEN];
	unsigned held = 0, bits = 0;
	size_t n = 0;

	if (strncmp(text, UNLOCK_PREFIX, PREFIX_LEN) != 0 || strlen(text) != UNLOCK_TEXT_LEN)
		return err_set(e, -EINVAL,
			       "invalid unlock key: it must begin with " UNLOCK_PREFIX
			       " and have 43 characters after it");
	for (const char *s = text + PREFIX_LEN; *s; s++) {
		const char *digit = strchr(base64_digits, *s);

		if (!digit)
			return err_set(e, -EINVAL, "invalid unlock key: it is not base64");
		held = held << 6 | (unsigned)(digit - base64_digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			key[n++] = (uint8_t)(held >> bits);
		}
	}
	if (held & ((1u << bits) - 1))
		return err_set(e, -EINVAL, "invalid unlock key: its last character is wrong");
	memcpy(ret, key, sizeof key);
	explicit_bzero(key, sizeof key);
	return 0;
}
