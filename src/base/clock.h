/*
 * Clocks and time as text. Times are int64_t nanoseconds since the epoch (0 is Go's zero time,
 * which the Engine API writes as "0001-01-01T00:00:00Z"); durations are nanoseconds as well.
 * The cores of the manager never call these: they are given the time.
 */
#pragma once

#include <stdint.h>

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS 1000000LL
/* ns; 73 years, the longest span that is taken: sums of such with a clock's cannot overflow. */
#define NS_SPAN_MAX (INT64_MAX / 4)
#define TIME_TEXT_MAX 40

int64_t clock_wall_ns(void);
int64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);

/* RFC 3339 in UTC with as many digits as needed (Go's RFC3339Nano). */
void time_format(int64_t wall_ns, char ret[TIME_TEXT_MAX]);
/* The same with exactly nine digits, as in logs. */
void time_format_fixed(int64_t wall_ns, char ret[TIME_TEXT_MAX]);
/* Reads RFC 3339 with any offset and fraction. 0 or -EINVAL. */
int time_parse(const char *text, int64_t *ret_wall_ns);
/*
 * Reads what the Engine API takes for since and until: seconds with an optional fraction, RFC 3339
 * (with or without zone, UTC then), or a Go duration before `now_ns`. 0 or -EINVAL.
 */
int time_parse_query(const char *text, int64_t now_ns, int64_t *ret_wall_ns);
/* Reads a Go duration ("1h2m3.5s", "300ms", "-5s", "0"). 0, -EINVAL or -ERANGE. */
int duration_parse(const char *text, int64_t *ret_ns);
/* A duration as Go prints it: "1m30s", "1.5s", "0s". */
#define DURATION_TEXT_MAX 64
void duration_format(int64_t ns, char ret[DURATION_TEXT_MAX]);
