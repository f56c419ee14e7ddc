/*
 * Locked memory of any size: a range of addresses of its own, whose pages are locked and left out
 * of core dumps as long as something lies in them. That a pointer lies there can be told from it
 * alone, so that one free() serves lists in which some pieces are secret. Thread-safe; crypto.h's
 * secret_new() and libraft's heap stand on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* `n` zeroed bytes; NULL once LIMIT_SECRET_RANGE is used up. */
void *secret_memory_new(size_t n);
bool secret_memory_owns(const void *p);
/* Of a piece that is owned: overwrites and frees it. */
void secret_memory_free(void *p);
