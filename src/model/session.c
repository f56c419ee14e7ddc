/*
 * The tables of model/session.h. Numbers travel between versions: see base/table.h.
 */
#include "model/session.h"

#define T struct session_known
static const struct field session_known_fields[] = {
	FIELD_STR(T, 1, network, NULL, 0),
	FIELD_U64(T, 2, version, NULL, 0),
};
#undef T
TABLE_DEFINE(session_known, session_known_fields, TABLE_REST(session_known));

#define T struct session_open
static const struct field session_open_fields[] = {
	FIELD_OBJ(T, 1, description, NULL, 0, node_description),
	FIELD_STR(T, 2, data_addr, NULL, 0),
	FIELD_LIST(T, 3, known, NULL, 0, session_known),
};
#undef T
TABLE_DEFINE(session_open, session_open_fields, TABLE_REST(session_open));

#define T struct session_manager
static const struct field session_manager_fields[] = {
	FIELD_STR(T, 1, node, NULL, 0),
	FIELD_STR(T, 2, addr, NULL, 0),
};
#undef T
TABLE_DEFINE(session_manager, session_manager_fields, TABLE_REST(session_manager));

#define T struct session_welcome
static const struct field session_welcome_fields[] = {
	FIELD_U32(T, 1, heartbeat_ms, NULL, 0),
	FIELD_U32(T, 2, data_port, NULL, 0),
	FIELD_LIST(T, 3, managers, NULL, 0, session_manager),
	FIELD_OBJ(T, 4, spec, NULL, 0, node_spec),
};
#undef T
TABLE_DEFINE(session_welcome, session_welcome_fields, TABLE_REST(session_welcome));

#define T struct session_cert_request
static const struct field session_cert_request_fields[] = {
	FIELD_STR(T, 1, csr, NULL, 0),
	FIELD_STR(T, 2, listen_addr, NULL, 0),
	FIELD_U64(T, 3, raft_id, NULL, 0),
};
#undef T
TABLE_DEFINE(session_cert_request, session_cert_request_fields, TABLE_REST(session_cert_request));

#define T struct session_cert
static const struct field session_cert_fields[] = {
	FIELD_I32(T, 1, status, NULL, 0), FIELD_STR(T, 2, message, NULL, 0),
	FIELD_STR(T, 3, cert, NULL, 0),   FIELD_U64(T, 4, raft_id, NULL, 0),
	FIELD_STR(T, 5, addr, NULL, 0),
};
#undef T
TABLE_DEFINE(session_cert, session_cert_fields, TABLE_REST(session_cert));

#define T struct session_report
static const struct field session_report_fields[] = {
	FIELD_STR(T, 1, task, NULL, 0),
	FIELD_OBJ(T, 2, status, NULL, 0, task_status),
};
#undef T
TABLE_DEFINE(session_report, session_report_fields, TABLE_REST(session_report));

#define T struct session_status
static const struct field session_status_fields[] = {
	FIELD_U64(T, 1, sequence, NULL, 0),
	FIELD_LIST(T, 2, reports, NULL, 0, session_report),
};
#undef T
TABLE_DEFINE(session_status, session_status_fields, TABLE_REST(session_status));

#define T struct session_taken
static const struct field session_taken_fields[] = {
	FIELD_U64(T, 1, sequence, NULL, 0),
};
#undef T
TABLE_DEFINE(session_taken, session_taken_fields, TABLE_REST(session_taken));

#define T struct session_assign
static const struct field session_assign_fields[] = {
	FIELD_BOOL(T, 1, complete, NULL, 0),
	FIELD_BOOL(T, 2, more, NULL, 0),
	FIELD_U64(T, 3, applies_to, NULL, 0),
	FIELD_U64(T, 4, results_in, NULL, 0),
	FIELD_LIST(T, 5, tasks, NULL, 0, task),
	FIELD_LIST(T, 6, templates, NULL, 0, template),
	FIELD_LIST(T, 7, networks, NULL, 0, network),
	FIELD_STRS(T, 8, gone_tasks, NULL, 0),
	FIELD_STRS(T, 9, gone_networks, NULL, 0),
};
#undef T
TABLE_DEFINE(session_assign, session_assign_fields, TABLE_REST(session_assign));

#define T struct session_peer
static const struct field session_peer_fields[] = {
	FIELD_STR(T, 1, task, NULL, 0),     FIELD_STR(T, 2, node, NULL, 0),
	FIELD_STR(T, 3, tunnel, NULL, 0),   FIELD_STRS(T, 4, addresses, NULL, 0),
	FIELD_STR(T, 5, mac, NULL, 0),      FIELD_STR(T, 6, service, NULL, 0),
	FIELD_STR(T, 7, name, NULL, 0),     FIELD_STRS(T, 8, aliases, NULL, 0),
	FIELD_BOOL(T, 9, running, NULL, 0),
};
#undef T
TABLE_DEFINE(session_peer, session_peer_fields, TABLE_REST(session_peer));

#define T struct session_peers
static const struct field session_peers_fields[] = {
	FIELD_STR(T, 1, network, NULL, 0), FIELD_BOOL(T, 2, complete, NULL, 0),
	FIELD_BOOL(T, 3, more, NULL, 0),   FIELD_U64(T, 4, from, NULL, 0),
	FIELD_U64(T, 5, version, NULL, 0), FIELD_LIST(T, 6, peers, NULL, 0, session_peer),
	FIELD_STRS(T, 7, gone, NULL, 0),   FIELD_BYTES(T, 8, digest, NULL, 0),
};
#undef T
TABLE_DEFINE(session_peers, session_peers_fields, TABLE_REST(session_peers));

#define T struct session_secret
static const struct field session_secret_fields[] = {
	FIELD_STR(T, 1, id, NULL, 0),
	FIELD_BOOL(T, 2, templated, NULL, 0),
	FIELD_BYTES(T, 3, data, NULL, FIELD_SECRET | FIELD_LOCKED),
};
#undef T
TABLE_DEFINE(session_secret, session_secret_fields, TABLE_REST(session_secret));
