/*
 * See backoff.h.
 */
#include "base/backoff.h"

#define BACKOFF_TRIES_MAX 31 /* beyond it doubling changes nothing */

uint32_t backoff_next_ms(struct backoff *b, uint64_t random)
{
	uint64_t wait = (uint64_t)b->min_ms << b->tries;

	if (wait > b->max_ms)
		wait = b->max_ms;
	if (b->tries < BACKOFF_TRIES_MAX)
		b->tries++;
	return (uint32_t)(wait - wait / 2 + random % (wait / 2 + 1));
}

void backoff_reset(struct backoff *b)
{
	b->tries = 0;
}
