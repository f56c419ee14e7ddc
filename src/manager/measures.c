/*
 * See measures.h.
 */
#include "manager/measures.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define STALE_NS (LIMIT_AUTOSCALE_STALE * LIMIT_AUTOSCALE_MS * NS_PER_MS)

static bool is_stale(const struct measure *m, int64_t now_ns)
{
	return now_ns - m->at_ns > STALE_NS;
}

/* Tasks that are gone are not heard of again. */
static void prune(struct measures *m, int64_t now_ns)
{
	struct measure *one, *next;

	if (now_ns - m->pruned_ns < STALE_NS)
		return;
	m->pruned_ns = now_ns;
	HASH_ITER (hh, m->by_task, one, next) {
		if (is_stale(one, now_ns)) {
			HASH_DEL(m->by_task, one);
			free(one);
		}
	}
}

void measures_put(struct measures *m, const struct task_load *l, int64_t now_ns)
{
	struct measure *one;

	if (!l->task || strlen(l->task) > ID_CLUSTER_LEN)
		return;
	prune(m, now_ns);
	HASH_FIND_STR(m->by_task, l->task, one);
	if (!one) {
		one = xcalloc(1, sizeof *one);
		(void)snprintf(one->task, sizeof one->task, "%s", l->task);
		HASH_ADD_STR(m->by_task, task, one);
	}
	one->at_ns = now_ns;
	for (int k = 0; k < AUTOSCALE_KINDS; k++) {
		const int64_t *v = l->value[k];

		one->has[k] = v && *v >= 0 && *v <= LIMIT_METRIC_VALUE;
		one->value[k] = one->has[k] ? *v : 0;
	}
	(void)snprintf(one->error, sizeof one->error, "%s", l->error ? l->error : "");
}

const struct measure *measures_get(const struct measures *m, const char *task, int64_t now_ns)
{
	struct measure *one;

	HASH_FIND_STR(m->by_task, task, one);
	return one && !is_stale(one, now_ns) ? one : NULL;
}

void measures_clear(struct measures *m)
{
	struct measure *one, *next;

	HASH_ITER (hh, m->by_task, one, next) {
		HASH_DEL(m->by_task, one);
		free(one);
	}
	*m = (struct measures){0};
}
