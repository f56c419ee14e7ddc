/*
 * See seccomp_profile.h.
 */
#include "model/seccomp_profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define T struct seccomp_arg
static const struct field seccomp_arg_fields[] = {
	FIELD_U64(T, 0, index, "index", 0),
	FIELD_U64(T, 0, value, "value", 0),
	FIELD_U64(T, 0, value_two, "valueTwo", 0),
	FIELD_STR(T, 0, op, "op", 0),
};
#undef T
TABLE_DEFINE(seccomp_arg, seccomp_arg_fields);

#define T struct seccomp_when
static const struct field seccomp_when_fields[] = {
	FIELD_STRS(T, 0, caps, "caps", 0),
	FIELD_STRS(T, 0, arches, "arches", 0),
	FIELD_STR(T, 0, min_kernel, "minKernel", 0),
};
#undef T
TABLE_DEFINE(seccomp_when, seccomp_when_fields);

#define T struct seccomp_rule
static const struct field seccomp_rule_fields[] = {
	FIELD_STR(T, 0, name, "name", 0),
	FIELD_STRS(T, 0, names, "names", 0),
	FIELD_STR(T, 0, action, "action", 0),
	FIELD_OPT_U64(T, 0, errno_ret, "errnoRet", 0),
	FIELD_LIST(T, 0, args, "args", 0, seccomp_arg),
	FIELD_OBJ(T, 0, includes, "includes", 0, seccomp_when),
	FIELD_OBJ(T, 0, excludes, "excludes", 0, seccomp_when),
};
#undef T
TABLE_DEFINE(seccomp_rule, seccomp_rule_fields);

#define T struct seccomp_arch
static const struct field seccomp_arch_fields[] = {
	FIELD_STR(T, 0, arch, "architecture", 0),
	FIELD_STRS(T, 0, sub, "subArchitectures", 0),
};
#undef T
TABLE_DEFINE(seccomp_arch, seccomp_arch_fields);

#define T struct seccomp_profile
static const struct field seccomp_profile_fields[] = {
	FIELD_STR(T, 0, default_action, "defaultAction", 0),
	FIELD_OPT_U64(T, 0, default_errno_ret, "defaultErrnoRet", 0),
	FIELD_STRS(T, 0, architectures, "architectures", 0),
	FIELD_LIST(T, 0, arch_map, "archMap", 0, seccomp_arch),
	FIELD_STRS(T, 0, flags, "flags", 0),
	FIELD_STR(T, 0, listener_path, "listenerPath", 0),
	FIELD_LIST(T, 0, rules, "syscalls", 0, seccomp_rule),
};
#undef T
TABLE_DEFINE(seccomp_profile, seccomp_profile_fields);

static bool is_set(const char *s)
{
	return s && *s;
}

static int check(const struct seccomp_profile *p, struct err *e)
{
	if (!is_set(p->default_action))
		return err_set(e, -EINVAL, "the seccomp profile has no defaultAction");
	if (is_set(p->listener_path))
		return err_set(
			e, -ENOSYS,
			"listenerPath of a seccomp profile is not supported by this version");
	if (p->architectures.n && p->arch_map.n)
		return err_set(e, -EINVAL,
			       "both 'architectures' and 'archMap' are specified in the seccomp "
			       "profile, use either 'architectures' or 'archMap'");
	LIST_EACH (r, &p->rules) {
		if (is_set(r->name) && r->names.n)
			return err_set(e, -EINVAL,
				       "both 'name' and 'names' are specified in the seccomp "
				       "profile, use either 'name' or 'names'");
		if (!is_set(r->name) && !r->names.n)
			return err_set(e, -EINVAL,
				       "a rule of the seccomp profile names no system call");
		if (!is_set(r->action))
			return err_set(e, -EINVAL,
				       "the rule for %.64s of the seccomp profile has no action",
				       is_set(r->name) ? r->name : r->names.v[0]);
	}
	return 0;
}

int seccomp_profile_read(const char *text, size_t n, struct seccomp_profile *ret, struct err *e)
{
	int rc = json_read(&seccomp_profile_table, text, n, ret, e);

	if (rc < 0)
		return err_wrap(e, "Decoding seccomp profile failed");
	rc = check(ret, e);
	if (rc < 0)
		table_done(&seccomp_profile_table, ret);
	return rc;
}

/* Major and minor alone, as moby compares them. */
static bool kernel_is(const char *kernel, const char *least)
{
	unsigned has[2] = {0}, wants[2] = {0};

	(void)sscanf(kernel, "%u.%u", &has[0], &has[1]);
	(void)sscanf(least, "%u.%u", &wants[0], &wants[1]);
	return has[0] > wants[0] || (has[0] == wants[0] && has[1] >= wants[1]);
}

bool seccomp_rule_holds(const struct seccomp_rule *r, const char *arch, const char *kernel,
			bool (*has_cap)(const void *arg, const char *cap), const void *arg)
{
	if (strs_has(&r->excludes.arches, arch) ||
	    (is_set(r->excludes.min_kernel) && kernel_is(kernel, r->excludes.min_kernel)))
		return false;
	STRS_EACH (cap, &r->excludes.caps)
		if (has_cap(arg, cap))
			return false;
	if ((r->includes.arches.n && !strs_has(&r->includes.arches, arch)) ||
	    (is_set(r->includes.min_kernel) && !kernel_is(kernel, r->includes.min_kernel)))
		return false;
	STRS_EACH (cap, &r->includes.caps)
		if (!has_cap(arg, cap))
			return false;
	return true;
}
