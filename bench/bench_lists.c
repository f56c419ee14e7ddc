/*
 * How long the long listings of the Engine API at DOCKER_HOST take: services and tasks as they are
 * there, from the request until the last byte, the median. `bench_lists [TIMES]`. In C, because a
 * script takes longer to read an answer than the engine to write it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine_socket.h"

#define TIMES 31
#define TIMES_MAX 1000

static int order(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(struct engine_socket *s, const char *name, const char *path, size_t times)
{
	int64_t took[TIMES_MAX];
	size_t middle;

	(void)engine_socket_size(s, path); /* to warm up */
	for (size_t i = 0; i < times; i++) {
		int64_t from = clock_mono_ns();

		(void)engine_socket_size(s, path);
		took[i] = clock_mono_ns() - from;
	}
	qsort(took, times, sizeof took[0], order);
	middle = times / 2;
	(void)printf("%s %.3f ms\n", name, (double)took[middle] / 1e6);
}

int main(int argc, char **argv)
{
	size_t times = argc > 1 ? strtoul(argv[1], NULL, 10) : TIMES;
	static struct engine_socket s;

	if (times == 0 || times > TIMES_MAX)
		engine_die("usage", "bench_lists [TIMES]");
	engine_socket_init();
	engine_socket_open(&s);
	measure(&s, "services_list", "/services", times);
	measure(&s, "tasks_list", "/tasks", times);
	return 0;
}
