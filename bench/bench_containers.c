/*
 * Containers through the Engine API at DOCKER_HOST: made, started, waited for and removed, one
 * after the other and by sixteen clients at once, with and without a network of their own; and a
 * further process in one that runs. The image is the argument. In C, because a client in a script
 * would take the processor from what it measures.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine_socket.h"

#define CLIENTS 16
#define SECONDS 4
#define ROUNDS 60
#define WARM_UP 3
#define TEXT_MAX 1024

static const char *image;

struct client {
	pthread_t thread;
	struct engine_socket socket;
	unsigned made;
	int64_t end_ns, last_ns;
};

static void create(struct engine_socket *s, const char *network, const char *command, char *id)
{
	char body[TEXT_MAX];

	(void)snprintf(body, sizeof body,
		       "{\"Image\":\"%s\",\"Cmd\":%s,\"HostConfig\":{\"NetworkMode\":\"%s\"}}",
		       image, command, network);
	engine_socket_must(s, 201, "POST", "/v1.41/containers/create", body);
	engine_socket_id(s, id);
}

static void act(struct engine_socket *s, int status, const char *method, const char *id,
		const char *what)
{
	char path[TEXT_MAX];

	(void)snprintf(path, sizeof path, "/v1.41/containers/%s%s", id, what);
	engine_socket_must(s, status, method, path, NULL);
}

static void one_life(struct engine_socket *s, const char *network)
{
	char id[65];

	create(s, network, "[\"/bin/true\"]", id);
	act(s, 204, "POST", id, "/start");
	act(s, 200, "POST", id, "/wait");
	act(s, 204, "DELETE", id, "");
}

static void one_exec(struct engine_socket *s, const char *container)
{
	char path[TEXT_MAX], id[65];

	(void)snprintf(path, sizeof path, "/v1.41/containers/%s/exec", container);
	engine_socket_must(s, 201, "POST", path,
			   "{\"Cmd\":[\"/bin/true\"],\"AttachStdout\":true,\"AttachStderr\":true}");
	engine_socket_id(s, id);
	(void)snprintf(path, sizeof path, "/v1.41/exec/%s/start", id);
	engine_socket_stream(path, "{}");
	(void)snprintf(path, sizeof path, "/v1.41/exec/%s/json", id);
	engine_socket_must(s, 200, "GET", path, NULL);
	if (!strstr(s->answer, "\"ExitCode\":0"))
		engine_die("exec", s->answer);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median, in ms, of what `one` takes. */
static double median_of(struct engine_socket *s, void (*one)(struct engine_socket *s, const char *),
			const char *arg, int rounds)
{
	double ms[ROUNDS];

	for (int i = -WARM_UP; i < rounds; i++) {
		int64_t from = clock_mono_ns();

		one(s, arg);
		if (i >= 0)
			ms[i] = (double)(clock_mono_ns() - from) / (double)NS_PER_MS;
	}
	qsort(ms, (size_t)rounds, sizeof *ms, by_size);
	return ms[rounds / 2];
}

static void *live_on(void *data)
{
	struct client *c = data;

	while (clock_mono_ns() < c->end_ns) {
		one_life(&c->socket, "default");
		c->made++;
	}
	c->last_ns = clock_mono_ns();
	return NULL;
}

static double rate_of(double seconds)
{
	static struct client clients[CLIENTS];
	int64_t from = clock_mono_ns(), last = from;
	unsigned made = 0;

	for (int i = 0; i < CLIENTS; i++) {
		engine_socket_open(&clients[i].socket);
		clients[i].end_ns = from + (int64_t)(seconds * (double)NS_PER_SEC);
		if (pthread_create(&clients[i].thread, NULL, live_on, &clients[i]) != 0)
			engine_die("a thread", "cannot be made");
	}
	for (int i = 0; i < CLIENTS; i++) {
		(void)pthread_join(clients[i].thread, NULL);
		made += clients[i].made;
		last = MAX_OF(last, clients[i].last_ns);
	}
	return made * (double)NS_PER_SEC / (double)(last - from);
}

int main(int argc, char **argv)
{
	static struct engine_socket s;
	bool brief = argc > 2 && strcmp(argv[2], "brief") == 0;
	int rounds = brief ? 2 : ROUNDS;
	char id[65];

	if (argc < 2)
		engine_die("usage", "bench_containers IMAGE [brief]");
	image = argv[1];
	engine_socket_init();
	engine_socket_open(&s);
	(void)printf("container_bridge %.2f ms\n", median_of(&s, one_life, "default", rounds));
	(void)printf("container_none %.2f ms\n", median_of(&s, one_life, "none", rounds));
	(void)printf("containers_by_16 %.1f containers/s\n", rate_of(brief ? 0.2 : SECONDS));
	create(&s, "none", "[\"sleep\",\"1000\"]", id);
	act(&s, 204, "POST", id, "/start");
	(void)printf("exec %.2f ms\n", median_of(&s, one_exec, id, rounds));
	act(&s, 204, "DELETE", id, "?force=1");
	return 0;
}
