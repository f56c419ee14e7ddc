/*
 * Memory for secrets: pages that are locked, so that they never reach a swap device, and that no
 * core dump holds. It is one range of addresses, so that a pointer alone tells whether it lies
 * there, and one free() serves lists of which some pieces are secret. What cannot be locked is
 * given all the same, counted and told of. Thread-safe. The tables keep their secret bytes in it,
 * the agent its vault, and the raft wrapper the entries that hold secrets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * `n` zeroed bytes; never NULL. Once LIMIT_SECRET_MEMORY is used up it is ordinary memory. Free
 * with secret_free() and the same `n`; NULL is allowed there. All of it is overwritten then.
 */
void *secret_new(size_t n);
void *secret_copy(const void *from, size_t n);
void secret_free(void *p, size_t n);

/* Whether `p` lies in the range, wherever else it may come from. */
bool secret_owns(const void *p);
/* The bytes from `p` on, of which it is known that they are owned. At least what was asked for. */
size_t secret_size(const void *p);

/*
 * Bytes of secrets that lie in memory that could not be locked, and of those that ordinary memory
 * had to be taken for since the process began. 0 is as it should be.
 */
size_t secret_loose(void);
/* `tell` is called once, by whichever thread finds that memory cannot be locked. `why`: -errno. */
void secret_loose_tell(void (*tell)(int why));
/* Another's memory for keys could not be locked. */
void secret_loose_found(int why);
