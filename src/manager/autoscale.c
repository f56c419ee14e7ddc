/*
 * See autoscale.h.
 */
#include "manager/autoscale.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STEP_FACTOR 2 /* one verdict at most doubles a service, */
#define STEP_LEAST 4  /* or adds so many */

void autoscale_tally_add(struct autoscale_tally *t, int64_t value)
{
	t->sum = value > INT64_MAX - t->sum ? INT64_MAX : t->sum + value;
	t->tasks++;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t ret;

	return __builtin_mul_overflow(a, b, &ret) ? UINT64_MAX : ret;
}

/* So many percent of n. */
static uint64_t percent(uint64_t n, uint64_t of_hundred)
{
	uint64_t whole = times(n / 100, of_hundred), rest = n % 100 * of_hundred / 100;

	return whole > UINT64_MAX - rest ? UINT64_MAX : whole + rest;
}

/* What one target asks for; *ret_blind as in struct autoscale_verdict. */
static uint64_t target_judge(const struct autoscale *a, enum autoscale_kind kind,
			     const struct autoscale_look *l, bool *ret_blind)
{
	const struct autoscale_tally *t = &l->tally[kind];
	uint64_t sum = (uint64_t)t->sum, target = (uint64_t)a->target[kind];
	uint64_t meant = times(t->tasks, target), n = l->replicas;
	uint64_t all = times(t->tasks + t->coming + t->missing, target);
	uint64_t fair = sum / target + !!(sum % target);

	if (!t->tasks) {
		*ret_blind = true;
		return n;
	}
	if (sum > percent(meant, 100 + a->tolerance))
		return sum > percent(all, 100 + a->tolerance) ? MAX_OF(n, fair) : n;
	if (sum >= percent(meant, 100 - a->tolerance))
		return n;
	*ret_blind |= t->missing > 0;
	return MIN_OF(n, MAX_OF(fair, (uint64_t)1));
}

void autoscale_judge(const struct autoscale *a, const struct autoscale_look *l,
		     struct autoscale_verdict *ret)
{
	struct autoscale_verdict v = {0};
	uint64_t most = MAX_OF(l->replicas * STEP_FACTOR, l->replicas + STEP_LEAST);

	for (int k = 0; k < AUTOSCALE_KINDS; k++) {
		uint64_t wanted;

		if (!a->target[k])
			continue;
		wanted = target_judge(a, (enum autoscale_kind)k, l, &v.blind);
		if (wanted > v.wanted) {
			v.wanted = wanted;
			v.by = (enum autoscale_kind)k;
		}
	}
	if (v.blind)
		v.wanted = MAX_OF(v.wanted, l->replicas);
	v.wanted = autoscale_clamp(a, MIN_OF(v.wanted, most));
	*ret = v;
}

static void wishes_drop(struct autoscale_window *w, size_t from, size_t n)
{
	memmove(&w->wishes.v[from], &w->wishes.v[from + n],
		(w->wishes.n - from - n) * sizeof *w->wishes.v);
	w->wishes.n -= n;
}

void autoscale_window_add(struct autoscale_window *w, int64_t span_ns, int64_t now_ns,
			  uint64_t wanted)
{
	struct autoscale_wish *last;
	size_t old = 0;

	while (old < w->wishes.n && w->wishes.v[old].at_ns < now_ns - span_ns)
		old++;
	if (old)
		wishes_drop(w, 0, old);
	while (w->wishes.n) {
		last = &w->wishes.v[w->wishes.n - 1];
		if (w->smallest ? last->wanted < wanted : last->wanted > wanted)
			break;
		w->wishes.n--;
	}
	*LIST_ADD(&w->wishes) = (struct autoscale_wish){now_ns, wanted};
}

uint64_t autoscale_window_bound(const struct autoscale_window *w)
{
	return w->wishes.v[0].wanted;
}

int64_t autoscale_window_until(const struct autoscale_window *w, int64_t span_ns, uint64_t replicas)
{
	int64_t ret = 0;

	LIST_EACH (wish, &w->wishes)
		if (wish->wanted >= replicas)
			ret = wish->at_ns + span_ns;
	return ret;
}

void autoscale_window_clear(struct autoscale_window *w)
{
	free(w->wishes.v);
	w->wishes.v = NULL;
	w->wishes.n = 0;
}
