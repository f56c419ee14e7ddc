/*
 * How many replicas a load asks for: a table of cases, and the windows.
 */
#include "manager/autoscale.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit/test.h"

struct judge_case {
	const char *what;
	uint64_t replicas, min, max;
	int64_t target;
	uint32_t tolerance;
	struct autoscale_tally t;
	uint64_t wanted;
	bool blind;
};

static const struct judge_case cases[] = {
	{"at the target", 2, 1, 9, 70, 10, {140, 2, 0, 0}, 2, false},
	{"within the tolerance above", 2, 1, 9, 70, 10, {154, 2, 0, 0}, 2, false},
	{"just past it", 2, 1, 9, 70, 10, {155, 2, 0, 0}, 3, false},
	{"within the tolerance below", 2, 1, 9, 70, 10, {126, 2, 0, 0}, 2, false},
	{"below it, but rounded up", 2, 1, 9, 70, 10, {125, 2, 0, 0}, 2, false},
	{"without a tolerance", 2, 1, 9, 70, 0, {141, 2, 0, 0}, 3, false},
	{"half", 4, 1, 9, 50, 10, {100, 4, 0, 0}, 2, false},
	{"twice", 2, 1, 9, 50, 10, {200, 2, 0, 0}, 4, false},
	{"nothing to do", 4, 1, 9, 50, 10, {0, 4, 0, 0}, 1, false},
	{"nothing to do, but a bound", 4, 3, 9, 50, 10, {0, 4, 0, 0}, 3, false},
	{"more than the bound", 8, 1, 9, 50, 10, {1000, 8, 0, 0}, 9, false},
	{"at most twice", 8, 1, 99, 50, 10, {5000, 8, 0, 0}, 16, false},
	{"or four more", 1, 1, 99, 50, 10, {5000, 1, 0, 0}, 5, false},
	{"nothing known", 4, 1, 9, 50, 10, {0, 0, 2, 2}, 4, true},
	{"nothing known, below the bound", 1, 2, 9, 50, 10, {0, 0, 1, 0}, 2, true},
	{"nothing known, above the bound", 12, 2, 9, 50, 10, {0, 0, 1, 0}, 9, true},
	{"missing holds what would go", 4, 1, 9, 50, 10, {30, 3, 0, 1}, 4, true},
	{"missing counts as idle upwards", 4, 1, 9, 50, 10, {210, 3, 0, 1}, 4, false},
	{"but may be too little all the same", 4, 1, 9, 50, 10, {240, 3, 0, 1}, 5, false},
	{"coming counts as idle upwards", 4, 1, 9, 50, 10, {200, 2, 2, 0}, 4, false},
	{"coming is left out downwards", 4, 1, 9, 50, 10, {50, 2, 2, 0}, 1, false},
	{"what runs is at the target, the others come", 4, 1, 9, 50, 10, {100, 2, 2, 0}, 4, false},
	{"less would do than there are, upwards", 9, 1, 9, 50, 10, {180, 2, 0, 0}, 9, false},
	{"the largest numbers",
	 LIMIT_REPLICAS,
	 1,
	 LIMIT_REPLICAS,
	 LIMIT_METRIC_VALUE,
	 10,
	 {INT64_MAX, LIMIT_REPLICAS, 0, 0},
	 9224, /* the sum is at its end */
	 false},
	{"the smallest target",
	 LIMIT_REPLICAS,
	 1,
	 LIMIT_REPLICAS,
	 1,
	 0,
	 {INT64_MAX, 1, LIMIT_REPLICAS, LIMIT_REPLICAS},
	 LIMIT_REPLICAS,
	 false},
};

static void one_target(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct judge_case *c = &cases[i];
		struct autoscale a = {.min = c->min, .max = c->max, .tolerance = c->tolerance};
		struct autoscale_look l = {.replicas = c->replicas};
		struct autoscale_verdict v;

		for (int kind = 0; kind < AUTOSCALE_KINDS; kind++) {
			a.target[kind] = c->target;
			l.tally[kind] = c->t;
			autoscale_judge(&a, &l, &v);
			if (v.wanted != c->wanted || v.blind != c->blind)
				fail_msg("%s: %d, %d", c->what, (int)v.wanted, v.blind);
			a.target[kind] = 0;
		}
	}
}

static void several_targets(void **state)
{
	struct autoscale a = {.min = 1, .max = 9, .target = {50, 100, 0}};
	struct autoscale_look l = {.replicas = 3, .tally = {{30, 3, 0, 0}, {600, 3, 0, 0}}};
	struct autoscale_verdict v;

	autoscale_judge(&a, &l, &v); /* the most that any asks for */
	assert_true(v.wanted == 6 && v.by == AUTOSCALE_MEMORY && !v.blind);
	l.tally[AUTOSCALE_MEMORY] = (struct autoscale_tally){150, 3, 0, 0};
	autoscale_judge(&a, &l, &v);
	assert_true(v.wanted == 2 && v.by == AUTOSCALE_MEMORY && !v.blind);
	/* One of them is not known: the other may raise the number, and not lower it. */
	l.tally[AUTOSCALE_MEMORY] = (struct autoscale_tally){0, 0, 0, 3};
	autoscale_judge(&a, &l, &v);
	assert_true(v.wanted == 3 && v.blind);
	l.tally[AUTOSCALE_CPU].sum = 400;
	autoscale_judge(&a, &l, &v);
	assert_true(v.wanted == 7 && v.by == AUTOSCALE_CPU);
}

static void sums_saturate(void **state)
{
	struct autoscale_tally t = {0};

	for (int i = 0; i < 10000; i++)
		autoscale_tally_add(&t, LIMIT_METRIC_VALUE);
	assert_true(t.sum == INT64_MAX && t.tasks == 10000);
}

#define S NS_PER_SEC

static void windows(void **state)
{
	struct autoscale_window w = {0}, least = {.smallest = true};

	autoscale_window_add(&w, 60 * S, 0, 5);
	autoscale_window_add(&w, 60 * S, 10 * S, 3);
	autoscale_window_add(&w, 60 * S, 20 * S, 4);
	assert_int_equal(autoscale_window_bound(&w), 5);
	assert_int_equal(w.wishes.n, 2); /* 3 was outdone */
	assert_int_equal(autoscale_window_until(&w, 60 * S, 5), 60 * S);
	assert_int_equal(autoscale_window_until(&w, 60 * S, 4), 80 * S);
	assert_int_equal(autoscale_window_until(&w, 60 * S, 6), 0);
	autoscale_window_add(&w, 60 * S, 60 * S, 1);
	assert_int_equal(autoscale_window_bound(&w), 5);
	autoscale_window_add(&w, 60 * S, 61 * S, 1);
	assert_int_equal(autoscale_window_bound(&w), 4);
	autoscale_window_add(&w, 0, 62 * S, 1); /* no window any more */
	assert_int_equal(autoscale_window_bound(&w), 1);
	autoscale_window_clear(&w);

	autoscale_window_add(&least, 30 * S, 0, 2);
	autoscale_window_add(&least, 30 * S, 10 * S, 6);
	autoscale_window_add(&least, 30 * S, 20 * S, 4);
	assert_int_equal(autoscale_window_bound(&least), 2);
	autoscale_window_add(&least, 30 * S, 31 * S, 7);
	assert_int_equal(autoscale_window_bound(&least), 4);
	autoscale_window_clear(&least);
}

/* However long, and however the load goes, what is kept is bounded by the span. */
static void windows_are_bounded(void **state)
{
	struct autoscale_window w = {0};
	int64_t span = LIMIT_AUTOSCALE_WINDOW_S * S, period = LIMIT_AUTOSCALE_MS * NS_PER_MS;

	for (uint64_t i = 0; i < 5000; i++) {
		autoscale_window_add(&w, span, (int64_t)i * period, LIMIT_REPLICAS - i);
		assert_in_range(w.wishes.n, 1, span / period + 1);
	}
	assert_int_equal(w.wishes.n, span / period + 1);
	autoscale_window_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_target), TEST(several_targets),     TEST(sums_saturate),
		TEST(windows),    TEST(windows_are_bounded),
	};

	return RUN_TESTS(tests);
}
