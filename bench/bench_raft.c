/*
 * Three real raft nodes in one process, with disk, sealing and TLS between them: how many changes
 * a second are committed in batches, how long one write takes, how long a lost leader is missed.
 *
 *   bench_raft [--dir DIR] [--seconds N] [--kills N]
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>

#include "base/stream.h"
#include "unit/manager/raft_rig.h"

#define CLUSTER "benchbenchbenchbenchbench"
#define CHANGE_LEN 128
#define BATCH 64

struct link {
	struct stream *s;
	struct rig_node *node; /* whose end it is */
	char peer[ID_CLUSTER_LEN + 1];
	bool open;
};

/* Each node dials each other one: what it sends goes out there. */
static struct link out[RIG_NODES][RIG_NODES];
static struct stream_hub *hubs[RIG_NODES];
static struct stream_listener *listeners[RIG_NODES];
static unsigned hubs_closed;

static void fatal(const char *what, const struct err *e)
{
	(void)fprintf(stderr, "%s: %s\n", what, e ? err_text(e) : "failed");
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

static void on_open(struct stream *s, void *data)
{
	((struct link *)data)->open = true;
}

static void on_recv(struct stream *s, const struct frame_view *f, void *data)
{
	struct link *l = data;

	if (l->node->raft && !l->node->cut)
		(void)raft_node_receive(l->node->raft, stream_peer(s)->node_id, f->payload, f->len,
					NULL);
}

static void on_closed(struct stream *s, const struct err *why, void *data)
{
	struct link *l = data;

	l->s = NULL;
	l->open = false;
}

static void on_accepted_closed(struct stream *s, const struct err *why, void *data)
{
	free(data);
}

static const struct stream_ops dialled = {.open = on_open, .recv = on_recv, .closed = on_closed};
static const struct stream_ops accepted = {.recv = on_recv, .closed = on_accepted_closed};

static int on_accept(struct stream *s, const struct stream_peer *peer, void *data, struct err *e)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->node = data;
	stream_start(s, &accepted, l);
	return 0;
}

static void tls_send(void *arg, const char *peer, const void *p, size_t len)
{
	struct rig_node *from = arg;

	for (unsigned i = 0; i < RIG_NODES; i++) {
		struct link *l = &out[from->place][i];

		if (l->open && !from->cut && strcmp(l->peer, peer) == 0)
			(void)stream_send_copy(l->s, 1, p, len);
	}
}

static bool links_open(struct rig *r)
{
	for (unsigned i = 0; i < RIG_NODES; i++) {
		for (unsigned j = 0; j < RIG_NODES; j++) {
			if (i != j && !out[i][j].open)
				return false;
		}
	}
	return true;
}

static void dial(struct rig *r, unsigned from, unsigned to)
{
	struct link *l = &out[from][to];
	struct stream_target t = {.address = stream_listener_address(listeners[to]),
				  .purpose = STREAM_RAFT};
	struct err e = ERR_INIT;

	l->node = &r->nodes[from];
	(void)snprintf(l->peer, sizeof(l->peer), "%s", r->nodes[to].name);
	if (stream_connect(hubs[from], &t, &dialled, l, &l->s, &e) < 0)
		fatal("dial", &e);
}

static void connect_all(struct rig *r)
{
	const struct stream_hub_conf conf = {0};
	auto_pkey *root_key = NULL;
	auto_cert *root = NULL;
	struct err e = ERR_INIT;

	if (pkey_new(&root_key, &e) < 0 || cert_new_root(root_key, clock_wall_ns(), &root, &e) < 0)
		fatal("root", &e);
	for (unsigned i = 0; i < RIG_NODES; i++) {
		struct tls_identity *id = identity(root_key, root, r->nodes[i].name);

		hubs[i] = stream_hub_new(&r->loop, &conf);
		stream_hub_set_identity(hubs[i], id);
		tls_identity_unref(id);
		if (stream_listen(hubs[i], "127.0.0.1:0", on_accept, &r->nodes[i], &listeners[i],
				  &e) < 0)
			fatal("listen", &e);
	}
	for (unsigned i = 0; i < RIG_NODES; i++) {
		for (unsigned j = 0; j < RIG_NODES; j++) {
			if (i != j)
				dial(r, i, j);
		}
	}
	if (!rig_until(r, links_open, 10000))
		fatal("the nodes do not meet", NULL);
}

/* Clients: each writes again as soon as it was answered. */

struct client {
	struct proposer_write write;
	struct rig *rig;
	unsigned changes;
	int64_t asked_ns;
};

static bool running;
static uint64_t committed;
static int64_t *times;
static size_t time_count, time_cap;

static int client_build(struct proposer_write *w, struct proposal *p, struct err *e)
{
	struct client *c = container_of(w, struct client, write);
	static const char change[CHANGE_LEN];

	for (unsigned i = 0; i < c->changes; i++)
		(void)buf_add(&p->bytes, change, sizeof(change));
	p->changes += c->changes;
	return 0;
}

static void client_ask(struct client *c)
{
	struct rig_node *leader = rig_leader(c->rig);

	c->asked_ns = clock_mono_ns();
	if (leader && running)
		(void)proposer_write(leader->proposer, &c->write, NULL);
}

static void client_done(struct proposer_write *w, int status, uint64_t version, const struct err *e)
{
	struct client *c = container_of(w, struct client, write);

	if (status != 0)
		return;
	committed += c->changes;
	if (time_count < time_cap)
		times[time_count++] = clock_mono_ns() - c->asked_ns;
	client_ask(c);
}

static bool never(struct rig *r)
{
	return false;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(unsigned percent)
{
	size_t at = time_count ? (time_count - 1) * percent / 100 : 0;

	qsort(times, time_count, sizeof(*times), by_time);
	return time_count ? (double)times[at] / NS_PER_MS : 0;
}

/* Changes a second with `n` clients of `changes` each. */
static double measure(struct rig *r, unsigned n, unsigned changes, unsigned seconds)
{
	struct client *clients = xcalloc(n, sizeof(*clients));
	int64_t began = clock_mono_ns();
	double rate;

	committed = time_count = 0;
	running = true;
	for (unsigned i = 0; i < n; i++) {
		clients[i].rig = r;
		clients[i].changes = changes;
		clients[i].write.build = client_build;
		clients[i].write.done = client_done;
		client_ask(&clients[i]);
	}
	(void)rig_until(r, never, seconds * 1000);
	running = false;
	rate = (double)committed / ((double)(clock_mono_ns() - began) / NS_PER_SEC);
	(void)rig_until(r, never, 200);
	free(clients);
	return rate;
}

/* The bench keeps no state: 64 MiB would be full in seconds. */
static void forget(struct rig *r)
{
	for (unsigned i = 0; i < RIG_NODES; i++)
		buf_reset(&r->nodes[i].state);
}

static void measure_failover(struct rig *r, unsigned kills)
{
	time_count = 0;
	for (unsigned i = 0; i < kills; i++) {
		struct rig_node *old = rig_leader(r);
		int64_t began = clock_mono_ns();

		if (!old)
			fatal("no leader", NULL);
		old->cut = true;
		while (!rig_leader(r) || rig_put(r, rig_leader(r), "x", 1, 5000) != 0)
			(void)rig_until(r, rig_has_leader, 100);
		times[time_count++] = clock_mono_ns() - began;
		old->cut = false;
		(void)rig_until(r, never, 1200);
	}
	(void)printf("raft_failover_p50 %.0f ms\nraft_failover_p99 %.0f ms\n", percentile(50),
		     percentile(99));
}

static void on_hub_closed(void *data)
{
	hubs_closed++;
}

static bool all_hubs_closed(struct rig *r)
{
	return hubs_closed == RIG_NODES;
}

static void bench(const char *dir, bool tls, unsigned seconds, unsigned kills)
{
	const char *suffix = tls ? "" : "_no_tls";
	struct err e = ERR_INIT;
	struct rig r;

	rig_init(&r, dir);
	if (tls)
		r.send = tls_send;
	for (unsigned i = 0; i < RIG_NODES; i++) {
		if (rig_start(&r, i, i == 0, &e) < 0)
			fatal("start", &e);
	}
	if (tls)
		connect_all(&r);
	if (!rig_until(&r, rig_is_formed, 10000))
		fatal("no group was formed", NULL);
	(void)printf("raft_changes_in_batches_of_64%s %.0f changes/s\n", suffix,
		     measure(&r, 1, BATCH, seconds));
	forget(&r);
	(void)printf("raft_changes_of_256_clients%s %.0f changes/s\n", suffix,
		     measure(&r, 256, 1, seconds));
	forget(&r);
	(void)printf("raft_changes_of_1_client%s %.0f changes/s\n", suffix,
		     measure(&r, 1, 1, seconds));
	(void)printf("raft_write_p50%s %.3f ms\n", suffix, percentile(50));
	(void)printf("raft_write_p99%s %.3f ms\n", suffix, percentile(99));
	if (tls)
		measure_failover(&r, kills);
	for (unsigned i = 0; tls && i < RIG_NODES; i++)
		stream_hub_close(hubs[i], on_hub_closed, NULL);
	if (tls)
		(void)rig_until(&r, all_hubs_closed, 5000);
	rig_done(&r);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
						{"seconds", required_argument, NULL, 's'},
						{"kills", required_argument, NULL, 'k'},
						{0}};
	const char *where = "/var/tmp";
	unsigned seconds = 3, kills = 10;
	char dir[160];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'd')
			where = optarg;
		else if (c == 's')
			seconds = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'k')
			kills = (unsigned)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	time_cap = 1u << 20;
	times = xcalloc(time_cap, sizeof(*times));
	for (unsigned tls = 0; tls < 2; tls++) {
		(void)snprintf(dir, sizeof(dir), "%s/shoal-bench-raft-XXXXXX", where);
		if (!mkdtemp(dir))
			fatal(dir, NULL);
		bench(dir, tls == 1, seconds, kills);
		(void)dir_remove(AT_FDCWD, dir, NULL);
	}
	free(times);
	return 0;
}
