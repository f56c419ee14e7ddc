/*
 * A container's specification from flags. See container_spec.h.
 */
#include "cli/container_spec.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/service_spec.h"
#include "cli/spec_flags.h"
#include "cli/text.h"
#include "model/task_rights.h"

static int config_fill(const struct flags *f, bool attached, struct container_config *c,
		       struct err *e)
{
	c->image = xstrdup(f->args[0]);
	for (size_t i = 1; i < f->n_args; i++)
		strs_add(&c->cmd, f->args[i]);
	spec_text(&c->hostname, f, "hostname");
	spec_text(&c->domainname, f, "domainname");
	spec_text(&c->user, f, "user");
	spec_text(&c->working_dir, f, "workdir");
	spec_text(&c->stop_signal, f, "stop-signal");
	if (flag_is_set(f, "entrypoint"))
		strs_add(&c->entrypoint, flag_text(f, "entrypoint"));
	spec_opt_i64(&c->stop_timeout, f, "stop-timeout");
	c->tty = flag_true(f, "tty");
	c->open_stdin = flag_true(f, "interactive");
	c->attach_stdin = c->stdin_once = c->open_stdin && attached;
	c->attach_stdout = c->attach_stderr = attached;
	spec_labels(&c->labels, f, "label");
	if (spec_health(&c->healthcheck, f, e) < 0)
		return e->code;
	return spec_env(&c->env, f, "env-file", "env", e);
}

/* "HOST:CONTAINER[:OPTIONS]" is a bind or a named volume; "/PATH" alone is an anonymous one. */
static void volumes_fill(const struct flags *f, struct container_create *ret)
{
	STRS_EACH (item, flag_list(f, "volume"))
		strs_add(strchr(item, ':') ? &ret->host.binds : &ret->config.volumes, item);
}

static void tmpfs_fill(const struct flags *f, struct host_config *h)
{
	STRS_EACH (item, flag_list(f, "tmpfs")) {
		size_t n = strcspn(item, ":");
		auto_free char *path = xstrndup(item, n);

		strmap_set(&h->tmpfs, path, item[n] ? item + n + 1 : "");
	}
}

/* "on-failure:3" */
static int policy_fill(const struct flags *f, struct container_restart *r, struct err *e)
{
	const char *text = flag_text(f, "restart");
	size_t n = text ? strcspn(text, ":") : 0;
	char *end;

	if (!text)
		return 0;
	r->name = xstrndup(text, n);
	if (!text[n])
		return 0;
	r->max_retries = strtol(text + n + 1, &end, 10);
	if (*end || end == text + n + 1)
		return err_set(e, -EINVAL,
			       "invalid restart policy %s: it must be like on-failure:3", text);
	return 0;
}

/* "[[IP:]HOST:]CONTAINER[/PROTOCOL]" */
static int publish_one(const char *text, struct container_create *ret, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *slash = strchr(copy, '/');
	const char *protocol = slash ? slash + 1 : "tcp";
	struct port_binding *b;
	char *ip = NULL, *host = NULL, *port;
	auto_free char *key = NULL;

	if (slash)
		*slash = 0;
	port = strrchr(copy, ':');
	if (port) {
		*port++ = 0;
		host = strrchr(copy, ':');
		ip = host ? copy : NULL;
		host = host ? host + 1 : copy;
		if (ip)
			host[-1] = 0;
	} else {
		port = copy;
	}
	if (!*port || port[strspn(port, "0123456789")])
		return err_set(e, -EINVAL,
			       "invalid port %s: it must be like 8080:80/tcp (ranges of ports are "
			       "not there)",
			       text);
	key = xasprintf("%s/%s", port, protocol);
	strs_add(&ret->config.exposed_ports, key);
	b = LIST_ADD(&MAP_PUT(&ret->host.port_bindings, key)->list);
	b->host_ip = xstrdup(ip ? ip : "");
	b->host_port = xstrdup(host ? host : "");
	return 0;
}

static int lists_fill(const struct flags *f, struct container_create *ret, struct err *e)
{
	struct host_config *h = &ret->host;

	STRS_EACH (item, flag_list(f, "mount"))
		if (mount_parse(item, LIST_ADD(&h->mounts), e) < 0)
			return e->code;
	STRS_EACH (item, flag_list(f, "ulimit"))
		if (ulimit_parse(item, LIST_ADD(&h->ulimits), e) < 0)
			return e->code;
	STRS_EACH (item, flag_list(f, "publish"))
		if (publish_one(item, ret, e) < 0)
			return e->code;
	return 0;
}

static int swap_fill(const struct flags *f, struct host_config *h, struct err *e)
{
	const char *text = flag_text(f, "memory-swap");
	int64_t bytes = -1;

	if (!text)
		return 0;
	if (strcmp(text, "-1") != 0 && size_parse(text, &bytes) < 0)
		return err_set(e, -EINVAL,
			       "invalid value for --memory-swap: it must be a size like 1g, or -1");
	h->memory_swap = bytes;
	return 0;
}

int container_limits_fill(const struct flags *f, struct host_config *h, struct err *e)
{
	spec_number(&h->nano_cpus, f, "cpus");
	spec_number(&h->cpu_shares, f, "cpu-shares");
	spec_text(&h->cpuset_cpus, f, "cpuset-cpus");
	spec_text(&h->cpuset_mems, f, "cpuset-mems");
	spec_number(&h->memory, f, "memory");
	spec_number(&h->memory_reservation, f, "memory-reservation");
	spec_opt_i64(&h->pids_limit, f, "pids-limit");
	return swap_fill(f, h, e) < 0 ? e->code : policy_fill(f, &h->restart, e);
}

/* "seccomp=FILE": the engine gets the file's text, as it may be on another machine. */
static int seccomp_file(const char *path, struct strs *ret, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_JSON_BODY);
	auto_free char *option = NULL;
	int rc = file_read_at(AT_FDCWD, path, &text);

	if (rc < 0)
		return err_code(e, rc, "opening seccomp profile (%s) failed", path);
	option = xasprintf("seccomp=%s", buf_text(&text));
	strs_add(ret, option);
	return 0;
}

static int security_fill(const struct flags *f, struct host_config *h, struct err *e)
{
	STRS_EACH (opt, flag_list(f, "security-opt")) {
		const char *value = opt + strcspn(opt, "=:");
		bool seccomp = value == opt + strlen("seccomp") && *value &&
			       strncmp(opt, "seccomp", strlen("seccomp")) == 0;

		if (!seccomp || strcmp(value + 1, "unconfined") == 0 ||
		    strcmp(value + 1, "builtin") == 0)
			strs_add(&h->security_opt, opt);
		else if (seccomp_file(value + 1, &h->security_opt, e) < 0)
			return e->code;
	}
	return 0;
}

static int devices_fill(const struct flags *f, struct host_config *h, struct err *e)
{
	STRS_EACH (text, flag_list(f, "device"))
		if (device_mapping_parse(text, LIST_ADD(&h->devices), e) < 0)
			return e->code;
	spec_list(&h->device_cgroup_rules, f, "device-cgroup-rule");
	return 0;
}

static int host_fill(const struct flags *f, struct host_config *h, struct err *e)
{
	spec_number(&h->oom_score_adj, f, "oom-score-adj");
	spec_number(&h->shm_size, f, "shm-size");
	spec_text(&h->cgroup_parent, f, "cgroup-parent");
	spec_text(&h->ipc_mode, f, "ipc");
	spec_text(&h->pid_mode, f, "pid");
	spec_text(&h->uts_mode, f, "uts");
	spec_text(&h->log.type, f, "log-driver");
	spec_labels(&h->log.config, f, "log-opt");
	spec_labels(&h->sysctls, f, "sysctl");
	spec_list(&h->cap_add, f, "cap-add");
	spec_list(&h->cap_drop, f, "cap-drop");
	spec_list(&h->dns, f, "dns");
	spec_list(&h->dns_options, f, "dns-option");
	spec_list(&h->dns_search, f, "dns-search");
	spec_list(&h->extra_hosts, f, "add-host");
	spec_list(&h->group_add, f, "group-add");
	if (security_fill(f, h, e) < 0 || devices_fill(f, h, e) < 0)
		return e->code;
	spec_opt_bool(&h->init, f, "init");
	h->privileged = flag_true(f, "privileged");
	h->publish_all = flag_true(f, "publish-all");
	h->readonly_rootfs = flag_true(f, "read-only");
	h->auto_remove = flag_true(f, "rm");
	tmpfs_fill(f, h);
	return container_limits_fill(f, h, e);
}

/* Only one network can be named so far, as the mode; aliases belong to it. */
static int network_fill(const struct flags *f, struct container_create *ret, struct err *e)
{
	const struct strs *networks = flag_list(f, "network");
	const struct strs *aliases = flag_list(f, "network-alias");
	const char *mode = networks->n ? networks->v[0] : "default";

	if (networks->n > 1)
		return err_set(e, -EINVAL, "only one --network can be given, not %zu", networks->n);
	ret->host.network_mode = xstrdup(mode);
	if (aliases->n)
		spec_list(&MAP_PUT(&ret->networking.endpoints, mode)->aliases, f, "network-alias");
	return 0;
}

int container_spec_fill(const struct flags *f, bool attached, struct container_create *ret,
			struct err *e)
{
	if (flag_true(f, "rm") && flag_is_set(f, "restart") &&
	    strcmp(flag_text(f, "restart"), "no") != 0)
		return err_set(e, -EINVAL, "Conflicting options: --restart and --rm");
	volumes_fill(f, ret);
	if (config_fill(f, attached, &ret->config, e) < 0 || host_fill(f, &ret->host, e) < 0 ||
	    lists_fill(f, ret, e) < 0)
		return e->code;
	return network_fill(f, ret, e);
}
