/*
 * The tables of model/node.h.
 */
#include "model/node.h"

static const char *const role_names[] = {"worker", "manager"};
static const char *const availability_names[] = {"active", "pause", "drain"};
static const char *const node_state_names[] = {"unknown", "down", "ready", "disconnected"};
static const char *const reachability_names[] = {"unknown", "unreachable", "reachable"};

#define T struct node_spec
static const struct field node_spec_fields[] = {
	FIELD_STR(T, 1, name, "Name", FIELD_OMIT),
	FIELD_STRMAP(T, 2, labels, "Labels", 0),
	FIELD_ENUM(T, 3, role, "Role", 0, role_names),
	FIELD_ENUM(T, 4, availability, "Availability", 0, availability_names),
};
#undef T
TABLE_DEFINE(node_spec, node_spec_fields, TABLE_REST(node_spec));

#define T struct engine_plugin
static const struct field engine_plugin_fields[] = {
	FIELD_STR(T, 1, type, "Type", 0),
	FIELD_STR(T, 2, name, "Name", 0),
};
#undef T
TABLE_DEFINE(engine_plugin, engine_plugin_fields, TABLE_REST(engine_plugin));

#define T struct engine_description
static const struct field engine_description_fields[] = {
	FIELD_STR(T, 1, version, "EngineVersion", FIELD_OMIT),
	FIELD_STRMAP(T, 2, labels, "Labels", FIELD_OMIT),
	FIELD_LIST(T, 3, plugins, "Plugins", FIELD_OMIT, engine_plugin),
};
#undef T
TABLE_DEFINE(engine_description, engine_description_fields, TABLE_REST(engine_description));

#define T struct tls_info
static const struct field tls_info_fields[] = {
	FIELD_STR(T, 1, trust_root, "TrustRoot", FIELD_OMIT),
	FIELD_BYTES(T, 2, issuer_subject, "CertIssuerSubject", FIELD_OMIT),
	FIELD_BYTES(T, 3, issuer_public_key, "CertIssuerPublicKey", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(tls_info, tls_info_fields, TABLE_REST(tls_info));

#define T struct node_description
static const struct field node_description_fields[] = {
	FIELD_STR(T, 1, hostname, "Hostname", FIELD_OMIT),
	FIELD_OBJ(T, 2, platform, "Platform", 0, platform),
	FIELD_OBJ(T, 3, resources, "Resources", 0, resources),
	FIELD_OBJ(T, 4, engine, "Engine", 0, engine_description),
	FIELD_OBJ(T, 5, tls, "TLSInfo", 0, tls_info),
	FIELD_U32(T, 6, session_version, NULL, 0),
	FIELD_BOOL(T, 7, privileged_tasks, "PrivilegedTasks", FIELD_OMIT),
	FIELD_STRS(T, 8, task_devices, "TaskDevices", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(node_description, node_description_fields, TABLE_REST(node_description));

#define T struct node_status
static const struct field node_status_fields[] = {
	FIELD_ENUM(T, 1, state, "State", 0, node_state_names),
	FIELD_STR(T, 2, message, "Message", FIELD_OMIT),
	FIELD_STR(T, 3, addr, "Addr", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(node_status, node_status_fields, TABLE_REST(node_status));

#define T struct manager_status
static const struct field manager_status_fields[] = {
	FIELD_U64(T, 1, raft_id, NULL, 0),
	FIELD_STR(T, 2, addr, "Addr", FIELD_OMIT),
	FIELD_BOOL(T, 3, leader, "Leader", FIELD_OMIT),
	FIELD_ENUM(T, 4, reachability, "Reachability", 0, reachability_names),
};
#undef T
TABLE_DEFINE(manager_status, manager_status_fields, TABLE_REST(manager_status));

#define T struct node
static const struct field node_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_OBJ(T, 10, spec, "Spec", 0, node_spec),
	FIELD_OBJ(T, 11, description, "Description", 0, node_description),
	FIELD_OBJ(T, 12, status, "Status", 0, node_status),
	FIELD_PTR(T, 13, manager, "ManagerStatus", FIELD_OMIT, manager_status),
	FIELD_STR(T, 14, data_addr, NULL, 0),
	FIELD_BYTES(T, 15, csr, NULL, 0),
};
#undef T
TABLE_DEFINE(node, node_fields, TABLE_REST(node));
