/*
 * What changes of services would do, as the API shows it: see docs/plan.md. Written by the manager,
 * read by the CLI; never stored.
 */
#pragma once

#include "model/network.h"
#include "model/service.h"

/* The body of POST /plan: what a stack would be made of. */
struct plan_wish {
	LIST_OF(struct service_spec) services; /* created, or updated when there is one so named */
	LIST_OF(struct network_spec) networks; /* made first when they are not there */
	struct strs secrets;                   /* names that count as if they were there */
	struct strs configs;
	struct strs remove; /* services */
};
extern const struct table plan_wish_table;

enum plan_action {
	PLAN_STAY,
	PLAN_CREATE,  /* where nothing is wanted now */
	PLAN_REPLACE, /* another task in the same slot, or on the same node of a global service */
	PLAN_REMOVE,
};
extern const char *const plan_action_names[PLAN_REMOVE + 1];

/* The body of POST /plan/check. */
struct plan_check_wish {
	struct strs services; /* ids or names */
	uint64_t index;       /* of the plan for these */
};
extern const struct table plan_check_wish_table;

/* One slot, or one node of a global service. */
struct plan_task {
	enum plan_action action;
	uint64_t slot;   /* 0: of a global service */
	char *task;      /* the one that is wanted now; NULL: none */
	char *from, *to; /* nodes' ids; NULL: none */
	char *from_hostname, *to_hostname;
	char *err; /* why the new one would not run */
};
extern const struct table plan_task_table;

struct plan_service {
	char *id; /* NULL: it is to be created */
	char *name;
	char *action; /* create, update, remove, none */
	uint64_t create, replace, stay, remove;
	uint64_t waiting;   /* of the new ones, those that would find no place */
	char *update_state; /* in which the update would end; NULL: there would be none */
	char *message;      /* likewise */
	LIST_OF(struct plan_task) tasks;
};
extern const struct table plan_service_table;

struct plan_report {
	uint64_t index;   /* what is told it refuses when the state has moved */
	bool complete;    /* everything came to rest; else it was given up at a bound */
	int64_t duration; /* ns of delays and watching in it, with tasks that run at once */
	bool truncated;   /* more tasks than are listed: the counts are of all */
	LIST_OF(struct plan_service) services;
};
extern const struct table plan_report_table;
