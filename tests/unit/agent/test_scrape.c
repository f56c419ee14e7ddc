/*
 * agent/scrape.h against a program that answers as it likes: the bounds of its headers, of its body
 * and of its time, and answers that are none; agent/measure.h with many such programs.
 */
#include "unit/agent/engine_rig.h"

#include <sys/socket.h>
#include <netinet/in.h>

#include "agent/measure.h"
#include "agent/scrape.h"
#include "base/limits.h"

/* The program: what it answers is sent as a whole when something was asked. */
struct client {
	uv_tcp_t tcp;
	uv_write_t write;
	bool open;
};

static struct {
	uv_tcp_t listener;
	struct client clients[LIMIT_SCRAPES + 4];
	struct buf answer;
	bool hold; /* keeps the connection open after it */
	uint32_t port;
	char piece[4096];
	unsigned open, most, called;
} server;

static struct {
	bool done;
	int status;
	int64_t sum;
	struct err e;
	uint64_t took_ms;
} got;

static void client_gone(uv_handle_t *h)
{
	container_of((uv_tcp_t *)h, struct client, tcp)->open = false;
}

static void client_close(struct client *c)
{
	if (!c->open || uv_is_closing((uv_handle_t *)&c->tcp))
		return;
	uv_close((uv_handle_t *)&c->tcp, client_gone);
	server.open--;
}

static void clients_close(void)
{
	for (size_t i = 0; i < ARRAY_LEN(server.clients); i++)
		client_close(&server.clients[i]);
	(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

static void answer_sent(uv_write_t *w, int status)
{
	(void)status;
	if (!server.hold)
		client_close(container_of(w, struct client, write));
}

static void room_give(uv_handle_t *h, size_t wish, uv_buf_t *ret)
{
	(void)h;
	(void)wish;
	*ret = uv_buf_init(server.piece, sizeof server.piece);
}

static void was_asked(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	uv_buf_t answer = uv_buf_init((char *)server.answer.p, (unsigned)server.answer.len);
	struct client *c = container_of((uv_tcp_t *)s, struct client, tcp);

	if (n < 0) {
		client_close(c);
	} else if (n > 0 && server.answer.len) {
		(void)uv_read_stop(s);
		assert_int_equal(uv_write(&c->write, s, &answer, 1, answer_sent), 0);
	}
}

static void was_called(uv_stream_t *listener, int status)
{
	struct client *c = server.clients;

	assert_int_equal(status, 0);
	for (; c->open; c++)
		assert_true(c + 1 < server.clients + ARRAY_LEN(server.clients));
	assert_int_equal(uv_tcp_init(&rig.loop, &c->tcp), 0);
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
	c->open = true;
	server.called++;
	server.open++;
	server.most = MAX_OF(server.most, server.open);
	assert_int_equal(uv_read_start((uv_stream_t *)&c->tcp, room_give, was_asked), 0);
}

static void server_open(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int len = sizeof at;

	buf_init(&server.answer, 2 * LIMIT_METRIC_BYTES);
	assert_int_equal(uv_tcp_init(&rig.loop, &server.listener), 0);
	assert_int_equal(uv_tcp_bind(&server.listener, (struct sockaddr *)&at, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server.listener, 64, was_called), 0);
	assert_int_equal(uv_tcp_getsockname(&server.listener, (struct sockaddr *)&at, &len), 0);
	server.port = ntohs(at.sin_port);
}

static void scraped(void *arg, int status, int64_t sum, bool counter, const struct err *e)
{
	(void)arg;
	(void)counter;
	got.status = status;
	got.sum = sum;
	got.e = e ? *e : ERR_INIT;
	got.done = true;
}

static int ask(void)
{
	struct metric_selector selector = {0};
	struct scrape_target t = {.pid = getpid(),
				  .host_network = true,
				  .port = server.port,
				  .path = "/metrics",
				  .selector = &selector};
	uint64_t begin = clock_mono_ms();
	struct err e = ERR_INIT;

	assert_ok(metric_selector_read("jobs", &selector, &e), &e);
	got.done = false;
	(void)scrape_start(rig.engine, &t, scraped, NULL);
	rig_until(&got.done);
	got.took_ms = clock_mono_ms() - begin;
	metric_selector_done(&selector);
	clients_close();
	return got.status;
}

/* Headers of so many bytes, with the blank line, and one sample. */
static void answer_make(size_t head)
{
	static const char first[] = "HTTP/1.0 200 OK\r\nX-Pad: ", last[] = "\r\n\r\n";

	buf_reset(&server.answer);
	buf_adds(&server.answer, first);
	while (server.answer.len + strlen(last) < head)
		buf_addc(&server.answer, 'x');
	buf_adds(&server.answer, last);
	assert_int_equal(server.answer.len, head);
	buf_adds(&server.answer, "jobs 7\n");
}

static void headers_are_bounded(void **state)
{
	(void)state;
	answer_make(100);
	assert_int_equal(ask(), 0);
	assert_int_equal(got.sum, 7000);
	answer_make(LIMIT_METRIC_HEAD);
	assert_ok(ask(), &got.e);
	assert_int_equal(got.sum, 7000);
	answer_make(LIMIT_METRIC_HEAD + 1);
	assert_int_equal(ask(), -EMSGSIZE);
	assert_non_null(strstr(got.e.msg, "headers have no end"));
}

static void a_body_is_bounded(void **state)
{
	size_t body = LIMIT_METRIC_BYTES;

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		answer_make(100);
		body = server.answer.len - strlen("jobs 7\n") + LIMIT_METRIC_BYTES + more;
		while (server.answer.len < body)
			buf_addf(&server.answer, "#%.*s\n",
				 (int)MIN_OF(body - server.answer.len - 2, (size_t)1000),
				 "the quick brown fox jumps over the lazy dog, once more and again "
				 "until it is enough to fill what there is to be filled");
		if (more == 0)
			assert_ok(ask(), &got.e);
		else
			assert_int_equal(ask(), -EMSGSIZE);
	}
}

/* Neither one that says nothing nor one that does not end. */
static void time_is_bounded(void **state)
{
	(void)state;
	buf_reset(&server.answer);
	assert_int_equal(ask(), -ETIMEDOUT);
	assert_in_range(got.took_ms, LIMIT_SCRAPE_MS - 5, LIMIT_SCRAPE_MS + 1500);
	answer_make(100);
	server.hold = true;
	assert_int_equal(ask(), -ETIMEDOUT);
	assert_in_range(got.took_ms, LIMIT_SCRAPE_MS - 5, LIMIT_SCRAPE_MS + 1500);
	server.hold = false;
}

static void what_is_no_answer_is_named(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{"SSH-2.0-x\r\n\r\n", "does not speak HTTP"},
		{"HTTP/1.1 404 Not Found\r\n\r\n", "status 404"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "in chunks"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\njobs 7\n", "ended early"},
		{"HTTP/1.1 200 OK\r\n", "ended early"},
		{"HTTP/1.1 200 OK\r\n\r\nother 7\n", "jobs"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&server.answer);
		buf_adds(&server.answer, bad[i].text);
		assert_true(ask() < 0);
		if (!strstr(got.e.msg, bad[i].words))
			fail_msg("\"%s\" does not say \"%s\"", got.e.msg, bad[i].words);
	}
}

struct measured {
	bool done;
	size_t loads, errors;
};

static void measured(void *arg, const struct session_measured *m)
{
	struct measured *got_all = arg;

	got_all->done = true;
	got_all->loads = m->loads.n;
	LIST_EACH (l, &m->loads)
		got_all->errors += l->error != NULL;
}

/* What would come has come by then: as long as a hundred answers of the loop take. */
static void wait_calls(unsigned n)
{
	uint64_t end = clock_mono_ms() + RIG_TIMEOUT_MS;

	while (server.called < n && clock_mono_ms() < end)
		(void)uv_run(&rig.loop, UV_RUN_ONCE);
	assert_int_equal(server.called, n);
	for (int i = 0; i < 100; i++) {
		(void)uv_run(&rig.loop, UV_RUN_NOWAIT);
		(void)usleep(1000);
	}
}

/* Containers that count as running tasks with the host's network. */
static void tasks_make(struct container **v, struct session_measure_group *g, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_ok(rig_create("{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":"
				     "\"host\"}}",
				     NULL),
			  &rig.err);
		v[i] = rig.c;
		v[i]->task = xasprintf("%025zu", i);
		v[i]->status = CONTAINER_RUNNING;
		v[i]->pid = getpid();
		strs_add(&g->tasks, v[i]->task);
	}
}

/* No more at the same time; the others have their turn when one has ended. */
static void so_many_at_the_same_time(void **state)
{
	struct container *c[LIMIT_SCRAPES + 2];
	struct session_measure what = {.period_ms = 60000};
	struct session_measure_group *g = LIST_ADD(&what.groups);
	struct measured all = {0};
	struct measurer *m;

	(void)state;
	g->metric = xstrdup("jobs");
	g->path = xstrdup("/metrics");
	g->port = server.port;
	tasks_make(c, g, ARRAY_LEN(c));
	buf_reset(&server.answer);
	server.called = server.most = 0;
	m = measurer_new(rig.engine, measured, &all);
	measurer_set(m, &what);
	wait_calls(LIMIT_SCRAPES);
	assert_int_equal(server.called, LIMIT_SCRAPES);
	assert_int_equal(server.most, LIMIT_SCRAPES);
	clients_close();
	wait_calls(ARRAY_LEN(c));
	assert_int_equal(server.open, 2);
	assert_false(all.done);
	clients_close();
	rig_until(&all.done);
	assert_int_equal(all.loads, ARRAY_LEN(c));
	assert_int_equal(all.errors, ARRAY_LEN(c));
	measurer_free(m);
	table_done(&session_measure_table, &what);
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		c[i]->status = CONTAINER_CREATED;
		c[i]->pid = 0;
		assert_ok(rig_remove(c[i], false), &rig.err);
	}
}

static int scrape_setup(void **state)
{
	(void)rig_setup(state);
	server_open();
	return 0;
}

static int scrape_teardown(void **state)
{
	clients_close();
	uv_close((uv_handle_t *)&server.listener, NULL);
	buf_done(&server.answer);
	return rig_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(headers_are_bounded),      TEST(a_body_is_bounded),
		TEST(time_is_bounded),          TEST(what_is_no_answer_is_named),
		TEST(so_many_at_the_same_time),
	};

	if (geteuid() != 0) {
		puts("not root: skipped");
		return 0;
	}
	return cmocka_run_group_tests(tests, scrape_setup, scrape_teardown);
}
