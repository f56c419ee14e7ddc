/*
 * A service's specification from flags. See service_spec.h.
 */
#include "cli/service_spec.h"

#include <string.h>

#include "base/mem.h"
#include "cli/spec_flags.h"

#define UPDATE_MONITOR_DEFAULT (5 * 1000000000LL)

static int lists_fill(const struct flags *f, struct container_spec *c, struct task_spec *t,
		      struct err *e)
{
	STRS_EACH (item, flag_list(f, "mount"))
		if (mount_parse(item, LIST_ADD(&c->mounts), e) < 0)
			return e->code;
	STRS_EACH (item, flag_list(f, "network"))
		if (network_parse(item, LIST_ADD(&t->networks), e) < 0)
			return e->code;
	return service_ulimits(c, f, "ulimit", NULL, e);
}

int service_container(struct container_spec *c, const struct flags *f, struct err *e)
{
	spec_text(&c->hostname, f, "hostname");
	spec_text(&c->dir, f, "workdir");
	spec_text(&c->user, f, "user");
	spec_text(&c->stop_signal, f, "stop-signal");
	spec_opt_i64(&c->stop_grace, f, "stop-grace-period");
	spec_opt_bool(&c->init, f, "init");
	spec_bool(&c->tty, f, "tty");
	spec_bool(&c->read_only, f, "read-only");
	spec_words(&c->command, f, "entrypoint");
	spec_number(&c->oom_score_adj, f, "oom-score-adj");
	spec_text(&c->isolation, f, "isolation");
	if (service_credentials(c, f, e) < 0)
		return e->code;
	return spec_health(&c->healthcheck, f, e);
}

static int container_fill(const struct flags *f, struct container_spec *c, struct task_spec *t,
			  struct err *e)
{
	static const char *const dns[] = {"dns", NULL, "dns-search", NULL, "dns-option", NULL};

	c->image = xstrdup(f->args[0]);
	for (size_t i = 1; i < f->n_args; i++)
		strs_add(&c->args, f->args[i]);
	if (service_container(c, f, e) < 0)
		return e->code;
	spec_labels(&c->labels, f, "container-label");
	if (service_rights(c, f, "device", NULL, e) < 0)
		return e->code;
	spec_labels(&c->sysctls, f, "sysctl");
	service_caps(c, f, true);
	service_texts(&c->groups, f, "group", NULL);
	service_dns(c, f, dns);
	service_hosts(c, f, "host", NULL);
	if (spec_env(&c->env, f, "env-file", "env", e) < 0)
		return e->code;
	return lists_fill(f, c, t, e);
}

/* Makes *r only for what is given: an update that says nothing of resources changes no task. */
static void resources_apply(struct resources **r, const struct flags *f, const char *cpu,
			    const char *memory, const char *pids)
{
	if (!flag_is_set(f, cpu) && !flag_is_set(f, memory) && !(pids && flag_is_set(f, pids)))
		return;
	if (!*r)
		*r = xcalloc(1, sizeof **r);
	spec_number(&(*r)->nano_cpus, f, cpu);
	spec_number(&(*r)->memory, f, memory);
	if (pids)
		spec_number(&(*r)->pids, f, pids);
}

void service_resources(struct task_spec *t, const struct flags *f)
{
	struct resource_needs had = {0};
	struct resource_needs *r = t->resources ? t->resources : &had;

	resources_apply(&r->limits, f, "limit-cpu", "limit-memory", "limit-pids");
	resources_apply(&r->reservations, f, "reserve-cpu", "reserve-memory", NULL);
	if (r == &had && (had.limits || had.reservations))
		t->resources = xmemdup(&had, sizeof had);
}

int service_restart(struct task_spec *t, const struct flags *f, struct err *e)
{
	static const char *const names[] = {"any", "none", "on-failure"};
	const char *condition = flag_text(f, "restart-condition");
	size_t i = 0;

	if (!condition && !flag_is_set(f, "restart-delay") &&
	    !flag_is_set(f, "restart-max-attempts") && !flag_is_set(f, "restart-window"))
		return 0;
	while (condition && i < ARRAY_LEN(names) && strcmp(names[i], condition) != 0)
		i++;
	if (i == ARRAY_LEN(names))
		return err_set(e, -EINVAL,
			       "invalid restart condition %s: it must be none, on-failure or any",
			       condition);
	if (!t->restart)
		t->restart = xcalloc(1, sizeof *t->restart);
	if (condition)
		t->restart->condition = (enum restart_condition)i;
	spec_opt_i64(&t->restart->delay, f, "restart-delay");
	spec_opt_u64(&t->restart->max_attempts, f, "restart-max-attempts");
	spec_opt_i64(&t->restart->window, f, "restart-window");
	return 0;
}

/* "spread=KEY"; NULL when it is something else. */
static const char *pref_key(const char *text, struct err *e)
{
	const char *value = strchr(text, '=');

	if (!value) {
		(void)err_set(e, -EINVAL, "placement preference must be of the format \"%s\"",
			      "<strategy>=<arg>");
		return NULL;
	}
	if (strncmp(text, "spread=", 7) == 0)
		return value + 1;
	(void)err_set(e, -EINVAL, "unsupported placement preference %.*s", (int)(value - text),
		      text);
	return NULL;
}

int service_prefs_add(struct placement *p, const struct flags *f, const char *flag, struct err *e)
{
	STRS_EACH (text, flag_list(f, flag)) {
		const char *key = pref_key(text, e);
		struct placement_preference *pref;

		if (!key)
			return e->code;
		pref = LIST_ADD(&p->preferences);
		pref->spread = xcalloc(1, sizeof *pref->spread);
		pref->spread->descriptor = xstrdup(key);
	}
	return 0;
}

int service_prefs_remove(struct placement *p, const struct flags *f, const char *flag,
			 struct err *e)
{
	STRS_EACH (text, flag_list(f, flag)) {
		const char *key = pref_key(text, e);
		size_t kept = 0;

		if (!key)
			return e->code;
		for (size_t i = 0; i < p->preferences.n; i++) {
			struct placement_preference *pref = &p->preferences.v[i];

			if (pref->spread && pref->spread->descriptor &&
			    strcmp(pref->spread->descriptor, key) == 0)
				table_done(&placement_preference_table, pref);
			else
				p->preferences.v[kept++] = *pref;
		}
		p->preferences.n = kept;
	}
	return 0;
}

static int task_fill(const struct flags *f, struct task_spec *t, struct err *e)
{
	t->resources = xcalloc(1, sizeof *t->resources);
	service_log_driver(t, f);
	service_resources(t, f);
	if (service_generic(t, f, "generic-resource", NULL, e) < 0)
		return e->code;
	t->placement = xcalloc(1, sizeof *t->placement);
	spec_list(&t->placement->constraints, f, "constraint");
	t->placement->max_replicas = (uint64_t)flag_get(f, "replicas-max-per-node")->number;
	return service_prefs_add(t->placement, f, "placement-pref", e);
}

/* All at once, unless it is said how many. */
static struct job_mode *job_fill(const struct flags *f)
{
	struct job_mode *m = xcalloc(1, sizeof *m);
	bool all = !flag_is_set(f, "max-concurrent");

	spec_opt_u64(&m->total_completions, f, "replicas");
	spec_opt_u64(&m->max_concurrent, f, all ? "replicas" : "max-concurrent");
	return m;
}

static int concurrent_check(const struct flags *f, const struct service_mode *m, struct err *e)
{
	if (!flag_is_set(f, "max-concurrent") || m->replicated_job)
		return 0;
	return err_set(e, -EINVAL, "max-concurrent can only be used with replicated-job mode");
}

static int mode_fill(const struct flags *f, struct service_mode *m, struct err *e)
{
	const char *mode = flag_text(f, "mode");

	if (mode && strcmp(mode, "replicated") != 0) {
		if (strcmp(mode, "global") == 0)
			m->global = xcalloc(1, sizeof *m->global);
		else if (strcmp(mode, "replicated-job") == 0)
			m->replicated_job = job_fill(f);
		else if (strcmp(mode, "global-job") == 0)
			m->global_job = xcalloc(1, sizeof *m->global_job);
		else
			return err_set(e, -EINVAL, "Unknown mode: %s", mode);
		if (flag_is_set(f, "replicas") && !m->replicated_job)
			return err_set(e, -EINVAL,
				       "replicas can only be used with replicated or "
				       "replicated-job mode");
		return concurrent_check(f, m, e);
	}
	m->replicated = xcalloc(1, sizeof *m->replicated);
	spec_opt_u64(&m->replicated->replicas, f, "replicas");
	return concurrent_check(f, m, e);
}

/* `names` in the order below, all beginning with "update-" or all with "rollback-". */
static void update_config_apply(struct update_config **config, const struct flags *f,
				const char *const names[6])
{
	struct update_config *u;
	bool any = false;

	for (size_t i = 0; i < 6; i++)
		any |= flag_is_set(f, names[i]);
	if (!any)
		return;
	if (!*config) { /* one that is given fixes the others at docker's defaults */
		*config = xcalloc(1, sizeof **config);
		(*config)->parallelism = 1;
		(*config)->monitor = UPDATE_MONITOR_DEFAULT;
		(*config)->failure_action = xstrdup("pause");
		(*config)->order = xstrdup("stop-first");
	}
	u = *config;
	spec_number((int64_t *)&u->parallelism, f, names[0]);
	spec_number(&u->delay, f, names[1]);
	spec_number(&u->monitor, f, names[2]);
	spec_text(&u->failure_action, f, names[3]);
	if (flag_is_set(f, names[4]))
		u->max_failure_ratio = flag_get(f, names[4])->real;
	spec_text(&u->order, f, names[5]);
}

void service_update_config(struct service_spec *s, const struct flags *f)
{
	static const char *const update[] = {"update-parallelism",       "update-delay",
					     "update-monitor",           "update-failure-action",
					     "update-max-failure-ratio", "update-order"};
	static const char *const rollback[] = {
		"rollback-parallelism",       "rollback-delay",
		"rollback-monitor",           "rollback-failure-action",
		"rollback-max-failure-ratio", "rollback-order"};

	update_config_apply(&s->update, f, update);
	update_config_apply(&s->rollback, f, rollback);
}

void service_deadline(struct strmap *labels, const struct flags *f)
{
	const char *given = flag_text(f, "update-deadline");

	if (given || !strmap_get(labels, UPDATE_DEADLINE_LABEL))
		strmap_set(labels, UPDATE_DEADLINE_LABEL, given ? given : UPDATE_DEADLINE_DEFAULT);
}

int service_endpoint_mode(struct service_spec *s, const struct flags *f, struct err *e)
{
	const char *mode = flag_text(f, "endpoint-mode");

	if (!mode)
		return 0;
	if (strcmp(mode, "vip") != 0 && strcmp(mode, "dnsrr") != 0)
		return err_set(e, -EINVAL, "invalid endpoint mode %s: it must be vip or dnsrr",
			       mode);
	if (!s->endpoint)
		s->endpoint = xcalloc(1, sizeof *s->endpoint);
	s->endpoint->mode = *mode == 'd' ? ENDPOINT_DNSRR : ENDPOINT_VIP;
	return 0;
}

static int endpoint_fill(const struct flags *f, struct service_spec *s, struct err *e)
{
	s->endpoint = xcalloc(1, sizeof *s->endpoint);
	STRS_EACH (item, flag_list(f, "publish"))
		if (port_parse(item, s->endpoint, e) < 0)
			return e->code;
	return service_endpoint_mode(s, f, e);
}

int service_spec_fill(const struct flags *f, struct service_spec *ret, struct err *e)
{
	struct task_spec *t = &ret->task;

	ret->name = xstrdup(flag_text(f, "name"));
	spec_labels(&ret->labels, f, "label");
	t->container = xcalloc(1, sizeof *t->container);
	service_update_config(ret, f);
	service_deadline(&ret->labels, f);
	if (service_autoscale(&ret->labels, f, e) < 0 || task_fill(f, t, e) < 0 ||
	    container_fill(f, t->container, t, e) < 0 || service_restart(t, f, e) < 0 ||
	    mode_fill(f, &ret->mode, e) < 0 || endpoint_fill(f, ret, e) < 0)
		return e->code;
	return 0;
}
