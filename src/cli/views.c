/*
 * The tables of cli/views.h. Nothing of them is stored: the rows have no numbers.
 */
#include "cli/views.h"

#define VIEW_LIST_DEFINE(tag)                                           \
	static const struct field list_##tag##_fields[] = {             \
		FIELD_LIST(struct list_##tag, 0, list, "list", 0, tag), \
	};                                                              \
	TABLE_DEFINE(list_##tag, list_##tag##_fields, .transparent = true)

#define T struct port_view
static const struct field port_view_fields[] = {
	FIELD_STR(T, 0, ip, "IP", 0),
	FIELD_U32(T, 0, private_port, "PrivatePort", 0),
	FIELD_U32(T, 0, public_port, "PublicPort", 0),
	FIELD_STR(T, 0, type, "Type", 0),
};
#undef T
TABLE_DEFINE(port_view, port_view_fields);

#define T struct mount_view
static const struct field mount_view_fields[] = {
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, source, "Source", 0),
};
#undef T
TABLE_DEFINE(mount_view, mount_view_fields);

static const struct field network_set_view_fields[] = {
	FIELD_MAP(struct network_set_view, 0, networks, "Networks", 0, empty),
};
TABLE_DEFINE(network_set_view, network_set_view_fields);

#define T struct container_view
static const struct field container_view_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
	FIELD_STRS(T, 0, names, "Names", 0),
	FIELD_STR(T, 0, image, "Image", 0),
	FIELD_STR(T, 0, command, "Command", 0),
	FIELD_I64(T, 0, created, "Created", 0),
	FIELD_LIST(T, 0, ports, "Ports", 0, port_view),
	FIELD_LIST(T, 0, mounts, "Mounts", 0, mount_view),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_STR(T, 0, state, "State", 0),
	FIELD_STR(T, 0, status, "Status", 0),
	FIELD_I64(T, 0, size_rw, "SizeRw", 0),
	FIELD_I64(T, 0, size_root, "SizeRootFs", 0),
	FIELD_OBJ(T, 0, settings, "NetworkSettings", 0, network_set_view),
};
#undef T
TABLE_DEFINE(container_view, container_view_fields);
VIEW_LIST_DEFINE(container_view);

#define T struct image_view
static const struct field image_view_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
	FIELD_STRS(T, 0, tags, "RepoTags", 0),
	FIELD_STRS(T, 0, digests, "RepoDigests", 0),
	FIELD_I64(T, 0, created, "Created", 0),
	FIELD_I64(T, 0, size, "Size", 0),
	FIELD_I64(T, 0, shared_size, "SharedSize", 0),
	FIELD_I64(T, 0, containers, "Containers", 0),
};
#undef T
TABLE_DEFINE(image_view, image_view_fields);
VIEW_LIST_DEFINE(image_view);

#define T struct network_view
static const struct field network_view_fields[] = {
	FIELD_STR(T, 0, id, "Id", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STR(T, 0, scope, "Scope", 0),
	FIELD_BOOL(T, 0, internal, "Internal", 0),
	FIELD_BOOL(T, 0, ipv4, "EnableIPv4", 0),
	FIELD_BOOL(T, 0, ipv6, "EnableIPv6", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_TIME(T, 0, created, "Created", 0),
};
#undef T
TABLE_DEFINE(network_view, network_view_fields);
VIEW_LIST_DEFINE(network_view);
VIEW_LIST_DEFINE(node);
VIEW_LIST_DEFINE(secret);

#define T struct service_count
static const struct field service_count_fields[] = {
	FIELD_U64(T, 0, running, "RunningTasks", 0),
	FIELD_U64(T, 0, desired, "DesiredTasks", 0),
	FIELD_U64(T, 0, completed, "CompletedTasks", 0),
};
#undef T
TABLE_DEFINE(service_count, service_count_fields);

#define T struct service_view
static const struct field service_view_fields[] = {
	FIELD_STR(T, 0, s.o.id, "ID", 0),
	FIELD_OBJ(T, 0, s.o.version, "Version", 0, version),
	FIELD_TIME(T, 0, s.o.created, "CreatedAt", 0),
	FIELD_TIME(T, 0, s.o.updated, "UpdatedAt", 0),
	FIELD_OBJ(T, 0, s.spec, "Spec", 0, service_spec),
	FIELD_OBJ(T, 0, s.endpoint, "Endpoint", 0, endpoint),
	FIELD_PTR(T, 0, s.job, "JobStatus", FIELD_OMIT, job_status),
	FIELD_PTR(T, 0, count, "ServiceStatus", FIELD_OMIT, service_count),
	FIELD_PTR(T, 0, s.update_status, "UpdateStatus", FIELD_OMIT, update_status),
	FIELD_PTR(T, 0, s.rebalance, "RebalanceStatus", FIELD_OMIT, rebalance_status),
};
#undef T
TABLE_DEFINE(service_view, service_view_fields);
VIEW_LIST_DEFINE(service_view);

#define T struct task_view
static const struct field task_view_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_TIME(T, 0, created, "CreatedAt", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STR(T, 0, service, "ServiceID", 0),
	FIELD_U64(T, 0, slot, "Slot", 0),
	FIELD_STR(T, 0, node, "NodeID", 0),
	FIELD_OBJ(T, 0, spec, "Spec", 0, task_spec),
	FIELD_OBJ(T, 0, status, "Status", 0, task_status),
	FIELD_ENUM(T, 0, desired, "DesiredState", 0, task_state_names),
	FIELD_PTR(T, 0, iteration, "JobIteration", FIELD_OMIT, job_iteration),
};
#undef T
TABLE_DEFINE(task_view, task_view_fields);
VIEW_LIST_DEFINE(task_view);

#define T struct id_view
static const struct field id_view_fields[] = {
	FIELD_STR(T, 0, id, "ID", 0),
	FIELD_STRS(T, 0, warnings, "Warnings", 0),
};
#undef T
TABLE_DEFINE(id_view, id_view_fields);
