/*
 * Hash tables: uthash under our memory rule (small allocations abort). Iteration is in the order
 * of insertion, so that what walks a table does the same for the same history. Knows only mem.h.
 */
#pragma once

#include "base/mem.h"

#define uthash_malloc(size) xmalloc(size)
#define uthash_free(p, size) free(p)
#include <uthash.h>
