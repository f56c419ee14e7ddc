/*
 * What the daemon's answers hold of interest to the commands, as structs with tables. Where the
 * model has the struct already, it is used.
 */
#pragma once

#include "model/network.h"
#include "model/secret.h"
#include "model/node.h"
#include "model/service.h"
#include "model/task.h"

/* Declares `struct list_tag { LIST_OF(struct tag) list; }`, whose JSON is that of the list. */
#define VIEW_LIST(tag)                    \
	struct list_##tag {               \
		LIST_OF(struct tag) list; \
	};                                \
	extern const struct table list_##tag##_table

struct port_view {
	char *ip;
	uint32_t private_port;
	uint32_t public_port;
	char *type;
};
extern const struct table port_view_table;

struct mount_view {
	char *type;
	char *name;
	char *source;
};
extern const struct table mount_view_table;

struct network_set_view {
	MAP_OF(struct empty) networks;
};
extern const struct table network_set_view_table;

/* A row of GET /containers/json. */
struct container_view {
	char *id;
	struct strs names;
	char *image;
	char *command;
	int64_t created; /* seconds */
	LIST_OF(struct port_view) ports;
	LIST_OF(struct mount_view) mounts;
	struct strmap labels;
	char *state;
	char *status;
	int64_t size_rw;
	int64_t size_root;
	struct network_set_view settings;
};
extern const struct table container_view_table;
VIEW_LIST(container_view);

struct image_view {
	char *id;
	struct strs tags;
	struct strs digests;
	int64_t created; /* seconds */
	int64_t size;
	int64_t shared_size;
	int64_t containers;
};
extern const struct table image_view_table;
VIEW_LIST(image_view);

struct network_view {
	char *id;
	char *name;
	char *driver;
	char *scope;
	bool internal;
	bool ipv4;
	bool ipv6;
	struct strmap labels;
	int64_t created;
};
extern const struct table network_view_table;
VIEW_LIST(network_view);
VIEW_LIST(node);
VIEW_LIST(secret); /* also of configs */

struct service_count {
	uint64_t running;
	uint64_t desired;
	uint64_t completed;
};
extern const struct table service_count_table;

struct service_view {
	struct service s;
	struct service_count *count;
};
extern const struct table service_view_table;
VIEW_LIST(service_view);

struct task_view {
	char *id;
	int64_t created;
	char *name;
	char *service;
	uint64_t slot;
	char *node;
	struct task_spec spec;
	struct task_status status;
	enum task_state desired;
	struct job_iteration *iteration;
};
extern const struct table task_view_table;
VIEW_LIST(task_view);

struct id_view {
	char *id;
	struct strs warnings;
};
extern const struct table id_view_table;
