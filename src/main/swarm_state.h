/*
 * What a node keeps of its swarm on disk: who it is, its key and certificates, where the managers
 * are. In DATA_ROOT/swarm, which exists only while the node is in a swarm. Called by main/swarm.c.
 */
#pragma once

#include "base/tls.h"
#include "model/node.h"
#include "model/session.h"

struct swarm_state {
	char *node;
	char *cluster;
	enum node_role role;
	uint64_t raft_id;     /* of a manager */
	char *listen_addr;    /* "IP:PORT" of a manager's cluster port */
	char *advertise_addr; /* "IP:PORT": where others reach it */
	char *data_addr;      /* of its tunnels */
	uint32_t data_port;
	LIST_OF(struct session_manager) managers;
	/* In files of their own. */
	char *key;   /* PEM, in memory only while it is made or read */
	char *cert;  /* PEM */
	char *roots; /* PEM */
};

void swarm_state_done(struct swarm_state *s);
/* 0; -ENOENT: this node is in no swarm. */
int swarm_state_load(const char *dir, struct swarm_state *ret, struct err *e);
/* Writes everything, key and certificate first and node.json last: it makes the rest count. */
int swarm_state_store(const char *dir, const struct swarm_state *s, struct err *e);
/* node.json alone: the managers have moved. */
int swarm_state_update(const char *dir, const struct swarm_state *s, struct err *e);
/* The node has left. */
int swarm_state_remove(const char *dir, struct err *e);
/* The identity for cluster streams from the PEM texts. */
int swarm_state_identity(const struct swarm_state *s, struct tls_identity **ret, struct err *e);
