/*
 * The tables of model/data.h.
 */
#include "model/data.h"

#define T struct data_task
static const struct field data_task_fields[] = {
	FIELD_STR(T, 1, task, NULL, 0),
	FIELD_I64(T, 2, since, NULL, 0),
	FIELD_U64(T, 3, skip, NULL, 0),
	FIELD_BOOL(T, 4, final, NULL, 0),
};
#undef T
TABLE_DEFINE(data_task, data_task_fields, TABLE_REST(data_task));

#define T struct data_request
static const struct field data_request_fields[] = {
	FIELD_U64(T, 1, id, NULL, 0),      FIELD_STR(T, 2, ticket, NULL, 0),
	FIELD_STR(T, 3, node, NULL, 0),    FIELD_STR(T, 4, manager, NULL, 0),
	FIELD_STR(T, 5, addr, NULL, 0),    FIELD_LIST(T, 6, tasks, NULL, 0, data_task),
	FIELD_BOOL(T, 7, follow, NULL, 0), FIELD_BOOL(T, 8, out, NULL, 0),
	FIELD_BOOL(T, 9, err, NULL, 0),    FIELD_BOOL(T, 10, all, NULL, 0),
	FIELD_U64(T, 11, tail, NULL, 0),   FIELD_I64(T, 12, until, NULL, 0),
	FIELD_U32(T, 13, kind, NULL, 0),   FIELD_STR(T, 14, task, NULL, 0),
};
#undef T
TABLE_DEFINE(data_request, data_request_fields, TABLE_REST(data_request));

#define T struct data_ticket
static const struct field data_ticket_fields[] = {
	FIELD_STR(T, 1, ticket, NULL, 0),
};
#undef T
TABLE_DEFINE(data_ticket, data_ticket_fields, TABLE_REST(data_ticket));

#define T struct data_entry
static const struct field data_entry_fields[] = {
	FIELD_STR(T, 1, task, NULL, 0),
	FIELD_U32(T, 2, stream, NULL, 0),
	FIELD_I64(T, 3, time, NULL, 0),
	FIELD_BYTES(T, 4, text, NULL, 0),
};
#undef T
TABLE_DEFINE(data_entry, data_entry_fields, TABLE_REST(data_entry));

#define T struct data_exec
static const struct field data_exec_fields[] = {
	FIELD_BYTES(T, 1, config, NULL, FIELD_SECRET),
	FIELD_U32(T, 2, rows, NULL, 0),
	FIELD_U32(T, 3, cols, NULL, 0),
	FIELD_BOOL(T, 4, detach, NULL, 0),
};
#undef T
TABLE_DEFINE(data_exec, data_exec_fields, TABLE_REST(data_exec));

#define T struct data_exit
static const struct field data_exit_fields[] = {
	FIELD_I32(T, 1, exit_code, NULL, 0),
	FIELD_I32(T, 2, code, NULL, 0),
	FIELD_STR(T, 3, error, NULL, 0),
};
#undef T
TABLE_DEFINE(data_exit, data_exit_fields, TABLE_REST(data_exit));
