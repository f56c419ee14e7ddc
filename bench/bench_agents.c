/*
 * Simulated agents in any number, which join a swarm by its token and speak the real protocol over
 * mutual TLS. `bench_agents COUNT TOKEN MANAGER...` (IP:PORT) is driven by lines on its standard
 * input and answers by lines "WORD VALUE..."; times are of the wall clock, in ns:
 *
 *   joined TIME, open TIME      by itself: all have a certificate; all have a session
 *   expect N                    assigned TIME, running TIME: N tasks are given to them; N run
 *   cut                         one of those with most tasks falls silent: cut NODE TASKS
 *
 * It ends with its input. All agents share one key, whose making is not measured; their
 * certificates are their own. Driven by bench/agents.py.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/join.h"
#include "model/token.h"
#include "sim_agent.h"

#define JOINS 32 /* at once */
#define STEP_MS 10
#define LINE 256

struct crowd {
	struct sim_fleet fleet;
	struct sim_agent *agents;
	size_t n, begun, joined;
	bool said_open;
	size_t expect; /* 0: nothing */
	bool said_assigned, said_running;
	char *token;
	struct join_token pin;
	struct pkey *key;
	struct buf csr;
	struct stream_hub *hub; /* for joining */
	char **addresses;
	size_t n_addresses;
	LIST_OF(struct session_manager) managers;
	char *roots; /* PEM */
	uv_pipe_t input;
	char line[LINE];
	size_t line_len;
};

static struct crowd crowd;

static _Noreturn void die(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "bench_agents: %s: %s\n", what, err_text(e));
	exit(1);
}

static void say_time(const char *word)
{
	(void)printf("%s %" PRId64 "\n", word, clock_wall_ns());
}

static void on_moved(struct sim_fleet *f)
{
	struct crowd *c = container_of(f, struct crowd, fleet);

	if (!c->said_open && f->open == c->n) {
		c->said_open = true;
		say_time("open");
	}
	if (!c->expect)
		return;
	if (!c->said_assigned && f->assigned >= c->expect) {
		c->said_assigned = true;
		say_time("assigned");
	}
	if (!c->said_running && f->running >= c->expect) {
		c->said_running = true;
		say_time("running");
	}
}

/* Joining */

struct joining {
	struct crowd *crowd;
	struct sim_agent *agent;
	bool answered;
};

static void join_begin(struct crowd *c);

static struct tls_identity *identity_make(const struct crowd *c, const struct join_answer *answer)
{
	auto_certs chain = {0}, roots = {0};
	struct tls_identity *id = NULL;
	struct err e = ERR_INIT;

	if (certs_read(answer->cert, strlen(answer->cert), &chain, &e) < 0 ||
	    certs_read(answer->roots, strlen(answer->roots), &roots, &e) < 0 ||
	    tls_identity_new(c->key, &chain, &roots, &id, &e) < 0)
		die("the certificate of an agent", &e);
	return id;
}

static void managers_keep(struct crowd *c, const struct join_answer *answer)
{
	if (c->roots)
		return;
	c->roots = xstrdup(answer->roots);
	LIST_EACH (m, &answer->managers)
		table_copy(&session_manager_table, LIST_ADD(&c->managers), m);
}

static void join_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct join_answer answer = {0};
	struct joining *j = data;
	struct crowd *c = j->crowd;
	struct tls_identity *id;
	struct err e = ERR_INIT;

	if (tlv_read(&join_answer_table, f->payload, f->len, &answer, &e) < 0)
		die("joining", &e);
	if (answer.status < 0) {
		(void)err_set(&e, answer.status, "%s", answer.message);
		die("joining", &e);
	}
	j->answered = true;
	managers_keep(c, &answer);
	(void)snprintf(j->agent->id, sizeof j->agent->id, "%s", answer.node);
	j->agent->roots = c->roots;
	id = identity_make(c, &answer);
	sim_agent_start(j->agent, id, c->managers.v, c->managers.n);
	tls_identity_unref(id);
	table_done(&join_answer_table, &answer);
	stream_close(s, 0, NULL);
	if (++c->joined == c->n)
		say_time("joined");
}

static void join_closed(struct stream *s, const struct err *why, void *data)
{
	struct joining *j = data;
	struct crowd *c = j->crowd;

	(void)s;
	if (!j->answered)
		die("joining", why);
	free(j);
	if (c->begun < c->n)
		join_begin(c);
}

static void join_open(struct stream *s, void *data)
{
	struct joining *j = data;
	struct join_request r = {.token = j->crowd->token,
				 .csr = j->crowd->csr.p,
				 .hostname = j->agent->hostname,
				 .listen_addr = (char *)(uintptr_t) ":2377"};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (tlv_write(&join_request_table, &r, &bytes) == 0)
		(void)stream_send_copy(s, JOIN_REQUEST, bytes.p, bytes.len);
}

static const struct stream_ops join_ops = {
	.open = join_open,
	.recv = join_recv,
	.closed = join_closed,
};

static void join_begin(struct crowd *c)
{
	size_t number = c->begun++;
	struct joining *j = xcalloc(1, sizeof *j);
	struct stream_target target = {.address = c->addresses[number % c->n_addresses],
				       .purpose = STREAM_JOIN,
				       .root_sha256 = c->pin.root_sha256,
				       .timeout_ms = 30000};
	struct stream *stream;
	struct err e = ERR_INIT;

	j->crowd = c;
	j->agent = &c->agents[number];
	j->agent->fleet = &c->fleet;
	(void)snprintf(j->agent->hostname, sizeof j->agent->hostname, "sim-%zu", number);
	if (stream_connect(c->hub, &target, &join_ops, j, &stream, &e) < 0)
		die("joining", &e);
}

/* Commands */

static void cut_one(struct crowd *c)
{
	struct sim_agent *most = &c->agents[0];

	for (size_t i = 0; i < c->n; i++)
		if (c->agents[i].running > most->running)
			most = &c->agents[i];
	(void)printf("cut %s %zu\n", most->id, most->running);
	sim_agent_cut(most);
}

static void command(struct crowd *c, const char *line)
{
	if (strncmp(line, "expect ", 7) == 0) {
		c->expect = strtoul(line + 7, NULL, 10);
		c->said_assigned = c->said_running = false;
		on_moved(&c->fleet);
	} else if (strcmp(line, "cut") == 0) {
		cut_one(c);
	} else {
		(void)fprintf(stderr, "bench_agents: unknown command: %s\n", line);
		exit(2);
	}
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct crowd *c = handle->data;

	(void)size;
	*ret = uv_buf_init(c->line + c->line_len, (unsigned)(sizeof c->line - 1 - c->line_len));
}

static void on_input(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct crowd *c = s->data;
	char *end;

	(void)b;
	if (n < 0)
		exit(0);
	c->line_len += (size_t)n;
	c->line[c->line_len] = '\0';
	while ((end = strchr(c->line, '\n'))) {
		*end = '\0';
		command(c, c->line);
		c->line_len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->line_len + 1);
	}
}

static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void crowd_init(struct crowd *c, char **argv, int managers)
{
	struct stream_hub_conf conf = {0};
	struct err e = ERR_INIT;

	c->n = strtoul(argv[1], NULL, 10);
	c->token = argv[2];
	c->addresses = argv + 3;
	c->n_addresses = (size_t)managers;
	c->agents = xcalloc(c->n, sizeof *c->agents);
	c->fleet = (struct sim_fleet){
		.loop = uv_default_loop(), .step_ms = STEP_MS, .moved = on_moved};
	buf_init(&c->csr, LIMIT_FILE_SMALL);
	if (join_token_parse(c->token, &c->pin, &e) < 0 || pkey_new(&c->key, &e) < 0 ||
	    csr_new(c->key, &c->csr, &e) < 0)
		die("cannot begin", &e);
	c->hub = stream_hub_new(c->fleet.loop, &conf);
	(void)uv_pipe_init(c->fleet.loop, &c->input, 0);
	c->input.data = c;
	(void)uv_pipe_open(&c->input, 0);
	(void)uv_read_start((uv_stream_t *)&c->input, on_alloc, on_input);
}

int main(int argc, char **argv)
{
	struct crowd *c = &crowd;

	if (argc < 4 || strtoul(argv[1], NULL, 10) == 0) {
		(void)fputs("usage: bench_agents COUNT TOKEN MANAGER...\n", stderr);
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, LINE);
	descriptors_allow();
	crowd_init(c, argv, argc - 3);
	while (c->begun < c->n && c->begun < JOINS)
		join_begin(c);
	return uv_run(c->fleet.loop, UV_RUN_DEFAULT);
}
