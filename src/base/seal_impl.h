/*
 * What seal.c and seal_key.c share.
 */
#pragma once

#include "base/crypto.h"
#include "base/seal.h"
#include "base/secret_memory.h"

struct seal_key {
	int refs;
	uint8_t *bytes; /* SEAL_KEY_LEN, in locked memory */
};

struct seal_key *seal_key_wrap(const uint8_t *bytes);
