/*
 * How fast cluster streams are: two processes over loopback, mutual TLS, one loop each. Prints
 * handshakes, small frames, large frames, echoes of one small frame, and memory of an idle stream.
 */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/stream.h"

#define CLUSTER "benchcluster"
#define SPAN_NS (2 * NS_PER_SEC)
#define SMALL 64
#define LARGE (1u << 20)
#define IDLE 1000
#define DIALS 32 /* in flight */

enum { TYPE_SINK = 1, TYPE_ECHO = 2, TYPE_REPORT = 3 };

struct bench {
	uv_loop_t loop;
	struct stream_hub *hub;
	struct stream_listener *listener;
	uint16_t port;
	char address[STREAM_ADDRESS_MAX];
	struct stream *s;
	struct frame *frame; /* what is being sent */
	int64_t began_ns, until_ns;
	uint64_t sent, opened, echoes;
	uint64_t report_frames, report_ns;
	bool done;
};

static void fatal(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "%s: %s\n", what, err_text(e));
	exit(1);
}

static struct tls_identity *identity(struct pkey *root_key, struct cert *root, const char *node)
{
	auto_pkey *key = NULL;
	auto_csr *csr = NULL;
	auto_cert *cert = NULL;
	auto_buf pem = BUF_INIT(LIMIT_PEM);
	auto_certs chain = {0}, roots = {0};
	struct tls_identity *id = NULL;
	struct cert_request what = {.node_id = node,
				    .role = CERT_ROLE_MANAGER,
				    .cluster_id = CLUSTER,
				    .now_ns = clock_wall_ns()};
	struct err e = ERR_INIT;

	if (pkey_new(&key, &e) < 0 || csr_new(key, &pem, &e) < 0 ||
	    csr_read(pem.p, pem.len, &csr, &e) < 0 ||
	    cert_issue(root_key, root, csr, &what, &cert, &e) < 0)
		fatal("certificate", &e);
	certs_add(&chain, cert);
	certs_add(&roots, root);
	if (tls_identity_new(key, &chain, &roots, &id, &e) < 0)
		fatal("identity", &e);
	return id;
}

static long resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		(void)fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- the server: counts, echoes, reports ---- */

struct count {
	uint64_t frames;
	int64_t first_ns;
};

static void served_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct count *c = data;

	if (f->type == TYPE_SINK) {
		if (c->frames++ == 0)
			c->first_ns = clock_mono_ns();
	} else if (f->type == TYPE_ECHO) {
		(void)stream_send_copy(s, TYPE_ECHO, f->payload, f->len);
	} else {
		uint64_t report[3] = {c->frames, (uint64_t)(clock_mono_ns() - c->first_ns),
				      (uint64_t)resident_kb()};

		*c = (struct count){0};
		(void)stream_send_copy(s, TYPE_REPORT, report, sizeof report);
	}
}

static void served_closed(struct stream *s, const struct err *why, void *data)
{
	free(data);
}

static const struct stream_ops served_ops = {.recv = served_recv, .closed = served_closed};

static int served_accept(struct stream *s, const struct stream_peer *peer, void *data,
			 struct err *e)
{
	stream_start(s, &served_ops, xcalloc(1, sizeof(struct count)));
	return 0;
}

static void serve(struct tls_identity *id, int pipe_fd)
{
	struct bench b = {0};
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)uv_loop_init(&b.loop);
	b.hub = stream_hub_new(&b.loop, &(struct stream_hub_conf){0});
	stream_hub_set_identity(b.hub, id);
	if (stream_listen(b.hub, "127.0.0.1:0", served_accept, &b, &b.listener, &e) < 0)
		fatal("listen", &e);
	(void)snprintf(b.address, sizeof b.address, "%s", stream_listener_address(b.listener));
	if (write(pipe_fd, b.address, sizeof b.address) != sizeof b.address)
		exit(1);
	(void)uv_run(&b.loop, UV_RUN_DEFAULT);
	exit(0);
}

/* ---- the client ---- */

static void dial(struct bench *b, const struct stream_ops *ops)
{
	struct stream_target t = {
		.address = b->address, .purpose = STREAM_RAFT, .timeout_ms = 30000};
	struct err e = ERR_INIT;
	struct stream *s;

	if (stream_connect(b->hub, &t, ops, b, &s, &e) < 0)
		fatal("dial", &e);
	b->s = s;
}

static void no_recv(struct stream *s, const struct frame_view *f, void *data)
{
}

static void shaken_open(struct stream *s, void *data)
{
	((struct bench *)data)->opened++;
	stream_close(s, 0, NULL);
}

static void shaken_closed(struct stream *s, const struct err *why, void *data);

static const struct stream_ops shaken_ops = {
	.open = shaken_open, .recv = no_recv, .closed = shaken_closed};

static void shaken_closed(struct stream *s, const struct err *why, void *data)
{
	struct bench *b = data;

	if (why->code)
		fatal("handshake", why);
	if (clock_mono_ns() < b->until_ns)
		dial(b, &shaken_ops);
	else if (stream_hub_count(b->hub) + stream_hub_handshakes(b->hub) == 1)
		b->done = true;
}

static void bench_handshakes(struct bench *b)
{
	int64_t began = clock_mono_ns();

	b->until_ns = began + SPAN_NS;
	for (int i = 0; i < DIALS; i++)
		dial(b, &shaken_ops);
	while (!b->done)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	(void)printf("stream_handshakes %.0f 1/s\n",
		     (double)b->opened * 1e9 / (double)(clock_mono_ns() - began));
}

static void push_more(struct stream *s, void *data)
{
	struct bench *b = data;

	while (stream_writable(s) && clock_mono_ns() < b->until_ns)
		for (int i = 0; i < 64 && stream_send(s, b->frame) == 0; i++)
			b->sent++;
	if (clock_mono_ns() >= b->until_ns && !b->done) {
		b->done = true;
		(void)stream_send_copy(s, TYPE_REPORT, NULL, 0);
	}
}

static void flow_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct bench *b = data;

	if (f->type == TYPE_REPORT) {
		b->report_frames = le64_get(f->payload);
		b->report_ns = le64_get(f->payload + 8);
		return;
	}
	b->echoes++;
	(void)stream_send(s, b->frame);
}

static void flow_open(struct stream *s, void *data)
{
	((struct bench *)data)->opened++;
}

static void flow_closed(struct stream *s, const struct err *why, void *data)
{
	fatal("the stream ended", why);
}

static const struct stream_ops flow_ops = {
	.open = flow_open, .recv = flow_recv, .drain = push_more, .closed = flow_closed};

/* One way, as fast as the queue drains. */
static void bench_flow(struct bench *b, const char *name, size_t size)
{
	double seconds;

	b->frame = frame_new(TYPE_SINK, size);
	memset(b->frame->payload, 'x', size);
	b->done = false;
	b->report_ns = 0;
	b->until_ns = clock_mono_ns() + SPAN_NS;
	push_more(b->s, b);
	while (!b->report_ns)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	seconds = (double)b->report_ns / 1e9;
	(void)printf("stream_%s_frames %.0f 1/s\n", name, (double)b->report_frames / seconds);
	(void)printf("stream_%s_bytes %.0f MB/s\n", name,
		     (double)b->report_frames * (double)size / seconds / 1e6);
	frame_unref(b->frame);
}

static void bench_echo(struct bench *b)
{
	int64_t began = clock_mono_ns();

	b->frame = frame_new(TYPE_ECHO, SMALL);
	memset(b->frame->payload, 'x', SMALL);
	b->echoes = 0;
	(void)stream_send(b->s, b->frame);
	while (clock_mono_ns() < began + SPAN_NS)
		(void)uv_run(&b->loop, UV_RUN_ONCE);
	(void)printf("stream_round_trip %.1f us\n", 1e-3 * SPAN_NS / (double)b->echoes);
}

static void idle_recv(struct stream *s, const struct frame_view *f, void *data)
{
	((struct bench *)data)->report_ns = le64_get(f->payload + 16);
}

static const struct stream_ops idle_ops = {
	.open = flow_open, .recv = idle_recv, .closed = flow_closed};

static void bench_memory(struct bench *b)
{
	long before = resident_kb();

	b->opened = 0;
	for (uint64_t i = 0; i < IDLE; i += 50) {
		for (int k = 0; k < 50; k++)
			dial(b, &idle_ops);
		while (b->opened < i + 50)
			(void)uv_run(&b->loop, UV_RUN_ONCE);
	}
	(void)printf("stream_idle_memory %.1f KB\n", (double)(resident_kb() - before) / IDLE);
}

int main(void)
{
	auto_pkey *key = NULL;
	auto_cert *root = NULL;
	struct tls_identity *ids[2];
	struct bench b = {0};
	struct err e = ERR_INIT;
	int fds[2];
	pid_t pid;

	if (pkey_new(&key, &e) < 0 || cert_new_root(key, clock_wall_ns(), &root, &e) < 0)
		fatal("root", &e);
	ids[0] = identity(key, root, "node1");
	ids[1] = identity(key, root, "node2");
	if (pipe(fds) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		serve(ids[0], fds[1]);
	if (read(fds[0], b.address, sizeof b.address) != sizeof b.address)
		return 1;
	(void)uv_loop_init(&b.loop);
	b.hub = stream_hub_new(&b.loop, &(struct stream_hub_conf){0});
	stream_hub_set_identity(b.hub, ids[1]);
	bench_handshakes(&b);
	b.opened = 0;
	dial(&b, &flow_ops);
	while (!b.opened)
		(void)uv_run(&b.loop, UV_RUN_ONCE);
	bench_echo(&b);
	bench_flow(&b, "small", SMALL);
	bench_flow(&b, "large", LARGE);
	bench_memory(&b);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return 0;
}
