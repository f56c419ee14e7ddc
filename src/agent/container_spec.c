/*
 * See container_spec.h. Facts from moby's oci package and runc's defaults, through
 * runtime/container/defaults.h.
 */
#include "agent/container_spec.h"

#include <ctype.h>
#include <string.h>

#include "agent/container_check.h"
#include "agent/container_devices.h"
#include "agent/seccomp_spec.h"
#include "agent/engine_impl.h"
#include "model/mount.h"
#include "runtime/container/caps.h"
#include "runtime/container/defaults.h"

#define CPU_PERIOD_US 100000 /* the kernel's defaults */
#define CPU_SHARES 1024
#define INIT_PATH "/sbin/docker-init" /* as dockerd has it: some images look for it */

static bool is_set(const char *s)
{
	return s && *s;
}

/* ---- The process ---- */

static bool same_name(const char *env, const char *other)
{
	size_t n = strcspn(env, "=");

	return strncmp(env, other, n) == 0 && (other[n] == '=' || !other[n]);
}

static bool has_env(const struct strs *list, const char *env)
{
	STRS_EACH (item, list)
		if (same_name(env, item))
			return true;
	return false;
}

void container_env(const struct container_config *c, bool tty, const struct strs *over,
		   struct spec_strs *ret)
{
	static const struct strs nothing = {0};
	auto_free char *hostname = xasprintf("HOSTNAME=%s", c->hostname);
	const char *const first[] = {container_defaults.path_env, hostname,
				     tty ? "TERM=xterm" : NULL};

	if (!over)
		over = &nothing;
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (first[i] && !has_env(&c->env, first[i]) && !has_env(over, first[i]))
			spec_strs_add(ret, first[i]);
	/* "NAME" alone takes a variable away. */
	STRS_EACH (env, &c->env)
		if (strchr(env, '=') && !has_env(over, env))
			spec_strs_add(ret, env);
	STRS_EACH (env, over)
		if (strchr(env, '='))
			spec_strs_add(ret, env);
}

static int cap_of(const char *name, struct err *e)
{
	int n = cap_number(name);

	return n < 0 ? err_set(e, -EINVAL, "invalid CapAdd/CapDrop: unknown capability: \"%.64s\"",
			       name)
		     : n;
}

static bool is_all(const char *name)
{
	return strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0;
}

/* Docker's rule: ALL first on both sides, then what is dropped, then what is added. */
static int set_caps(const struct host_config *h, struct spec *s, struct err *e)
{
	const char *names[65];
	uint64_t caps = 0;
	size_t n = 0;
	int rc = caps_parse(&s->process.capabilities.bounding, &caps, e);

	if (rc < 0)
		return rc;
	if (h->privileged)
		caps = caps_all();
	STRS_EACH (add, &h->cap_add)
		if (is_all(add))
			caps = caps_all();
	STRS_EACH (drop, &h->cap_drop) {
		if (is_all(drop))
			caps = 0;
		else if ((rc = cap_of(drop, e)) < 0)
			return rc;
		else
			caps &= ~CAP_BIT(rc);
	}
	STRS_EACH (add, &h->cap_add) {
		if (is_all(add))
			continue;
		rc = cap_of(add, e);
		if (rc < 0)
			return rc;
		caps |= CAP_BIT(rc);
	}
	for (int i = 0; i < 64; i++)
		if (caps & CAP_BIT(i) && cap_name_of(i))
			names[n++] = cap_name_of(i);
	names[n] = NULL;
	spec_set_capabilities(s, names);
	return 0;
}

static int set_ulimits(const struct host_config *h, struct spec *s, struct err *e)
{
	for (size_t i = 0; i < h->ulimits.n; i++) {
		const struct ulimit *u = &h->ulimits.v[i];
		auto_free char *type = xasprintf("RLIMIT_%s", u->name ? u->name : "");

		for (char *p = type; *p; p++)
			*p = (char)toupper((unsigned char)*p);
		if (spec_rlimit_number(type) < 0)
			return err_set(e, -EINVAL, "invalid ulimit type: %.64s",
				       u->name ? u->name : "");
		if (u->hard >= 0 && (u->soft > u->hard || u->soft < 0))
			return err_set(
				e, -EINVAL,
				"ulimit soft limit must be less than or equal to hard limit: "
				"%lld > %lld",
				(long long)u->soft, (long long)u->hard);
		spec_add_rlimit(s, type, (uint64_t)u->soft, (uint64_t)u->hard);
	}
	return 0;
}

static bool has_init(const struct container *c)
{
	return c->host.init && *c->host.init;
}

static int set_process(const struct container *c, struct spec *s, struct err *e)
{
	struct security security;
	int rc = security_read(&c->host, &security, e);

	if (rc < 0)
		return rc;
	if (has_init(c)) {
		spec_strs_add(&s->process.args, INIT_PATH);
		spec_strs_add(&s->process.args, "--");
	}
	spec_strs_add(&s->process.args, c->path);
	STRS_EACH (arg, &c->args)
		spec_strs_add(&s->process.args, arg);
	if (is_set(c->config.working_dir))
		str_set(&s->process.cwd, c->config.working_dir);
	s->process.terminal = c->config.tty;
	s->process.no_new_privileges = security.no_new_privileges;
	s->process.oom_score_adj = c->host.oom_score_adj;
	container_env(&c->config, c->config.tty, NULL, &s->process.env);
	rc = set_caps(&c->host, s, e);
	if (rc == 0 && security.seccomp_profile)
		rc = seccomp_spec_make(security.seccomp_profile, &s->process.capabilities.bounding,
				       &s->linux_.seccomp, e);
	return rc == 0 ? set_ulimits(&c->host, s, e) : rc;
}

/* ---- Resources ---- */

static void set_memory(const struct host_config *h, struct spec_memory *m)
{
	if (h->memory)
		m->limit = h->memory;
	if (h->memory_reservation)
		m->reservation = h->memory_reservation;
	if (h->memory_swap)
		m->swap = h->memory_swap;
	else if (h->memory)
		m->swap = h->memory * 2; /* docker's default: as much swap as memory */
	if (h->memory_swappiness && *h->memory_swappiness >= 0)
		m->swappiness = *h->memory_swappiness;
	m->disable_oom_killer = h->oom_kill_disable && *h->oom_kill_disable;
}

static void set_cpu(const struct host_config *h, struct spec_cpu *cpu)
{
	if (h->cpu_shares)
		cpu->shares = h->cpu_shares;
	if (h->nano_cpus) {
		cpu->period = CPU_PERIOD_US;
		cpu->quota = h->nano_cpus / 1000 * CPU_PERIOD_US / 1000000;
	}
	if (h->cpu_period)
		cpu->period = h->cpu_period;
	if (h->cpu_quota)
		cpu->quota = h->cpu_quota;
	if (is_set(h->cpuset_cpus))
		str_set(&cpu->cpus, h->cpuset_cpus);
	if (is_set(h->cpuset_mems))
		str_set(&cpu->mems, h->cpuset_mems);
}

static void set_unlimited(bool v2, struct spec_resources *r)
{
	r->memory.limit = -1;
	r->memory.swap = -1;
	r->memory.reservation = v2 ? 0 : -1; /* protected, or the aim of reclaiming */
	r->cpu.shares = CPU_SHARES;
	r->cpu.period = CPU_PERIOD_US;
	r->cpu.quota = -1;
	r->pids.limit = -1;
}

void container_resources(const struct host_config *h, bool all, bool v2, struct spec_resources *ret)
{
	if (all)
		set_unlimited(v2, ret);
	set_memory(h, &ret->memory);
	set_cpu(h, &ret->cpu);
	if (h->pids_limit && *h->pids_limit > 0)
		ret->pids.limit = *h->pids_limit;
}

static void set_resources(const struct host_config *h, struct spec *s)
{
	container_resources(h, false, false, &s->linux_.resources);
	for (size_t i = 0; i < h->sysctls.n; i++)
		spec_pairs_add(&s->linux_.sysctl, h->sysctls.v[i].key, h->sysctls.v[i].value);
	for (size_t i = 0; i < h->annotations.n; i++)
		spec_pairs_add(&s->annotations, h->annotations.v[i].key, h->annotations.v[i].value);
}

/* ---- Mounts and namespaces ---- */

static void drop_namespace(struct spec *s, const char *type)
{
	struct spec_linux *l = &s->linux_;

	for (size_t i = 0; i < l->namespaces.n; i++) {
		if (strcmp(l->namespaces.v[i].type, type) != 0)
			continue;
		free(l->namespaces.v[i].type);
		free(l->namespaces.v[i].path);
		l->namespaces.n--;
		memmove(&l->namespaces.v[i], &l->namespaces.v[i + 1],
			(l->namespaces.n - i) * sizeof *l->namespaces.v);
		return;
	}
}

/* What a user mounts at a place of the defaults stands there instead. */
static void drop_mount(struct spec *s, const char *destination)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		struct spec_mount *m = &s->mounts.v[i];

		if (strcmp(m->destination, destination) != 0)
			continue;
		free(m->destination);
		free(m->type);
		free(m->source);
		spec_strs_done(&m->options);
		s->mounts.n--;
		memmove(m, m + 1, (s->mounts.n - i) * sizeof *m);
		return;
	}
}

/* Read-only counts for what is mounted below as well, as docker has it. */
static void bind_options(const struct container_mount *m, const struct mount_bind *asked,
			 struct buf *ret)
{
	static const struct mount_bind nothing;
	const struct mount_bind *b = asked ? asked : &nothing;

	buf_addf(ret, "%s,%s,%s", b->non_recursive ? "bind" : "rbind", m->rw ? "rw" : "ro",
		 is_set(m->propagation) ? m->propagation : "rprivate");
	if (!m->rw && !b->non_recursive && !b->read_only_non_recursive)
		buf_adds(ret, ",rro");
}

static int tmpfs_options(const struct container_mount *m, const struct mount_tmpfs *asked,
			 struct buf *ret, struct err *e)
{
	struct strs more = {0};
	int rc = 0;

	buf_addf(ret, "nosuid,nodev,noexec,%s", m->rw ? "rw" : "ro");
	if (asked && asked->size_bytes)
		buf_addf(ret, ",size=%lld", (long long)asked->size_bytes);
	if (asked && asked->mode)
		buf_addf(ret, ",mode=%o", asked->mode);
	if (asked)
		rc = mount_tmpfs_options(asked, &more, e);
	STRS_EACH (option, &more)
		buf_addf(ret, ",%s", option);
	strs_done(&more);
	return rc;
}

static int add_user_mount(const struct container_spec_input *in, size_t i, struct spec *s,
			  struct err *e)
{
	const struct container_mount *m = &in->c->mounts.v[i];
	const struct mount *asked = container_mount_asked(in->c, m->destination);
	bool tmpfs = strcmp(m->type, "tmpfs") == 0;
	bool part = container_mount_subpath(in->c, m) != NULL;
	auto_free char *path = part ? run_dir_volume(in->files_dir, i) : NULL;
	auto_buf options = BUF_INIT(1024);
	int rc = 0;

	drop_mount(s, m->destination);
	if (tmpfs)
		rc = tmpfs_options(m, asked ? asked->tmpfs : NULL, &options, e);
	else
		bind_options(m, asked ? asked->bind : NULL, &options);
	if (rc == 0)
		spec_add_mount(s, m->destination, tmpfs ? "tmpfs" : "bind",
			       tmpfs  ? "tmpfs"
			       : part ? path
				      : m->source,
			       buf_text(&options));
	return rc;
}

static size_t depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Parents first, so that none hides another; equal ones stay in their order. */
static void sort_mounts(struct spec *s)
{
	for (size_t i = 1; i < s->mounts.n; i++) {
		struct spec_mount m = s->mounts.v[i];
		size_t at = i;

		while (at && depth(s->mounts.v[at - 1].destination) > depth(m.destination)) {
			s->mounts.v[at] = s->mounts.v[at - 1];
			at--;
		}
		s->mounts.v[at] = m;
	}
}

/* A file each, so that it may stand anywhere; the container cannot write to any. */
static void add_files(const struct container_spec_input *in, struct spec *s)
{
	for (size_t i = 0; in->files && i < in->files->list.n; i++) {
		auto_free char *source = run_dir_file(in->files_dir, i);

		drop_mount(s, in->files->list.v[i].target);
		spec_add_mount(s, in->files->list.v[i].target, "bind", source,
			       "bind,ro,nosuid,nodev,noexec,rprivate");
	}
}

static int set_mounts(const struct container_spec_input *in, struct spec *s, struct err *e)
{
	const struct container *c = in->c;
	const struct {
		const char *source, *destination;
	} files[] = {{c->resolv_path, "/etc/resolv.conf"},
		     {c->hostname_path, "/etc/hostname"},
		     {c->hosts_path, "/etc/hosts"}};
	int rc = 0;

	if (c->host.shm_size) {
		auto_free char *options = xasprintf("nosuid,noexec,nodev,mode=1777,size=%lld",
						    (long long)c->host.shm_size);

		drop_mount(s, "/dev/shm");
		spec_add_mount(s, "/dev/shm", "tmpfs", "shm", options);
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (files[i].source)
			spec_add_mount(s, files[i].destination, "bind", files[i].source,
				       "rbind,rprivate");
	for (size_t i = 0; i < c->host.tmpfs.n; i++) {
		auto_free char *options =
			xasprintf("nosuid,nodev,noexec%s%s", *c->host.tmpfs.v[i].value ? "," : "",
				  c->host.tmpfs.v[i].value);

		drop_mount(s, c->host.tmpfs.v[i].key);
		spec_add_mount(s, c->host.tmpfs.v[i].key, "tmpfs", "tmpfs", options);
	}
	for (size_t i = 0; rc == 0 && i < c->mounts.n; i++)
		rc = add_user_mount(in, i, s, e);
	add_files(in, s);
	if (has_init(c) && in->init)
		spec_add_mount(s, INIT_PATH, "bind", in->init, "bind,ro,rprivate");
	sort_mounts(s);
	return rc;
}

char *container_cgroup_path(const struct container *c, const char *parent)
{
	if (is_set(c->host.cgroup_parent))
		parent = c->host.cgroup_parent;
	return xasprintf("%s%s/%s", parent[0] == '/' ? "" : "/", parent, c->id);
}

static void set_linux(const struct container_spec_input *in, struct spec *s)
{
	const struct container *c = in->c;

	s->hostname = xstrdup(c->config.hostname);
	if (is_set(c->config.domainname))
		s->domainname = xstrdup(c->config.domainname);
	s->linux_.cgroups_path = container_cgroup_path(c, in->cgroup_parent);
	s->root.readonly = c->host.readonly_rootfs;
	if (c->host.network_mode && strcmp(c->host.network_mode, "host") == 0)
		drop_namespace(s, "network");
	if (c->host.cgroupns_mode && strcmp(c->host.cgroupns_mode, "host") == 0)
		drop_namespace(s, "cgroup");
}

/* ---- shim.json ---- */

static int set_shim(const struct container_spec_input *in, struct shim_config *s, struct err *e)
{
	const struct container *c = in->c;
	struct log_options log;
	int rc = log_options_read(&c->host.log.config, &log, e);

	if (rc < 0)
		return rc;
	if (!c->host.log.type || strcmp(c->host.log.type, "none") != 0) {
		s->log.path = xstrdup(c->log_path);
		s->log.max_size = log.max_size;
		s->log.max_file = log.max_file;
	}
	s->open_stdin = c->config.open_stdin;
	s->stdin_once = c->config.stdin_once;
	s->stop_signal = container_stop_signal(c);
	if (in->dns)
		s->dns.port = 53;
	STRS_EACH (lower, &in->snapshot->lowers)
		spec_strs_add(&s->overlay.lower, lower);
	s->overlay.upper = xstrdup(in->snapshot->upper);
	s->overlay.work = xstrdup(in->snapshot->work);
	/* Whatever the kernel's own default: a folder is never somewhere else in the layers. */
	s->overlay.options = xstrdup("redirect_dir=off");
	if (is_set(c->config.user))
		s->user = xstrdup(c->config.user);
	STRS_EACH (group, &c->host.group_add)
		spec_strs_add(&s->group_add, group);
	return 0;
}

int container_spec_make(const struct container_spec_input *in, struct spec *ret,
			struct shim_config *ret_shim, struct err *e)
{
	int rc;

	spec_set_defaults(ret);
	shim_config_init(ret_shim);
	ret->process.user.uid = 0;
	ret->process.user.gid = 0;
	set_linux(in, ret);
	set_resources(&in->c->host, ret);
	rc = set_mounts(in, ret, e);
	if (rc == 0)
		rc = set_process(in->c, ret, e);
	if (rc == 0 && in->c->host.privileged)
		rc = container_privileged(ret, e);
	if (rc == 0)
		rc = container_devices(&in->c->host, ret, e);
	if (rc == 0)
		rc = set_shim(in, ret_shim, e);
	if (rc == 0)
		rc = spec_validate(ret, e);
	if (rc < 0) {
		spec_done(ret);
		shim_config_done(ret_shim);
	}
	return rc;
}
