/*
 * The tables of model/plan.h: JSON alone.
 */
#include "model/plan.h"

const char *const plan_action_names[PLAN_REMOVE + 1] = {"stay", "create", "replace", "remove"};

#define T struct plan_wish
static const struct field plan_wish_fields[] = {
	FIELD_LIST(T, 0, services, "Services", 0, service_spec),
	FIELD_LIST(T, 0, networks, "Networks", FIELD_OMIT, network_spec),
	FIELD_STRS(T, 0, secrets, "Secrets", FIELD_OMIT),
	FIELD_STRS(T, 0, configs, "Configs", FIELD_OMIT),
	FIELD_STRS(T, 0, remove, "Remove", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(plan_wish, plan_wish_fields);

#define T struct plan_check_wish
static const struct field plan_check_wish_fields[] = {
	FIELD_STRS(T, 0, services, "Services", 0),
	FIELD_U64(T, 0, index, "Index", 0),
};
#undef T
TABLE_DEFINE(plan_check_wish, plan_check_wish_fields);

#define T struct plan_task
static const struct field plan_task_fields[] = {
	FIELD_ENUM(T, 0, action, "Action", 0, plan_action_names),
	FIELD_U64(T, 0, slot, "Slot", FIELD_OMIT),
	FIELD_STR(T, 0, task, "TaskID", FIELD_OMIT),
	FIELD_STR(T, 0, from, "FromNodeID", FIELD_OMIT),
	FIELD_STR(T, 0, from_hostname, "FromHostname", FIELD_OMIT),
	FIELD_STR(T, 0, to, "ToNodeID", FIELD_OMIT),
	FIELD_STR(T, 0, to_hostname, "ToHostname", FIELD_OMIT),
	FIELD_STR(T, 0, err, "Err", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(plan_task, plan_task_fields);

#define T struct plan_service
static const struct field plan_service_fields[] = {
	FIELD_STR(T, 0, id, "ID", FIELD_OMIT),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, action, "Action", 0),
	FIELD_U64(T, 0, create, "Create", 0),
	FIELD_U64(T, 0, replace, "Replace", 0),
	FIELD_U64(T, 0, stay, "Stay", 0),
	FIELD_U64(T, 0, remove, "Remove", 0),
	FIELD_U64(T, 0, waiting, "Waiting", 0),
	FIELD_STR(T, 0, update_state, "UpdateState", FIELD_OMIT),
	FIELD_STR(T, 0, message, "Message", FIELD_OMIT),
	FIELD_LIST(T, 0, tasks, "Tasks", 0, plan_task),
};
#undef T
TABLE_DEFINE(plan_service, plan_service_fields);

#define T struct plan_report
static const struct field plan_report_fields[] = {
	FIELD_U64(T, 0, index, "Index", 0),
	FIELD_BOOL(T, 0, complete, "Complete", 0),
	FIELD_I64(T, 0, duration, "Duration", 0),
	FIELD_BOOL(T, 0, truncated, "Truncated", 0),
	FIELD_LIST(T, 0, services, "Services", 0, plan_service),
};
#undef T
TABLE_DEFINE(plan_report, plan_report_fields);
