/*
 * Services without tasks, created by eight clients at once through the Engine API at DOCKER_HOST (a
 * unix socket; Shoal's own by default), which may be any engine's that manages a swarm. They are
 * removed again. In C, because a client in a script would take the processor from what it measures.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define CLIENTS 8
#define SECONDS 5
#define WARM_UP 100 /* services that are not counted, before */
#define ANSWER_MAX 65536
#define REQUEST_MAX 1024

static struct sockaddr_un address = {.sun_family = AF_UNIX};

struct client {
	pthread_t thread;
	int fd, number;
	unsigned made, failed;
	int64_t span_ns;
	char answer[ANSWER_MAX];
};

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_services: %s: %s\n", what, why);
	exit(1);
}

static int connect_one(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(address.sun_path, strerror(errno));
	return fd;
}

/* Bytes that the answer has in all; 0 while that is not known. */
static size_t answer_size(const char *text)
{
	static const char field[] = "\r\nContent-Length:";
	const char *end = strstr(text, "\r\n\r\n"), *at;

	if (!end)
		return 0;
	for (at = text; at < end; at++)
		if (strncasecmp(at, field, sizeof field - 1) == 0)
			return (size_t)(end + 4 - text) + strtoul(at + sizeof field - 1, NULL, 10);
	return (size_t)(end + 4 - text);
}

/* The status of the answer to a request. */
static int ask(struct client *c, const char *request)
{
	size_t n = strlen(request), have = 0, size;

	if (write(c->fd, request, n) != (ssize_t)n)
		die("a request", "cannot be written");
	do {
		ssize_t got = read(c->fd, c->answer + have, sizeof c->answer - 1 - have);

		if (got <= 0)
			die("an answer", got < 0 ? strerror(errno) : "the connection was closed");
		have += (size_t)got;
		c->answer[have] = '\0';
		size = answer_size(c->answer);
	} while (size == 0 || have < size);
	return (int)strtol(c->answer + strlen("HTTP/1.1 "), NULL, 10);
}

static bool service_create(struct client *c, unsigned number)
{
	char body[REQUEST_MAX / 2], request[REQUEST_MAX];
	int n = snprintf(body, sizeof body,
			 "{\"Name\":\"bench-%d-%d-%u\",\"Mode\":{\"Replicated\":{\"Replicas\":0}},"
			 "\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"none:1\"}}}",
			 (int)getpid(), c->number, number);

	(void)snprintf(request, sizeof request,
		       "POST /services/create HTTP/1.1\r\nHost: x\r\n"
		       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		       n, body);
	return ask(c, request) == 201;
}

static void service_remove(struct client *c, unsigned number)
{
	char request[REQUEST_MAX];

	(void)snprintf(request, sizeof request,
		       "DELETE /services/bench-%d-%d-%u HTTP/1.1\r\nHost: x\r\n\r\n", (int)getpid(),
		       c->number, number);
	if (ask(c, request) != 200)
		die("a service cannot be removed", c->answer);
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
			die("a thread", "cannot be made");
	for (int i = 0; i < CLIENTS; i++)
		(void)pthread_join(clients[i].thread, NULL);
}

int main(int argc, char **argv)
{
	const char *host = getenv("DOCKER_HOST"), scheme[] = "unix://";
	double seconds = argc > 1 ? strtod(argv[1], NULL) : SECONDS, rate = 0;
	static struct client clients[CLIENTS];

	if (!host)
		host = "unix:///run/shoal/shoal.sock";
	if (strncmp(host, scheme, sizeof scheme - 1) != 0 ||
	    strlen(host + sizeof scheme - 1) >= sizeof address.sun_path)
		die(host, "only unix:// sockets can be measured");
	memcpy(address.sun_path, host + sizeof scheme - 1, strlen(host + sizeof scheme - 1));
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].fd = connect_one();
		clients[i].number = i;
		clients[i].span_ns = (int64_t)(seconds * (double)NS_PER_SEC);
	}
	run(clients, create_all);
	for (int i = 0; i < CLIENTS; i++) {
		if (clients[i].failed)
			die("a service was not created", clients[i].answer);
		rate += clients[i].made * (double)NS_PER_SEC / (double)clients[i].span_ns;
	}
	(void)printf("services_created %.0f services/s\n", rate);
	run(clients, remove_all);
	return 0;
}
