/*
 * The networks of one host, inside: what agent/network*.c and agent/overlay*.c share. Everything
 * here belongs to the loop; what blocks is a net_op, which runs on the pool with inputs of its own.
 * Of the engine it knows the few functions at the end.
 */
#pragma once

#include "agent/engine.h"
#include "agent/job.h"
#include "agent/network.h"
#include "base/db.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/limits.h"
#include "model/ipam.h"
#include "net/bridge.h"
#include "net/dns_server.h"
#include "net/endpoint.h"
#include "net/overlay.h"
#include "net/publish.h"

#define NETWORK_GATEWAY "shoal_gwbridge" /* the way out of containers that are in overlays */

#define OPTION_BRIDGE_NAME "com.docker.network.bridge.name"
#define OPTION_BRIDGE_DEFAULT "com.docker.network.bridge.default_bridge"
#define OPTION_ICC "com.docker.network.bridge.enable_icc"
#define OPTION_MASQUERADE "com.docker.network.bridge.enable_ip_masquerade"
#define OPTION_MTU "com.docker.network.driver.mtu"

struct networks;
struct net_box;
struct prepare; /* network_container.c's own */

/* ---- Names (network_names.c) ---- */

/* Whoever has names in a network: an endpoint here, or a task anywhere. */
struct name_holder {
	LIST_OF(struct net_ip) ips;
	struct strs names; /* lower case; what leads to `ips` */
	char *ptr;         /* what `ips` lead to */
	bool live;         /* names lead to it; else they are known and lead nowhere */
};
struct name_entry;
struct names {
	struct name_entry *entries;
};

void name_holder_name(struct name_holder *h, const char *name); /* lowers and adds it once */
void name_holder_done(struct name_holder *h);
/* The holder stays the caller's and must not change while it is in. */
void network_name_add(struct names *n, struct name_holder *h);
void names_remove(struct names *n, struct name_holder *h);
void names_done(struct names *n);
/* dns_lookup_fn; `arg` is the struct net_box that asks. */
enum dns_outcome names_lookup(void *arg, const char *name, uint16_t type, const struct net_ip *ip,
			      struct dns_records *ret);

/* ---- Operations (network_op.c) ---- */

/*
 * Something that blocks, on one network. Those of a network start in the order given; one that is
 * `alone` has the network for itself. `net` may be NULL: then it waits for nothing.
 */
struct net_op {
	struct job job;
	struct networks *nets;
	struct engine_network_live *net;
	struct net_host host; /* as it was when the operation was started */
	bool alone;
	void (*run)(struct net_op *op); /* on the pool; sets job.status and job.err */
	void (*end)(struct net_op *op); /* on the loop; the op is its again */
	struct net_op *next;
};
void net_op_start(struct networks *nets, struct engine_network_live *net, struct net_op *op);
/* The first operation of all; whatever is started meanwhile waits for its end. */
void net_op_start_first(struct networks *nets, struct net_op *op);

/* ---- Networks ---- */

enum network_state { NETWORK_MAKING, NETWORK_READY, NETWORK_REMOVING };

/* What a network's options say. */
struct network_settings {
	char device[NET_IFNAME_MAX];
	bool icc;
	bool masquerade;
	unsigned mtu; /* bytes; 0: not given */
};

struct overlay_table;

struct engine_network_live {
	struct engine_network pub;
	struct networks *nets;
	enum network_state state;
	struct network_settings settings;
	bool predefined; /* no user makes or removes it */
	bool dns;        /* names are served in it */
	bool up;         /* its devices have been made */
	bool raising;    /* an operation that makes them is under way */
	bool dropped;    /* out of the table; freed after its last operation */
	struct err up_err;
	struct addr_pool *pools[2];   /* IPv4, IPv6; NULL: none, or the managers count */
	struct net_prefix gateway[2]; /* family 0: none */
	size_t endpoints;
	size_t leaving; /* of these; their end is under way */
	struct names names;
	struct overlay_table *table; /* of an overlay */
	bool changed;                /* its table, since it was written to disk */
	bool told;                   /* an overlay that the managers have named since the start */
	struct net_op *first, *last;
	unsigned running;
	bool running_alone;
	UT_hash_handle hh;
};

/* One end of a container in one network. */
struct net_ep {
	char id[ID_HOST_LEN + 1];
	struct net_box *box;
	struct engine_network_live *net;
	int64_t index;           /* of ethN */
	bool hidden;             /* on the gateway bridge: inspect does not show it */
	bool gateway;            /* the default route goes here */
	struct net_prefix ip[2]; /* IPv4, IPv6; family 0: none */
	struct net_mac mac;      /* zero: derived */
	bool named;              /* `holder` is in the network's names */
	struct name_holder holder;
};

/* A port of the host that leads to a container. */
struct net_published {
	struct net_port port;
	int fd; /* holds it; -1: nothing does */
};

/* A container that has endpoints, or waits for some. */
struct net_box {
	char id[ID_HOST_LEN + 1];
	struct networks *nets;
	LIST_OF(struct net_ep *) eps; /* in the order of their ethN */
	struct dns_sandbox *dns;
	LIST_OF(struct net_published) ports;
	bool ports_held; /* `ports` are what the container publishes */
	bool leaving;    /* its devices are being taken away: see box_abandon() */
	UT_hash_handle hh;
};

struct network_waiter;

struct networks {
	struct engine *engine;
	uv_loop_t *loop;
	struct db *db;
	char *db_path;
	bool checkpointing;
	char tag[NET_TAG_MAX + 1];
	char *netns_dir;
	struct net_host host;
	struct net_ip data_ip; /* family 0: not told yet */
	struct dns_server *dns;
	struct engine_network_live *nets;
	struct net_box *boxes;
	size_t leaving;          /* of these */
	struct prepare *waiters; /* for one of them to be gone, or for its addresses */
	struct network_waiter *gateway_waiters;
	struct net_op *first_op; /* runs alone; NULL: it has ended */
	struct net_op *held, **held_end;
	char *tables_dir; /* what is kept of overlays' tables */
	uv_timer_t keep;
	unsigned handles;  /* that are not closed */
	uv_timer_t settle; /* the first turn of the loop */
	unsigned busy;     /* operations under way */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

#define FAMILY_AT(family) ((family) == AF_INET6 ? 1 : 0)

/* networks.c */
void networks_idle(struct networks *nets); /* an operation has ended */

/* Keeps this node's end of the tunnels for the next start. */
int networks_data_keep(struct networks *nets, struct err *e);

/* network_sweep.c: removes what an earlier daemon has left; other operations wait for it. */
void network_sweep(struct networks *nets);

/* network_spec.c: checks of what a user asks for; nothing is changed. */
int network_spec_check(const struct network_spec *spec, struct err *e);
int network_settings_read(const struct network_spec *spec, const char *id,
			  struct network_settings *ret, struct err *e);

/* hostnet.c: one network in memory */
struct engine_network_live *hostnet_new(struct networks *nets, const char *id, const char *name,
					const char *driver, const char *scope);
/* Pools, gateways and settings from pub.spec and pub.ipam. */
int hostnet_configure(struct engine_network_live *net, struct err *e);
struct engine_network_live *hostnet_find(const struct networks *nets, const char *id);
struct engine_network_live *hostnet_by_name(const struct networks *nets, const char *name);
/* By id, name, or a prefix of the id, as engine_network_find(). */
int hostnet_resolve(const struct networks *nets, const char *ref, struct engine_network_live **ret,
		    struct err *e);
/* Out of the table; freed once its operations have ended. */
void hostnet_drop(struct engine_network_live *net);
void hostnet_free(struct engine_network_live *net);
bool hostnet_is(const struct engine_network_live *net, const char *driver);
void hostnet_bridge(const struct engine_network_live *net, struct net_bridge *ret);
/* Makes the devices where they are not up; what is started on it afterwards finds them. */
void hostnet_raise(struct engine_network_live *net);
void network_tell(struct engine_network_live *net, const char *action, const char *container);

/* network_create.c */
/* The subnets of this host's routes; free the array. Blocks. */
int network_host_subnets(const struct net_host *h, struct net_prefix **ret, size_t *ret_n,
			 struct err *e);
/* Chooses the subnet of a bridge; `host` are those of the host's routes. */
int network_choose(struct engine_network_live *net, const struct net_prefix *host, size_t n_host,
		   struct err *e);
/*
 * Calls `cb` once the gateway bridge is there, or with why it cannot be; at once when it is there
 * already (true is returned then and `cb` is not called).
 */
typedef void network_gateway_cb(void *arg, int status, const struct err *e);
bool network_gateway_want(struct networks *nets, network_gateway_cb *cb, void *arg);
void network_waiters_end(struct networks *nets, int status, const struct err *e);

/* network_store.c */
int network_store_open(struct networks *nets, struct err *e);
int network_store_put(struct engine_network_live *net, struct err *e);
void network_store_delete(struct engine_network_live *net);
int network_store_put_endpoint(const struct net_ep *ep, struct err *e);
void network_store_delete_endpoint(struct networks *nets, const char *id);
int network_store_load(struct networks *nets, struct err *e);
/* A small value by its key. `ret` gets "" when there is none. */
int network_store_set(struct networks *nets, const char *key, const char *value, struct err *e);
int network_store_get(struct networks *nets, const char *key, struct buf *ret, struct err *e);

/* network_box.c */
struct net_box *box_find(const struct networks *nets, const char *container);
struct net_box *box_get(struct networks *nets, const char *container);
/* Without names, addresses or row: those who make it bring them. */
struct net_ep *box_add(struct net_box *box, struct engine_network_live *net, const char *id);
/* Gives everything back: names, addresses, row. The devices are gone or were never made. */
void ep_release(struct net_ep *ep);
/* Only the memory: rows and devices stay. */
void box_free(struct net_box *box);
/* network_container.c: takes the devices of a container away that runs no more; not waited for. */
void box_abandon(struct net_box *box);
/* Endpoints and addresses for the container, those it has already where it has them. */
int box_reserve(struct networks *nets, const struct container *c, struct net_box **ret,
		struct err *e);
bool container_needs_gateway(const struct networks *nets, const struct container *c);
/* Shows in the container's settings what it has, or (NULL) that it has nothing any more. */
void box_show(const struct net_box *box, struct container *c);
void box_names_add(struct net_box *box, const struct container *c);
void box_names_remove(struct net_box *box);
/* The key of c->networks that leads to this network, NULL: none. */
struct endpoint_settings *settings_of(const struct container *c, const char *network);

/* network_ports.c: the ports of the host that lead to a container */
/* What was asked for, as far as that can be said at once. -EINVAL, -ENOSYS. */
int network_ports_check(const struct container *c, struct err *e);
/* Takes them for the box, as they were before (c->ports) if it ran then. -EADDRINUSE. */
int box_ports_hold(struct net_box *box, const struct container *c, struct err *e);
/* Lets go of them; nothing leads by them any more. */
void box_ports_drop(struct net_box *box);
/* In c->ports, or (NULL) that there are none. */
void box_ports_show(const struct net_box *box, struct container *c);
/* A copy with the container's address filled in, for the pool; free it. The device by which it is
 * reached into `ret_device` of NET_IFNAME_MAX bytes. NULL: there are none. */
struct net_port *box_ports_copy(const struct net_box *box, size_t *ret_n, char *ret_device);

/* network_files.c: the container's three files, on the pool */
struct network_files;
struct network_files *network_files_new(struct networks *nets, const struct container *c,
					const struct net_box *box);
int network_files_write(const struct network_files *f, struct err *e);
void network_files_free(struct network_files *f);
/* What the user's --dns and the like say about the embedded server. */
struct network_dns {
	struct dns_upstream upstreams[LIMIT_DNS_UPSTREAMS];
	size_t n;
	bool keep_single;
};
/* Reads the host's file. Blocks. */
int network_dns_read(const struct strs *servers, const struct strs *options,
		     struct network_dns *ret, struct err *e);
/* "name:address"; `ret_name` is within `text`. -EINVAL with the sentence. */
int extra_host_parse(const char *text, struct net_ip *ret_ip, bool *ret_gateway,
		     size_t *ret_name_len, struct err *e);

/* Answers from the loop, not from within the call. `e` is copied. */
void network_reply(struct networks *nets, engine_done done, void *arg, int status,
		   const struct err *e);

/* overlay_table.c */
struct net_peers {
	struct net_peer *v;
	size_t n;
};
/* What the kernel is to be told. */
struct overlay_delta {
	bool whole; /* all of the table, whatever `add` and `del` say */
	struct net_peers add, del;
	uint64_t version; /* that the table has with it */
};
void overlay_delta_done(struct overlay_delta *d);
struct overlay_table *overlay_table_new(struct engine_network_live *net);
void overlay_table_free(struct overlay_table *t);
/* Lays it in. -ESTALE as engine_overlay_peers(). */
int overlay_table_lay(struct overlay_table *t, const struct session_peers *m,
		      struct overlay_delta *ret);
/* All but this node's own; free ret->v. False: nothing is known. */
bool overlay_table_peers(const struct overlay_table *t, struct net_peers *ret);
/* The kernel has it, or (!ok) could not take it: then nothing is known any more. */
void overlay_table_applied(struct overlay_table *t, uint64_t version, bool ok);
uint64_t overlay_table_version(const struct overlay_table *t);
uint64_t overlay_table_done_version(const struct overlay_table *t);

/* Appends all of it as a whole table (session_peers) in binary form. 0 or -EMSGSIZE. */
int overlay_table_write(const struct overlay_table *t, struct buf *ret);

/* overlay_keep.c */
void overlay_keep_soon(struct engine_network_live *net);
void overlay_keep_all(struct networks *nets);
void overlay_keep_drop(struct engine_network_live *net);
/* Blocks: at the start alone. */
void overlay_keep_load(struct engine_network_live *net);

/* overlay.c */
/* An endpoint has left: what the managers no longer name goes with the last. */
void overlay_settle(struct engine_network_live *net);
struct net_op *overlay_raise_op(struct engine_network_live *net);

/* Of the engine's other half. */
struct networks *engine_networks_of(struct engine *e);
void engine_networks_set(struct engine *e, struct networks *nets);
const struct engine_config *engine_config_of(struct engine *e);
