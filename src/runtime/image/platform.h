/*
 * Platforms as images name them: "linux/arm64/v8". Used inside runtime/image only.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"

struct image_platform {
	char *os;
	char *architecture;
	char *variant; /* or NULL */
};
extern const struct table image_platform_table;

/* Reads "os/arch[/variant]"; NULL gives this machine's. -EINVAL with the reason. */
int image_platform_read(const char *text, struct image_platform *ret, struct err *e);
/*
 * How well what is `offered` serves who `wants`: 0 not at all, more is better. An arm of a higher
 * variant runs what lower ones do.
 */
int image_platform_score(const struct image_platform *wants, const struct image_platform *offered);
/* "os/arch[/variant]" in new memory. */
char *image_platform_text(const struct image_platform *p);
