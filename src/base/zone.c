/*
 * See zone.h: reading TZif, and the zones that were read.
 */
#include "base/zone.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/zone_rule.h"

#define DATABASE "/usr/share/zoneinfo/"
#define HEADER 44

struct change {
	int64_t at;
	int32_t offset;
};

struct zone {
	char *name;
	struct change *v; /* in the order of time */
	size_t n;
	int32_t first; /* the offset before all of them */
	bool has_rule;
	struct zone_rule rule; /* what comes after the last */
	UT_hash_handle hh;
};

static struct zone utc;
static struct zone *known;

/* Numbers of a TZif block: how many of each there are. */
struct counts {
	size_t is_utc, is_standard, leaps, times, types, chars;
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
	uint64_t ret = 0;

	while (n--)
		ret = ret << 8 | *p++;
	return ret;
}

/* The length of the block behind the header, or 0 when there is no such header. */
static size_t header_read(const uint8_t *p, size_t n, size_t time_size, struct counts *ret)
{
	if (n < HEADER || memcmp(p, "TZif", 4) != 0)
		return 0;
	*ret = (struct counts){
		.is_utc = big_endian(p + 20, 4),
		.is_standard = big_endian(p + 24, 4),
		.leaps = big_endian(p + 28, 4),
		.times = big_endian(p + 32, 4),
		.types = big_endian(p + 36, 4),
		.chars = big_endian(p + 40, 4),
	};
	if (ret->types == 0 || ret->types > 256 || ret->times > LIMIT_ZONE_BYTES ||
	    ret->leaps > LIMIT_ZONE_BYTES || ret->chars > LIMIT_ZONE_BYTES ||
	    ret->is_utc > ret->types || ret->is_standard > ret->types)
		return 0;
	return HEADER + ret->times * (time_size + 1) + ret->types * 6 + ret->chars +
	       ret->leaps * (time_size + 4) + ret->is_standard + ret->is_utc;
}

/* The changes of a version 2 block, whose length was checked. */
static int block_read(const uint8_t *p, const struct counts *c, struct zone *z)
{
	const uint8_t *times = p + HEADER, *indexes = times + c->times * 8,
		      *types = indexes + c->times;

	z->first = (int32_t)big_endian(types, 4);
	z->v = c->times ? xcalloc(c->times, sizeof *z->v) : NULL;
	for (size_t i = 0; i < c->times; i++) {
		if (indexes[i] >= c->types)
			return -EBADMSG;
		z->v[i].at = (int64_t)big_endian(times + i * 8, 8);
		z->v[i].offset = (int32_t)big_endian(types + indexes[i] * 6, 4);
		if (i && z->v[i].at <= z->v[i - 1].at)
			return -EBADMSG;
		z->n++;
	}
	return 0;
}

/* The line behind the second block; an empty one says that nothing changes any more. */
static int rule_read(const uint8_t *p, size_t n, struct zone *z)
{
	const uint8_t *end = n && p[0] == '\n' ? memchr(p + 1, '\n', n - 1) : NULL;

	if (!end)
		return -EBADMSG;
	z->has_rule = end > p + 1;
	return z->has_rule ? zone_rule_parse((const char *)p + 1, (size_t)(end - p - 1), &z->rule)
			   : 0;
}

int zone_parse(const void *bytes, size_t n, struct zone **ret)
{
	const uint8_t *p = bytes;
	struct counts c;
	struct zone *z;
	size_t old = header_read(p, n, 4, &c), size;
	int rc;

	if (old == 0 || old > n || p[4] < '2') /* version 1 has no times after 2037 */
		return -EBADMSG;
	size = header_read(p + old, n - old, 8, &c);
	if (size == 0 || size > n - old)
		return -EBADMSG;
	z = xcalloc(1, sizeof *z);
	rc = block_read(p + old, &c, z);
	if (rc == 0)
		rc = rule_read(p + old + size, n - old - size, z);
	if (rc < 0) {
		zone_free(z);
		return rc;
	}
	*ret = z;
	return 0;
}

void zone_free(struct zone *z)
{
	if (!z)
		return;
	free(z->name);
	free(z->v);
	free(z);
}

/* "Area/Place": nothing that leads out of the database. */
static bool name_is_sound(const char *name)
{
	size_t n = strlen(name);

	return n < LIMIT_ZONE_NAME && name[0] != '/' && !strstr(name, "..") &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-") ==
		       n;
}

static int zone_load(const char *name, struct zone **ret, struct err *e)
{
	auto_free char *path = xasprintf(DATABASE "%s", name);
	auto_buf bytes = BUF_INIT(LIMIT_ZONE_BYTES);
	int rc = file_read_at(AT_FDCWD, path, &bytes);

	if (rc == -ENOENT || rc == -EISDIR || rc == -ENOTDIR)
		return err_set(e, -ENOENT,
			       "unknown time zone %s: there is no %s on this manager (package "
			       "tzdata)",
			       name, path);
	if (rc == 0)
		rc = zone_parse(bytes.p, bytes.len, ret);
	return rc < 0 ? err_set(e, rc, "cannot read the time zone %s from %s: %s", name, path,
				strerror(-rc))
		      : 0;
}

int zone_find(const char *name, const struct zone **ret, struct err *e)
{
	struct zone *z;
	int rc;

	if (!name || !*name || strcmp(name, "UTC") == 0) {
		*ret = &utc;
		return 0;
	}
	if (!name_is_sound(name))
		return err_set(e, -EINVAL, "invalid time zone \"%.64s\"", name);
	HASH_FIND(hh, known, name, strlen(name), z);
	if (!z) {
		rc = zone_load(name, &z, e);
		if (rc < 0)
			return rc;
		assert(z);
		z->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, known, z->name, strlen(z->name), z);
	}
	*ret = z;
	return 0;
}

/* How many changes were at or before `at`. */
static size_t changes_by(const struct zone *z, int64_t at)
{
	size_t low = 0, high = z->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (z->v[mid].at <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void zone_look(const struct zone *z, int64_t at, struct zone_span *ret)
{
	size_t i = changes_by(z, at);
	struct zone_span span = {
		.since = i ? z->v[i - 1].at : INT64_MIN,
		.until = i < z->n ? z->v[i].at : ZONE_FOREVER,
		.offset = i ? z->v[i - 1].offset : z->first,
		.before = i > 1 ? z->v[i - 2].offset : z->first,
	};

	*ret = span;
	if (i < z->n || !z->has_rule)
		return;
	zone_rule_look(&z->rule, at, ret);
	if (z->n &&
	    ret->since <= span.since) { /* the file's last change is later than the rule's */
		ret->since = span.since;
		ret->before = span.before;
	}
}
