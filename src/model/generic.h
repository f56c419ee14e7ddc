/*
 * Generic resources: what a node's operator says it has ("GPU=UUID1" by name, "SSD=3" by number),
 * what tasks reserve of it, and what each was given. Pure; the scheduler, the constraint enforcer,
 * the daemon's options and the agent use it. Kinds are few: lists are walked.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"

/* One of a kind that its users tell apart. */
struct generic_named {
	char *kind;
	char *value;
	struct table_rest *rest;
};
extern const struct table generic_named_table;

/* So many of a kind. */
struct generic_discrete {
	char *kind;
	int64_t value;
	struct table_rest *rest;
};
extern const struct table generic_discrete_table;

/* Exactly one is set. */
struct generic_resource {
	struct generic_named *named;
	struct generic_discrete *discrete;
	struct table_rest *rest;
};
extern const struct table generic_resource_table;

struct generics {
	struct generic_resource *v;
	size_t n;
};

void generics_done(struct generics *g);
/* Appends "KIND=VALUE": a number is so many, anything else a name. -EINVAL with the reason. */
int generics_parse(const struct strs *texts, struct generics *ret, struct err *e);
/*
 * Appends of what a node says that it offers as much as generics_parse() could have made: the node
 * is a stranger, and its word is walked again and again.
 */
void generics_believe(const struct generics *said, struct generics *ret);
/* What a service may ask for: numbers of kinds, each kind once. */
int generics_wish_check(const struct generics *wants, struct err *e);
/* Whether `has` holds that many of each kind. */
bool generics_enough(const struct generics *has, const struct generics *wants);
/* Appends to `ret` what a task with these wishes is given of `has`, which is enough. */
void generics_choose(const struct generics *has, const struct generics *wants,
		     struct generics *ret);
void generics_add(struct generics *to, const struct generics *what);
/* Takes out what is there of `what`; false when something was not. */
bool generics_take(struct generics *from, const struct generics *what);
/* Appends "DOCKER_RESOURCE_KIND=VALUE,VALUE" for each kind, the kind in capitals. */
void generics_env(const struct generics *given, struct strs *env);
