/*
 * See digest.h. OpenSSL's EVP interface picks the machine's SHA instructions.
 */
#include "runtime/image/digest.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/id.h"

struct digest {
	EVP_MD_CTX *ctx;
};

/* Can only fail without memory, which nothing here survives. */
static void digest_start(struct digest *d)
{
	if (EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) != 1)
		abort();
}

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof *d);

	d->ctx = EVP_MD_CTX_new();
	if (!d->ctx)
		abort();
	digest_start(d);
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_free_at(struct digest **d)
{
	digest_free(*d);
	*d = NULL;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
	if (EVP_DigestUpdate(d->ctx, p, n) != 1)
		abort();
}

void digest_end(struct digest *d, char ret[DIGEST_TEXT_LEN + 1])
{
	unsigned char sum[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(d->ctx, sum, NULL) != 1)
		abort();
	memcpy(ret, "sha256:", 7);
	hex_encode(sum, 32, ret + 7);
	digest_start(d);
}

void digest_of(const void *p, size_t n, char ret[DIGEST_TEXT_LEN + 1])
{
	auto_digest *d = digest_new();

	digest_add(d, p, n);
	digest_end(d, ret);
}
