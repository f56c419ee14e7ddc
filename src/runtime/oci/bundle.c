/*
 * Reading bundles: see bundle.h.
 */
#include "runtime/oci/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/defaults.h"
#include "runtime/container/rootfs.h"

static void make_absolute(char **path, const char *bundle)
{
	char *old = *path;

	if (!old || old[0] == '/')
		return;
	*path = xasprintf("%s/%s", bundle, old);
	free(old);
}

static bool is_number(int64_t have, int64_t want)
{
	return want < 0 ? have < 0 : have == want;
}

/* Whether the last word on a device has been said already, by the same rule. */
static bool is_allowed(const struct spec_resources *r, const struct default_device_rule *want)
{
	for (size_t i = r->devices.n; i-- > 0;) {
		const struct spec_device_rule *d = &r->devices.v[i];

		if (!d->allow)
			return false;
		if (d->type && d->type[0] == want->type && is_number(d->major, want->major) &&
		    is_number(d->minor, want->minor) && d->access &&
		    strcmp(d->access, want->access) == 0)
			return true;
	}
	return false;
}

void bundle_add_device_rules(struct spec *s)
{
	const struct default_device_rule *d = container_defaults.device_rules;

	if (!s->linux_.resources.devices.n)
		return;
	for (; d->type; d++)
		if (d->allow && !is_allowed(&s->linux_.resources, d))
			spec_add_device_rule(s, true, d->type, d->major < 0 ? SPEC_UNSET : d->major,
					     d->minor < 0 ? SPEC_UNSET : d->minor, d->access);
}

int bundle_load(const char *path, char **ret_path, struct spec *ret, struct err *e)
{
	auto_free char *bundle = realpath(path && *path ? path : ".", NULL);
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	auto_close int dir = bundle ? open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc;

	if (dir < 0)
		return err_sys(e, "cannot open the bundle %s", path && *path ? path : ".");
	rc = file_read_at(dir, "config.json", &text);
	if (rc == -ENOENT)
		return err_set(e, rc, "JSON specification file config.json not found in %s",
			       bundle);
	if (rc < 0)
		return err_code(e, rc, "cannot read %s/config.json", bundle);
	rc = spec_parse(buf_text(&text), text.len, SPEC_STRICT, ret, e);
	if (rc < 0)
		return rc;
	bundle_add_device_rules(ret);
	make_absolute(&ret->root.path, bundle);
	for (size_t i = 0; i < ret->mounts.n; i++)
		if (rootfs_is_bind(&ret->mounts.v[i]))
			make_absolute(&ret->mounts.v[i].source, bundle);
	*ret_path = TAKE_PTR(bundle);
	return 0;
}
