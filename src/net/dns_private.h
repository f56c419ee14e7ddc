/*
 * What the three files of the DNS server share: dns_server.c (sandboxes and policy), dns_client.c
 * (TCP connections of containers), dns_forward.c (questions on their way to upstream servers). All
 * of it lives on the loop thread. Internal to net.
 */
#pragma once

#include <sys/queue.h>

#include "base/buf.h"
#include "base/limits.h"
#include "net/dns_server.h"

struct dns_client;
struct dns_forward;
LIST_HEAD(dns_clients, dns_client);
LIST_HEAD(dns_forwards, dns_forward);
LIST_HEAD(dns_sandboxes, dns_sandbox);

struct dns_server {
	uv_loop_t *loop;
	struct dns_sandboxes sandboxes;
	unsigned handles;  /* libuv's that are not closed yet, of everything below */
	unsigned inflight; /* forwarded questions */
	bool closing;
	dns_close_fn closed;
	void *closed_arg;
	struct net_ip ips[LIMIT_DNS_RECORDS];
	uint8_t in[DNS_MESSAGE_MAX + 1];      /* what is being received */
	uint8_t out[2 + DNS_MESSAGE_MAX + 1]; /* the answer being made; the length before it */
};

struct dns_sandbox {
	LIST_ENTRY(dns_sandbox) link;
	struct dns_server *server;
	uv_udp_t udp;
	uv_tcp_t tcp;
	unsigned handles; /* of these and of its clients, not closed yet */
	bool closing;
	struct dns_clients clients;
	unsigned client_count;
	struct dns_forwards forwards;
	unsigned inflight;
	dns_lookup_fn lookup;
	void *arg;
	struct dns_upstream upstreams[LIMIT_DNS_UPSTREAMS];
	size_t upstream_count;
	bool internal, keep_single;
	unsigned timeout_ms, idle_ms;
};

/* Where an answer goes: to a TCP client, or else back to an address by UDP. */
struct dns_reply {
	struct dns_client *client;
	struct sockaddr_storage to;
};

/* Answers the question or sends it on; ends in dns_reply_send() now or later, or never. */
void dns_handle(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p, size_t n);
/* The message lies at server->out + 2 or elsewhere; it is copied or sent at once. */
void dns_reply_send(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p, size_t n);
/* Answers with a bare error. */
void dns_reply_error(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *query,
		     size_t n, enum dns_rcode rcode);
/* A handle of the server is closed; frees the server when it was the last. */
void dns_handle_closed(struct dns_server *s);
/* The same of a sandbox. */
void dns_sandbox_unref(struct dns_sandbox *d);

/* Sends it to the first upstream. Answers SERVFAIL at the bounds and when all have failed. */
void dns_forward_start(struct dns_sandbox *d, const struct dns_reply *r, const uint8_t *p,
		       size_t n);
/* Gives up all of a sandbox, or those for `client`, without an answer. */
void dns_forward_cancel(struct dns_sandbox *d, const struct dns_client *client);

/* uv_connection_cb of a sandbox's TCP socket. */
void dns_client_accept(uv_stream_t *listener, int status);
/* Sends the answer that this client waits for. */
void dns_client_send(struct dns_client *c, const uint8_t *p, size_t n);
void dns_client_close(struct dns_client *c);
