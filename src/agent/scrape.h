/*
 * Reads one metric of a program in a container: GET over HTTP on 127.0.0.1 in the container's
 * network, with bounds on time, bytes and lines. The program is a stranger. Called by
 * agent/measure, on the loop thread.
 */
#pragma once

#include "agent/engine.h"
#include "model/exposition.h"

struct scrape_target {
	int64_t pid;       /* of the container */
	bool host_network; /* it has the host's */
	uint32_t port;
	const char *path;
	const struct metric_selector *selector; /* lent until the end */
};

/* The sum in thousandths and whether it is a counter's, or the reason. Never from within the call.
 */
typedef void (*scrape_done)(void *arg, int status, int64_t sum, bool counter, const struct err *e);

struct scrape;
struct scrape *scrape_start(struct engine *e, const struct scrape_target *t, scrape_done done,
			    void *arg);
/* `done` does not come; the target's selector is not used any more. */
void scrape_cancel(struct scrape *s);
