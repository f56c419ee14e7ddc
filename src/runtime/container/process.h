/*
 * What a process gets just before its program: limits, user, capabilities, filter, and the
 * execution itself with Docker's sentences when it fails. Called in the container's init (and by
 * exec); the caller is a single-threaded child that may be spoilt on failure.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/caps.h"
#include "runtime/container/spec.h"

struct process {
	const struct spec_process *spec;
	uint32_t uid, gid;
	const uint32_t *gids;
	size_t n_gids;
	struct cap_sets caps;
	const struct buf *filter;  /* struct sock_filter array, or NULL */
	unsigned int filter_flags; /* SECCOMP_FILTER_FLAG_* */
	char **env;                /* NULL-terminated; the strings are the spec's or the heap's */
	const char *personality;   /* of linux.personality.domain, or NULL */
};

/* Every signal as a program expects it, and none blocked; whoever starts us ignores some. */
void process_reset_signals(void);
/* Judges scheduler and ioPriority. 0 or -EINVAL, naming the property. */
int process_attrs_check(const struct spec_process *p, struct err *e);
/* Scheduler, ioPriority and personality; before capabilities go. */
int process_set_attrs(const struct process *p, struct err *e);
/* The labels of AppArmor and SELinux for the program; `proc` is a procfs that can be trusted. */
int process_set_labels(const struct process *p, int proc, struct err *e);

/* Resource limits and the file mode mask. */
int process_set_limits(const struct process *p, struct err *e);
/*
 * Groups, user and, where nothing forbids, a full set of capabilities for what follows. Dies with
 * its parent after this.
 */
int process_set_user(const struct process *p, struct err *e);
/*
 * Capabilities, no_new_privs and the filter, in the order in which each is still allowed. With
 * SECCOMP_FILTER_FLAG_NEW_LISTENER in filter_flags *ret_listener is the filter's descriptor, else
 * -1.
 */
int process_restrict(const struct process *p, int *ret_listener, struct err *e);
/*
 * Whether the program can be found and executed, as far as one can know before: what
 * process_exec() would say.
 */
int process_find(const struct process *p, int *ret_exit_code, struct err *e);
/*
 * Executes the program. Returns only on failure: -errno, *ret_exit_code 127 (not found) or 126
 * (cannot be executed), and Docker's sentence.
 */
int process_exec(const struct process *p, int *ret_exit_code, struct err *e);
/* The environment with HOME=`home` added where the spec has none. Free the array alone. */
char **process_env(const struct spec_strs *env, const char *home);
const char *process_getenv(const struct spec_strs *env, const char *name);
/* Whether a list of processors is one; `name` is that of the member. 0 or -EINVAL. */
int process_check_affinity(const char *text, const char *name, struct err *e);
/* Puts the caller on the processors of a checked list; NULL: leaves it where it is. */
int process_set_affinity(const char *text, struct err *e);
