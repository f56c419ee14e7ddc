/*
 * Prometheus' text format (0.0.4; OpenMetrics' lines as far as they are the same): the sum of one
 * metric's samples out of what a program shows of itself. Read piece by piece as it arrives, with
 * bounds on a line, on lines and on bytes. Pure; called by agent/scrape.
 */
#pragma once

#include "base/table.h"

/* NAME or NAME{label="value",...}: the samples that have these labels, whatever others they have.
 */
struct metric_selector {
	char *name;
	struct strmap labels;
};
/* -EINVAL with a sentence; `ret` is to be freed on success alone. */
int metric_selector_read(const char *text, struct metric_selector *ret, struct err *e);
void metric_selector_done(struct metric_selector *s);

struct exposition {
	const struct metric_selector *selector; /* lent */
	struct buf line;                        /* its beginning */
	size_t bytes, lines;
	size_t samples; /* that were added up */
	double sum;
	bool counter; /* it only ever rises, but for restarts */
};

void exposition_init(struct exposition *x, const struct metric_selector *selector);
void exposition_done(struct exposition *x);
/* -EINVAL: not the format, -EMSGSIZE: past a bound. */
int exposition_feed(struct exposition *x, const char *p, size_t n, struct err *e);
/*
 * After the last piece: the sum in thousandths. -ENOENT: no such sample, -ERANGE: not a number from
 * 0 to LIMIT_METRIC_VALUE.
 */
int exposition_end(struct exposition *x, int64_t *ret, struct err *e);
