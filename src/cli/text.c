/*
 * Times, sizes and names as docker prints them. See text.h.
 */
#include "cli/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define MINUTE 60LL
#define HOUR (60 * MINUTE)

void duration_human(int64_t ns, char ret[TEXT_SHORT])
{
	int64_t s = ns / NS_PER_SEC;
	int64_t hours = (int64_t)((double)ns / (double)NS_PER_SEC / (double)HOUR + 0.5);
	static const struct {
		int64_t below; /* hours */
		int64_t unit;
		const char *name;
	} steps[] = {
		{48, 1, "hours"},
		{24 * 7 * 2, 24, "days"},
		{24 * 30 * 2, 24 * 7, "weeks"},
		{24 * 365 * 2, 24 * 30, "months"},
		{INT64_MAX, 24 * 365, "years"},
	};
	size_t i = 0;

	if (s < 1)
		(void)snprintf(ret, TEXT_SHORT, "Less than a second");
	else if (s == 1)
		(void)snprintf(ret, TEXT_SHORT, "1 second");
	else if (s < MINUTE)
		(void)snprintf(ret, TEXT_SHORT, "%" PRId64 " seconds", s);
	else if (s < 2 * MINUTE)
		(void)snprintf(ret, TEXT_SHORT, "About a minute");
	else if (s < HOUR)
		(void)snprintf(ret, TEXT_SHORT, "%" PRId64 " minutes", (int64_t)(s / MINUTE));
	else if (hours == 1)
		(void)snprintf(ret, TEXT_SHORT, "About an hour");
	else {
		while (hours >= steps[i].below)
			i++;
		(void)snprintf(ret, TEXT_SHORT, "%" PRId64 " %s", hours / steps[i].unit,
			       steps[i].name);
	}
}

static void size_scaled(double size, double base, int digits, const char *const *units, size_t n,
			char ret[TEXT_SHORT])
{
	size_t i = 0;

	while (size >= base && i + 1 < n) {
		size /= base;
		i++;
	}
	(void)snprintf(ret, TEXT_SHORT, "%.*g%s", digits, size, units[i]);
}

void size_human(double bytes, int digits, char ret[TEXT_SHORT])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

	size_scaled(bytes, 1000, digits, units, ARRAY_LEN(units), ret);
}

void size_binary(double bytes, char ret[TEXT_SHORT])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

	size_scaled(bytes, 1024, 4, units, ARRAY_LEN(units), ret);
}

/* A plain decimal number: strtod() would take "0x1", "inf" and "nan", too. */
static int decimal(const char *text, char **ret_end, double *ret)
{
	if (strspn(text, "0123456789.") == 0)
		return -EINVAL;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return -EINVAL;
	*ret = strtod(text, ret_end);
	return *ret_end == text ? -EINVAL : 0;
}

int size_parse(const char *text, int64_t *ret)
{
	static const char letters[] = "kmgtp";
	char *end;
	double v;
	double factor = 1;

	if (decimal(text, &end, &v) < 0)
		return -EINVAL;
	if (*end == ' ')
		end++;
	for (size_t i = 0; *end && letters[i]; i++)
		if ((*end | 0x20) == letters[i]) {
			factor = (double)(1LL << (10 * (i + 1)));
			end++;
			break;
		}
	if (factor > 1 && (*end == 'i' || *end == 'I') && (end[1] | 0x20) == 'b')
		end++;
	if (*end == 'b' || *end == 'B')
		end++;
	v *= factor;
	if (*end || !(v >= 0 && v < 9.2e18))
		return -EINVAL;
	*ret = (int64_t)v;
	return 0;
}

int cpus_parse(const char *text, int64_t *ret)
{
	char *end;
	double v;

	if (decimal(text, &end, &v) < 0 || *end || !(v >= 0 && v < 1e9))
		return -EINVAL;
	*ret = (int64_t)(v * 1e9 + 0.5);
	return 0;
}

void time_local(int64_t wall_ns, char ret[TEXT_SHORT])
{
	time_t s = wall_ns / NS_PER_SEC;
	struct tm tm;

	localtime_r(&s, &tm);
	if (strftime(ret, TEXT_SHORT, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0)
		*ret = 0;
}

void time_local_rfc(int64_t wall_ns, char ret[TEXT_SHORT])
{
	time_t s = wall_ns / NS_PER_SEC;
	struct tm tm;
	char date[32];
	char zone[8];

	localtime_r(&s, &tm);
	if (strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		*date = 0;
	(void)snprintf(zone, sizeof zone, "Z");
	if (tm.tm_gmtoff)
		(void)snprintf(zone, sizeof zone, "%c%02d:%02d", tm.tm_gmtoff < 0 ? '-' : '+',
			       (int)(labs(tm.tm_gmtoff) / HOUR) % 24,
			       (int)(labs(tm.tm_gmtoff) / MINUTE % 60));
	(void)snprintf(ret, TEXT_SHORT, "%s.%09d%s", date, (int)(wall_ns % NS_PER_SEC), zone);
}

static bool begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t text_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += begins_character(*text);
	return n;
}

char *text_cut(const char *text, size_t width)
{
	const char *end = text;
	size_t n = 0;

	if (text_width(text) <= width)
		return xstrdup(text);
	for (; *end; end++) {
		n += begins_character(*end);
		if (n == width)
			break;
	}
	return xasprintf("%.*s\342\200\246", (int)(end - text), text);
}

char *id_short(const char *id, bool whole)
{
	const char *colon;

	if (!id)
		return xstrdup("");
	if (whole)
		return xstrdup(id);
	colon = strchr(id, ':');
	return xstrndup(colon ? colon + 1 : id, 12);
}

int text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first digit that counts of the number at `*at`, which is moved past it; its length to `n`. */
static const char *number_cut(const char **at, size_t *n)
{
	const char *start = *at + strspn(*at, "0");

	*n = strspn(start, "0123456789");
	*at = start + *n;
	return start;
}

int text_natural(const char *a, const char *b)
{
	const char *x = a, *y = b;

	while (*x && *y) {
		size_t n, m;

		if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y)) {
			const char *one = number_cut(&x, &n), *other = number_cut(&y, &m);
			int rc = n != m ? (n > m) - (n < m) : strncmp(one, other, n);

			if (rc)
				return rc;
		} else if (*x != *y) {
			return (unsigned char)*x - (unsigned char)*y;
		} else {
			x++;
			y++;
		}
	}
	return *x || *y ? (unsigned char)*x - (unsigned char)*y : strcmp(a, b);
}
