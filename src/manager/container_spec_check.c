/*
 * See container_spec_check.h.
 */
#include "manager/container_spec_check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "manager/control.h"
#include "model/health.h"
#include "model/mount.h"
#include "model/placeholder.h"
#include "model/seccomp_profile.h"
#include "model/task_rights.h"
#include "base/signal.h"

static int missing(struct err *e, const char *what)
{
	return err_set(e, -ENOSYS, "%s is not implemented", what);
}

static bool is_set(const char *text)
{
	return text && *text;
}

/* No label is ever set here: asking for none, as SDKs do in so many words, is asking for nothing.
 */
static bool selinux_asks(const struct selinux_context *c)
{
	return is_set(c->user) || is_set(c->role) || is_set(c->type) || is_set(c->level);
}

/* What the container's specification may have that nothing carries out yet. */
static int container_features_check(const struct container_spec *s, struct err *e)
{
	const struct privileges *p = s->privileges;

	if (s->healthcheck && healthcheck_check(s->healthcheck, e) < 0) {
		err_wrap(e, "ContainerSpec");
		return e->code;
	}
	if (p && p->credential_spec)
		return missing(e, "ContainerSpec.Privileges.CredentialSpec");
	if (p && p->selinux && selinux_asks(p->selinux))
		return missing(e, "ContainerSpec.Privileges.SELinuxContext");
	if (s->isolation && *s->isolation && strcmp(s->isolation, "default") != 0)
		return missing(e, "ContainerSpec.Isolation");
	return 0;
}

static int one_of(const char *value, const char *const *names, const char *what, struct err *e)
{
	if (!value || !*value)
		return 0;
	for (; *names; names++)
		if (strcmp(value, *names) == 0)
			return 0;
	return err_set(e, -EINVAL, "invalid ContainerSpec.%s: \"%.64s\" is not known", what, value);
}

static int profile_check(const struct seccomp_opts *o, struct err *e)
{
	struct seccomp_profile profile = {0};
	bool custom = o->mode && strcmp(o->mode, "custom") == 0;
	int rc;

	if (!custom)
		return o->profile.n ? err_set(e, -EINVAL,
					      "ContainerSpec.Privileges.Seccomp.Profile needs the "
					      "mode \"custom\"")
				    : 0;
	rc = seccomp_profile_read(o->profile.n ? (const char *)o->profile.p : "", o->profile.n,
				  &profile, e);
	table_done(&seccomp_profile_table, &profile);
	return rc < 0 ? err_wrap(e, "ContainerSpec.Privileges.Seccomp.Profile") : 0;
}

static int privileges_check(const struct privileges *p, struct err *e)
{
	static const char *const apparmor[] = {"default", "disabled", NULL};
	static const char *const seccomp[] = {"default", "unconfined", "custom", NULL};
	int rc = 0;

	if (p && p->apparmor)
		rc = one_of(p->apparmor->mode, apparmor, "Privileges.AppArmor.Mode", e);
	if (rc == 0 && p && p->seccomp)
		rc = one_of(p->seccomp->mode, seccomp, "Privileges.Seccomp.Mode", e);
	if (rc == 0 && p && p->seccomp)
		rc = profile_check(p->seccomp, e);
	return rc;
}

/* With or without "CAP_", in any case of letters. */
static int capabilities_check(const struct strs *list, const char *what, struct err *e)
{
	static const char *const names[] = {"ALL",
					    "CHOWN",
					    "DAC_OVERRIDE",
					    "DAC_READ_SEARCH",
					    "FOWNER",
					    "FSETID",
					    "KILL",
					    "SETGID",
					    "SETUID",
					    "SETPCAP",
					    "LINUX_IMMUTABLE",
					    "NET_BIND_SERVICE",
					    "NET_BROADCAST",
					    "NET_ADMIN",
					    "NET_RAW",
					    "IPC_LOCK",
					    "IPC_OWNER",
					    "SYS_MODULE",
					    "SYS_RAWIO",
					    "SYS_CHROOT",
					    "SYS_PTRACE",
					    "SYS_PACCT",
					    "SYS_ADMIN",
					    "SYS_BOOT",
					    "SYS_NICE",
					    "SYS_RESOURCE",
					    "SYS_TIME",
					    "SYS_TTY_CONFIG",
					    "MKNOD",
					    "LEASE",
					    "AUDIT_WRITE",
					    "AUDIT_CONTROL",
					    "SETFCAP",
					    "MAC_OVERRIDE",
					    "MAC_ADMIN",
					    "SYSLOG",
					    "WAKE_ALARM",
					    "BLOCK_SUSPEND",
					    "AUDIT_READ",
					    "PERFMON",
					    "BPF",
					    "CHECKPOINT_RESTORE"};

	STRS_EACH (cap, list) {
		const char *name = strncasecmp(cap, "CAP_", 4) == 0 ? cap + 4 : cap;
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			known = known || strcasecmp(name, names[i]) == 0;
		if (!known)
			return err_set(e, -EINVAL,
				       "invalid ContainerSpec.%s: unknown capability "
				       "\"%.64s\"",
				       what, cap);
	}
	return 0;
}

static int ulimits_check(const struct container_spec *s, struct err *e)
{
	static const char *const names[] = {"as",    "core",    "cpu",      "data",   "fsize",
					    "locks", "memlock", "msgqueue", "nice",   "nofile",
					    "nproc", "rss",     "rtprio",   "rttime", "sigpending",
					    "stack", NULL};

	LIST_EACH (u, &s->ulimits) {
		if (!u->name || !*u->name)
			return err_set(e, -EINVAL,
				       "invalid ContainerSpec.Ulimits: one has no name");
		if (one_of(u->name, names, "Ulimits", e) < 0)
			return e->code;
		if (u->hard != -1 && (u->soft > u->hard || u->soft == -1))
			return err_set(
				e, -EINVAL,
				"invalid ContainerSpec.Ulimits: the soft limit of %s is above "
				"the hard one",
				u->name);
	}
	return 0;
}

/* "IP HOST [ALIAS…]" */
static int hosts_check(const struct strs *hosts, struct err *e)
{
	STRS_EACH (line, hosts) {
		size_t n = strcspn(line, " \t");
		auto_free char *ip = xstrndup(line, n);
		struct net_ip parsed;

		if (net_ip_parse(ip, &parsed) < 0 || !line[n + strspn(line + n, " \t")])
			return err_set(e, -EINVAL,
				       "invalid ContainerSpec.Hosts: \"%.128s\" is not an address "
				       "and a name",
				       line);
	}
	return 0;
}

/* What a resolver cannot be told: a container would start, and find no name. */
static int dns_check(const struct dns_config *d, struct err *e)
{
	STRS_EACH (server, &d->nameservers) {
		struct net_ip parsed;

		if (net_ip_parse(server, &parsed) < 0)
			return err_set(e, -EINVAL,
				       "invalid ContainerSpec.DNSConfig.Nameservers: \"%.128s\" is "
				       "not an IP address",
				       server);
	}
	return 0;
}

static int placeholders_check_all(const struct container_spec *s, struct err *e)
{
	int rc = s->hostname ? placeholders_check(s->hostname, e) : 0;

	for (size_t i = 0; rc == 0 && i < s->env.n; i++)
		rc = placeholders_check(s->env.v[i], e);
	for (size_t i = 0; rc == 0 && i < s->mounts.n; i++)
		if (s->mounts.v[i].source)
			rc = placeholders_check(s->mounts.v[i].source, e);
	return rc;
}

static int values_check(const struct container_spec *s, struct err *e)
{
	int signal;

	if (s->oom_score_adj < -1000 || s->oom_score_adj > 1000)
		return err_set(e, -EINVAL,
			       "Invalid value %" PRId64
			       ", range for oom score adj is [-1000, 1000]",
			       s->oom_score_adj);
	if (signal_parse(s->stop_signal, &signal) < 0)
		return err_set(e, -EINVAL, "invalid signal: %.64s", s->stop_signal);
	if (s->dir && *s->dir && s->dir[0] != '/')
		return err_set(e, -EINVAL,
			       "the working directory '%.255s' is invalid, it needs to be an "
			       "absolute path",
			       s->dir);
	if (privileges_check(s->privileges, e) < 0 ||
	    capabilities_check(&s->cap_add, "CapabilityAdd", e) < 0 ||
	    capabilities_check(&s->cap_drop, "CapabilityDrop", e) < 0 || ulimits_check(s, e) < 0 ||
	    hosts_check(&s->hosts, e) < 0 || (s->dns && dns_check(s->dns, e) < 0))
		return e->code;
	return placeholders_check_all(s, e);
}

int container_spec_check(const struct container_spec *s, struct err *e)
{
	struct task_rights rights;
	int rc;

	if (!s)
		return err_set(e, -EINVAL, "ContainerSpec: missing");
	if (!s->image || !*s->image)
		return err_set(e, -EINVAL, "ContainerSpec: image reference must be provided");
	if (s->stop_grace && (*s->stop_grace < 0 || *s->stop_grace > NS_SPAN_MAX))
		return err_set(e, -EINVAL,
			       "ContainerSpec: stop-grace-period cannot be negative or longer than "
			       "73 years");
	rc = container_features_check(s, e);
	if (rc == 0)
		rc = values_check(s, e);
	if (rc == 0)
		rc = service_files_check(s, e);
	if (rc == 0)
		rc = task_rights_read(&s->labels, &rights, e);
	if (rc == 0)
		task_rights_done(&rights);
	for (size_t i = 0; rc == 0 && i < s->mounts.n; i++) {
		rc = mount_check(&s->mounts.v[i], e) < 0 ? err_wrap(e, "ContainerSpec") : 0;
		for (size_t k = 0; rc == 0 && k < i; k++)
			if (strcmp(s->mounts.v[i].target, s->mounts.v[k].target) == 0)
				rc = err_set(e, -EINVAL, "ContainerSpec: duplicate mount point: %s",
					     s->mounts.v[i].target);
	}
	return rc;
}
