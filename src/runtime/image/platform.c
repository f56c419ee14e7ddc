/*
 * See platform.h. Names are Go's GOOS and GOARCH, as the OCI image specification asks.
 */
#include "runtime/image/platform.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/mem.h"

static const struct field platform_fields[] = {
	FIELD_STR(struct image_platform, 0, os, "os", 0),
	FIELD_STR(struct image_platform, 0, architecture, "architecture", 0),
	FIELD_STR(struct image_platform, 0, variant, "variant", FIELD_OMIT),
};
TABLE_DEFINE(image_platform, platform_fields);

static const struct {
	const char *machine; /* uname -m, and what users write */
	const char *architecture;
	const char *variant;
} platform_machines[] = {
	{"x86_64", "amd64", NULL},        {"x86-64", "amd64", NULL}, {"aarch64", "arm64", "v8"},
	{"arm64", "arm64", "v8"},         {"armv8l", "arm", "v8"},   {"armv7l", "arm", "v7"},
	{"armhf", "arm", "v7"},           {"arm", "arm", "v7"},      {"armv6l", "arm", "v6"},
	{"armel", "arm", "v6"},           {"i386", "386", NULL},     {"i686", "386", NULL},
	{"loongarch64", "loong64", NULL},
};

static void platform_fill(struct image_platform *p, const char *machine, const char *variant)
{
	p->architecture = xstrdup(machine);
	p->variant = xstrdup(variant);
	for (size_t i = 0; i < ARRAY_LEN(platform_machines); i++) {
		if (strcmp(platform_machines[i].machine, machine) != 0)
			continue;
		str_set(&p->architecture, platform_machines[i].architecture);
		if (!variant)
			str_set(&p->variant, platform_machines[i].variant);
		break;
	}
}

int image_platform_read(const char *text, struct image_platform *ret, struct err *e)
{
	auto_free char *copy = NULL;
	char *architecture, *variant;
	struct utsname machine;

	*ret = (struct image_platform){0};
	if (!text) {
		(void)uname(&machine);
		ret->os = xstrdup("linux");
		platform_fill(ret, machine.machine, NULL);
		return 0;
	}
	copy = xstrdup(text);
	architecture = strchr(copy, '/');
	if (!architecture || architecture == copy || architecture[1] == '\0')
		return err_set(e, -EINVAL, "the platform \"%.60s\" is not os/arch[/variant]", text);
	*architecture++ = '\0';
	variant = strchr(architecture, '/');
	if (variant)
		*variant++ = '\0';
	ret->os = xstrdup(copy);
	platform_fill(ret, architecture, variant);
	return 0;
}

static int variant_number(const struct image_platform *p)
{
	if (p->variant && p->variant[0] == 'v' && p->variant[1] >= '1' && p->variant[1] <= '9')
		return p->variant[1] - '0';
	if (p->variant && *p->variant)
		return 0;
	return strcmp(p->architecture, "arm64") == 0 ? 8
	       : strcmp(p->architecture, "arm") == 0 ? 7
						     : 1;
}

int image_platform_score(const struct image_platform *wants, const struct image_platform *offered)
{
	int has, wanted;

	if (!offered->os || !offered->architecture || strcmp(wants->os, offered->os) != 0 ||
	    strcmp(wants->architecture, offered->architecture) != 0)
		return 0;
	has = variant_number(offered);
	wanted = variant_number(wants);
	return has > wanted ? 0 : 1 + has;
}

char *image_platform_text(const struct image_platform *p)
{
	bool variant = p->variant && *p->variant;

	return xasprintf("%s/%s%s%s", p->os ? p->os : "unknown",
			 p->architecture ? p->architecture : "unknown", variant ? "/" : "",
			 variant ? p->variant : "");
}
