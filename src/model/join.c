/*
 * The tables of model/join.h. Numbers travel between versions: see base/table.h.
 */
#include "model/join.h"

#define T struct join_request
static const struct field join_request_fields[] = {
	FIELD_STR(T, 1, token, NULL, FIELD_SECRET), FIELD_STR(T, 2, csr, NULL, 0),
	FIELD_STR(T, 3, hostname, NULL, 0),         FIELD_STR(T, 4, listen_addr, NULL, 0),
	FIELD_STR(T, 5, availability, NULL, 0),
};
#undef T
TABLE_DEFINE(join_request, join_request_fields, TABLE_REST(join_request));

#define T struct join_answer
static const struct field join_answer_fields[] = {
	FIELD_I32(T, 1, status, NULL, 0), FIELD_STR(T, 2, message, NULL, 0),
	FIELD_STR(T, 3, node, NULL, 0),   FIELD_STR(T, 4, cluster, NULL, 0),
	FIELD_U32(T, 5, role, NULL, 0),   FIELD_U64(T, 6, raft_id, NULL, 0),
	FIELD_STR(T, 7, addr, NULL, 0),   FIELD_STR(T, 8, cert, NULL, 0),
	FIELD_STR(T, 9, roots, NULL, 0),  FIELD_LIST(T, 10, managers, NULL, 0, session_manager),
};
#undef T
TABLE_DEFINE(join_answer, join_answer_fields, TABLE_REST(join_answer));
