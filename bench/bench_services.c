/*
 * Services without tasks, created by eight clients at once through the Engine API at DOCKER_HOST (a
 * unix socket; Shoal's own by default), which may be any engine's that manages a swarm. They are
 * removed again. In C, because a client in a script would take the processor from what it measures.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine_socket.h"

#define CLIENTS 8
#define SECONDS 5
#define WARM_UP 100 /* services that are not counted, before */
#define BODY_MAX 512

struct client {
	pthread_t thread;
	struct engine_socket socket;
	int number;
	unsigned made, failed;
	int64_t span_ns;
};

static bool service_create(struct client *c, unsigned number)
{
	char body[BODY_MAX];

	(void)snprintf(body, sizeof body,
		       "{\"Name\":\"bench-%d-%d-%u\",\"Mode\":{\"Replicated\":{\"Replicas\":0}},"
		       "\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"none:1\"}}}",
		       (int)getpid(), c->number, number);
	return engine_socket_ask(&c->socket, "POST", "/services/create", body) == 201;
}

static void service_remove(struct client *c, unsigned number)
{
	char path[BODY_MAX];

	(void)snprintf(path, sizeof path, "/services/bench-%d-%d-%u", (int)getpid(), c->number,
		       number);
	engine_socket_must(&c->socket, 200, "DELETE", path, NULL);
}

static void *create_all(void *data)
{
	struct client *c = data;
	int64_t from, end;

	while (c->made < WARM_UP / CLIENTS && !c->failed)
		service_create(c, c->made) ? c->made++ : c->failed++;
	from = clock_mono_ns();
	end = from + c->span_ns;
	for (c->made = 0; !c->failed && clock_mono_ns() < end;)
		service_create(c, WARM_UP + c->made) ? c->made++ : c->failed++;
	c->span_ns = clock_mono_ns() - from;
	return NULL;
}

static void *remove_all(void *data)
{
	struct client *c = data;

	for (unsigned i = 0; i < WARM_UP / CLIENTS; i++)
		service_remove(c, i);
	for (unsigned i = 0; i < c->made; i++)
		service_remove(c, WARM_UP + i);
	return NULL;
}

static void run(struct client *clients, void *(*all)(void *))
{
	for (int i = 0; i < CLIENTS; i++)
		if (pthread_create(&clients[i].thread, NULL, all, &clients[i]) != 0)
			engine_die("a thread", "cannot be made");
	for (int i = 0; i < CLIENTS; i++)
		(void)pthread_join(clients[i].thread, NULL);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : SECONDS, rate = 0;
	static struct client clients[CLIENTS];

	engine_socket_init();
	for (int i = 0; i < CLIENTS; i++) {
		engine_socket_open(&clients[i].socket);
		clients[i].number = i;
		clients[i].span_ns = (int64_t)(seconds * (double)NS_PER_SEC);
	}
	run(clients, create_all);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].failed)
			engine_die("a service was not created", clients[i].socket.answer);
		rate += clients[i].made * (double)NS_PER_SEC / (double)clients[i].span_ns;
	}
	(void)printf("services_created %.0f services/s\n", rate);
	run(clients, remove_all);
	return 0;
}
