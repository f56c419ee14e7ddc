/*
 * See container_devices.h. Facts from moby's oci package: what a privileged container sees of /dev.
 */
#include "agent/container_devices.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/limits.h"
#include "base/mem.h"

static bool is_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

static void device_add(struct spec *s, const char *path, const struct stat *st, const char *access)
{
	struct spec_device *d = spec_add_device(s, path, S_ISBLK(st->st_mode) ? 'b' : 'c',
						major(st->st_rdev), minor(st->st_rdev), access);

	d->file_mode = st->st_mode & 07777;
	d->uid = st->st_uid;
	d->gid = st->st_gid;
}

/* The container has its own of these. */
static bool is_left_out(const char *name)
{
	static const char *const names[] = {"pts",  "shm",    "fd",          "mqueue",  "console",
					    "ptmx", ".lxc",   ".lxd-mounts", ".udev",   "stdin",
					    "core", "stdout", "stderr",      "initctl", NULL};

	for (const char *const *n = names; *n; n++)
		if (strcmp(*n, name) == 0)
			return true;
	return false;
}

/* All devices below `host`, as they would be below `container`. Links are not followed. */
static int folder_add(struct spec *s, const char *host, const char *container, const char *access,
		      struct err *e)
{
	char *const roots[] = {(char *)(uintptr_t)host, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t n = strlen(host), count = 0;
	FTSENT *f;

	if (!walk)
		return err_sys(e, "reading %.255s", host);
	while (count < LIMIT_PRIVILEGED_DEVICES && (f = fts_read(walk))) {
		auto_free char *path = xasprintf("%s%s", container, f->fts_path + n);

		if (f->fts_level == 1 && is_left_out(f->fts_name)) {
			(void)fts_set(walk, f, FTS_SKIP);
		} else if (f->fts_info == FTS_DEFAULT && is_device(f->fts_statp)) {
			device_add(s, path, f->fts_statp, access);
			count++;
		}
	}
	(void)fts_close(walk);
	return count < LIMIT_PRIVILEGED_DEVICES
		       ? 0
		       : err_set(e, -EINVAL, "there are more than %u devices below %.255s",
				 LIMIT_PRIVILEGED_DEVICES, host);
}

static int mapping_add(const struct device_mapping *d, struct spec *s, struct err *e)
{
	const char *to = d->container && *d->container ? d->container : d->host;
	const char *access = d->permissions && *d->permissions ? d->permissions : "rwm";
	struct stat st;

	if (stat(d->host, &st) < 0)
		return err_set(e, -EINVAL,
			       "error gathering device information while adding custom device "
			       "\"%.255s\": %s",
			       d->host,
			       errno == ENOENT ? "no such file or directory" : strerror(errno));
	if (S_ISDIR(st.st_mode))
		return folder_add(s, d->host, to, access, e);
	if (!is_device(&st))
		return err_set(e, -EINVAL,
			       "error gathering device information while adding custom device "
			       "\"%.255s\": not a device node",
			       d->host);
	device_add(s, to, &st, access);
	return 0;
}

static int number_read(const char *text, int64_t *ret)
{
	char *end;

	if (strcmp(text, "*") == 0) {
		*ret = SPEC_UNSET;
		return 0;
	}
	*ret = strtoll(text, &end, 10);
	return *end || !*text || *ret < 0 || *ret > UINT32_MAX ? -EINVAL : 0;
}

int container_device_rule(const char *text, struct spec *s, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *at = copy, *type = strsep(&at, " "), *major = at ? strsep(&at, ":") : NULL;
	char *minor = at ? strsep(&at, " ") : NULL;
	int64_t a, b;

	if (!minor || !at || strlen(type) != 1 || !strchr("acb", *type) ||
	    number_read(major, &a) < 0 || number_read(minor, &b) < 0 || !*at ||
	    at[strspn(at, "rwm")])
		return err_set(e, -EINVAL, "invalid device cgroup rule format: '%.64s'", text);
	if (s)
		spec_add_device_rule(s, true, *type, a, b, at);
	return 0;
}

int container_devices(const struct host_config *h, struct spec *s, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < h->devices.n; i++)
		rc = mapping_add(&h->devices.v[i], s, e);
	for (size_t i = 0; rc == 0 && i < h->device_cgroup_rules.n; i++)
		rc = container_device_rule(h->device_cgroup_rules.v[i], s, e);
	return rc;
}

static void writable(struct spec_mount *m)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], "ro") == 0)
			str_set(&m->options.v[i], "rw");
}

int container_privileged(struct spec *s, struct err *e)
{
	spec_strs_done(&s->linux_.masked_paths);
	spec_strs_done(&s->linux_.readonly_paths);
	for (size_t i = 0; i < s->mounts.n; i++)
		if (strcmp(s->mounts.v[i].destination, "/sys") == 0 ||
		    strcmp(s->mounts.v[i].destination, "/sys/fs/cgroup") == 0)
			writable(&s->mounts.v[i]);
	spec_add_device_rule(s, true, 'a', SPEC_UNSET, SPEC_UNSET, "rwm");
	return folder_add(s, "/dev", "/dev", "rwm", e);
}
