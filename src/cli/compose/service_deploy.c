/*
 * `deploy` and `healthcheck` of a service.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/stack_impl.h"

#define MAKER(data) ((struct service_maker *)(data))
#define UPDATE_MONITOR_DEFAULT (5 * 1000000000LL)

static STACK_KEY(deploy_mode)
{
	static const char *const names[] = {"replicated", "global", "replicated-job", "global-job"};
	struct service_mode *m = &MAKER(data)->spec->mode;
	size_t i = 0;

	compose_choice(p, n, names, ARRAY_LEN(names), &i);
	if (i == 0)
		m->replicated = xcalloc(1, sizeof *m->replicated);
	else if (i == 1)
		m->global = xcalloc(1, sizeof *m->global);
	else if (i == 2)
		m->replicated_job = xcalloc(1, sizeof *m->replicated_job);
	else
		m->global_job = xcalloc(1, sizeof *m->global_job);
}

/* Read by stack_deploy() once the mode is known. */
static STACK_KEY(deploy_known)
{
}

static STACK_KEY(deploy_endpoint)
{
	static const char *const names[] = {"vip", "dnsrr"};
	struct service_spec *s = MAKER(data)->spec;
	size_t i = 0;

	compose_choice(p, n, names, ARRAY_LEN(names), &i);
	if (!s->endpoint)
		s->endpoint = xcalloc(1, sizeof *s->endpoint);
	s->endpoint->mode = i ? ENDPOINT_DNSRR : ENDPOINT_VIP;
}

static STACK_KEY(deploy_labels)
{
	compose_strmap(p, n, &MAKER(data)->spec->labels);
}

/* Placement */

static STACK_KEY(placement_constraints)
{
	compose_strs(p, n, &((struct placement *)data)->constraints);
}

static STACK_KEY(placement_preferences)
{
	for (size_t i = 0; i < n->n; i++) {
		const struct compose_node *item = n->v[i];
		char *descriptor = NULL;

		compose_text(p, compose_get(item, "spread"), &descriptor);
		if (descriptor && item->n == 1) {
			struct placement_preference *pref =
				LIST_ADD(&((struct placement *)data)->preferences);

			pref->spread = xcalloc(1, sizeof *pref->spread);
			pref->spread->descriptor = TAKE_PTR(descriptor);
		} else {
			compose_problem(p, item, "a preference is \"spread: node.labels.NAME\"");
		}
		free(descriptor);
	}
}

static STACK_KEY(placement_max)
{
	compose_number(p, n, 0, LIMIT_REPLICAS,
		       (int64_t *)&((struct placement *)data)->max_replicas);
}

static STACK_KEY(deploy_placement)
{
	static const struct compose_key keys[] = {
		{.name = "constraints", .fn = placement_constraints},
		{.name = "preferences", .fn = placement_preferences},
		{.name = "max_replicas_per_node", .fn = placement_max},
	};
	struct placement *pl = xcalloc(1, sizeof *pl);

	MAKER(data)->spec->task.placement = pl;
	compose_keys(p, n, keys, ARRAY_LEN(keys), pl);
}

/* Resources */

static STACK_KEY(resource_cpus)
{
	double cpus = 0;

	compose_real(p, n, &cpus);
	((struct resources *)data)->nano_cpus = (int64_t)(cpus * 1e9 + 0.5);
}

static STACK_KEY(resource_memory)
{
	compose_bytes(p, n, &((struct resources *)data)->memory);
}

static STACK_KEY(resource_pids)
{
	compose_number(p, n, 0, INT32_MAX, &((struct resources *)data)->pids);
}

static STACK_KEY(resource_generic)
{
	struct resources *r = data;

	for (size_t i = 0; i < n->n; i++) {
		const struct compose_node *item = compose_get(n->v[i], "discrete_resource_spec");
		auto_free char *kind = NULL;
		struct generic_discrete *d;
		int64_t value = 0;

		compose_text(p, compose_get(item, "kind"), &kind);
		compose_number(p, compose_get(item, "value"), 1, INT64_MAX, &value);
		if (!kind || !value) {
			compose_problem(p, n->v[i],
					"a generic resource is a discrete_resource_spec with kind "
					"and value");
			continue;
		}
		d = xcalloc(1, sizeof *d);
		d->kind = TAKE_PTR(kind);
		d->value = value;
		LIST_ADD(&r->generic)->discrete = d;
	}
}

static STACK_KEY(resource_limits)
{
	static const struct compose_key keys[] = {
		{.name = "cpus", .fn = resource_cpus},
		{.name = "memory", .fn = resource_memory},
		{.name = "pids", .fn = resource_pids},
	};
	struct resource_needs *needs = data;

	needs->limits = xcalloc(1, sizeof *needs->limits);
	compose_keys(p, n, keys, ARRAY_LEN(keys), needs->limits);
}

static STACK_KEY(resource_reservations)
{
	static const struct compose_key keys[] = {
		{.name = "cpus", .fn = resource_cpus},
		{.name = "memory", .fn = resource_memory},
		{.name = "generic_resources", .fn = resource_generic},
		{.name = "devices", .why = "tasks have no devices of their node"},
	};
	struct resource_needs *needs = data;

	needs->reservations = xcalloc(1, sizeof *needs->reservations);
	compose_keys(p, n, keys, ARRAY_LEN(keys), needs->reservations);
}

static STACK_KEY(deploy_resources)
{
	static const struct compose_key keys[] = {
		{.name = "limits", .fn = resource_limits},
		{.name = "reservations", .fn = resource_reservations},
	};
	struct resource_needs *needs = xcalloc(1, sizeof *needs);

	MAKER(data)->spec->task.resources = needs;
	compose_keys(p, n, keys, ARRAY_LEN(keys), needs);
}

/* Restarts and updates */

static STACK_KEY(restart_condition)
{
	static const char *const names[] = {"any", "none", "on-failure"};
	size_t i = 0;

	compose_choice(p, n, names, ARRAY_LEN(names), &i);
	((struct restart_policy *)data)->condition = (enum restart_condition)i;
}

static void duration_put(struct compose_project *p, const struct compose_node *n, int64_t **ret)
{
	int64_t ns = 0;

	compose_duration(p, n, &ns);
	*ret = xmemdup(&ns, sizeof ns);
}

static STACK_KEY(restart_delay)
{
	duration_put(p, n, &((struct restart_policy *)data)->delay);
}

static STACK_KEY(restart_window)
{
	duration_put(p, n, &((struct restart_policy *)data)->window);
}

static STACK_KEY(restart_attempts)
{
	int64_t attempts = 0;

	compose_number(p, n, 0, INT64_MAX, &attempts);
	((struct restart_policy *)data)->max_attempts = xmemdup(&attempts, sizeof attempts);
}

static STACK_KEY(deploy_restart)
{
	static const struct compose_key keys[] = {
		{.name = "condition", .fn = restart_condition},
		{.name = "delay", .fn = restart_delay},
		{.name = "max_attempts", .fn = restart_attempts},
		{.name = "window", .fn = restart_window},
	};
	struct restart_policy *r = xcalloc(1, sizeof *r);

	MAKER(data)->spec->task.restart = r;
	compose_keys(p, n, keys, ARRAY_LEN(keys), r);
}

#define UPDATE(data) ((struct update_config *)(data))

static STACK_KEY(update_parallelism)
{
	compose_number(p, n, 0, LIMIT_REPLICAS, (int64_t *)&UPDATE(data)->parallelism);
}

static STACK_KEY(update_delay)
{
	compose_duration(p, n, &UPDATE(data)->delay);
}

static STACK_KEY(update_monitor)
{
	compose_duration(p, n, &UPDATE(data)->monitor);
}

static STACK_KEY(update_ratio)
{
	compose_real(p, n, &UPDATE(data)->max_failure_ratio);
}

static STACK_KEY(update_action)
{
	compose_text(p, n, &UPDATE(data)->failure_action);
}

static STACK_KEY(update_order)
{
	compose_text(p, n, &UPDATE(data)->order);
}

static STACK_KEY(deploy_update)
{
	static const struct compose_key keys[] = {
		{.name = "parallelism", .fn = update_parallelism},
		{.name = "delay", .fn = update_delay},
		{.name = "monitor", .fn = update_monitor},
		{.name = "max_failure_ratio", .fn = update_ratio},
		{.name = "failure_action", .fn = update_action},
		{.name = "order", .fn = update_order},
	};
	struct service_spec *s = MAKER(data)->spec;
	struct update_config *u = xcalloc(1, sizeof *u);

	u->parallelism = 1;
	u->monitor = UPDATE_MONITOR_DEFAULT;
	*(strcmp(n->key, "update_config") == 0 ? &s->update : &s->rollback) = u;
	compose_keys(p, n, keys, ARRAY_LEN(keys), u);
}

static const struct compose_key deploy_keys[] = {
	{.name = "mode", .fn = deploy_mode},
	{.name = "replicas", .fn = deploy_known},
	{.name = "endpoint_mode", .fn = deploy_endpoint},
	{.name = "labels", .fn = deploy_labels},
	{.name = "placement", .fn = deploy_placement},
	{.name = "resources", .fn = deploy_resources},
	{.name = "restart_policy", .fn = deploy_restart},
	{.name = "update_config", .fn = deploy_update},
	{.name = "rollback_config", .fn = deploy_update},
};

STACK_KEY(stack_deploy)
{
	const struct compose_node *at = compose_get(n, "replicas");
	struct service_mode *m = &MAKER(data)->spec->mode;
	int64_t replicas = 1;

	compose_keys(p, n, deploy_keys, ARRAY_LEN(deploy_keys), data);
	if (!at || at->type == COMPOSE_NULL)
		return;
	compose_number(p, at, 0, LIMIT_REPLICAS, &replicas);
	if (m->global || m->global_job) {
		compose_problem(p, at, "replicas is not for the mode %s",
				m->global ? "global" : "global-job");
	} else if (m->replicated_job) {
		m->replicated_job->max_concurrent = xmemdup(&replicas, sizeof replicas);
		m->replicated_job->total_completions = xmemdup(&replicas, sizeof replicas);
	} else {
		if (!m->replicated)
			m->replicated = xcalloc(1, sizeof *m->replicated);
		m->replicated->replicas = xmemdup(&replicas, sizeof replicas);
	}
}

/* Healthchecks */

#define HEALTH(data) ((struct healthcheck *)(data))

static STACK_KEY(health_test)
{
	if (n->type == COMPOSE_TEXT)
		strs_add(&HEALTH(data)->test, "CMD-SHELL");
	compose_strs(p, n, &HEALTH(data)->test);
}

static STACK_KEY(health_time)
{
	struct healthcheck *h = data;

	compose_duration(p, n,
			 strcmp(n->key, "interval") == 0       ? &h->interval
			 : strcmp(n->key, "timeout") == 0      ? &h->timeout
			 : strcmp(n->key, "start_period") == 0 ? &h->start_period
							       : &h->start_interval);
}

static STACK_KEY(health_retries)
{
	compose_number(p, n, 0, INT32_MAX, &HEALTH(data)->retries);
}

static STACK_KEY(health_disable)
{
	bool off = false;

	compose_bool(p, n, &off);
	if (off) {
		strs_done(&HEALTH(data)->test);
		strs_add(&HEALTH(data)->test, "NONE");
	}
}

STACK_KEY(stack_healthcheck)
{
	static const struct compose_key keys[] = {
		{.name = "test", .fn = health_test},
		{.name = "interval", .fn = health_time},
		{.name = "timeout", .fn = health_time},
		{.name = "start_period", .fn = health_time},
		{.name = "start_interval", .fn = health_time},
		{.name = "retries", .fn = health_retries},
		{.name = "disable", .fn = health_disable},
	};
	struct healthcheck *h = xcalloc(1, sizeof *h);

	MAKER(data)->c->healthcheck = h;
	compose_keys(p, n, keys, ARRAY_LEN(keys), h);
	if (h->test.n > 1 && strcmp(h->test.v[h->test.n - 1], "NONE") == 0)
		compose_problem(p, n, "a healthcheck has a test, or disable, not both");
}
