/*
 * Sizes as texts in options and labels. Pure.
 */
#pragma once

#include <stdint.h>

/* "10m", "1g", "512", "64kb" (powers of 1024) in bytes. 0 or -EINVAL. */
int size_text_read(const char *text, int64_t *ret);
