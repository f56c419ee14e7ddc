/*
 * Properties of a unit, as elements of an a(sv) of D-Bus: single ones, and those that stand for the
 * limits of config.json. Called by systemd.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "runtime/container/spec.h"

void systemd_put_str(struct buf *b, const char *name, const char *value);
void systemd_put_bool(struct buf *b, const char *name, bool value);
void systemd_put_u64(struct buf *b, const char *name, uint64_t value);
/* An array of one number. */
void systemd_put_u32s(struct buf *b, const char *name, uint32_t value);
/*
 * All limits that systemd knows, in the words of v2, which it understands on v1 too. What it does
 * not know it leaves alone, in a group that it has delegated.
 */
void systemd_put_resources(struct buf *b, const struct spec_resources *r);
