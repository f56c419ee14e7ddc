/*
 * The tables of model/task.h, the states' names and the table of allowed transitions.
 */
#include "model/task.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

const char *const task_state_names[TASK_ORPHANED + 1] = {
	[TASK_NEW] = "new",           [TASK_PENDING] = "pending",     [TASK_ASSIGNED] = "assigned",
	[TASK_ACCEPTED] = "accepted", [TASK_PREPARING] = "preparing", [TASK_READY] = "ready",
	[TASK_STARTING] = "starting", [TASK_RUNNING] = "running",     [TASK_COMPLETE] = "complete",
	[TASK_SHUTDOWN] = "shutdown", [TASK_FAILED] = "failed",       [TASK_REJECTED] = "rejected",
	[TASK_REMOVE] = "remove",     [TASK_ORPHANED] = "orphaned",
};

#define T struct container_status
static const struct field container_status_fields[] = {
	FIELD_STR(T, 1, container, "ContainerID", 0),
	FIELD_I64(T, 2, pid, "PID", 0),
	FIELD_I64(T, 3, exit_code, "ExitCode", 0),
};
#undef T
TABLE_DEFINE(container_status, container_status_fields, TABLE_REST(container_status));

#define T struct port_status
static const struct field port_status_fields[] = {
	FIELD_LIST(T, 1, ports, "Ports", FIELD_OMIT, port_config),
};
#undef T
TABLE_DEFINE(port_status, port_status_fields, TABLE_REST(port_status));

#define T struct task_status
static const struct field task_status_fields[] = {
	FIELD_TIME(T, 1, timestamp, "Timestamp", 0),
	FIELD_ENUM(T, 2, state, "State", 0, task_state_names),
	FIELD_STR(T, 3, message, "Message", 0),
	FIELD_STR(T, 4, err, "Err", FIELD_OMIT),
	FIELD_PTR(T, 5, container, "ContainerStatus", FIELD_OMIT, container_status),
	FIELD_PTR(T, 6, ports, "PortStatus", FIELD_OMIT, port_status),
};
#undef T
TABLE_DEFINE(task_status, task_status_fields, TABLE_REST(task_status));

#define T struct attachment
static const struct field attachment_fields[] = {
	FIELD_STR(T, 1, network, "Network", 0),
	FIELD_STRS(T, 2, addresses, "Addresses", 0),
	FIELD_STRS(T, 3, aliases, NULL, 0),
};
#undef T
TABLE_DEFINE(attachment, attachment_fields, TABLE_REST(attachment));

#define T struct task
static const struct field task_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_STR(T, 10, service, "ServiceID", 0),
	FIELD_U64(T, 11, template_version, NULL, 0),
	FIELD_U64(T, 12, slot, "Slot", FIELD_OMIT),
	FIELD_STR(T, 13, node, "NodeID", FIELD_OMIT),
	FIELD_OBJ(T, 14, status, "Status", 0, task_status),
	FIELD_ENUM(T, 15, desired, "DesiredState", 0, task_state_names),
	FIELD_LIST(T, 16, networks, NULL, 0, attachment),
	FIELD_TIME(T, 17, not_before, NULL, 0),
	FIELD_U64(T, 18, restarts, NULL, 0),
	FIELD_BOOL(T, 19, evicted, NULL, 0),
	FIELD_PTR(T, 25, update, NULL, 0, update_mark),
	FIELD_BOOL(T, 20, global, NULL, 0),
	FIELD_PTR(T, 27, move, NULL, 0, move_mark),
	FIELD_PTR(T, 21, iteration, "JobIteration", FIELD_OMIT, job_iteration),
	FIELD_LIST(T, 22, generic, "AssignedGenericResources", FIELD_OMIT, generic_resource),
};
#undef T
TABLE_DEFINE(task, task_fields, TABLE_REST(task));

static const char *place_node(const struct task *t)
{
	return t->global && t->node ? t->node : "";
}

int task_by_place(const void *pa, const void *pb)
{
	const struct task *a = *(const struct task *const *)pa,
			  *b = *(const struct task *const *)pb;
	int node = strcmp(place_node(a), place_node(b));

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	if (node)
		return node;
	if (a->o.created != b->o.created)
		return a->o.created < b->o.created ? -1 : 1;
	return strcmp(a->o.id, b->o.id);
}

bool task_same_place(const struct task *a, const struct task *b)
{
	return a->slot == b->slot && strcmp(place_node(a), place_node(b)) == 0;
}

const char *task_state_name(enum task_state state)
{
	size_t i = (size_t)state;

	return i < ARRAY_LEN(task_state_names) && task_state_names[i] ? task_state_names[i] : "";
}

int task_state_parse(const char *name, enum task_state *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(task_state_names); i++) {
		if (task_state_names[i] && strcmp(task_state_names[i], name) == 0) {
			*ret = (enum task_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One row a writer: the states from which, and to which, it may move a task. */
static const struct transition {
	enum task_writer writer;
	enum task_state from_min, from_max, to_min, to_max;
} transitions[] = {
	{WRITER_ORCHESTRATOR, TASK_NEW, TASK_NEW, TASK_NEW, TASK_NEW},
	{WRITER_ALLOCATOR, TASK_NEW, TASK_NEW, TASK_NEW, TASK_PENDING},
	{WRITER_SCHEDULER, TASK_PENDING, TASK_PENDING, TASK_PENDING, TASK_ASSIGNED},
	{WRITER_ENFORCER, TASK_ASSIGNED, TASK_RUNNING, TASK_REJECTED, TASK_REJECTED},
	{WRITER_DISPATCHER, TASK_ASSIGNED, TASK_RUNNING, TASK_ORPHANED, TASK_ORPHANED},
	{WRITER_AGENT, TASK_ASSIGNED, TASK_RUNNING, TASK_ACCEPTED, TASK_REJECTED},
};

bool task_transition_allowed(enum task_writer writer, enum task_state from, enum task_state to)
{
	if (to < from || !*task_state_name(from) || !*task_state_name(to))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(transitions); i++) {
		const struct transition *t = &transitions[i];

		if (t->writer == writer && from >= t->from_min && from <= t->from_max &&
		    to >= t->to_min && to <= t->to_max)
			return true;
	}
	return false;
}

char *task_name(const char *service_name, const struct task *t)
{
	if (t->slot)
		return xasprintf("%s.%" PRIu64, service_name, t->slot);
	return xasprintf("%s.%s", service_name, t->node ? t->node : "");
}

char *task_container_name(const char *service_name, const struct task *t)
{
	auto_free char *name = task_name(service_name, t);

	return xasprintf("%s.%s", name, t->o.id);
}
