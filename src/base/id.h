/*
 * Random identities, from the kernel's generator. The manager's cores never call these: whoever
 * proposes a change brings its ids.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

/* Fills `p` with random bytes; aborts when the kernel has none to give. */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);

/* An object's id: 25 characters of base36 (Swarm's form), NUL-terminated. */
void id_cluster(char ret[ID_CLUSTER_LEN + 1]);
/* A container's, image's or network's id: 64 hex characters, NUL-terminated. */
void id_host(char ret[ID_HOST_LEN + 1]);
/* Encodes big-endian bytes as exactly `len` base36 characters, padded with 0 on the left. */
void id_base36(const uint8_t *bytes, size_t n, char *ret, size_t len);

/* Lower-case hex; `ret` holds 2 * n + 1. */
void hex_encode(const uint8_t *bytes, size_t n, char *ret);
/* 0, or -EINVAL when `text` is not exactly 2 * n hex digits. */
int hex_decode(const char *text, uint8_t *ret, size_t n);
