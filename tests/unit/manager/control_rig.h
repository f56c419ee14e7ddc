/*
 * A store with one manager, and requests made of it: for the tests of manager/control.h. Pure: ids
 * count up, the time is given.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "manager/control.h"

static unsigned ids;

static inline void next_id(void *arg, char ret[ID_CLUSTER_LEN + 1])
{
	(void)arg;
	(void)snprintf(ret, ID_CLUSTER_LEN + 1, "%025u", ++ids);
}

static struct err last;
static char last_warning[256];

/* Builds and applies a request; returns its status, the error in `last`, the id in `ret_id`. */
static inline int ask(struct store *s, const struct control_request *r, char **ret_id)
{
	struct control_answer answer = {0};
	struct store *fork = store_fork(s);
	struct store_result result;
	struct changes changes;
	struct control c = {.view = fork,
			    .now_ns = 1000,
			    .new_id = next_id,
			    .self = "self",
			    .out = &changes,
			    .answer = &answer};
	int rc;

	last = ERR_INIT;
	changes_init(&changes);
	rc = control_build(&c, r, &last);
	if (rc < 0)
		assert_int_equal(changes.n, 0);
	if (rc == 0 && changes.n) {
		store_apply_changes(s, &changes, &result);
		assert_int_equal(result.verdict, STORE_APPLIED);
	}
	if (ret_id)
		*ret_id = xstrdup(answer.id);
	(void)snprintf(last_warning, sizeof last_warning, "%s",
		       answer.warnings.n ? answer.warnings.v[0] : "");
	table_done(&control_answer_table, &answer);
	changes_done(&changes);
	store_free(fork);
	return rc;
}

static inline struct store *with_cluster(void)
{
	struct store *s = store_new();
	struct store_result result;
	struct changes changes;
	struct cluster *c = object_new(KIND_CLUSTER, "cluster", 1);
	struct node *n = object_new(KIND_NODE, "self", 1);

	str_set(&c->spec.name, "default");
	n->spec.role = ROLE_MANAGER;
	n->status.state = NODE_READY;
	str_set(&n->description.hostname, "alpha");
	changes_init(&changes);
	changes_create(&changes, &c->o);
	changes_create(&changes, &n->o);
	store_apply_changes(s, &changes, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_done(&changes);
	return s;
}

static inline struct service_spec *spec_read(const char *json)
{
	struct service_spec *spec = xcalloc(1, sizeof *spec);
	struct err e = ERR_INIT;

	assert_ok(json_read(&service_spec_table, json, strlen(json), spec, &e), &e);
	return spec;
}

#define WEB                                                                             \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}}," \
	"\"Mode\":{\"Replicated\":{\"Replicas\":3}}}"

static inline int create(struct store *s, const char *json, char **ret_id)
{
	struct control_request r = {.op = CONTROL_SERVICE_CREATE, .service = spec_read(json)};
	int rc = ask(s, &r, ret_id);

	table_free(&service_spec_table, r.service);
	return rc;
}

static inline int update(struct store *s, const char *id, uint64_t version, const char *json)
{
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = (char *)(uintptr_t)id,
				    .version = version,
				    .service = spec_read(json)};
	int rc = ask(s, &r, NULL);

	table_free(&service_spec_table, r.service);
	return rc;
}
