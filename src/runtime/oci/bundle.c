/*
 * Reading bundles: see bundle.h.
 */
#include "runtime/oci/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

/*
 * Whatever the rules say, the devices that every container has may be used (runtime-spec, "Default
 * Devices"); as runc adds them, at the end. Without rules everything is allowed.
 */
static void add_device_rules(struct spec *s)
{
	const struct default_device_rule *d = container_defaults.device_rules;

	if (!s->linux_.resources.devices.n)
		return;
	for (; d->type; d++)
		if (d->allow)
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
	add_device_rules(ret);
	make_absolute(&ret->root.path, bundle);
	for (size_t i = 0; i < ret->mounts.n; i++)
		if (rootfs_is_bind(&ret->mounts.v[i]))
			make_absolute(&ret->mounts.v[i].source, bundle);
	*ret_path = TAKE_PTR(bundle);
	return 0;
}
