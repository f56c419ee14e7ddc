/*
 * Metrics as any program may show them: read or refused with a sentence, in pieces of any size
 * alike. The first line is the selector.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "model/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sum(const struct metric_selector *s, const char *p, size_t n, size_t piece, int64_t *ret)
{
	struct exposition x;
	struct err e = ERR_INIT;
	int rc = 0;

	exposition_init(&x, s);
	for (size_t at = 0; rc == 0 && at < n; at += piece)
		rc = exposition_feed(&x, p + at, MIN_OF(piece, n - at), &e);
	if (rc == 0)
		rc = exposition_end(&x, ret, &e);
	assert(rc == 0 || (*e.msg && e.code == rc));
	exposition_done(&x);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t n = newline ? (size_t)(newline - data) : size;
	auto_free char *text = xstrndup((const char *)data, n);
	struct metric_selector s;
	struct err e = ERR_INIT;
	int64_t whole = 0, pieces = 0;
	int rc;

	if (metric_selector_read(text, &s, &e) < 0 || !newline) {
		if (!e.code)
			metric_selector_done(&s);
		return 0;
	}
	rc = sum(&s, (const char *)newline + 1, size - n - 1, SIZE_MAX / 2, &whole);
	assert(sum(&s, (const char *)newline + 1, size - n - 1, 3, &pieces) == rc);
	assert(whole == pieces && whole >= 0 && whole <= LIMIT_METRIC_VALUE);
	metric_selector_done(&s);
	return 0;
}
