/*
 * manager/world_uv.h: timers that start one another leave the loop its sockets.
 */
#include "unit/test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "manager/world_uv.h"

static uv_loop_t loop;
static struct world world;
static unsigned fired, turns, most_in_turn, in_turn;
static uint64_t delay;

static void again(struct world_timer *t)
{
	uint64_t until = clock_mono_ms() + 3;

	fired++;
	in_turn++;
	most_in_turn = MAX_OF(most_in_turn, in_turn);
	while (clock_mono_ms() < until)
		; /* work that takes longer than the delay */
	if (fired < 20)
		world_timer_start(&world, t, delay);
}

static void on_turn(uv_check_t *check)
{
	turns++;
	in_turn = 0;
	if (fired >= 20)
		uv_close((uv_handle_t *)check, NULL);
}

static void chains(unsigned n, uint64_t delay_ms)
{
	struct world_timer t[2] = {{.fire = again}, {.fire = again}};
	uv_check_t check;

	assert_int_equal(uv_loop_init(&loop), 0);
	world_uv_init(&world, &loop);
	delay = delay_ms;
	fired = turns = most_in_turn = in_turn = 0;
	(void)uv_check_init(&loop, &check);
	(void)uv_check_start(&check, on_turn);
	for (unsigned i = 0; i < n; i++)
		world_timer_start(&world, &t[i], delay);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_in_range(fired, 20, 21);
	assert_in_range(most_in_turn, 1, n);
	assert_true(turns >= 20 / n);
	assert_null(t[0].impl);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_chain_without_delay_fires_once_a_turn(void **state)
{
	chains(1, 0);
	chains(2, 0);
}

/* One is due again when the other has done its work. */
static void nor_do_short_delays_fire_twice_a_turn(void **state)
{
	chains(1, 1);
	chains(2, 1);
}

static void note(struct world_timer *t)
{
	fired++;
}

static void nobody(struct world_timer *t)
{
	fail();
}

static void is_started_anew_and_stopped(void **state)
{
	struct world_timer t = {.fire = note}, never = {.fire = nobody};
	uint64_t begin = clock_mono_ms();

	assert_int_equal(uv_loop_init(&loop), 0);
	world_uv_init(&world, &loop);
	fired = 0;
	world_timer_start(&world, &t, 0);
	world_timer_start(&world, &t, 1000000);
	world_timer_start(&world, &t, 20);
	world_timer_start(&world, &never, 1);
	world_timer_start(&world, &never, 0);
	world_timer_stop(&world, &never);
	world_timer_stop(&world, &never);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(fired, 1);
	assert_true(clock_mono_ms() - begin >= 19);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_without_delay_fires_once_a_turn),
		cmocka_unit_test(nor_do_short_delays_fire_twice_a_turn),
		cmocka_unit_test(is_started_anew_and_stopped),
	};

	return RUN_TESTS(tests);
}
