/*
 * Services of a stack: names, labels, environment, the keys that are refused, and the container's
 * plain values. Ports, mounts and networks are in service_mounts.c, `deploy` in service_deploy.c.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/interpolate.h"
#include "cli/compose/stack_impl.h"
#include "model/depends.h"

#define MAKER(data) ((struct service_maker *)(data))

static STACK_KEY(key_known)
{
}

#define TEXT_KEY(fn, member)                                 \
	static STACK_KEY(fn)                                 \
	{                                                    \
		compose_text(p, n, &MAKER(data)->c->member); \
	}
#define BOOL_KEY(fn, member)                                 \
	static STACK_KEY(fn)                                 \
	{                                                    \
		compose_bool(p, n, &MAKER(data)->c->member); \
	}
#define STRS_KEY(fn, member)                                 \
	static STACK_KEY(fn)                                 \
	{                                                    \
		compose_strs(p, n, &MAKER(data)->c->member); \
	}
#define WORDS_KEY(fn, member)                                 \
	static STACK_KEY(fn)                                  \
	{                                                     \
		compose_words(p, n, &MAKER(data)->c->member); \
	}
#define MAP_KEY(fn, member)                                    \
	static STACK_KEY(fn)                                   \
	{                                                      \
		compose_strmap(p, n, &MAKER(data)->c->member); \
	}
TEXT_KEY(key_image, image)
TEXT_KEY(key_hostname, hostname)
TEXT_KEY(key_dir, dir)
TEXT_KEY(key_user, user)
TEXT_KEY(key_signal, stop_signal)
TEXT_KEY(key_isolation, isolation)
BOOL_KEY(key_tty, tty)
BOOL_KEY(key_stdin, open_stdin)
BOOL_KEY(key_read_only, read_only)
STRS_KEY(key_groups, groups)
WORDS_KEY(key_entrypoint, command)
WORDS_KEY(key_command, args)
MAP_KEY(key_labels, labels)
MAP_KEY(key_sysctls, sysctls)

static STACK_KEY(key_init)
{
	bool on = false;

	compose_bool(p, n, &on);
	MAKER(data)->c->init = xmemdup(&on, sizeof on);
}

static STACK_KEY(key_grace)
{
	int64_t ns = STOP_GRACE_DEFAULT;

	compose_duration(p, n, &ns);
	MAKER(data)->c->stop_grace = xmemdup(&ns, sizeof ns);
}

static STACK_KEY(key_oom)
{
	compose_number(p, n, -1000, 1000, &MAKER(data)->c->oom_score_adj);
}

static STACK_KEY(key_dns)
{
	struct container_spec *c = MAKER(data)->c;

	if (!c->dns)
		c->dns = xcalloc(1, sizeof *c->dns);
	compose_strs(p, n,
		     strcmp(n->key, "dns") == 0          ? &c->dns->nameservers
		     : strcmp(n->key, "dns_search") == 0 ? &c->dns->search
							 : &c->dns->options);
}

/* "address name", as lines of a hosts file; a list was made a map. */
static STACK_KEY(key_hosts)
{
	for (size_t i = 0; i < n->n; i++) {
		struct strs addresses = {0};

		compose_strs(p, n->v[i], &addresses);
		STRS_EACH (address, &addresses) {
			auto_free char *line = xasprintf("%s %s", address, n->v[i]->key);

			strs_add(&MAKER(data)->c->hosts, line);
		}
		strs_done(&addresses);
	}
}

static STACK_KEY(key_ulimits)
{
	for (size_t i = 0; n->type == COMPOSE_MAP && i < n->n; i++) {
		const struct compose_node *item = n->v[i];
		bool map = item->type == COMPOSE_MAP;
		struct ulimit *u = LIST_ADD(&MAKER(data)->c->ulimits);

		u->name = xstrdup(item->key);
		compose_number(p, map ? compose_get(item, "soft") : item, -1, INT64_MAX, &u->soft);
		compose_number(p, map ? compose_get(item, "hard") : item, -1, INT64_MAX, &u->hard);
	}
	if (n->type != COMPOSE_MAP)
		compose_problem(p, n, "ulimits is to be a map");
}

static STACK_KEY(key_logging_driver)
{
	compose_text(p, n, &((struct driver *)data)->name);
}

static STACK_KEY(key_logging_options)
{
	compose_strmap(p, n, &((struct driver *)data)->options);
}

static STACK_KEY(key_logging)
{
	static const struct compose_key keys[] = {
		{.name = "driver", .fn = key_logging_driver},
		{.name = "options", .fn = key_logging_options},
	};
	struct driver *d = xcalloc(1, sizeof *d);

	MAKER(data)->spec->task.log_driver = d;
	compose_keys(p, n, keys, ARRAY_LEN(keys), d);
}

static STACK_KEY(key_restart)
{
	if (n->type == COMPOSE_TEXT)
		MAKER(data)->restart = n->text;
	MAKER(data)->restart_at = n;
}

/* Environment files stand below `environment`, whatever their order in the file. */
static void env_file(struct compose_project *p, const struct compose_node *n, struct strmap *ret)
{
	const struct compose_node *at = n->type == COMPOSE_MAP ? compose_get(n, "path") : n;
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	auto_free char *name = NULL;
	auto_free char *path = NULL;
	bool required = true;
	struct err e = ERR_INIT;
	int rc;

	compose_text(p, at, &name);
	compose_bool(p, compose_get(n, "required"), &required);
	if (!name)
		return;
	path = compose_path(p, at, name);
	rc = compose_file_read(p, path, &b, &e);
	if (rc == -ENOENT && !required)
		return;
	if (rc == 0 && b.len)
		rc = compose_env_read(path, b.p, &p->vars, ret, &e);
	if (rc < 0)
		compose_problem(p, at, "env_file: cannot read %s: %s", path, err_text(&e));
}

static STACK_KEY(key_env_file)
{
	struct strmap files = {0};

	for (size_t i = 0; i < n->n; i++)
		env_file(p, n->v[i], &files);
	LIST_EACH (v, &files)
		if (!strmap_get(&MAKER(data)->environment, v->key) &&
		    !strs_has(&MAKER(data)->without, v->key))
			strmap_set(&MAKER(data)->environment, v->key, v->value);
	strmap_done(&files);
}

/*
 * A name without a value takes that of the environment here; where there is none the container has
 * no such variable, also if its image has.
 */
static STACK_KEY(key_environment)
{
	struct service_maker *m = data;

	if (n->type != COMPOSE_MAP) {
		compose_problem(p, n, "environment is to be a map or a list");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const char *own = strmap_get(&p->vars, n->v[i]->key);
		auto_free char *text = NULL;

		compose_text(p, n->v[i], &text);
		if (text || (own && n->v[i]->type == COMPOSE_NULL)) {
			strmap_set(&m->environment, n->v[i]->key, text ? text : own);
		} else {
			strmap_remove(&m->environment, n->v[i]->key);
			strs_add(&m->without, n->v[i]->key);
		}
	}
}

#define NO(key, reason)                        \
	{                                      \
		.name = (key), .why = (reason) \
	}
#define SKIP(key, reason)                                        \
	{                                                        \
		.name = (key), .why = (reason), .harmless = true \
	}
#define HOST_OWN "a service's tasks run on any node, apart from one another"

static const struct compose_key service_keys[] = {
	{.name = "image", .fn = key_image},
	{.name = "command", .fn = key_command},
	{.name = "entrypoint", .fn = key_entrypoint},
	{.name = "environment", .fn = key_environment},
	{.name = "env_file", .fn = key_env_file},
	{.name = "labels", .fn = key_labels},
	{.name = "depends_on", .fn = stack_depends},
	{.name = "deploy", .fn = stack_deploy},
	{.name = "healthcheck", .fn = stack_healthcheck},
	{.name = "ports", .fn = stack_ports},
	{.name = "volumes", .fn = stack_volumes},
	{.name = "tmpfs", .fn = stack_tmpfs},
	{.name = "networks", .fn = key_known}, /* stack_service_networks(), called in any case */
	{.name = "secrets", .fn = stack_service_secrets},
	{.name = "configs", .fn = stack_service_configs},
	{.name = "cap_add", .fn = key_known}, /* stack_service_caps() */
	{.name = "cap_drop", .fn = key_known},
	{.name = "dns", .fn = key_dns},
	{.name = "dns_search", .fn = key_dns},
	{.name = "dns_opt", .fn = key_dns},
	{.name = "extra_hosts", .fn = key_hosts},
	{.name = "hostname", .fn = key_hostname},
	{.name = "group_add", .fn = key_groups},
	{.name = "init", .fn = key_init},
	{.name = "isolation", .fn = key_isolation},
	{.name = "logging", .fn = key_logging},
	{.name = "oom_score_adj", .fn = key_oom},
	{.name = "read_only", .fn = key_read_only},
	{.name = "restart", .fn = key_restart},
	{.name = "stop_signal", .fn = key_signal},
	{.name = "stop_grace_period", .fn = key_grace},
	{.name = "sysctls", .fn = key_sysctls},
	{.name = "tty", .fn = key_tty},
	{.name = "stdin_open", .fn = key_stdin},
	{.name = "ulimits", .fn = key_ulimits},
	{.name = "user", .fn = key_user},
	{.name = "working_dir", .fn = key_dir},
	{.name = "profiles", .fn = key_known},
	SKIP("build", "images are built beforehand; image names the one to run"),
	SKIP("container_name", "tasks are named after their service"),
	SKIP("expose", "the ports of services of one network are open to each other"),
	SKIP("pull_policy", "nodes run the images they have"),
	SKIP("develop", "it is of building images"),
	SKIP("attach", "it is of a terminal"),
	NO("annotations", "services have none"),
	NO("blkio_config", "services have no such bounds"),
	NO("cgroup", HOST_OWN),
	NO("cgroup_parent", HOST_OWN),
	NO("cpu_count", "use deploy.resources.limits.cpus"),
	NO("cpu_percent", "use deploy.resources.limits.cpus"),
	NO("cpu_period", "use deploy.resources.limits.cpus"),
	NO("cpu_quota", "use deploy.resources.limits.cpus"),
	NO("cpu_rt_period", "services have no such bounds"),
	NO("cpu_rt_runtime", "services have no such bounds"),
	NO("cpu_shares", "use deploy.resources.reservations.cpus"),
	NO("cpus", "use deploy.resources.limits.cpus"),
	NO("cpuset", "services have no such bounds"),
	NO("credential_spec", "it is of Windows"),
	NO("device_cgroup_rules", "tasks have no devices of their node"),
	NO("devices", "a service asks for them by the label shoal.devices"),
	NO("domainname", "services have none; hostname may hold it"),
	NO("external_links", HOST_OWN),
	NO("gpus", "tasks have no devices of their node"),
	NO("ipc", HOST_OWN),
	NO("label_file", "write the labels under labels"),
	NO("links", "services find each other by name on their networks"),
	NO("mac_address", HOST_OWN),
	NO("mem_limit", "use deploy.resources.limits.memory"),
	NO("mem_reservation", "use deploy.resources.reservations.memory"),
	NO("mem_swappiness", "services have no such bounds"),
	NO("memswap_limit", "services have no such bounds"),
	NO("models", "a cluster has no models"),
	NO("network_mode", "use networks; the node's own is an external one of the name host"),
	NO("oom_kill_disable", "services have no such bounds"),
	NO("pid", HOST_OWN),
	NO("pids_limit", "use deploy.resources.limits.pids"),
	NO("platform", "use deploy.placement.constraints with node.platform.arch"),
	NO("post_start", "services have no hooks"),
	NO("pre_stop", "services have no hooks"),
	NO("privileged", "a service asks for it by the label shoal.privileged"),
	NO("provider", "services are containers"),
	NO("runtime", "nodes have one runtime"),
	NO("scale", "use deploy.replicas"),
	NO("security_opt", "a service's privileges cannot be given in a stack"),
	NO("shm_size", "mount a tmpfs of the size wanted at /dev/shm"),
	NO("storage_opt", "services have no such bounds"),
	NO("use_api_socket", "tasks have no access to the API"),
	NO("userns_mode", HOST_OWN),
	NO("uts", HOST_OWN),
	NO("volumes_from", "name the volumes under volumes"),
};

/* deploy.restart_policy is before `restart`, as docker has it. */
static void restart_fill(struct compose_project *p, struct service_maker *m)
{
	struct restart_policy **r = &m->spec->task.restart;
	const char *text = m->restart;
	char *end;

	if (!text || *r)
		return;
	*r = xcalloc(1, sizeof **r);
	if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0)
		(*r)->condition = RESTART_NONE;
	else if (strcmp(text, "always") == 0 || strcmp(text, "unless-stopped") == 0)
		(*r)->condition = RESTART_ANY;
	else if (strncmp(text, "on-failure", 10) == 0 && (!text[10] || text[10] == ':')) {
		uint64_t attempts = text[10] ? strtoull(text + 11, &end, 10) : 0;

		(*r)->condition = RESTART_ON_FAILURE;
		if (text[10] && (*end || end == text + 11))
			compose_problem(p, m->restart_at, "restart: %.60s has no number", text);
		if (attempts)
			(*r)->max_attempts = xmemdup(&attempts, sizeof attempts);
	} else {
		compose_problem(p, m->restart_at,
				"restart is to be no, always, on-failure[:N] or unless-stopped");
	}
}

static void labels_fill(struct compose_project *p, struct service_maker *m)
{
	strmap_set(&m->c->labels, STACK_LABEL, m->stack->name);
	strmap_set(&m->spec->labels, STACK_LABEL, m->stack->name);
	strmap_set(&m->spec->labels, STACK_IMAGE_LABEL, m->c->image ? m->c->image : "");
	if (m->depends && depends_is_set(m->spec))
		compose_problem(p, compose_get(m->node, "depends_on"),
				"the label " DEPENDS_LABEL " says it already: only one of both");
	else if (m->depends)
		strmap_set(&m->spec->labels, DEPENDS_LABEL, m->depends);
	LIST_EACH (v, &m->environment) {
		auto_free char *text = xasprintf("%s=%s", v->key, v->value);

		strs_add(&m->c->env, text);
	}
	STRS_EACH (name, &m->without)
		strs_add(&m->c->env, name);
}

static void service_make(struct compose_project *p, struct stack *s, const struct compose_node *n)
{
	struct service_spec *spec = LIST_ADD(&s->services);
	struct service_maker m = {.stack = s, .node = n, .spec = spec};

	m.c = spec->task.container = xcalloc(1, sizeof *m.c);
	spec->name = xasprintf("%s_%s", s->name, n->key);
	compose_keys(p, n, service_keys, ARRAY_LEN(service_keys), &m);
	stack_service_networks(p, compose_get(n, "networks"), &m);
	stack_service_caps(p, &m);
	if (!m.c->image || !*m.c->image)
		compose_problem(p, n, "the service %s has no image%s", n->key,
				compose_get(n, "build") ? ": images are built beforehand" : "");
	if (!spec->mode.global && !spec->mode.replicated && !spec->mode.replicated_job &&
	    !spec->mode.global_job)
		spec->mode.replicated = xcalloc(1, sizeof *spec->mode.replicated);
	restart_fill(p, &m);
	labels_fill(p, &m);
	stack_service_order(spec);
	free(m.depends);
	strmap_done(&m.environment);
	strs_done(&m.without);
}

void stack_services(struct compose_project *p, struct stack *s)
{
	const struct compose_node *all = compose_get(p->root, "services");

	if (!all || all->type != COMPOSE_MAP || !all->n) {
		compose_problem(p, all, "there are no services%s",
				all && all->n == 0 ? " (or all are of other profiles)" : "");
		return;
	}
	if (all->n > LIMIT_COMPOSE_SERVICES) {
		compose_problem(p, all, "a stack has at most %u services", LIMIT_COMPOSE_SERVICES);
		return;
	}
	for (size_t i = 0; i < all->n; i++)
		service_make(p, s, all->v[i]);
}
