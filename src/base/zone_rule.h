/*
 * The rule at the end of a TZif file ("CET-1CEST,M3.5.0,M10.5.0/3", POSIX with the extensions of
 * RFC 9636), which says what comes after the file's last change. Private to zone*.c.
 */
#pragma once

#include <stdbool.h>

#include "base/zone.h"

enum zone_day { ZONE_DAY_JULIAN, ZONE_DAY_ZERO, ZONE_DAY_MONTH };

/* When in a year the offset changes. */
struct zone_change {
	enum zone_day kind;
	int month, week, day;
	int32_t time; /* seconds from midnight, local time */
};

struct zone_rule {
	int32_t standard, summer; /* offsets */
	bool changes;             /* there is a summer time */
	struct zone_change begin, end;
};

/* -EBADMSG for what is no rule. `text` of `n` bytes. */
int zone_rule_parse(const char *text, size_t n, struct zone_rule *ret);
void zone_rule_look(const struct zone_rule *r, int64_t at, struct zone_span *ret);
