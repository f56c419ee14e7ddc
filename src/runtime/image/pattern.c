/*
 * Shell patterns over image names, as Go's path.Match reads them; see image_ref_match().
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/image/reference.h"

/* Reads one character of a class, perhaps escaped. NULL when the pattern ends too early. */
static const char *class_char(const char *p, unsigned char *ret)
{
	if (*p == '\\')
		p++;
	if (*p == '\0')
		return NULL;
	*ret = (unsigned char)*p;
	return p + 1;
}

/*
 * Reads the class behind a '[' and says whether `c` is in it. Returns what follows the closing
 * bracket, or NULL when the class is malformed.
 */
static const char *class_read(const char *p, unsigned char c, bool *ret_in)
{
	bool negated = *p == '^', in = false;

	p += negated;
	for (bool first = true; first || *p != ']'; first = false) {
		unsigned char lo, hi;

		if (*p == '-' || *p == ']')
			return NULL;
		p = class_char(p, &lo);
		if (!p)
			return NULL;
		hi = lo;
		if (*p == '-') {
			if (p[1] == ']')
				return NULL;
			p = class_char(p + 1, &hi);
			if (!p)
				return NULL;
		}
		in |= c >= lo && c <= hi;
	}
	*ret_in = in != negated;
	return p + 1;
}

/* Reads one element that is not a star; NULL when malformed. */
static const char *element_read(const char *p, unsigned char c, bool *ret_match)
{
	switch (*p) {
	case '[':
		p = class_read(p + 1, c, ret_match);
		return p;
	case '?':
		*ret_match = c != '/';
		return p + 1;
	case '\\':
		p++;
		if (*p == '\0')
			return NULL;
		break;
	default:
		break;
	}
	*ret_match = (unsigned char)*p == c;
	return p + 1;
}

static bool pattern_valid(const char *p)
{
	bool ignored = false;

	while (p && *p)
		p = *p == '*' ? p + 1 : element_read(p, 'a', &ignored);
	return p != NULL;
}

/* `p` is valid. Only the last star ever needs another try, as no star passes a slash. */
static bool pattern_match(const char *p, const char *s)
{
	const char *star = NULL, *from = NULL;

	while (*s) {
		const char *next = NULL;
		bool match = false;

		if (*p == '*') {
			star = ++p;
			from = s;
			continue;
		}
		if (*p)
			next = element_read(p, (unsigned char)*s, &match);
		if (match) {
			p = next;
			s++;
		} else if (star && *from != '/') {
			p = star;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

int image_ref_match(const struct image_ref *ref, const char *pattern, struct err *e)
{
	auto_free char *name = image_ref_familiar_name(ref), *text = image_ref_familiar(ref);

	if (strlen(pattern) > LIMIT_IMAGE_REF || !pattern_valid(pattern))
		return err_set(e, -EINVAL, "the pattern \"%.200s\" is malformed", pattern);
	return pattern_match(pattern, text) || pattern_match(pattern, name);
}
