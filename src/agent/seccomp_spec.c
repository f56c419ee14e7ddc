/*
 * See seccomp_spec.h.
 */
#include "agent/seccomp_spec.h"

#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "base/mem.h"
#include "model/seccomp_profile.h"

/* Names of this machine: in images and profiles, and in the runtime specification. */
static const struct {
	const char *machine, *arch, *scmp;
} machines[] = {
	{"x86_64", "amd64", "SCMP_ARCH_X86_64"},     {"aarch64", "arm64", "SCMP_ARCH_AARCH64"},
	{"armv7l", "arm", "SCMP_ARCH_ARM"},          {"i686", "386", "SCMP_ARCH_X86"},
	{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE"}, {"s390x", "s390x", "SCMP_ARCH_S390X"},
	{"riscv64", "riscv64", "SCMP_ARCH_RISCV64"},
};

static bool has_cap(const void *arg, const char *cap)
{
	const struct spec_strs *caps = arg;

	for (size_t i = 0; i < caps->n; i++)
		if (strcasecmp(caps->v[i], cap) == 0)
			return true;
	return false;
}

static void rule_add(const struct seccomp_rule *from, struct spec_seccomp *ret)
{
	struct spec_seccomp_rule *r;

	ret->syscalls.v = xreallocarray(ret->syscalls.v, ret->syscalls.n + 1, sizeof *r);
	r = &ret->syscalls.v[ret->syscalls.n++];
	*r = (struct spec_seccomp_rule){.errno_ret = SPEC_UNSET};
	r->action = xstrdup(from->action);
	if (from->errno_ret)
		r->errno_ret = (int64_t)*from->errno_ret;
	if (from->names.n == 0)
		spec_strs_add(&r->names, from->name);
	STRS_EACH (name, &from->names)
		spec_strs_add(&r->names, name);
	r->args.v = xcalloc(from->args.n + 1, sizeof *r->args.v);
	LIST_EACH (a, &from->args)
		r->args.v[r->args.n++] =
			(struct spec_seccomp_arg){.index = (int64_t)a->index,
						  .value = a->value,
						  .value_two = a->value_two,
						  .op = xstrdup(a->op ? a->op : "")};
}

static void arches_add(const struct seccomp_profile *p, const char *native,
		       struct spec_seccomp *ret)
{
	STRS_EACH (arch, &p->architectures)
		spec_strs_add(&ret->architectures, arch);
	LIST_EACH (a, &p->arch_map) {
		if (!a->arch || strcmp(a->arch, native) != 0)
			continue;
		spec_strs_add(&ret->architectures, a->arch);
		STRS_EACH (sub, &a->sub)
			spec_strs_add(&ret->architectures, sub);
	}
}

int seccomp_spec_make(const char *profile, const struct spec_strs *caps, struct spec_seccomp *ret,
		      struct err *e)
{
	struct seccomp_profile p = {0};
	const char *arch = "", *scmp = "";
	struct utsname uts = {0};
	int rc = seccomp_profile_read(profile, strlen(profile), &p, e);

	if (rc < 0)
		return rc;
	(void)uname(&uts);
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (strcmp(machines[i].machine, uts.machine) != 0)
			continue;
		arch = machines[i].arch;
		scmp = machines[i].scmp;
	}
	ret->default_action = xstrdup(p.default_action);
	ret->default_errno_ret = p.default_errno_ret ? (int64_t)*p.default_errno_ret : SPEC_UNSET;
	arches_add(&p, scmp, ret);
	STRS_EACH (flag, &p.flags)
		spec_strs_add(&ret->flags, flag);
	LIST_EACH (r, &p.rules)
		if (seccomp_rule_holds(r, arch, uts.release, has_cap, caps))
			rule_add(r, ret);
	table_done(&seccomp_profile_table, &p);
	return 0;
}
