/*
 * service update: the service's own specification, changed by what flags say.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/progress.h"
#include "cli/service_spec.h"
#include "cli/spec_flags.h"
#include "cli/views.h"

static void labels_change(struct strmap *m, const struct flags *f, const char *add,
			  const char *remove)
{
	STRS_EACH (key, flag_list(f, remove))
		strmap_remove(m, key);
	spec_labels(m, f, add);
}

/* Mounts are known by their targets; one that is added replaces the one before. */
static void mount_remove(struct container_spec *c, const char *target)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->mounts.n; i++) {
		if (c->mounts.v[i].target && strcmp(c->mounts.v[i].target, target) == 0)
			table_done(&mount_table, &c->mounts.v[i]);
		else
			c->mounts.v[kept++] = c->mounts.v[i];
	}
	c->mounts.n = kept;
}

static int mounts_change(struct container_spec *c, const struct flags *f, struct err *e)
{
	STRS_EACH (target, flag_list(f, "mount-rm"))
		mount_remove(c, target);
	STRS_EACH (text, flag_list(f, "mount-add")) {
		struct mount m = {0};

		if (mount_parse(text, &m, e) < 0) {
			table_done(&mount_table, &m);
			return e->code;
		}
		mount_remove(c, m.target);
		*LIST_ADD(&c->mounts) = m;
	}
	return 0;
}

static void port_remove(struct endpoint_spec *s, const struct port_config *named, bool any_mode)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->ports.n; i++) {
		struct port_config *p = &s->ports.v[i];

		if (p->target == named->target && p->protocol == named->protocol &&
		    (any_mode || p->mode == named->mode))
			table_done(&port_config_table, p);
		else
			s->ports.v[kept++] = *p;
	}
	s->ports.n = kept;
}

/* "53/udp" names a target port whatever its mode, "mode=host,target=53" those of that mode. */
static int ports_remove(struct endpoint_spec *s, const char *text, struct err *e)
{
	struct endpoint_spec named = {0};
	int rc = port_parse(text, &named, e);

	LIST_EACH (p, &named.ports)
		port_remove(s, p, !strstr(text, "mode="));
	table_done(&endpoint_spec_table, &named);
	return rc;
}

static int ports_change(struct service_spec *s, const struct flags *f, struct err *e)
{
	if (service_endpoint_mode(s, f, e) < 0)
		return e->code;
	if (!flag_list(f, "publish-rm")->n && !flag_list(f, "publish-add")->n)
		return 0;
	if (!s->endpoint)
		s->endpoint = xcalloc(1, sizeof *s->endpoint);
	STRS_EACH (text, flag_list(f, "publish-rm"))
		if (ports_remove(s->endpoint, text, e) < 0)
			return e->code;
	STRS_EACH (text, flag_list(f, "publish-add"))
		if (port_parse(text, s->endpoint, e) < 0)
			return e->code;
	return 0;
}

/* A specification has networks by their ids, or as they were named. */
static int network_find(struct cli *c, const struct task_spec *t, const char *name, size_t *ret,
			struct err *e)
{
	auto_buf path = CALL_PATH;
	struct network_view n = {0};
	int rc;

	path_add(&path, "/networks/%", name);
	rc = call_get(c, buf_text(&path), &network_view_table, &n, e);
	for (*ret = 0; rc == 0 && *ret < t->networks.n; ++*ret) {
		const char *target = t->networks.v[*ret].target;

		if (target && (strcmp(target, n.id) == 0 || strcmp(target, n.name) == 0))
			break;
	}
	table_done(&network_view_table, &n);
	return rc;
}

static int networks_change(struct cli *c, struct task_spec *t, const struct flags *f, struct err *e)
{
	size_t at;

	STRS_EACH (name, flag_list(f, "network-rm")) {
		if (network_find(c, t, name, &at, e) < 0)
			return e->code;
		if (at == t->networks.n)
			return err_set(e, -ENOENT, "the service is not attached to network %s",
				       name);
		table_done(&network_attachment_table, &t->networks.v[at]);
		t->networks.n--;
		memmove(&t->networks.v[at], &t->networks.v[at + 1],
			(t->networks.n - at) * sizeof *t->networks.v);
	}
	STRS_EACH (text, flag_list(f, "network-add")) {
		struct network_attachment wish = {0};
		int rc = network_parse(text, &wish, e);

		if (rc == 0)
			rc = network_find(c, t, wish.target, &at, e);
		if (rc == 0 && at < t->networks.n)
			rc = err_set(e, -EEXIST, "service is already attached to network %s",
				     wish.target);
		if (rc < 0) {
			table_done(&network_attachment_table, &wish);
			return rc;
		}
		*LIST_ADD(&t->networks) = wish;
	}
	return 0;
}

static int container_change(struct container_spec *c, const struct flags *f, struct err *e)
{
	static const char *const dns[] = {"dns-add",       "dns-rm",         "dns-search-add",
					  "dns-search-rm", "dns-option-add", "dns-option-rm"};

	spec_text(&c->image, f, "image");
	spec_words(&c->args, f, "args");
	if (service_container(c, f, e) < 0)
		return e->code;
	labels_change(&c->labels, f, "container-label-add", "container-label-rm");
	if (service_rights(c, f, "device-add", "device-rm", e) < 0)
		return e->code;
	labels_change(&c->sysctls, f, "sysctl-add", "sysctl-rm");
	service_caps(c, f, false);
	service_texts(&c->groups, f, "group-add", "group-rm");
	service_dns(c, f, dns);
	service_hosts(c, f, "host-add", "host-rm");
	if (service_ulimits(c, f, "ulimit-add", "ulimit-rm", e) < 0)
		return e->code;
	STRS_EACH (key, flag_list(f, "env-rm"))
		spec_remove(&c->env, key, '=');
	if (spec_env(&c->env, f, NULL, "env-add", e) < 0)
		return e->code;
	return mounts_change(c, f, e);
}

static int placement_change(struct task_spec *t, const struct flags *f, struct err *e)
{
	static const char *const names[] = {"constraint-add", "constraint-rm", "placement-pref-add",
					    "placement-pref-rm", "replicas-max-per-node"};
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		any |= flag_is_set(f, names[i]);
	if (!any)
		return 0;
	if (!t->placement)
		t->placement = xcalloc(1, sizeof *t->placement);
	service_texts(&t->placement->constraints, f, "constraint-add", "constraint-rm");
	spec_number((int64_t *)&t->placement->max_replicas, f, "replicas-max-per-node");
	if (service_prefs_remove(t->placement, f, "placement-pref-rm", e) < 0)
		return e->code;
	return service_prefs_add(t->placement, f, "placement-pref-add", e);
}

static int mode_change(struct service_spec *s, const struct flags *f, struct err *e)
{
	struct job_mode *job = s->mode.replicated_job;

	if (flag_is_set(f, "replicas") && !s->mode.replicated && !job)
		return err_set(e, -EINVAL,
			       "replicas can only be used with replicated or replicated-job mode");
	if (flag_is_set(f, "max-concurrent") && !job)
		return err_set(e, -EINVAL,
			       "max-concurrent can only be used with replicated-job mode");
	if (s->mode.replicated)
		spec_opt_u64(&s->mode.replicated->replicas, f, "replicas");
	if (job) {
		spec_opt_u64(&job->total_completions, f, "replicas");
		spec_opt_u64(&job->max_concurrent, f, "max-concurrent");
	}
	return 0;
}

static int spec_change(struct cli *c, struct service_spec *s, const struct flags *f, struct err *e)
{
	struct task_spec *t = &s->task;

	if (!t->container)
		return err_set(e, -EINVAL, "the service has no containers to update");
	labels_change(&s->labels, f, "label-add", "label-rm");
	service_resources(t, f);
	service_log_driver(t, f);
	if (service_generic(t, f, "generic-resource-add", "generic-resource-rm", e) < 0)
		return e->code;
	if (placement_change(t, f, e) < 0)
		return e->code;
	service_update_config(s, f);
	service_deadline(&s->labels, f);
	if (service_autoscale(&s->labels, f, e) < 0)
		return e->code;
	if (flag_true(f, "force"))
		t->force_update++;
	if (container_change(t->container, f, e) < 0 || service_restart(t, f, e) < 0 ||
	    service_files_change(c, t->container, f, e) < 0 || mode_change(s, f, e) < 0 ||
	    networks_change(c, t, f, e) < 0)
		return e->code;
	return ports_change(s, f, e);
}

/* --rollback stands alone, but for how the command waits and what it prints. */
static bool others_set(const struct flags *f, struct err *e)
{
	static const char *const alone[] = {"rollback",    "detach", "quiet",
					    "check-index", "format", "converge-deadline"};

	for (size_t i = 0; i < f->n; i++) {
		bool allowed = !f->values[i].set;

		for (size_t j = 0; j < ARRAY_LEN(alone); j++)
			allowed |= strcmp(f->defs[i].name, alone[j]) == 0;
		if (!allowed) {
			(void)err_set(e, -EINVAL,
				      "other flags may not be combined with --rollback: --%s",
				      f->defs[i].name);
			return true;
		}
	}
	return false;
}

int service_update_body(struct cli *c, const struct flags *f, struct service_view *ret,
			struct buf *body, struct err *e)
{
	bool rollback = flag_true(f, "rollback");
	auto_buf path = CALL_PATH;
	int rc;

	if (rollback && others_set(f, e))
		return e->code;
	path_add(&path, "/services/%", f->args[0]);
	rc = call_get(c, buf_text(&path), &service_view_table, ret, e);
	if (rc == 0 && !rollback)
		rc = spec_change(c, &ret->s.spec, f, e);
	return rc < 0 ? rc : call_body(&service_spec_table, &ret->s.spec, body, e);
}

static int update(struct cli *c, const struct flags *f, char **ret_id, struct err *e)
{
	auto_buf body = BUF_INIT(0);
	struct service_view s = {0};
	int rc = service_update_body(c, f, &s, &body, e);

	if (rc == 0)
		rc = service_put(c, &s, &body, flag_true(f, "rollback"),
				 flag_text(f, "check-index"), e);
	if (rc == 0)
		*ret_id = xstrdup(s.s.o.id);
	table_done(&service_view_table, &s);
	return rc;
}

static int watch(struct cli *c, const struct flags *f, const char *id, bool rollback)
{
	struct progress_options options = progress_options_of(f, rollback);

	(void)fprintf(c->out, "%s\n", f->args[0]);
	return flag_true(f, "detach") ? 0 : progress_watch(c, id, &options);
}

int cli_service_update(struct cli *c, const struct flags *f)
{
	auto_free char *id = NULL;
	struct err e = ERR_INIT;

	if (update(c, f, &id, &e) < 0)
		return cli_fail(c, &e);
	return watch(c, f, id, flag_true(f, "rollback"));
}

int cli_service_rollback(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct service_view s = {0};
	auto_free char *id = NULL;
	struct err e = ERR_INIT;
	int rc;

	path_add(&path, "/services/%", f->args[0]);
	rc = call_get(c, buf_text(&path), &service_view_table, &s, &e);
	if (rc == 0)
		rc = call_body(&service_spec_table, &s.s.spec, &body, &e);
	if (rc == 0)
		rc = service_put(c, &s, &body, true, NULL, &e);
	if (rc == 0)
		id = xstrdup(s.s.o.id);
	table_done(&service_view_table, &s);
	return rc < 0 ? cli_fail(c, &e) : watch(c, f, id, true);
}
