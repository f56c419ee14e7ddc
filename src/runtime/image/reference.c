/*
 * The grammar of image references; see reference.h.
 */
#include "runtime/image/reference.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL_PREFIX "library/"
#define ALNUM "0123456789abcdefghijklmnopqrstuvwxyz"
#define HEX "0123456789abcdef"

/* A piece of the text that is being read; not terminated. */
struct span {
	const char *p;
	size_t n;
};

static struct span span_of(const char *p, const char *end)
{
	return (struct span){p, (size_t)(end - p)};
}

static bool span_is(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool span_all(struct span s, const char *allowed)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || !strchr(allowed, s.p[i]))
			return false;
	return true;
}

static bool span_has_upper(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

/* One label of a host's name: letters, digits and inner hyphens. */
static bool host_label_valid(struct span s)
{
	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

static bool host_valid(struct span s)
{
	const char *end = s.p + s.n;

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return span_all((struct span){s.p + 1, s.n - 2}, "0123456789abcdefABCDEF:");
	for (const char *at = s.p;; at++) {
		const char *dot = memchr(at, '.', (size_t)(end - at));

		if (!host_label_valid(span_of(at, dot ? dot : end)))
			return false;
		if (!dot)
			return true;
		at = dot;
	}
}

static bool domain_valid(struct span s)
{
	const char *end = s.p + s.n, *port = end;

	while (port > s.p && isdigit((unsigned char)port[-1]))
		port--;
	if (port > s.p && port[-1] == ':') {
		if (port == end)
			return false;
		end = port - 1;
	}
	return host_valid(span_of(s.p, end));
}

/* Words of a-z0-9 joined by ".", "_", "__" or any number of "-". */
static bool path_component_valid(struct span s)
{
	size_t i = 0;

	for (;;) {
		size_t word = i, gap;

		while (i < s.n && s.p[i] != '\0' && strchr(ALNUM, s.p[i]))
			i++;
		if (i == word)
			return false;
		if (i == s.n)
			return true;
		gap = i;
		while (i < s.n && s.p[i] == s.p[gap])
			i++;
		if (s.p[gap] != '-' && !(s.p[gap] == '.' && i - gap == 1) &&
		    !(s.p[gap] == '_' && i - gap <= 2))
			return false;
	}
}

static bool path_valid(struct span s)
{
	const char *end = s.p + s.n;

	for (const char *at = s.p;; at++) {
		const char *slash = memchr(at, '/', (size_t)(end - at));

		if (!path_component_valid(span_of(at, slash ? slash : end)))
			return false;
		if (!slash)
			return true;
		at = slash;
	}
}

static bool tag_valid(struct span s)
{
	if (s.n == 0 || s.n > LIMIT_IMAGE_TAG || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("_.-", s.p[i]))
			return false;
	return true;
}

static bool digest_span_valid(struct span s)
{
	static const struct {
		const char *prefix;
		size_t digits;
	} kinds[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (s.n == 7 + kinds[i].digits && memcmp(s.p, kinds[i].prefix, 7) == 0)
			return span_all((struct span){s.p + 7, s.n - 7}, HEX);
	return false;
}

bool digest_valid(const char *text)
{
	return strlen(text) == DIGEST_TEXT_LEN && strncmp(text, "sha256:", 7) == 0 &&
	       digest_span_valid((struct span){text, DIGEST_TEXT_LEN});
}

/* Is what stands before the first slash a registry, or already a part of the path? */
static bool first_is_domain(struct span s)
{
	return span_is(s, "localhost") || memchr(s.p, '.', s.n) || memchr(s.p, ':', s.n) ||
	       span_has_upper(s);
}

static int name_split(struct span name, struct image_ref *ret, struct err *e)
{
	const char *slash = memchr(name.p, '/', name.n), *end = name.p + name.n;
	struct span domain = {DEFAULT_DOMAIN, strlen(DEFAULT_DOMAIN)}, path = name;

	if (slash && first_is_domain(span_of(name.p, slash))) {
		domain = span_of(name.p, slash);
		path = span_of(slash + 1, end);
		if (!domain_valid(domain))
			return err_set(e, -EINVAL, "\"%.*s\" is not a registry's host[:port]",
				       (int)domain.n, domain.p);
	}
	if (span_is(domain, LEGACY_DOMAIN))
		domain = (struct span){DEFAULT_DOMAIN, strlen(DEFAULT_DOMAIN)};
	if (span_has_upper(path))
		return err_set(e, -EINVAL, "repository name (%.*s) must be lowercase", (int)path.n,
			       path.p);
	if (!path_valid(path))
		return err_set(e, -EINVAL,
			       "\"%.*s\" is not a repository's name (a-z, 0-9, inner . _ - and / "
			       "between parts)",
			       (int)path.n, path.p);
	ret->domain = xstrndup(domain.p, domain.n);
	ret->path = span_is(domain, DEFAULT_DOMAIN) && !memchr(path.p, '/', path.n)
			    ? xasprintf(OFFICIAL_PREFIX "%.*s", (int)path.n, path.p)
			    : xstrndup(path.p, path.n);
	if (strlen(ret->domain) + 1 + strlen(ret->path) > LIMIT_IMAGE_NAME)
		return err_set(e, -EINVAL, "repository name must not be more than %d characters",
			       LIMIT_IMAGE_NAME);
	return 0;
}

static int ref_split(const char *text, struct image_ref *ret, struct err *e)
{
	const char *end = text + strlen(text), *at = strchr(text, '@'), *colon;
	struct span tag, digest;

	if (at) {
		digest = span_of(at + 1, end);
		if (!digest_span_valid(digest))
			return err_set(e, -EINVAL,
				       "\"%s\" is not a digest (sha256:<64 hex digits>)", at + 1);
		ret->digest = xstrndup(digest.p, digest.n);
		end = at;
	}
	/* A colon after the last slash starts the tag; one before it starts a port. */
	for (colon = end; colon > text && *colon != ':' && *colon != '/';)
		colon--;
	if (*colon == ':' && colon < end) {
		tag = span_of(colon + 1, end);
		if (!tag_valid(tag))
			return err_set(e, -EINVAL, "\"%.*s\" is not a tag", (int)tag.n, tag.p);
		ret->tag = xstrndup(tag.p, tag.n);
		end = colon;
	}
	return name_split(span_of(text, end), ret, e);
}

static bool is_bare_hex(const char *text)
{
	size_t n = strlen(text);

	return n == ID_HOST_LEN && span_all((struct span){text, n}, HEX);
}

int image_ref_parse(const char *text, struct image_ref *ret, struct err *e)
{
	int rc;

	*ret = (struct image_ref){0};
	if (*text == '\0')
		return err_set(e, -EINVAL, "invalid reference format: the image's name is empty");
	if (strlen(text) > LIMIT_IMAGE_REF)
		return err_set(e, -EINVAL, "invalid reference format: longer than %d characters",
			       LIMIT_IMAGE_REF);
	if (is_bare_hex(text))
		return err_set(e, -EINVAL,
			       "invalid reference format: 64 hex digits (%s) can only be an id",
			       text);
	rc = ref_split(text, ret, e);
	if (rc < 0) {
		image_ref_done(ret);
		return err_wrap(e, "invalid reference format");
	}
	return 0;
}

int image_ref_parse_any(const char *text, struct image_ref *ret, struct err *e)
{
	*ret = (struct image_ref){0};
	if (is_bare_hex(text))
		ret->digest = xasprintf("sha256:%s", text);
	else if (digest_span_valid((struct span){text, strlen(text)}))
		ret->digest = xstrdup(text);
	else
		return image_ref_parse(text, ret, e);
	return 0;
}

void image_ref_done(struct image_ref *ref)
{
	free(ref->domain);
	free(ref->path);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct image_ref){0};
}

void image_ref_copy(const struct image_ref *ref, struct image_ref *ret)
{
	*ret = (struct image_ref){.domain = xstrdup(ref->domain),
				  .path = xstrdup(ref->path),
				  .tag = xstrdup(ref->tag),
				  .digest = xstrdup(ref->digest)};
}

void image_ref_default_tag(struct image_ref *ref)
{
	if (ref->path && !ref->tag && !ref->digest)
		ref->tag = xstrdup("latest");
}

static char *with_tag(const char *name, const struct image_ref *ref)
{
	if (!ref->path)
		return xstrdup(ref->digest ? ref->digest : "");
	return xasprintf("%s%s%s%s%s", name, ref->tag ? ":" : "", ref->tag ? ref->tag : "",
			 ref->digest ? "@" : "", ref->digest ? ref->digest : "");
}

char *image_ref_name(const struct image_ref *ref)
{
	return ref->path ? xasprintf("%s/%s", ref->domain, ref->path) : xstrdup("");
}

char *image_ref_text(const struct image_ref *ref)
{
	auto_free char *name = image_ref_name(ref);

	return with_tag(name, ref);
}

char *image_ref_familiar_name(const struct image_ref *ref)
{
	size_t skip = strlen(OFFICIAL_PREFIX);

	if (!ref->path || strcmp(ref->domain, DEFAULT_DOMAIN) != 0)
		return image_ref_name(ref);
	if (strncmp(ref->path, OFFICIAL_PREFIX, skip) == 0 && !strchr(ref->path + skip, '/'))
		return xstrdup(ref->path + skip);
	return xstrdup(ref->path);
}

char *image_ref_familiar(const struct image_ref *ref)
{
	auto_free char *name = image_ref_familiar_name(ref);

	return with_tag(name, ref);
}
