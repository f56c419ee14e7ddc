/*
 * See volume_local.h.
 */
#include "agent/volume_local.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "model/mount.h"
#include "runtime/container/mount.h"

/* Looking and mounting are one step: two containers may start with a volume at once. */
static pthread_mutex_t mount_lock = PTHREAD_MUTEX_INITIALIZER;

int volume_read(const char *dir, struct volume *ret)
{
	auto_free char *about = xasprintf("%s/" VOLUME_ABOUT, dir);
	auto_buf text = BUF_INIT(LIMIT_JSON_BODY);
	int rc = file_read_at(AT_FDCWD, about, &text);

	*ret = (struct volume){0};
	if (rc == 0)
		rc = json_read(&volume_table, (const char *)text.p, text.len, ret, NULL);
	if (rc < 0) {
		table_done(&volume_table, ret);
		*ret = (struct volume){0};
	}
	return rc;
}

int volume_make(const char *root, const struct volume *v, struct err *e)
{
	auto_free char *data = xasprintf("%s/%s/_data", root, v->name);
	auto_free char *about = xasprintf("%s/%s/" VOLUME_ABOUT, root, v->name);
	auto_buf text = BUF_INIT(LIMIT_JSON_BODY);
	int rc;

	if (access(data, F_OK) == 0)
		return 0;
	rc = volume_options_check(&v->options, e);
	if (rc == 0)
		rc = dir_make(data, 0755, e);
	if (rc < 0)
		return rc;
	(void)json_write(&volume_table, v, &text);
	rc = buf_status(&text);
	if (rc == 0)
		rc = file_write_atomic(AT_FDCWD, about, text.p, text.len, 0600);
	return rc < 0 ? err_set(e, rc, "cannot write %s: %s", about, strerror(-rc)) : 0;
}

bool volume_has_options(const char *dir)
{
	struct volume v;
	bool ret = volume_read(dir, &v) == 0 && v.options.n > 0;

	table_done(&volume_table, &v);
	return ret;
}

static bool is_mounted(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* "none" is what people write for binds, as mount(8) has it. */
static int mount_make(const struct strmap *options, struct err *e)
{
	const char *device = strmap_get(options, "device"), *type = strmap_get(options, "type");
	struct spec spec;
	struct spec_mount *m;
	struct mount_options o = {0};
	int rc, fd = -1;

	spec_init(&spec);
	m = spec_add_mount(&spec, "/", type, device, strmap_get(options, "o"));
	if (strcmp(type, "none") == 0)
		str_set(&m->type, NULL);
	rc = mount_options_parse(m, &o, e);
	if (rc == 0 && !m->type && !o.bind)
		rc = err_set(e, -EINVAL, "the type none needs the option bind or rbind");
	if (rc == 0)
		rc = fd = o.bind ? mount_clone_path(device, o.recursive, e)
				 : mount_new(type, device, &o.params, 0, e);
	if (rc >= 0)
		rc = mount_set_options(fd, &o, e);
	mount_options_done(&o);
	spec_done(&spec);
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc < 0 ? rc : fd;
}

static int mount_over(const char *data, const struct strmap *options, struct err *e)
{
	auto_close int target = open(data, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int fd = -1;
	int rc;

	if (target < 0)
		return err_sys(e, "cannot open %s", data);
	fd = mount_make(options, e);
	if (fd < 0)
		return fd;
	rc = mount_attach(fd, target);
	return rc < 0 ? err_code(e, rc, "cannot mount on %s", data) : 0;
}

int volume_mount(const char *dir, struct err *e)
{
	auto_free char *data = xasprintf("%s/_data", dir);
	const char *name = strrchr(dir, '/');
	struct volume v;
	int rc = 0;

	(void)volume_read(dir, &v);
	if (v.options.n) {
		pthread_mutex_lock(&mount_lock);
		if (!is_mounted(data))
			rc = mount_over(data, &v.options, e);
		pthread_mutex_unlock(&mount_lock);
	}
	table_done(&volume_table, &v);
	return rc < 0 ? err_wrap(e, "error while mounting volume '%.255s'", name ? name + 1 : dir)
		      : 0;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

int volume_unmount(const char *dir, struct err *e)
{
	return volume_unmount_unless(dir, never, NULL, e);
}

int volume_unmount_unless(const char *dir, bool (*needed)(void *arg), void *arg, struct err *e)
{
	auto_free char *data = xasprintf("%s/_data", dir);
	int rc;

	pthread_mutex_lock(&mount_lock);
	rc = needed(arg) ? 1 : 0;
	while (rc == 0 && is_mounted(data))
		if (umount2(data, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			rc = err_sys(e, "cannot unmount the volume at %s", data);
	pthread_mutex_unlock(&mount_lock);
	return rc;
}
