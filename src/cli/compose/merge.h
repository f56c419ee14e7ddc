/*
 * The specification's rules by which one file's values go over another's, and an extending
 * service's over those it extends. Pure.
 */
#pragma once

#include "cli/compose/node.h"

/*
 * Gives a service's values the shape in which they merge: lists of "key=value" as maps, lone
 * texts as lists. 0, or -EINVAL with the place.
 */
int compose_shape(struct compose_node *service, struct err *e);
/*
 * Puts `over` over `base`, both maps: maps merge, lists grow (each volume, secret and config by its
 * target), anything else is replaced. 0, -EINVAL, or -E2BIG when *budget is used up.
 */
int compose_merge(struct compose_node *base, const struct compose_node *over, size_t *budget,
		  struct err *e);
/* The path in the container of an entry of `volumes`; NULL when it names none. Free with free(). */
char *compose_volume_target(const struct compose_node *n);
