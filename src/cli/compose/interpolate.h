/*
 * Variables in texts: $NAME, ${NAME}, ${NAME:-default} and its kin, $$ for a dollar; and the files
 * of "NAME=value" lines that give them. Knows nothing of documents.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"

/*
 * Appends the text with its variables put in. A variable that is not set and has no default is
 * empty; its name goes to `unset` (NULL: nowhere). -EINVAL with a sentence, -EMSGSIZE past the
 * buffer's bound.
 */
int compose_expand(const char *text, const struct strmap *vars, struct strs *unset, struct buf *ret,
		   struct err *e);

/*
 * Adds the lines "NAME=value" of an environment file to `ret`, a later one in place of an earlier:
 * quotes, comments, "export", variables (from `vars` first, then from lines above). "NAME" alone
 * takes the value that `vars` has. `name` is for messages; the text is changed.
 */
int compose_env_read(const char *name, char *text, const struct strmap *vars, struct strmap *ret,
		     struct err *e);
