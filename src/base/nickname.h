/*
 * Names for what its maker did not name: "daring_kepler". Knows nothing of what is named.
 */
#pragma once

#include <stdbool.h>

/*
 * A random name that `taken` does not know; after some tries with a number behind it, so that one
 * is found in any case. Free with free().
 */
char *nickname_choose(bool (*taken)(const char *name, void *arg), void *arg);
