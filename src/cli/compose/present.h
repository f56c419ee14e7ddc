/*
 * A project as it is shown to be read again: by shoal, and where it can be by docker.
 */
#pragma once

#include "cli/compose/node.h"

/*
 * Writes dollars out as "$$", since variables have been put in already, and what was brought into
 * its long form for merging in its short one where that says the same. `raw`: variables have not
 * been put in, and dollars stay as they are.
 */
void compose_present(struct compose_node *root, bool raw);
