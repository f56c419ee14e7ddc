/*
 * A seccomp policy of one's own in Docker's form, as --security-opt seccomp=FILE and a service's
 * Privileges.Seccomp.Profile bring it. Pure. Used by the engine, which makes it the runtime's, and
 * by the managers, who check what is asked for. Source: moby's profiles/seccomp.
 */
#pragma once

#include "base/table.h"

struct seccomp_arg {
	uint64_t index, value, value_two;
	char *op;
};
extern const struct table seccomp_arg_table;

/* When a rule holds, or does not. */
struct seccomp_when {
	struct strs caps;
	struct strs arches; /* "amd64", "arm64", … */
	char *min_kernel;   /* "4.8" */
};
extern const struct table seccomp_when_table;

struct seccomp_rule {
	char *name; /* the older form of names */
	struct strs names;
	char *action;
	uint64_t *errno_ret;
	LIST_OF(struct seccomp_arg) args;
	struct seccomp_when includes, excludes;
};
extern const struct table seccomp_rule_table;

struct seccomp_arch {
	char *arch;
	struct strs sub;
};
extern const struct table seccomp_arch_table;

struct seccomp_profile {
	char *default_action;
	uint64_t *default_errno_ret;
	struct strs architectures;
	LIST_OF(struct seccomp_arch) arch_map;
	struct strs flags;
	char *listener_path;
	LIST_OF(struct seccomp_rule) rules;
};
extern const struct table seccomp_profile_table;

/* Into the zeroed `ret`. -EINVAL with the reason, -ENOSYS for what is not there. */
int seccomp_profile_read(const char *text, size_t n, struct seccomp_profile *ret, struct err *e);
/* Whether the rule is one for this machine. `has_cap` is asked for each capability it names. */
bool seccomp_rule_holds(const struct seccomp_rule *r, const char *arch, const char *kernel,
			bool (*has_cap)(const void *arg, const char *cap), const void *arg);
