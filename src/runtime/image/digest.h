/*
 * SHA-256 over a stream, as the text that image formats use ("sha256:<64 hex digits>"). Used inside
 * runtime/image only.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "runtime/image/reference.h"

struct digest;

/* Never NULL. Free with digest_free(); NULL is allowed there. */
struct digest *digest_new(void);
void digest_free(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t n);
/* The digest of all that was added; the next digest_add() starts anew. */
void digest_end(struct digest *d, char ret[DIGEST_TEXT_LEN + 1]);

/* The digest of one piece of memory. */
void digest_of(const void *p, size_t n, char ret[DIGEST_TEXT_LEN + 1]);

void digest_free_at(struct digest **d);
#define auto_digest CLEANUP(digest_free_at) struct digest
