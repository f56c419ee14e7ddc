/*
 * How long to wait before the next try: doubling between two bounds, with jitter so that many
 * that lost one peer do not come back in step. Pure: the random number is given. Used by the
 * dialer of stream.h and by whatever retries on its own timers, the simulation too.
 */
#pragma once

#include <stdint.h>

struct backoff {
	uint32_t min_ms, max_ms;
	uint32_t tries; /* since the last success */
};

/* What reconnecting nodes use (Swarm's bounds). */
#define BACKOFF_INIT ((struct backoff){.min_ms = 100, .max_ms = 8000})

/* Milliseconds to wait: between half and the whole of min * 2^tries, at most max. Counts a try. */
uint32_t backoff_next_ms(struct backoff *b, uint64_t random);
void backoff_reset(struct backoff *b);
