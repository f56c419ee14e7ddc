/*
 * An engine that has networks and nothing else: its containers are namespaces that the test makes.
 * Several engines live in one process, each in a namespace ("host") of its own.
 */
#pragma once

#include "unit/net/world.h"

#include "agent/networks.h"

struct engine {
	struct engine_config config;
	struct networks *networks;
	struct container *containers[64];
	size_t n_containers;
	unsigned events;
	int host; /* its network namespace */
	char data_root[256], exec_root[256];
};

static uv_loop_t rig_loop;

struct networks *engine_networks_of(struct engine *e)
{
	return e->networks;
}

void engine_networks_set(struct engine *e, struct networks *nets)
{
	e->networks = nets;
}

const struct engine_config *engine_config_of(struct engine *e)
{
	return &e->config;
}

void engine_event(struct engine *e, const struct engine_event *ev)
{
	assert_string_equal(ev->type, "network");
	e->events++;
}

int engine_container_find(struct engine *e, const char *ref, struct container **ret,
			  struct err *err)
{
	for (size_t i = 0; i < e->n_containers; i++) {
		if (strcmp(e->containers[i]->id, ref) != 0)
			continue;
		*ret = e->containers[i];
		return 0;
	}
	return -ENOENT;
}

/* One answer that is waited for. */
struct answer {
	bool done;
	int status;
	struct err err;
	char id[ID_HOST_LEN + 1];
};

static void rig_wait(struct answer *a)
{
	while (!a->done)
		(void)uv_run(&rig_loop, UV_RUN_ONCE);
}

static void rig_done(void *arg, int status, const struct err *e)
{
	struct answer *a = arg;

	assert_false(a->done);
	assert_true((status < 0) == (e != NULL));
	a->done = true;
	a->status = status;
	if (e)
		a->err = *e;
}

static void rig_made(void *arg, int status, const struct engine_network *n, const struct err *e)
{
	struct answer *a = arg;

	rig_done(arg, status, e);
	if (n)
		(void)snprintf(a->id, sizeof a->id, "%s", n->id);
}

static void rig_closed(void *arg)
{
	*(bool *)arg = true;
}

static void rig_open(struct engine *e)
{
	struct err err = ERR_INIT;
	int home = world_self();

	world_visit(e->host);
	assert_ok(networks_open(e, &err), &err);
	world_visit(home);
	close(home);
}

/* An engine on a host of its own. */
__attribute__((unused)) static struct engine *rig_new(const char *name, const char *bridge)
{
	struct engine *e = xcalloc(1, sizeof *e);
	struct err err = ERR_INIT;

	(void)snprintf(e->data_root, sizeof e->data_root, "%s/%s/lib", world_dir, name);
	(void)snprintf(e->exec_root, sizeof e->exec_root, "%s/%s/run", world_dir, name);
	assert_ok(dir_make(e->data_root, 0700, &err), &err);
	assert_ok(dir_make(e->exec_root, 0700, &err), &err);
	e->host = world_netns();
	e->config = (struct engine_config){.loop = &rig_loop,
					   .data_root = e->data_root,
					   .exec_root = e->exec_root,
					   .bridge = bridge};
	return e;
}

__attribute__((unused)) static void rig_close(struct engine *e)
{
	bool closed = false;

	networks_close(e, rig_closed, &closed);
	while (!closed)
		(void)uv_run(&rig_loop, UV_RUN_ONCE);
	assert_null(e->networks);
}

/* As after SIGKILL: nothing is given back. What runs on the pool ends first. */
__attribute__((unused)) static void rig_crash(struct engine *e)
{
	rig_close(e); /* closing touches neither devices nor rows */
}

static void rig_container_free(struct container *c)
{
	free(c->id);
	free(c->name);
	free(c->hosts_path);
	free(c->resolv_path);
	free(c->hostname_path);
	table_done(&container_config_table, &c->config);
	table_done(&host_config_table, &c->host);
	table_done(&networking_config_table, &c->networks);
	free(c);
}

__attribute__((unused)) static void rig_free(struct engine *e)
{
	for (size_t i = 0; i < e->n_containers; i++)
		rig_container_free(e->containers[i]);
	close(e->host);
	free(e);
}

__attribute__((unused)) static int rig_create(struct engine *e, struct network_spec *spec,
					      struct answer *a)
{
	*a = (struct answer){0};
	engine_network_create(e, spec, rig_made, a);
	assert_false(a->done);
	rig_wait(a);
	return a->status;
}

__attribute__((unused)) static int rig_remove(struct engine *e, const char *ref, struct answer *a)
{
	*a = (struct answer){0};
	engine_network_remove(e, ref, rig_done, a);
	assert_false(a->done);
	rig_wait(a);
	return a->status;
}

/* A container as the other half of the engine would have made it. */
__attribute__((unused)) static struct container *rig_container(struct engine *e, const char *name,
							       const char *mode)
{
	struct container *c = xcalloc(1, sizeof *c);
	char id[ID_HOST_LEN + 1];

	id_host(id);
	c->id = xstrdup(id);
	c->name = xstrdup(name);
	c->config.hostname = xstrndup(id, 12);
	c->host.network_mode = xstrdup(mode);
	c->hosts_path = xasprintf("%s/%s-hosts", world_dir, name);
	c->resolv_path = xasprintf("%s/%s-resolv", world_dir, name);
	c->hostname_path = xasprintf("%s/%s-hostname", world_dir, name);
	strs_add(&c->host.dns, "127.0.0.1"); /* nobody there: questions that leave fail at once */
	assert_true(e->n_containers < ARRAY_LEN(e->containers));
	e->containers[e->n_containers++] = c;
	return c;
}

__attribute__((unused)) static void rig_check(struct engine *e, struct container *c)
{
	struct err err = ERR_INIT;

	assert_ok(network_container_check(e, c, NULL, 0, &err), &err);
}

__attribute__((unused)) static int rig_prepare(struct engine *e, struct container *c,
					       struct answer *a)
{
	*a = (struct answer){0};
	network_container_prepare(e, c, rig_done, a);
	assert_false(a->done);
	rig_wait(a);
	return a->status;
}

/* Connects with a copy of the descriptor; the test keeps the namespace. */
__attribute__((unused)) static int rig_connect(struct engine *e, struct container *c, int netns,
					       int udp, int tcp, struct answer *a)
{
	*a = (struct answer){0};
	network_container_connect(e, c, netns >= 0 ? dup(netns) : -1, udp >= 0 ? dup(udp) : -1,
				  tcp >= 0 ? dup(tcp) : -1, rig_done, a);
	assert_false(a->done);
	rig_wait(a);
	return a->status;
}

__attribute__((unused)) static int rig_release(struct engine *e, struct container *c,
					       struct answer *a)
{
	*a = (struct answer){0};
	network_container_release(e, c, rig_done, a);
	assert_false(a->done);
	rig_wait(a);
	return a->status;
}

/* A container that is up: its namespace and its DNS sockets, as its shim would keep them. */
struct box {
	struct container *c;
	int netns, udp, tcp;
};

__attribute__((unused)) static struct box rig_start(struct engine *e, struct container *c)
{
	struct box b = {.c = c, .netns = world_netns(), .udp = -1, .tcp = -1};
	struct err err = ERR_INIT;
	struct answer a;

	assert_ok(rig_prepare(e, c, &a), &a.err);
	if (network_container_has_dns(e, c))
		assert_ok(dns_sockets_open(b.netns, &b.udp, &b.tcp, &err), &err);
	assert_ok(rig_connect(e, c, b.netns, b.udp, b.tcp, &a), &a.err);
	return b;
}

__attribute__((unused)) static void rig_stop(struct engine *e, struct box *b)
{
	struct answer a;

	assert_ok(rig_release(e, b->c, &a), &a.err);
	close(b->netns);
	if (b->udp >= 0) {
		close(b->udp);
		close(b->tcp);
	}
}

/*
 * Asks 127.0.0.11:53 within the container. The answer's code, and in `ret` its addresses (or the
 * name of a PTR) separated by blanks.
 */
__attribute__((unused)) static int rig_ask(const struct box *b, const char *name, uint16_t type,
					   char *ret, size_t size)
{
	uint8_t q[300] = {0x12, 0x34, 1, 0, 0, 1}, got[4096];
	struct net_ip at = ip_of("127.0.0.11");
	struct sockaddr_storage ss;
	socklen_t len = net_ip_sockaddr(&at, 53, &ss);
	auto_close int fd = world_socket(b->netns, AF_INET, SOCK_DGRAM, 0);
	size_t n = 12, used = 0;
	unsigned answers;
	ssize_t r = -1;

	while (*name) {
		size_t label = strcspn(name, ".");

		q[n++] = (uint8_t)label;
		memcpy(q + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	n++;
	q[n + 1] = (uint8_t)type;
	q[n + 3] = 1;
	n += 4;
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(fd, q, n, 0), (ssize_t)n);
	for (int64_t end = WORLD_WAIT_MS; end > 0 && r < 0; end--) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		(void)uv_run(&rig_loop, UV_RUN_NOWAIT);
		if (poll(&p, 1, 1) == 1)
			r = recv(fd, got, sizeof got, 0);
	}
	assert_true(r >= (ssize_t)n);
	*ret = '\0';
	answers = (unsigned)got[6] << 8 | got[7];
	for (size_t at_rr = n; answers--;) {
		size_t data = at_rr + 12, bytes = (size_t)got[at_rr + 10] << 8 | got[at_rr + 11];
		struct net_ip ip = {.family = bytes == 4 ? AF_INET : AF_INET6};
		char text[NET_IP_TEXT];

		assert_true(data + bytes <= (size_t)r);
		if (type == DNS_PTR) {
			for (size_t i = data; got[i]; i += got[i] + 1u)
				used += (size_t)snprintf(ret + used, size - used, "%s%.*s",
							 used ? "." : "", got[i], got + i + 1);
		} else {
			memcpy(ip.b, got + data, bytes);
			used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? " " : "",
						 net_ip_format(&ip, text));
		}
		at_rr = data + bytes;
	}
	return got[3] & 15;
}

#define assert_answer(b, name, type, text)                                      \
	do {                                                                    \
		char got_[512];                                                 \
		assert_int_equal(rig_ask(b, name, type, got_, sizeof got_), 0); \
		assert_string_equal(got_, text);                                \
	} while (0)
#define assert_no_name(b, name)                                                             \
	do {                                                                                \
		char got_[512];                                                             \
		assert_int_equal(rig_ask(b, name, DNS_A, got_, sizeof got_), DNS_NXDOMAIN); \
	} while (0)
