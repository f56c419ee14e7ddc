/*
 * Placement constraints: "node.labels.disk == ssd" and the like, in Swarm's form. Pure. The control
 * API validates with constraints_parse(), placement and the constraint enforcer match with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/table.h"
#include "model/node.h"

enum constraint_key {
	CONSTRAINT_UNKNOWN, /* a key that this version does not know: it matches no node */
	CONSTRAINT_NODE_ID,
	CONSTRAINT_HOSTNAME,
	CONSTRAINT_IP,
	CONSTRAINT_ROLE,
	CONSTRAINT_OS,
	CONSTRAINT_ARCH,
	CONSTRAINT_NODE_LABEL,
	CONSTRAINT_ENGINE_LABEL,
};

struct constraint {
	enum constraint_key key;
	bool negate;          /* != */
	char *label;          /* of the two label keys */
	char *value;          /* compared without regard to case */
	struct net_prefix ip; /* of CONSTRAINT_IP; family 0: neither an address nor a subnet */
};

struct constraints {
	struct constraint *v;
	size_t n;
};

/*
 * Reads `texts` into `ret` (free with constraints_done()). -EINVAL with a sentence for the user;
 * `ret` is empty then.
 */
int constraints_parse(const struct strs *texts, struct constraints *ret, struct err *e);
void constraints_done(struct constraints *c);
/*
 * Reads the key of a placement preference ("node.labels.rack") into `ret` (its value stays NULL;
 * free label with free()). -EINVAL with a sentence for the user, also for a key that no node can
 * have.
 */
int spread_key_parse(const char *text, struct constraint *ret, struct err *e);
/* What the node has for the key; "" when it has nothing. */
const char *constraint_value(const struct constraint *c, const struct node *n);
/* Whether the node satisfies all of them. A label that the node lacks is the empty value. */
bool constraints_match(const struct constraints *c, const struct node *n);
