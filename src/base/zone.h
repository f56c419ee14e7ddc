/*
 * Time zones by their IANA name, without libc's: TZ is the process's, and this asks about many
 * zones at once. A zone is read from the host's database (TZif, RFC 9636) once and kept as it is
 * for the process's life, so that the same question has the same answer. Looking is pure. On the
 * loop's thread alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ZONE_FOREVER INT64_MAX

struct zone;

/* A stretch of time with one offset to UTC; all in seconds since 1970, UTC. */
struct zone_span {
	int64_t since; /* INT64_MIN: for ever */
	int64_t until; /* the first second after it; ZONE_FOREVER: never */
	int32_t offset;
	int32_t before; /* the offset before `since` */
};

/*
 * The zone of that name ("Europe/Berlin"; NULL, "" and "UTC" need no file), which is never freed.
 * -EINVAL for a name that is none, -ENOENT when the host does not know it, -EBADMSG when its file
 * is damaged.
 */
int zone_find(const char *name, const struct zone **ret, struct err *e);
void zone_look(const struct zone *z, int64_t at, struct zone_span *ret);

/* For tests: a zone out of the bytes of a TZif file; free with zone_free(). */
int zone_parse(const void *p, size_t n, struct zone **ret);
void zone_free(struct zone *z);
