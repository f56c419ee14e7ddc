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

static void list_change(struct strs *list, const struct flags *f, const char *add,
			const char *remove)
{
	STRS_EACH (item, flag_list(f, remove))
		spec_remove(list, item, 0);
	STRS_EACH (item, flag_list(f, add))
		if (!strs_has(list, item))
			strs_add(list, item);
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

static int ports_change(struct service_spec *s, const struct flags *f, struct err *e)
{
	size_t kept = 0;

	if (!flag_list(f, "publish-rm")->n && !flag_list(f, "publish-add")->n)
		return 0;
	if (!s->endpoint)
		s->endpoint = xcalloc(1, sizeof *s->endpoint);
	for (size_t i = 0; i < s->endpoint->ports.n; i++) {
		struct port_config *p = &s->endpoint->ports.v[i];
		bool gone = false;

		STRS_EACH (text, flag_list(f, "publish-rm"))
			gone |= strtoul(text, NULL, 10) == p->target;
		if (gone)
			table_done(&port_config_table, p);
		else
			s->endpoint->ports.v[kept++] = *p;
	}
	s->endpoint->ports.n = kept;
	STRS_EACH (text, flag_list(f, "publish-add"))
		if (port_parse(text, LIST_ADD(&s->endpoint->ports), e) < 0)
			return e->code;
	return 0;
}

static int networks_change(struct task_spec *t, const struct flags *f, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->networks.n; i++) {
		struct network_attachment *n = &t->networks.v[i];

		if (n->target && strs_has(flag_list(f, "network-rm"), n->target))
			table_done(&network_attachment_table, n);
		else
			t->networks.v[kept++] = *n;
	}
	t->networks.n = kept;
	STRS_EACH (text, flag_list(f, "network-add"))
		if (network_parse(text, LIST_ADD(&t->networks), e) < 0)
			return e->code;
	return 0;
}

static int container_change(struct container_spec *c, const struct flags *f, struct err *e)
{
	spec_text(&c->image, f, "image");
	spec_text(&c->hostname, f, "hostname");
	spec_text(&c->user, f, "user");
	spec_text(&c->dir, f, "workdir");
	spec_text(&c->stop_signal, f, "stop-signal");
	if (flag_is_set(f, "args")) {
		strs_done(&c->args);
		spec_words(&c->args, flag_text(f, "args"));
	}
	if (flag_is_set(f, "entrypoint")) {
		strs_done(&c->command);
		spec_words(&c->command, flag_text(f, "entrypoint"));
	}
	if (flag_is_set(f, "stop-grace-period")) {
		free(c->stop_grace);
		c->stop_grace = spec_i64(f, "stop-grace-period");
	}
	if (flag_is_set(f, "init")) {
		free(c->init);
		c->init = spec_bool(f, "init");
	}
	if (flag_is_set(f, "read-only"))
		c->read_only = flag_true(f, "read-only");
	if (flag_is_set(f, "tty"))
		c->tty = flag_true(f, "tty");
	labels_change(&c->labels, f, "container-label-add", "container-label-rm");
	labels_change(&c->sysctls, f, "sysctl-add", "sysctl-rm");
	STRS_EACH (key, flag_list(f, "env-rm"))
		spec_remove(&c->env, key, '=');
	if (spec_env(&c->env, f, NULL, "env-add", e) < 0)
		return e->code;
	return mounts_change(c, f, e);
}

static void resources_change(struct task_spec *t, const struct flags *f)
{
	static const char *const names[] = {"limit-cpu", "limit-memory", "limit-pids",
					    "reserve-cpu", "reserve-memory"};
	struct resources *r;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct resources **half;

		if (!flag_is_set(f, names[i]))
			continue;
		if (!t->resources)
			t->resources = xcalloc(1, sizeof *t->resources);
		half = i < 3 ? &t->resources->limits : &t->resources->reservations;
		if (!*half)
			*half = xcalloc(1, sizeof **half);
		r = *half;
		*(i % 3 == 0   ? &r->nano_cpus
		  : i % 3 == 1 ? &r->memory
			       : &r->pids) = flag_get(f, names[i])->number;
	}
}

static int restart_change(struct task_spec *t, const struct flags *f, struct err *e)
{
	struct service_spec wish = {0};
	struct restart_policy *r;
	int rc = restart_fill(f, &wish.task, e);

	r = wish.task.restart;
	if (rc == 0 && r && t->restart) {
		if (!flag_is_set(f, "restart-condition"))
			r->condition = t->restart->condition;
		if (!r->delay)
			r->delay = TAKE_PTR(t->restart->delay);
		if (!r->max_attempts)
			r->max_attempts = TAKE_PTR(t->restart->max_attempts);
		if (!r->window)
			r->window = TAKE_PTR(t->restart->window);
	}
	if (rc == 0 && r) {
		if (t->restart)
			table_free(&restart_policy_table, t->restart);
		t->restart = TAKE_PTR(wish.task.restart);
	}
	table_done(&service_spec_table, &wish);
	return rc;
}

static void update_change(struct service_spec *s, const struct flags *f)
{
	struct update_config *before = s->update;

	s->update = NULL;
	update_fill(f, s);
	if (!s->update) {
		s->update = before;
		return;
	}
	if (before) {
		if (!flag_is_set(f, "update-parallelism"))
			s->update->parallelism = before->parallelism;
		if (!flag_is_set(f, "update-delay"))
			s->update->delay = before->delay;
		if (!flag_is_set(f, "update-monitor"))
			s->update->monitor = before->monitor;
		if (!flag_is_set(f, "update-max-failure-ratio"))
			s->update->max_failure_ratio = before->max_failure_ratio;
		if (!flag_is_set(f, "update-failure-action"))
			str_set(&s->update->failure_action, before->failure_action);
		if (!flag_is_set(f, "update-order"))
			str_set(&s->update->order, before->order);
		table_free(&update_config_table, before);
	}
}

static int mode_change(struct service_spec *s, const struct flags *f, struct err *e)
{
	if (!flag_is_set(f, "replicas"))
		return 0;
	if (!s->mode.replicated)
		return err_set(e, -EINVAL, "replicas can only be used with replicated mode");
	free(s->mode.replicated->replicas);
	s->mode.replicated->replicas = spec_u64(f, "replicas");
	return 0;
}

static int spec_change(struct service_spec *s, const struct flags *f, struct err *e)
{
	struct task_spec *t = &s->task;

	if (!t->container)
		return err_set(e, -EINVAL, "the service has no containers to update");
	labels_change(&s->labels, f, "label-add", "label-rm");
	resources_change(t, f);
	if (!t->placement)
		t->placement = xcalloc(1, sizeof *t->placement);
	list_change(&t->placement->constraints, f, "constraint-add", "constraint-rm");
	if (flag_is_set(f, "replicas-max-per-node"))
		t->placement->max_replicas = (uint64_t)flag_get(f, "replicas-max-per-node")->number;
	if (flag_true(f, "force"))
		t->force_update++;
	update_change(s, f);
	if (container_change(t->container, f, e) < 0 || restart_change(t, f, e) < 0 ||
	    mode_change(s, f, e) < 0 || networks_change(t, f, e) < 0)
		return e->code;
	return ports_change(s, f, e);
}

static int update(struct cli *c, const struct flags *f, char **ret_id, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct service_view s = {0};
	int rc;

	path_add(&path, "/services/%", f->args[0]);
	rc = call_get(c, buf_text(&path), &service_view_table, &s, e);
	if (rc == 0)
		rc = spec_change(&s.s.spec, f, e);
	if (rc == 0)
		rc = call_body(&service_spec_table, &s.s.spec, &body, e);
	if (rc == 0)
		rc = service_put(c, &s, &body, flag_true(f, "rollback"), e);
	if (rc == 0)
		*ret_id = xstrdup(s.s.o.id);
	table_done(&service_view_table, &s);
	return rc;
}

int cli_service_update(struct cli *c, const struct flags *f)
{
	auto_free char *id = NULL;
	struct err e = ERR_INIT;

	if (update(c, f, &id, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "%s\n", f->args[0]);
	return flag_true(f, "detach") ? 0 : progress_watch(c, id, flag_true(f, "quiet"));
}
