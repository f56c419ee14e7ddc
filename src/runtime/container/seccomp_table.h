/*
 * The form of the default policy's table. Only seccomp_default.c and seccomp_filter.c (and their
 * test) include this.
 */
#pragma once

#include <seccomp.h>
#include <stdint.h>

/* Part of a cached filter's name: change it with the table or the compiler of filters. */
#define SECCOMP_DEFAULT_VERSION 1

enum seccomp_on {
	SECCOMP_ON_AMD64 = 1,
	SECCOMP_ON_ARM64 = 2,
	SECCOMP_ON_PPC64LE = 4,
	SECCOMP_ON_S390X = 8,
	SECCOMP_ON_RISCV64 = 16,
};

struct seccomp_rule {
	const char *names;     /* separated by blanks; NULL ends the table */
	uint64_t caps;         /* needs one of these capabilities, 0: none */
	uint64_t without_caps; /* only without these */
	unsigned int arches;   /* native architectures where it counts */
	int refuse_errno;      /* 0: allow */
	struct {
		unsigned int index;
		enum scmp_compare op; /* _SCMP_CMP_MIN: no condition */
		uint64_t value;       /* the mask of SCMP_CMP_MASKED_EQ */
		uint64_t value_two;
	} arg;
};

struct seccomp_young {
	const char *name;
	int nr;
	unsigned int arches;
};

extern const struct seccomp_rule seccomp_default_rules[];
extern const struct seccomp_young seccomp_young[];
