/*
 * What config.json must fulfil beyond its syntax: values that the kernel, or an image, could be
 * harmed by are refused here, by name, before anything is made.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/process.h"
#include "runtime/container/spec_internal.h"

#define HOSTNAME_MAX 64
#define CPUSET_MAX 1024

static bool one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, s) == 0)
			return true;
	return false;
}

int spec_rlimit_number(const char *type)
{
	static const struct {
		const char *name;
		int number;
	} limits[] = {
		{"RLIMIT_AS", RLIMIT_AS},
		{"RLIMIT_CORE", RLIMIT_CORE},
		{"RLIMIT_CPU", RLIMIT_CPU},
		{"RLIMIT_DATA", RLIMIT_DATA},
		{"RLIMIT_FSIZE", RLIMIT_FSIZE},
		{"RLIMIT_LOCKS", RLIMIT_LOCKS},
		{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
		{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
		{"RLIMIT_NICE", RLIMIT_NICE},
		{"RLIMIT_NOFILE", RLIMIT_NOFILE},
		{"RLIMIT_NPROC", RLIMIT_NPROC},
		{"RLIMIT_RSS", RLIMIT_RSS},
		{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
		{"RLIMIT_RTTIME", RLIMIT_RTTIME},
		{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
		{"RLIMIT_STACK", RLIMIT_STACK},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (strcmp(limits[i].name, type) == 0)
			return limits[i].number;
	return -EINVAL;
}

int spec_process_check(const struct spec_process *p, struct err *e)
{
	const int64_t ids[] = {p->user.uid, p->user.gid};

	if (p->args.n == 0 || !p->args.v[0][0])
		return err_set(e, -EINVAL, "config.json: process.args must name a program");
	if (!p->cwd || p->cwd[0] != '/')
		return err_set(e, -EINVAL, "config.json: process.cwd must be an absolute path");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (ids[i] != SPEC_UNSET && (ids[i] < 0 || ids[i] >= UINT32_MAX))
			return err_set(e, -EINVAL, "config.json: process.user.%s is out of range",
				       i ? "gid" : "uid");
	if (p->user.additional_gids.n > LIMIT_GROUPS)
		return err_set(e, -EINVAL,
			       "config.json: process.user.additionalGids has more than "
			       "%d entries",
			       LIMIT_GROUPS);
	if (p->user.umask != SPEC_UNSET && (p->user.umask < 0 || p->user.umask > 0777))
		return err_set(e, -EINVAL, "config.json: process.user.umask is out of range");
	if (p->oom_score_adj != SPEC_UNSET && (p->oom_score_adj < -1000 || p->oom_score_adj > 1000))
		return err_set(e, -EINVAL, "config.json: process.oomScoreAdj is out of range");
	for (size_t i = 0; i < p->rlimits.n; i++) {
		const struct spec_rlimit *r = &p->rlimits.v[i];

		if (!r->type || spec_rlimit_number(r->type) < 0)
			return err_set(e, -EINVAL,
				       "config.json: process.rlimits: type %.64s is "
				       "not known",
				       r->type ? r->type : "(none)");
		if (r->soft > r->hard)
			return err_set(e, -EINVAL,
				       "config.json: process.rlimits: the soft limit "
				       "of %s is above the hard one",
				       r->type);
	}
	return process_attrs_check(p, e);
}

static int check_namespaces(const struct spec *s, struct err *e)
{
	static const char *const known[] = {"pid",    "mount", "uts",  "ipc", "network",
					    "cgroup", "user",  "time", NULL};
	bool mount = false;

	for (size_t i = 0; i < s->linux_.namespaces.n; i++) {
		const struct spec_namespace *ns = &s->linux_.namespaces.v[i];

		if (!ns->type || !one_of(ns->type, known))
			return err_set(e, -EINVAL,
				       "config.json: linux.namespaces: type %.64s is "
				       "not known",
				       ns->type ? ns->type : "(none)");
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->linux_.namespaces.v[j].type, ns->type) == 0)
				return err_set(e, -EINVAL,
					       "config.json: linux.namespaces: %s is "
					       "there twice",
					       ns->type);
		if (ns->path && *ns->path && ns->path[0] != '/')
			return err_set(e, -EINVAL,
				       "config.json: linux.namespaces: the path of %s "
				       "must be absolute",
				       ns->type);
		if (strcmp(ns->type, "mount") == 0) {
			mount = true;
			if (ns->path && *ns->path)
				return err_set(e, -ENOSYS,
					       "config.json: linux.namespaces: to join "
					       "a mount namespace is not supported");
		}
	}
	if (!mount)
		return err_set(e, -EINVAL,
			       "config.json: linux.namespaces must have a mount "
			       "namespace");
	return 0;
}

bool spec_has_namespace(const struct spec *s, const char *type)
{
	for (size_t i = 0; i < s->linux_.namespaces.n; i++)
		if (strcmp(s->linux_.namespaces.v[i].type, type) == 0)
			return true;
	return false;
}

static int check_mounts(const struct spec *s, struct err *e)
{
	static const char *const types[] = {"proc",   "sysfs",   "tmpfs",   "devpts",
					    "mqueue", "cgroup",  "cgroup2", "bind",
					    "none",   "overlay", "ramfs",   NULL};

	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct spec_mount *m = &s->mounts.v[i];

		if (!m->destination || m->destination[0] != '/')
			return err_set(e, -EINVAL,
				       "config.json: mounts[%zu].destination must be an "
				       "absolute path",
				       i);
		if (m->type && !one_of(m->type, types))
			return err_set(e, -ENOSYS,
				       "config.json: mounts: the type %.64s of %.128s is "
				       "not supported",
				       m->type, m->destination);
		if (!m->uid_maps.n != !m->gid_maps.n)
			return err_set(e, -EINVAL,
				       "config.json: mounts[%zu]: uidMappings and gidMappings go "
				       "together",
				       i);
	}
	return 0;
}

/* Only what belongs to a namespace that the container has of its own. */
static int check_sysctl(const struct spec *s, struct err *e)
{
	static const char *const ipc[] = {
		"kernel.msgmax", "kernel.msgmnb",          "kernel.msgmni",
		"kernel.sem",    "kernel.shmall",          "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced", NULL};

	for (size_t i = 0; i < s->linux_.sysctl.n; i++) {
		const char *k = s->linux_.sysctl.v[i].key;
		bool ok = false;

		if (one_of(k, ipc) || strncmp(k, "fs.mqueue.", 10) == 0)
			ok = spec_has_namespace(s, "ipc");
		else if (strncmp(k, "net.", 4) == 0)
			ok = spec_has_namespace(s, "network");
		else if (strcmp(k, "kernel.domainname") == 0)
			ok = spec_has_namespace(s, "uts");
		else if (strncmp(k, "user.", 5) == 0)
			ok = spec_has_namespace(s, "user");
		if (!ok || strstr(k, ".."))
			return err_set(e, -EINVAL,
				       "config.json: linux.sysctl: %.128s is not kept "
				       "apart by a namespace of this container",
				       k);
	}
	return 0;
}

static int check_cpuset(const char *name, const char *text, struct err *e)
{
	if (!text)
		return 0;
	if (strlen(text) > CPUSET_MAX || text[strspn(text, "0123456789,-")])
		return err_set(e, -EINVAL,
			       "config.json: linux.resources.cpu.%s must be a list like "
			       "0-2,7",
			       name);
	/* A number of more digits than any machine has processors (CVE-2018-20699). */
	for (const char *p = text; *p;) {
		size_t digits = strspn(p, "0123456789");

		if (digits > 5)
			return err_set(e, -EINVAL,
				       "config.json: linux.resources.cpu.%s: a number "
				       "is too large",
				       name);
		p += digits ? digits : 1;
	}
	return 0;
}

static int check_devices(const struct spec_linux *l, struct err *e)
{
	static const char *const types[] = {"c", "u", "b", "p", NULL};

	for (size_t i = 0; i < l->devices.n; i++) {
		const struct spec_device *d = &l->devices.v[i];

		if (!d->path || d->path[0] != '/' || !d->type || !one_of(d->type, types))
			return err_set(e, -EINVAL,
				       "config.json: linux.devices[%zu] must have an "
				       "absolute path and a type of c, u, b or p",
				       i);
	}
	return 0;
}

static int check_device_rules(const struct spec_resources *r, struct err *e)
{
	static const char *const types[] = {"a", "c", "b", NULL};

	for (size_t i = 0; i < r->devices.n; i++) {
		const struct spec_device_rule *d = &r->devices.v[i];

		if ((d->type && !one_of(d->type, types)) ||
		    (d->access && d->access[strspn(d->access, "rwm")]))
			return err_set(e, -EINVAL,
				       "config.json: linux.resources.devices[%zu] is "
				       "bad",
				       i);
	}
	return 0;
}

/* Ranges that do not wrap; the kernel judges overlaps. */
static int check_maps(const struct spec_id_maps *l, const char *what, struct err *e)
{
	if (l->n > LIMIT_ID_MAPS)
		return err_set(e, -EINVAL, "config.json: %s has more than %d entries", what,
			       LIMIT_ID_MAPS);
	for (size_t i = 0; i < l->n; i++) {
		const struct spec_id_map *m = &l->v[i];

		if (m->container_id < 0 || m->host_id < 0 || m->size <= 0 ||
		    m->container_id > UINT32_MAX - 1 || m->host_id > UINT32_MAX - 1 ||
		    m->size > UINT32_MAX - m->container_id || m->size > UINT32_MAX - m->host_id)
			return err_set(e, -EINVAL, "config.json: %s[%zu] is out of range", what, i);
	}
	return 0;
}

static int check_user_namespace(const struct spec *s, struct err *e)
{
	const struct spec_linux *l = &s->linux_;
	bool user = spec_has_namespace(s, "user"), path = false;
	int rc;

	for (size_t i = 0; i < l->namespaces.n; i++)
		if (strcmp(l->namespaces.v[i].type, "user") == 0)
			path = l->namespaces.v[i].path && *l->namespaces.v[i].path;
	if (!user && (l->uid_maps.n || l->gid_maps.n))
		return err_set(e, -EINVAL,
			       "config.json: linux.%s needs a user namespace in "
			       "linux.namespaces",
			       l->uid_maps.n ? "uidMappings" : "gidMappings");
	if (user && !path && (!l->uid_maps.n || !l->gid_maps.n))
		return err_set(e, -EINVAL,
			       "config.json: a user namespace needs linux.uidMappings and "
			       "linux.gidMappings");
	rc = check_maps(&l->uid_maps, "linux.uidMappings", e);
	return rc < 0 ? rc : check_maps(&l->gid_maps, "linux.gidMappings", e);
}

static int check_time_offsets(const struct spec *s, struct err *e)
{
	static const char *const clocks[] = {"monotonic", "boottime", NULL};

	if (s->linux_.time_offsets.n && !spec_has_namespace(s, "time"))
		return err_set(e, -EINVAL,
			       "config.json: linux.timeOffsets needs a time namespace in "
			       "linux.namespaces");
	for (size_t i = 0; i < s->linux_.time_offsets.n; i++)
		if (!one_of(s->linux_.time_offsets.v[i].clock, clocks))
			return err_set(e, -EINVAL,
				       "config.json: linux.timeOffsets: the clock %.64s is not "
				       "known",
				       s->linux_.time_offsets.v[i].clock);
	return 0;
}

static int check_hook_list(const struct spec_hook_list *l, const char *name, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!l->v[i].path || l->v[i].path[0] != '/')
			return err_set(e, -EINVAL,
				       "config.json: hooks.%s[%zu].path must be absolute", name, i);
		if (l->v[i].timeout != SPEC_UNSET &&
		    (l->v[i].timeout <= 0 || l->v[i].timeout > INT32_MAX / 1000))
			return err_set(e, -EINVAL,
				       "config.json: hooks.%s[%zu].timeout is out of range", name,
				       i);
	}
	return 0;
}

static int check_hooks(const struct spec_hooks *h, struct err *e)
{
	int rc = check_hook_list(&h->prestart, "prestart", e);

	if (rc == 0)
		rc = check_hook_list(&h->create_runtime, "createRuntime", e);
	if (rc == 0)
		rc = check_hook_list(&h->create_container, "createContainer", e);
	if (rc == 0)
		rc = check_hook_list(&h->start_container, "startContainer", e);
	if (rc == 0)
		rc = check_hook_list(&h->poststart, "poststart", e);
	return rc < 0 ? rc : check_hook_list(&h->poststop, "poststop", e);
}

static int check_personality(const struct spec_personality *p, struct err *e)
{
	static const char *const domains[] = {"LINUX", "LINUX32", NULL};

	if (p->flags.n)
		return err_set(e, -ENOSYS, "config.json: linux.personality.flags is not supported");
	if (p->domain && !one_of(p->domain, domains))
		return err_set(e, -EINVAL,
			       "config.json: linux.personality.domain must be LINUX or LINUX32");
	return 0;
}

static int check_hugepages(const struct spec_resources *r, struct err *e)
{
	for (size_t i = 0; i < r->hugepages.n; i++) {
		const char *size = r->hugepages.v[i].page_size;
		size_t digits = size ? strspn(size, "0123456789") : 0;

		if (!digits || digits > 10 || strlen(size) != digits + 2 ||
		    !strchr("KMG", size[digits]) || size[digits + 1] != 'B')
			return err_set(e, -EINVAL,
				       "config.json: linux.resources.hugepageLimits[%zu].pageSize "
				       "must be of the form 2MB",
				       i);
	}
	return 0;
}

int spec_resources_check(const struct spec_resources *r, struct err *e)
{
	int rc = check_cpuset("cpus", r->cpu.cpus, e);

	if (rc == 0)
		rc = check_cpuset("mems", r->cpu.mems, e);
	if (rc == 0)
		rc = check_hugepages(r, e);
	if (rc == 0)
		rc = check_device_rules(r, e);
	for (size_t i = 0; rc == 0 && i < r->network.priorities.n; i++)
		if (!r->network.priorities.v[i].name || r->network.priorities.v[i].priority < 0)
			rc = err_set(e, -EINVAL,
				     "config.json: linux.resources.network.priorities[%zu] must "
				     "have a name and a priority",
				     i);
	return rc;
}

static int check_linux(const struct spec_linux *l, struct err *e)
{
	static const char *const propagations[] = {
		"private", "rprivate",   "slave",       "rslave", "shared",
		"rshared", "unbindable", "runbindable", "",       NULL};
	auto_free char *path = NULL;
	int rc = check_devices(l, e);

	if (rc == 0)
		rc = spec_resources_check(&l->resources, e);
	if (rc == 0)
		rc = check_personality(&l->personality, e);
	if (rc == 0 && l->cgroups_path)
		rc = cgroup_path_clean(l->cgroups_path, &path, e);
	if (rc == 0 && l->rootfs_propagation && !one_of(l->rootfs_propagation, propagations))
		rc = err_set(e, -EINVAL, "config.json: linux.rootfsPropagation is not known");
	return rc;
}

int spec_validate(const struct spec *s, struct err *e)
{
	int rc;

	if (!s->oci_version || strncmp(s->oci_version, "1.", 2) != 0)
		return err_set(e, -EINVAL, "config.json: ociVersion must be 1.x");
	rc = spec_process_check(&s->process, e);
	if (rc == 0)
		rc = check_namespaces(s, e);
	if (rc == 0)
		rc = check_user_namespace(s, e);
	if (rc == 0)
		rc = check_time_offsets(s, e);
	if (rc == 0)
		rc = check_mounts(s, e);
	if (rc == 0)
		rc = check_sysctl(s, e);
	if (rc == 0)
		rc = check_hooks(&s->hooks, e);
	if (rc == 0)
		rc = check_linux(&s->linux_, e);
	if (rc < 0)
		return rc;
	if (s->hostname && strlen(s->hostname) > HOSTNAME_MAX)
		return err_set(e, -EINVAL, "config.json: hostname is longer than %d characters",
			       HOSTNAME_MAX);
	if ((s->hostname || s->domainname) && !spec_has_namespace(s, "uts"))
		return err_set(e, -EINVAL, "config.json: hostname needs a uts namespace");
	return 0;
}
