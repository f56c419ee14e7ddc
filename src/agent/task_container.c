/*
 * See task_container.h.
 */
#include "agent/task_container.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/network.h"
#include "model/placeholder.h"
#include "model/task_rights.h"

#define NS_PER_SECOND 1000000000LL

struct expansion {
	const struct task *task;
	const struct template *template;
	const struct task_node *node;
};

/* As Go prints a map. */
static int labels_text(const struct strmap *labels, struct buf *ret)
{
	buf_adds(ret, "map[");
	for (size_t i = 0; i < labels->n; i++)
		buf_addf(ret, "%s%s:%s", i ? " " : "", labels->v[i].key, labels->v[i].value);
	return buf_addc(ret, ']');
}

static int name_expand(const void *arg, const char *name, size_t n, struct buf *ret)
{
	const struct expansion *x = arg;
	auto_free char *key = xstrndup(name, n);
	auto_free char *task = NULL;
	const char *value = NULL, *label;

	if (strcmp(key, ".Service.ID") == 0)
		value = x->task->service;
	else if (strcmp(key, ".Service.Name") == 0)
		value = x->template->service_name;
	else if (strcmp(key, ".Service.Labels") == 0)
		return labels_text(&x->template->service_labels, ret);
	else if ((label = placeholder_label(key)))
		value = strmap_get(&x->template->service_labels, label);
	else if (strcmp(key, ".Node.ID") == 0)
		value = x->node->id;
	else if (strcmp(key, ".Node.Hostname") == 0)
		value = x->node->hostname;
	else if (strcmp(key, ".Node.Platform.OS") == 0)
		value = x->node->os;
	else if (strcmp(key, ".Node.Platform.Architecture") == 0)
		value = x->node->architecture;
	else if (strcmp(key, ".Task.ID") == 0)
		value = x->task->o.id;
	else if (strcmp(key, ".Task.Name") == 0)
		value = task = task_container_name(x->template->service_name, x->task);
	else if (strcmp(key, ".Task.Slot") == 0)
		return buf_addf(ret, "%" PRIu64, x->task->slot);
	else
		return -EINVAL;
	return buf_adds(ret, value ? value : "");
}

int task_template_value(const char *name, size_t n, const struct task *t,
			const struct template *tpl, const struct task_node *node, struct buf *ret)
{
	struct expansion x = {t, tpl, node};

	return name_expand(&x, name, n, ret);
}

static int text_expand(const struct expansion *x, const char *text, char **ret, struct err *e)
{
	return placeholders_expand(text, name_expand, x, ret, e);
}

int task_template_expand(const char *text, const struct task *t, const struct template *tpl,
			 const struct task_node *node, char **ret, struct err *e)
{
	struct expansion x = {t, tpl, node};

	return text_expand(&x, text, ret, e);
}

static void strings_take(struct strs *dst, const struct strs *src)
{
	STRS_EACH (s, src)
		strs_add(dst, s);
}

static int config_fill(const struct expansion *x, struct container_config *c, struct err *e)
{
	const struct container_spec *s = x->template->spec.container;
	int rc = 0;

	str_set(&c->image, s->image);
	strings_take(&c->entrypoint, &s->command);
	strings_take(&c->cmd, &s->args);
	str_set(&c->working_dir, s->dir);
	str_set(&c->user, s->user);
	str_set(&c->stop_signal, s->stop_signal);
	c->healthcheck = table_dup(&healthcheck_table, s->healthcheck);
	c->tty = s->tty;
	c->open_stdin = s->open_stdin;
	for (size_t i = 0; rc == 0 && i < s->env.n; i++) {
		auto_free char *text = NULL;

		rc = text_expand(x, s->env.v[i], &text, e);
		if (rc == 0)
			strs_add(&c->env, text);
	}
	if (rc == 0)
		generics_env(&x->task->generic, &c->env);
	if (rc == 0 && s->hostname)
		rc = text_expand(x, s->hostname, &c->hostname, e);
	c->stop_timeout = xcalloc(1, sizeof *c->stop_timeout);
	*c->stop_timeout = stop_grace_of(s) / NS_PER_SECOND;
	return rc;
}

static void labels_fill(const struct expansion *x, struct strmap *labels)
{
	const struct container_spec *s = x->template->spec.container;
	auto_free char *name = task_container_name(x->template->service_name, x->task);

	for (size_t i = 0; i < s->labels.n; i++)
		strmap_set(labels, s->labels.v[i].key, s->labels.v[i].value);
	strmap_set(labels, "com.docker.swarm.task", "");
	strmap_set(labels, "com.docker.swarm.task.id", x->task->o.id);
	strmap_set(labels, "com.docker.swarm.task.name", name);
	strmap_set(labels, "com.docker.swarm.node.id", x->node->id);
	strmap_set(labels, "com.docker.swarm.service.id", x->task->service);
	strmap_set(labels, "com.docker.swarm.service.name", x->template->service_name);
}

static void limits_fill(const struct task_spec *spec, struct host_config *h)
{
	const struct resource_needs *needs = spec->resources;

	if (needs && needs->limits) {
		h->nano_cpus = needs->limits->nano_cpus;
		h->memory = needs->limits->memory;
		if (needs->limits->pids) {
			h->pids_limit = xcalloc(1, sizeof *h->pids_limit);
			*h->pids_limit = needs->limits->pids;
		}
	}
	if (needs && needs->reservations)
		h->memory_reservation = needs->reservations->memory;
}

static void privileges_fill(const struct privileges *p, struct strs *security)
{
	if (!p)
		return;
	if (p->no_new_privileges)
		strs_add(security, "no-new-privileges");
	if (p->seccomp && p->seccomp->mode && strcmp(p->seccomp->mode, "unconfined") == 0)
		strs_add(security, "seccomp=unconfined");
	if (p->seccomp && p->seccomp->mode && strcmp(p->seccomp->mode, "custom") == 0) {
		auto_free char *option =
			xasprintf("seccomp=%.*s", (int)p->seccomp->profile.n,
				  p->seccomp->profile.n ? (char *)p->seccomp->profile.p : "");

		strs_add(security, option);
	}
	if (p->apparmor && p->apparmor->mode && strcmp(p->apparmor->mode, "disabled") == 0)
		strs_add(security, "apparmor=unconfined");
}

static int mounts_fill(const struct expansion *x, struct host_config *h, struct err *e)
{
	int rc = 0;

	LIST_EACH (m, &x->template->spec.container->mounts) {
		struct mount *to = LIST_ADD(&h->mounts);
		char *source = NULL;

		table_copy(&mount_table, to, m);
		if (!m->source)
			continue;
		rc = text_expand(x, m->source, &source, e);
		if (rc < 0)
			break;
		free(to->source);
		to->source = source;
	}
	return rc;
}

/* "IP HOST [ALIAS…]" of the cluster's form is "HOST:IP" in the engine's. */
static void hosts_fill(const struct strs *hosts, struct strs *extra)
{
	STRS_EACH (line, hosts) {
		auto_free char *copy = xstrdup(line);
		char *at = copy, *ip = strsep(&at, " \t"), *name;

		while (at && (name = strsep(&at, " \t"))) {
			auto_free char *entry = xasprintf("%s:%s", name, ip);

			if (*name)
				strs_add(extra, entry);
		}
	}
}

/* Overlays come with the task, as the managers' allocator has it; without any it is the bridge. */
static void network_fill(const struct task_spec *spec, struct host_config *h)
{
	LIST_EACH (a, &spec->networks)
		if (network_is_nodes_own(a->target))
			str_set(&h->network_mode, a->target);
}

/*
 * Host-mode ports are published by the container; the others are the routing mesh's. In the node's
 * own network there is nothing to publish: the scheduler has kept the port free.
 */
static void ports_fill(const struct endpoint_spec *endpoint, struct container_create *ret)
{
	bool of_host = ret->host.network_mode && strcmp(ret->host.network_mode, "host") == 0;

	for (size_t i = 0; endpoint && i < endpoint->ports.n; i++) {
		const struct port_config *p = &endpoint->ports.v[i];
		auto_free char *key =
			xasprintf("%" PRIu32 "/%s", p->target, port_protocol_name(p->protocol));

		if (!strs_has(&ret->config.exposed_ports, key))
			strs_add(&ret->config.exposed_ports, key);
		if (p->mode == PUBLISH_HOST && !of_host)
			LIST_ADD(&MAP_PUT(&ret->host.port_bindings, key)->list)->host_port =
				p->published ? xasprintf("%" PRIu32, p->published) : xstrdup("");
	}
}

int task_permit_check(const struct template *tpl, const struct task_permit *permit, struct err *e)
{
	static const struct task_permit nothing;
	struct task_rights rights;
	const char *device;
	int rc;

	permit = permit ? permit : &nothing;
	if (!tpl->spec.container)
		return 0;
	rc = task_rights_read(&tpl->spec.container->labels, &rights, e);
	if (rc < 0)
		return rc;
	device = task_rights_device_missing(&rights, permit->privileged, &permit->devices);
	if (rights.privileged && !permit->privileged)
		rc = err_set(e, -EPERM,
			     "privileged tasks are not permitted on this node: its operator would "
			     "have to set allow-privileged-tasks");
	else if (device)
		rc = err_set(e, -EPERM,
			     "tasks may not have the device %.255s of this node: its operator "
			     "would have to list it in allow-task-devices",
			     device);
	task_rights_done(&rights);
	return rc;
}

static int rights_fill(const struct expansion *x, struct host_config *h, struct err *e)
{
	struct task_rights rights;
	int rc = task_permit_check(x->template, x->node->permit, e);

	if (rc == 0)
		rc = task_rights_read(&x->template->spec.container->labels, &rights, e);
	if (rc < 0)
		return rc;
	h->privileged = rights.privileged;
	LIST_EACH (d, &rights.devices)
		table_copy(&device_mapping_table, LIST_ADD(&h->devices), d);
	task_rights_done(&rights);
	return 0;
}

static int host_fill(const struct expansion *x, struct host_config *h, struct err *e)
{
	const struct task_spec *spec = &x->template->spec;
	const struct container_spec *s = spec->container;

	limits_fill(spec, h);
	network_fill(spec, h);
	privileges_fill(s->privileges, &h->security_opt);
	strings_take(&h->cap_add, &s->cap_add);
	strings_take(&h->cap_drop, &s->cap_drop);
	strings_take(&h->group_add, &s->groups);
	hosts_fill(&s->hosts, &h->extra_hosts);
	if (s->dns) {
		strings_take(&h->dns, &s->dns->nameservers);
		strings_take(&h->dns_search, &s->dns->search);
		strings_take(&h->dns_options, &s->dns->options);
	}
	LIST_EACH (u, &s->ulimits)
		table_copy(&ulimit_table, LIST_ADD(&h->ulimits), u);
	for (size_t i = 0; i < s->sysctls.n; i++)
		strmap_set(&h->sysctls, s->sysctls.v[i].key, s->sysctls.v[i].value);
	h->readonly_rootfs = s->read_only;
	h->oom_score_adj = s->oom_score_adj;
	if (s->init) {
		h->init = xcalloc(1, sizeof *h->init);
		*h->init = *s->init;
	}
	if (spec->log_driver) {
		str_set(&h->log.type, spec->log_driver->name);
		for (size_t i = 0; i < spec->log_driver->options.n; i++)
			strmap_set(&h->log.config, spec->log_driver->options.v[i].key,
				   spec->log_driver->options.v[i].value);
	}
	str_set(&h->restart.name, "no"); /* the managers restart tasks, not the engine */
	return mounts_fill(x, h, e) < 0 ? e->code : rights_fill(x, h, e);
}

int task_container_make(const struct task *t, const struct template *tpl,
			const struct task_node *node, struct container_create *ret, struct err *e)
{
	struct expansion x = {t, tpl, node};
	int rc;

	if (!tpl->spec.container)
		return err_set(e, -EINVAL, "the task has no container");
	rc = config_fill(&x, &ret->config, e);
	if (rc == 0)
		rc = host_fill(&x, &ret->host, e);
	if (rc < 0) {
		container_create_done(ret);
		return rc;
	}
	ports_fill(tpl->endpoint, ret);
	labels_fill(&x, &ret->config.labels);
	return 0;
}
