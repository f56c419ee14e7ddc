/*
 * Times and durations as clients send them: any bytes must be read or refused, and what was read
 * as a time must be read again as the same time from its own text.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	char again[TIME_TEXT_MAX];
	int64_t ns, ns_again;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (time_parse(text, &ns) == 0) {
		time_format(ns, again);
		assert(time_parse(again, &ns_again) == 0 && ns_again == ns);
	}
	(void)time_parse_query(text, 1700000000LL * NS_PER_SEC, &ns);
	(void)duration_parse(text, &ns);
	free(text);
	return 0;
}
