/*
 * Capabilities by name and as bits, and the five sets of a process. Called by launch code and the
 * engine (for seccomp_filter_ensure()).
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "runtime/container/spec.h"

#define CAP_BIT(n) (1ULL << (n))

/* "CAP_CHOWN" (any case, prefix optional) to its number; -EINVAL when the name is unknown. */
int cap_number(const char *name);
/* "CAP_CHOWN", or NULL past the last known one. */
const char *cap_name_of(int number);
/* The bits of a list of names. -EINVAL names the unknown one. */
int caps_parse(const struct spec_strs *names, uint64_t *ret, struct err *e);
/* All that this kernel knows. */
uint64_t caps_all(void);

/* The five sets as bits. */
struct cap_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t inheritable;
	uint64_t permitted;
	uint64_t ambient;
};

int cap_sets_parse(const struct spec_capabilities *c, struct cap_sets *ret, struct err *e);
/* Drops what is not in the bounding set; before the change of user. */
int cap_sets_limit(const struct cap_sets *s, struct err *e);
/* Sets the rest; after the change of user, with PR_SET_KEEPCAPS on. */
int cap_sets_apply(const struct cap_sets *s, struct err *e);
