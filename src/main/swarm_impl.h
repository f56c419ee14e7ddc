/*
 * What the files of the node's swarm share. Included by main/swarm*.c alone.
 */
#pragma once

#include "agent/data_exec.h"
#include "agent/data_logs.h"
#include "agent/measure.h"
#include "agent/runner_engine.h"
#include "agent/session.h"
#include "agent/worker.h"
#include "main/swarm.h"
#include "main/swarm_state.h"
#include "manager/raft_disk.h"
#include "manager/world_uv.h"
#include "model/join.h"

#define CLUSTER_PORT_TEXT "2377"
#define DATA_PORT 4789

enum swarm_phase {
	SWARM_INACTIVE,
	SWARM_STARTING, /* an init or join is under way */
	SWARM_ACTIVE,
	SWARM_LEAVING,
};

struct swarm {
	struct swarm_config config;
	char *dir; /* DATA_ROOT/swarm */
	char hostname[256];
	struct world world;
	struct api_swarm api;
	enum swarm_phase phase;
	struct swarm_state state;
	struct swarm_peer *peers; /* for `info` */
	struct err error;         /* why the manager is off, though this node is one */
	struct err refused;       /* why there is no session with a manager; of the last dial */
	struct stream_hub *hub;
	struct stream_listener *listener;
	struct seal_key *seal_key;
	struct raft_disk *disk;
	struct manager *manager;
	struct runner_engine *runner;
	struct worker *worker;
	struct session_client *session;
	struct buf new_key; /* PEM, of a certificate that is asked for */
	int64_t renew_ns;   /* wall clock at which the certificate is to be renewed */
	struct world_timer renew, change, stray;
	bool changing; /* what runs is stopped, to be started in another role */
	struct data_logs *logs;
	struct data_execs *execs;
	struct measurer *measurer;
	/* The init, join or leave that is to be answered. */
	swarm_done done;
	void *done_arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Starts what a member runs, from s->state. On failure everything of it is stopped again. */
int swarm_start(struct swarm *s, struct err *e);
/* Its pieces, for init, which makes the cluster in between. */
int swarm_hub_start(struct swarm *s, struct err *e);
int swarm_disk_open(struct swarm *s, struct err *e);
void swarm_manager_config(struct swarm *s, struct manager_config *ret);
int swarm_agent_start(struct swarm *s, struct err *e);
/* Stops all of it, then `next`. */
void swarm_stop(struct swarm *s, void (*next)(struct swarm *s));
/* The last step of closing, once nothing runs. Frees `s`. */
void swarm_closed(struct swarm *s);
/* Answers what waits, once. */
void swarm_answer(struct swarm *s, int status, const struct err *e);
void swarm_manager_set(struct swarm *s, struct manager *m);

void swarm_init_begin(void *arg, const struct swarm_init *r, swarm_done done, void *done_arg);
void swarm_join_begin(void *arg, const struct swarm_join *r, swarm_done done, void *done_arg);
void swarm_leave_begin(void *arg, bool force, swarm_done done, void *done_arg);

/* A new key and certificate: swarm_cert.c. */

/*
 * A new key as PEM into `ret_key`, which has room for LIMIT_PEM, to be burned; and a request for a
 * certificate for it.
 */
int swarm_key_make(struct buf *ret_key, struct buf *ret_csr, struct err *e);

/*
 * The role that the managers want of this node, and which member of their raft group it is to be:
 * 0 is unknown.
 */
void swarm_role_wanted(struct swarm *s, enum node_role role, uint64_t raft_id);
void swarm_cert_taken(struct swarm *s, const struct session_cert *c);
/* This node is no manager any more, as the others say. */
void swarm_demoted(struct swarm *s);
/* From the start of what runs on, the certificate's age is looked after. */
void swarm_cert_watch(struct swarm *s);
void swarm_cert_init(struct swarm *s);
void swarm_cert_stop(struct swarm *s);

/* The callbacks of the session (swarm_agent.c). */
extern const struct session_client_ops swarm_session_ops;
void swarm_describe(struct swarm *s, struct session_open *ret);

/*
 * Works out addresses as docker does: "IP[:PORT]" or "INTERFACE[:PORT]"; empty: the only address
 * that can be meant. `ret` is "IP:PORT".
 */
int swarm_address(const char *text, const char *flag, char **ret, struct err *e);
/* The same for --listen-addr, where 0.0.0.0 stays itself. */
int swarm_listen_address(const char *text, char **ret, struct err *e);
/* "IP" of "IP:PORT". Free with free(). */
char *swarm_address_ip(const char *address);
/* The address of this host from which `address` ("IP:PORT") is reached. */
int swarm_address_towards(const char *address, char **ret, struct err *e);
