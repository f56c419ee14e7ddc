/*
 * How many trivial requests a second one loop thread answers over its unix socket to eight
 * keep-alive clients, and what an idle connection costs in memory.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "api/ping.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/mem.h"

#define CLIENTS 8
#define IDLE 900
#define SPAN_NS (3 * NS_PER_SEC)

static char path[64];

static void ping_info(struct api_ping_info *ret, void *data)
{
	ret->swarm = "active/manager";
}

static void serve(int ready_fd)
{
	struct api_ping ping = {.info = ping_info};
	struct api_router *router = api_router_new();
	struct http_server_opts opts = {.request = api_router_request, .data = router};
	struct http_server *server;
	struct err e = ERR_INIT;
	uv_loop_t loop;
	char url[80];

	api_ping_add(router, &ping);
	(void)snprintf(url, sizeof(url), "unix://%s", path);
	if (uv_loop_init(&loop) < 0 || http_server_new(&loop, &opts, &server, &e) < 0 ||
	    http_server_listen(server, url, NULL, &e) < 0)
		_exit(1);
	api_router_headers(server);
	if (write(ready_fd, "r", 1) != 1)
		_exit(1);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

static int open_one(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	return fd;
}

static void ask(int fd)
{
	static const char request[] = "GET /v1.44/_ping HTTP/1.1\r\nHost: x\r\n\r\n";
	char answer[4096];
	ssize_t n;

	if (write(fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
		exit(1);
	n = read(fd, answer, sizeof(answer));
	if (n < 2 || memcmp(answer + n - 2, "OK", 2) != 0)
		exit(1);
}

static void *client(void *data)
{
	uint64_t *count = data;
	int64_t end = clock_mono_ns() + SPAN_NS;
	int fd = open_one();

	while (clock_mono_ns() < end) {
		ask(fd);
		(*count)++;
	}
	(void)close(fd);
	return NULL;
}

/* Kilobytes that only that process holds, without what it shares with its father. */
static long private_kb(pid_t pid)
{
	char name[64], line[128];
	long sum = 0, kb;
	FILE *f;

	(void)snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Private_Dirty: %ld", &kb) == 1 ||
		    sscanf(line, "Private_Clean: %ld", &kb) == 1)
			sum += kb;
	if (f)
		(void)fclose(f);
	return sum;
}

static void measure_rate(void)
{
	pthread_t threads[CLIENTS];
	uint64_t counts[CLIENTS] = {0}, sum = 0;

	for (int i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, client, &counts[i]) != 0)
			exit(1);
	for (int i = 0; i < CLIENTS; i++) {
		(void)pthread_join(threads[i], NULL);
		sum += counts[i];
	}
	(void)printf("http_ping %.0f requests/s\n",
		     (double)sum * (double)NS_PER_SEC / (double)SPAN_NS);
}

static void measure_idle(pid_t server)
{
	long before = private_kb(server);

	for (int i = 0; i < IDLE; i++)
		ask(open_one());
	(void)printf("http_idle_connection %.1f KB\n",
		     (double)(private_kb(server) - before) / IDLE);
}

int main(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/tmp/shoal-bench-http.%d.sock", (int)getpid());
	if (pipe(ready) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		serve(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		return 1;
	measure_rate();
	measure_idle(pid);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)unlink(path);
	return 0;
}
