/*
 * How fast entries and snapshots are sealed and opened.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/seal.h"

#define SPAN_NS (NS_PER_SEC)

static void measure(struct sealer *s, const char *name, size_t n)
{
	uint8_t *plain = xcalloc(1, n), *box = xmalloc(n + SEAL_OVERHEAD);
	const uint8_t ad[16] = {0};
	int64_t began = clock_mono_ns(), now;
	uint64_t count = 0;

	memset(box, 0, n + SEAL_OVERHEAD);
	for (; (now = clock_mono_ns()) < began + SPAN_NS; count++)
		if (seal_box(s, ad, sizeof ad, plain, n, box) < 0)
			exit(1);
	(void)printf("seal_%s %.2f us\n", name, (double)(now - began) / 1e3 / (double)count);
	(void)printf("seal_%s_bytes %.0f MB/s\n", name,
		     (double)count * (double)n * 1e3 / (double)(now - began));
	began = clock_mono_ns();
	for (count = 0; (now = clock_mono_ns()) < began + SPAN_NS; count++)
		if (seal_open(s, ad, sizeof ad, box, n + SEAL_OVERHEAD, plain) < 0)
			exit(1);
	(void)printf("open_%s %.2f us\n", name, (double)(now - began) / 1e3 / (double)count);
	(void)printf("open_%s_bytes %.0f MB/s\n", name,
		     (double)count * (double)n * 1e3 / (double)(now - began));
	free(plain);
	free(box);
}

int main(void)
{
	struct seal_key *key = seal_key_new();
	struct sealer *s;

	if (sealer_new(key, &s, NULL) < 0)
		return 1;
	measure(s, "256_bytes", 256);
	measure(s, "8_kb", 8192);
	measure(s, "1_mb", 1 << 20);
	sealer_free(s);
	seal_key_unref(key);
	return 0;
}
