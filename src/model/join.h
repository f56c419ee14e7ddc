/*
 * What a joining node and a manager say on a STREAM_JOIN: one request, one answer. Used by
 * manager/join and by the joining side (main).
 */
#pragma once

#include "model/session.h"

/* On the wire: never renumber. */
enum join_frame { JOIN_REQUEST = 1, JOIN_ANSWER = 2 };

struct join_request {
	char *token;
	char *csr; /* PEM */
	char *hostname;
	char *listen_addr;  /* of a manager's cluster port, "IP:PORT"; an empty IP: the one it dials
			       from */
	char *availability; /* active, pause, drain; empty: active */
	struct table_rest *rest;
};
extern const struct table join_request_table;

struct join_answer {
	int32_t status; /* 0 or negative errno */
	char *message;
	char *node;
	char *cluster;
	uint32_t role; /* enum node_role */
	uint64_t raft_id;
	char *addr;  /* what the managers took as this manager's own address */
	char *cert;  /* PEM */
	char *roots; /* PEM */
	LIST_OF(struct session_manager) managers;
	struct table_rest *rest;
};
extern const struct table join_answer_table;
