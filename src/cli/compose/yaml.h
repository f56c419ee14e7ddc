/*
 * YAML into nodes and back, by libyaml: anchors, aliases, merge keys (<<), the tags !reset and
 * !override. The only file that knows libyaml.
 */
#pragma once

#include "base/buf.h"
#include "cli/compose/node.h"

/*
 * Reads one document. `file` is lent: it must live as long as the nodes. *budget is how many nodes
 * may still be made. 0, or -EINVAL with the place.
 */
int compose_yaml_read(const char *file, const char *text, size_t n, size_t *budget,
		      struct compose_node **ret, struct err *e);
/* Appends the tree as a document. 0, or -EMSGSIZE past the buffer's bound. */
int compose_yaml_write(const struct compose_node *n, struct buf *ret);
