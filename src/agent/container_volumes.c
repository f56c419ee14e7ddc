/*
 * The volumes and bound folders of a container: made when it is made, mounted when it starts, taken
 * away when no container uses them any more. A container uses its volumes while it has a runtime
 * directory (live->dirty).
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "agent/volume_local.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/container/mount.h"
#include "runtime/container/path.h"
#include "runtime/container/rootfs.h"

#define VOLUMES_DIR "volumes"

const struct mount *container_mount_asked(const struct container *c, const char *destination)
{
	LIST_EACH (m, &c->host.mounts)
		if (m->target && strcmp(m->target, destination) == 0)
			return m;
	return NULL;
}

/* "ROOT/NAME/_data" without its end; free() it. */
static char *volume_dir(const struct container_mount *m)
{
	const char *slash = strrchr(m->source, '/');

	return xstrndup(m->source, (size_t)(slash - m->source));
}

/* Making */

static int make_volume(const struct container *c, const struct container_mount *m, const char *root,
		       struct err *e)
{
	const struct mount *asked = container_mount_asked(c, m->destination);
	struct volume v = {.name = m->name, .created_ns = clock_wall_ns()};

	if (asked && asked->volume) { /* lent */
		v.labels = asked->volume->labels;
		if (asked->volume->driver)
			v.options = asked->volume->driver->options;
	}
	return volume_make(root, &v, e);
}

/* The older form makes what is missing; HostConfig.Mounts wants it to be there, or says so. */
static int make_folder(const struct container *c, const struct container_mount *m, bool older,
		       struct err *e)
{
	const struct mount *asked = container_mount_asked(c, m->destination);
	struct stat st;

	if (stat(m->source, &st) == 0)
		return 0;
	if (older || (asked && asked->bind && asked->bind->create_mountpoint))
		return dir_make(m->source, 0755, e);
	return err_set(e, -EINVAL,
		       "invalid mount config for type \"bind\": bind source path does not exist: "
		       "%.255s",
		       m->source);
}

int container_volumes_make(const struct container *c, const char *root, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->mounts.n; i++) {
		const struct container_mount *m = &c->mounts.v[i];

		if (strcmp(m->type, "volume") == 0)
			rc = make_volume(c, m, root, e);
		else if (strcmp(m->type, "bind") == 0)
			rc = make_folder(c, m, i < c->host.binds.n, e);
	}
	return rc;
}

/* Filling */

/* Two containers may be made with one new volume. */
static pthread_mutex_t fill_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	bool ret = dir != NULL;

	while (ret && (d = readdir(dir)))
		ret = strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0;
	if (dir)
		closedir(dir);
	return ret;
}

static bool wants_copy(const struct container *c, const struct container_mount *m)
{
	const struct mount *asked = container_mount_asked(c, m->destination);
	auto_free char *dir = NULL;

	if (strcmp(m->type, "volume") != 0 || container_mount_subpath(c, m) ||
	    (asked && asked->volume && asked->volume->no_copy) ||
	    (m->mode && strstr(m->mode, "nocopy")))
		return false;
	dir = volume_dir(m);
	return is_empty(m->source) && !volume_has_options(dir);
}

static int fill_one(int root, const struct container_mount *m, struct err *e)
{
	auto_close int from = path_open(root, m->destination, O_RDONLY | O_DIRECTORY, 0);
	auto_close int to = -1;
	int rc;

	if (from < 0)
		return 0; /* the image has no such folder */
	to = open(m->source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	rc = to < 0 ? err_sys(e, "cannot open %s", m->source) : rootfs_copy_up(from, to, true, e);
	return rc < 0 ? err_wrap(e, "filling volume %s from the image's %s", m->name,
				 m->destination)
		      : 0;
}

static int fill_all(const struct container *c, const struct shim_overlay_config *overlay,
		    struct err *e)
{
	auto_close int root = mount_overlay(overlay, e);
	int rc = root < 0 ? root : 0;

	pthread_mutex_lock(&fill_lock);
	LIST_EACH (m, &c->mounts)
		if (rc == 0 && wants_copy(c, m))
			rc = fill_one(root, m, e);
	pthread_mutex_unlock(&fill_lock);
	return rc;
}

int container_volumes_fill(const struct container *c, const struct snapshot *s, struct err *e)
{
	struct shim_config shim;
	bool any = false;
	int rc = 0;

	LIST_EACH (m, &c->mounts)
		any = any || wants_copy(c, m);
	if (!any)
		return 0;
	shim_config_init(&shim);
	STRS_EACH (lower, &s->lowers)
		spec_strs_add(&shim.overlay.lower, lower);
	shim.overlay.upper = xstrdup(s->upper);
	shim.overlay.work = xstrdup(s->work);
	shim.overlay.options = xstrdup("redirect_dir=off");
	if (mount_overlay_is_detached(&shim.overlay))
		rc = fill_all(c, &shim.overlay, e);
	shim_config_done(&shim);
	return rc;
}

/* Starting */

const char *container_mount_subpath(const struct container *c, const struct container_mount *m)
{
	const struct mount *asked = container_mount_asked(c, m->destination);
	const char *subpath = asked && asked->volume ? asked->volume->subpath : NULL;

	return strcmp(m->type, "volume") == 0 && subpath && *subpath ? subpath : NULL;
}

char *run_dir_volume(const char *dir, size_t index)
{
	return xasprintf("%s/" VOLUMES_DIR "/%zu", dir, index);
}

/* A file or a folder, as what will be mounted on it is. */
static int make_target(const char *path, bool folder, struct err *e)
{
	int fd;

	if (folder ? mkdir(path, 0700) < 0 && errno != EEXIST : false)
		return err_sys(e, "cannot make %s", path);
	if (!folder) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys(e, "cannot make %s", path);
		close(fd);
	}
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "cannot open %s", path) : fd;
}

/*
 * A part of a volume is mounted in the runtime directory from a descriptor that was opened within
 * the volume: whoever else writes to it cannot lead the mount out of it by a link.
 */
static int mount_subpath(const char *data, const char *subpath, const char *path, struct err *e)
{
	auto_close int root = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = root < 0 ? -errno : path_open(root, subpath, O_PATH, 0);
	auto_close int copy = -1, target = -1;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -ENOENT,
			       "the subpath %.255s of the volume at %.255s cannot be "
			       "opened: %s",
			       subpath, data, strerror(fd < 0 ? -fd : errno));
	target = make_target(path, S_ISDIR(st.st_mode), e);
	if (target < 0)
		return target;
	copy = mount_clone_fd(fd, true);
	rc = copy < 0 ? copy : mount_attach(copy, target);
	if (rc == 0 && mount(NULL, path, NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		rc = -errno;
	return rc < 0 ? err_code(e, rc, "cannot mount the subpath %.255s", subpath) : 0;
}

int container_volumes_mount(const struct container *c, const char *dir, struct err *e)
{
	auto_free char *folder = xasprintf("%s/" VOLUMES_DIR, dir);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->mounts.n; i++) {
		const struct container_mount *m = &c->mounts.v[i];
		const char *subpath = container_mount_subpath(c, m);
		auto_free char *path = run_dir_volume(dir, i), *volume = NULL;

		if (strcmp(m->type, "volume") != 0)
			continue;
		volume = volume_dir(m);
		rc = volume_mount(volume, e);
		if (rc == 0 && subpath)
			rc = dir_make(folder, 0700, e);
		if (rc == 0 && subpath)
			rc = mount_subpath(m->source, subpath, path, e);
	}
	return rc;
}

int run_dir_volumes_unmount(const char *dir, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		auto_free char *path = run_dir_volume(dir, i);

		while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (errno != EINVAL && errno != ENOENT)
			rc = err_sys(e, "cannot unmount %s", path);
	}
	return rc;
}

/* Taking away */

struct release {
	struct job job;
	struct engine *engine;
	char *name, *dir;
	uint64_t starts;
	bool overtaken;
};

static void release_start(struct release *r);

static bool is_used(struct engine *e, const char *name)
{
	struct container_live *l, *next;

	HASH_ITER (hh_name, e->by_name, l, next) {
		if (!l->dirty)
			continue;
		LIST_EACH (m, &l->c->mounts)
			if (m->name && strcmp(m->name, name) == 0)
				return true;
	}
	return false;
}

/* A start that began meanwhile may need it; one that begins now mounts it again after this. */
static bool is_overtaken(void *arg)
{
	const struct release *r = arg;

	return atomic_load(&r->engine->starts) != r->starts;
}

static void release_run(struct job *j)
{
	struct release *r = container_of(j, struct release, job);

	if (volume_has_options(r->dir))
		j->status = volume_unmount_unless(r->dir, is_overtaken, r, &j->err);
	r->overtaken = j->status == 1;
}

static void release_done(struct job *j)
{
	struct release *r = container_of(j, struct release, job);
	struct engine *e = r->engine;

	if (j->status < 0)
		log_warn("volume %s: %s", r->name, err_text(&j->err));
	if (r->overtaken && !e->closing && !is_used(e, r->name)) {
		release_start(r);
		return;
	}
	free(r->name);
	free(r->dir);
	free(r);
	engine_release(e);
}

static void release_start(struct release *r)
{
	r->job = (struct job){.run = release_run, .done = release_done};
	r->starts = atomic_load(&r->engine->starts);
	job_start(r->engine->config.loop, &r->job);
}

void container_volumes_release(struct container_live *l)
{
	LIST_EACH (m, &l->c->mounts) {
		struct release *r;

		if (strcmp(m->type, "volume") != 0 || is_used(l->engine, m->name))
			continue;
		r = xcalloc(1, sizeof *r);
		r->engine = l->engine;
		r->name = xstrdup(m->name);
		r->dir = volume_dir(m);
		engine_hold(l->engine);
		release_start(r);
	}
}
