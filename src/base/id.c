/*
 * See id.h.
 */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		n -= (size_t)got;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof v);
	return v;
}

void id_base36(const uint8_t *bytes, size_t n, char *ret, size_t len)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	auto_free uint8_t *work = xmemdup(bytes, n);

	ret[len] = '\0';
	for (size_t at = len; at-- > 0;) {
		unsigned rest = 0;

		for (size_t i = 0; i < n; i++) {
			unsigned v = rest * 256 + work[i];

			work[i] = (uint8_t)(v / 36);
			rest = v % 36;
		}
		ret[at] = digits[rest];
	}
	explicit_bzero(work, n); /* tokens pass through here as well */
}

void id_cluster(char ret[ID_CLUSTER_LEN + 1])
{
	uint8_t bytes[16];

	random_bytes(bytes, sizeof bytes);
	id_base36(bytes, sizeof bytes, ret, ID_CLUSTER_LEN);
}

void id_host(char ret[ID_HOST_LEN + 1])
{
	uint8_t bytes[ID_HOST_LEN / 2];

	random_bytes(bytes, sizeof bytes);
	hex_encode(bytes, sizeof bytes, ret);
}

void hex_encode(const uint8_t *bytes, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *text, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(text[2 * i]);
		int lo = hi < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(hi * 16 + lo);
	}
	return text[2 * n] ? -EINVAL : 0;
}
