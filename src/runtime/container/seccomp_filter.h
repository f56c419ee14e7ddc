/*
 * Seccomp filters: from the OCI form or Docker's default policy to BPF, with a cache of compiled
 * filters, since compiling takes milliseconds and a container should start in a few. libseccomp
 * is used here alone. Called by the engine (cache) and by launch.c.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/spec.h"

/*
 * Docker's default policy for a container with the capabilities `caps` (a bit set, see caps.h) as
 * BPF (an array of struct sock_filter) in `ret`, whose bound should be SECCOMP_BPF_MAX.
 */
int seccomp_default_compile(uint64_t caps, struct buf *ret, struct err *e);
/*
 * The same for a policy in the OCI form (linux.seccomp); *ret_flags are SECCOMP_FILTER_FLAG_* for
 * its loading. -ENOSYS for what is not supported.
 */
int seccomp_spec_compile(const struct spec_seccomp *s, struct buf *ret, unsigned int *ret_flags,
			 struct err *e);
/* The names of the actions, operators and architectures; NULL past the last. For `features`. */
const char *seccomp_action_name(size_t i);
const char *seccomp_operator_name(size_t i);
const char *seccomp_arch_name(size_t i);
const char *seccomp_flag_name(size_t i);

struct hook_state;

/*
 * Hands the descriptor of a filter with SCMP_ACT_NOTIFY to the socket that linux.seccomp names,
 * with the container's state (runtime-spec, "Container Process State"). seccomp_listener.c.
 */
int seccomp_listener_send(const struct hook_state *state, int listener, struct err *e);

#define SECCOMP_BPF_MAX (4096 * 8) /* bytes: the kernel's limit of 4096 instructions */

/*
 * Makes sure that the folder `cache` holds the compiled default policy for `caps` and returns its
 * path (free()) for shim_config.seccomp_filter. The name carries the policy's version, the
 * capabilities and the machine, the file a digest that is checked when it is loaded.
 */
int seccomp_filter_ensure(const char *cache, uint64_t caps, char **ret_path, struct err *e);
/* Reads such a file. -EINVAL when it is not whole. */
int seccomp_filter_load(const char *path, struct buf *ret, struct err *e);
