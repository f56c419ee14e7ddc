/*
 * Mounts as descriptors: see mount.h.
 */
#include "runtime/container/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "runtime/container/shim_config.h"

#define FSCONFIG_TEXT_MAX 255 /* bytes */
#define OVERLAY_TEXT_MAX 4095 /* a page: the bound of the classic mount data */

enum kind {
	OPT_ATTR, /* sets `set`, clears `clear` */
	OPT_REC,  /* the same for all below */
	OPT_BIND, /* bind, rbind */
	OPT_PROPAGATION,
	OPT_FLAG, /* a flag of the file system's own */
	OPT_IDMAP,
	OPT_COPY_UP,
	OPT_NOTHING,
};

static const struct option {
	const char *name;
	enum kind kind;
	uint64_t set, clear;
	bool rec;
} options[] = {
	{"defaults", OPT_NOTHING, 0, 0, false},
	{"ro", OPT_ATTR, MOUNT_ATTR_RDONLY, 0, false},
	{"rw", OPT_ATTR, 0, MOUNT_ATTR_RDONLY, false},
	{"nosuid", OPT_ATTR, MOUNT_ATTR_NOSUID, 0, false},
	{"suid", OPT_ATTR, 0, MOUNT_ATTR_NOSUID, false},
	{"nodev", OPT_ATTR, MOUNT_ATTR_NODEV, 0, false},
	{"dev", OPT_ATTR, 0, MOUNT_ATTR_NODEV, false},
	{"noexec", OPT_ATTR, MOUNT_ATTR_NOEXEC, 0, false},
	{"exec", OPT_ATTR, 0, MOUNT_ATTR_NOEXEC, false},
	{"noatime", OPT_ATTR, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, false},
	{"strictatime", OPT_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"relatime", OPT_ATTR, 0, MOUNT_ATTR__ATIME, false},
	{"atime", OPT_ATTR, 0, MOUNT_ATTR__ATIME, false},
	{"norelatime", OPT_ATTR, 0, MOUNT_ATTR__ATIME, false},
	{"nostrictatime", OPT_ATTR, 0, MOUNT_ATTR__ATIME, false},
	{"nodiratime", OPT_ATTR, MOUNT_ATTR_NODIRATIME, 0, false},
	{"diratime", OPT_ATTR, 0, MOUNT_ATTR_NODIRATIME, false},
	{"nosymfollow", OPT_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0, false},
	{"symfollow", OPT_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW, false},
	{"rro", OPT_REC, MOUNT_ATTR_RDONLY, 0, false},
	{"rrw", OPT_REC, 0, MOUNT_ATTR_RDONLY, false},
	{"rnosuid", OPT_REC, MOUNT_ATTR_NOSUID, 0, false},
	{"rsuid", OPT_REC, 0, MOUNT_ATTR_NOSUID, false},
	{"rnodev", OPT_REC, MOUNT_ATTR_NODEV, 0, false},
	{"rdev", OPT_REC, 0, MOUNT_ATTR_NODEV, false},
	{"rnoexec", OPT_REC, MOUNT_ATTR_NOEXEC, 0, false},
	{"rexec", OPT_REC, 0, MOUNT_ATTR_NOEXEC, false},
	{"rnoatime", OPT_REC, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, false},
	{"rstrictatime", OPT_REC, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"ratime", OPT_REC, 0, MOUNT_ATTR__ATIME, false},
	{"rnorelatime", OPT_REC, 0, MOUNT_ATTR__ATIME, false},
	{"rnostrictatime", OPT_REC, 0, MOUNT_ATTR__ATIME, false},
	{"rrelatime", OPT_REC, 0, MOUNT_ATTR__ATIME, false},
	{"rnodiratime", OPT_REC, MOUNT_ATTR_NODIRATIME, 0, false},
	{"rdiratime", OPT_REC, 0, MOUNT_ATTR_NODIRATIME, false},
	{"rnosymfollow", OPT_REC, MOUNT_ATTR_NOSYMFOLLOW, 0, false},
	{"rsymfollow", OPT_REC, 0, MOUNT_ATTR_NOSYMFOLLOW, false},
	{"bind", OPT_BIND, 0, 0, false},
	{"rbind", OPT_BIND, 0, 0, true},
	{"private", OPT_PROPAGATION, MS_PRIVATE, 0, false},
	{"rprivate", OPT_PROPAGATION, MS_PRIVATE, 0, true},
	{"slave", OPT_PROPAGATION, MS_SLAVE, 0, false},
	{"rslave", OPT_PROPAGATION, MS_SLAVE, 0, true},
	{"shared", OPT_PROPAGATION, MS_SHARED, 0, false},
	{"rshared", OPT_PROPAGATION, MS_SHARED, 0, true},
	{"unbindable", OPT_PROPAGATION, MS_UNBINDABLE, 0, false},
	{"runbindable", OPT_PROPAGATION, MS_UNBINDABLE, 0, true},
	{"sync", OPT_FLAG, 0, 0, false},
	{"dirsync", OPT_FLAG, 0, 0, false},
	{"lazytime", OPT_FLAG, 0, 0, false},
	{"mand", OPT_FLAG, 0, 0, false},
	{"iversion", OPT_FLAG, 0, 0, false},
	{"acl", OPT_FLAG, 0, 0, false},
	{"noacl", OPT_FLAG, 0, 0, false},
	{"idmap", OPT_IDMAP, 0, 0, false},
	{"ridmap", OPT_IDMAP, 0, 0, true},
	{"tmpcopyup", OPT_COPY_UP, 0, 0, false},
	{"noiversion", OPT_NOTHING, 0, 0, false},
	{"silent", OPT_NOTHING, 0, 0, false},
	{"loud", OPT_NOTHING, 0, 0, false},
	{"async", OPT_NOTHING, 0, 0, false},
	{"nomand", OPT_NOTHING, 0, 0, false},
	{"nolazytime", OPT_NOTHING, 0, 0, false},
};

void mount_options_done(struct mount_options *o)
{
	spec_strs_done(&o->params);
}

static void apply(struct mount_options *o, const struct option *opt)
{
	switch (opt->kind) {
	case OPT_ATTR:
		o->set = (o->set & ~opt->clear) | opt->set;
		o->clear = (o->clear & ~opt->set) | opt->clear;
		break;
	case OPT_REC:
		o->rec_set = (o->rec_set & ~opt->clear) | opt->set;
		o->rec_clear = (o->rec_clear & ~opt->set) | opt->clear;
		break;
	case OPT_BIND:
		o->bind = true;
		o->recursive = opt->rec;
		break;
	case OPT_PROPAGATION:
		o->propagation = opt->set;
		o->propagation_rec = opt->rec;
		break;
	case OPT_FLAG:
		spec_strs_add(&o->params, opt->name);
		break;
	case OPT_IDMAP:
		o->idmap = true;
		o->idmap_rec = opt->rec;
		break;
	case OPT_COPY_UP:
		o->copy_up = true;
		break;
	case OPT_NOTHING:
		break;
	}
}

const char *mount_option_name(size_t i)
{
	return i < ARRAY_LEN(options) ? options[i].name : NULL;
}

/* What the combination of type and options must be. */
static int check(const struct spec_mount *m, const struct mount_options *o, struct err *e)
{
	const char *bad = NULL;

	if (o->bind && o->params.n)
		return err_set(e, -EINVAL,
			       "config.json: mounts: the option %.64s of %.128s is not known for "
			       "bind mounts",
			       o->params.v[0], m->destination);
	if (o->copy_up && (!m->type || strcmp(m->type, "tmpfs") != 0))
		bad = "tmpcopyup is for mounts of the type tmpfs";
	if ((o->idmap || m->uid_maps.n) && !o->bind)
		bad = "idmap and mappings are for bind mounts";
	return bad ? err_set(e, -EINVAL, "config.json: mounts: %.128s: %s", m->destination, bad)
		   : 0;
}

int mount_options_parse(const struct spec_mount *m, struct mount_options *ret, struct err *e)
{
	struct mount_options o = {.bind = !m->type || strcmp(m->type, "bind") == 0};

	for (size_t i = 0; i < m->options.n; i++) {
		const char *name = m->options.v[i];
		size_t k = 0;

		while (k < ARRAY_LEN(options) && strcmp(options[k].name, name) != 0)
			k++;
		if (k < ARRAY_LEN(options))
			apply(&o, &options[k]);
		else
			spec_strs_add(&o.params, name);
	}
	o.idmap |= m->uid_maps.n > 0;
	if (check(m, &o, e) < 0) {
		mount_options_done(&o);
		return -EINVAL;
	}
	*ret = o;
	return 0;
}

/* The kernel's own words about what was wrong with a file system's options, if it has any. */
static int fs_error(int fs, const char *type, struct err *e)
{
	int code = errno;
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n > 2) {
		text[n] = 0;
		text[strcspn(text, "\n")] = 0;
		return err_set(e, -code, "cannot mount %s: %s (%s)", type, strerror(code),
			       text + 2);
	}
	errno = code;
	return err_sys(e, "cannot mount %s", type);
}

static int set_param(int fs, const char *type, const char *param, struct err *e)
{
	const char *eq = strchr(param, '=');
	auto_free char *key = eq ? xstrndup(param, (size_t)(eq - param)) : NULL;

	if ((eq ? fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0)
		: fsconfig(fs, FSCONFIG_SET_FLAG, param, NULL, 0)) < 0)
		return fs_error(fs, type, e);
	return 0;
}

static int finish(int fs, const char *type, uint64_t attrs, struct err *e)
{
	int fd;

	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs, type, e);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	return fd < 0 ? fs_error(fs, type, e) : fd;
}

int mount_new(const char *type, const char *source, const struct spec_strs *params, uint64_t attrs,
	      struct err *e)
{
	auto_close int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return err_sys(e, "cannot mount %s", type);
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fs_error(fs, type, e);
	for (size_t i = 0; params && i < params->n; i++) {
		int rc = set_param(fs, type, params->v[i], e);

		if (rc < 0)
			return rc;
	}
	return finish(fs, type, attrs, e);
}

int mount_clone_path(const char *path, bool recursive, struct err *e)
{
	int fd = open_tree(AT_FDCWD, path,
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

	return fd < 0 ? err_sys(e, "cannot mount %s", path) : fd;
}

int mount_clone_fd(int fd, bool recursive)
{
	int copy = open_tree(fd, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
				     (recursive ? AT_RECURSIVE : 0));

	return copy < 0 ? -errno : copy;
}

int mount_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear, .propagation = propagation};

	/* A change of the way of access times must clear the old way. */
	if (set & MOUNT_ATTR__ATIME)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) < 0)
		return -errno;
	return 0;
}

int mount_set_idmap(int fd, int userns_fd, bool recursive)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd};

	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) < 0)
		return -errno;
	return 0;
}

int mount_set_options(int fd, const struct mount_options *o, struct err *e)
{
	int rc = 0;

	if (o->rec_set || o->rec_clear)
		rc = mount_set(fd, o->rec_set, o->rec_clear, 0, true);
	if (rc == 0 && (o->set || o->clear))
		rc = mount_set(fd, o->set, o->clear, 0, false);
	if (rc == 0 && o->propagation)
		rc = mount_set(fd, 0, 0, o->propagation, o->propagation_rec);
	return rc < 0 ? err_code(e, rc, "cannot set the options of a mount") : 0;
}

int mount_attach(int fd, int target_fd)
{
	if (move_mount(fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return -errno;
	return 0;
}

/* Paths in the text of a classic mount: what would end them is escaped. */
static void add_escaped(struct buf *b, const char *path)
{
	for (; *path; path++) {
		if (*path == ':' || *path == ',' || *path == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *path);
	}
}

/*
 * The classic way: one text of at most a page, mounted over the working directory (the mount
 * namespace is the container's own by now), copied from there and taken away again.
 */
static int overlay_classic(const struct shim_overlay_config *o, struct err *e)
{
	auto_buf text = BUF_INIT(OVERLAY_TEXT_MAX);
	char cwd[PATH_MAX];
	auto_close int fd = -1;

	buf_adds(&text, "lowerdir=");
	for (size_t i = 0; i < o->lower.n; i++) {
		if (i)
			buf_addc(&text, ':');
		add_escaped(&text, o->lower.v[i]);
	}
	if (o->upper) {
		buf_adds(&text, ",upperdir=");
		add_escaped(&text, o->upper);
		buf_adds(&text, ",workdir=");
		add_escaped(&text, o->work);
	}
	if (o->options && *o->options)
		buf_addf(&text, ",%s", o->options);
	if (buf_status(&text) < 0)
		return err_set(e, -E2BIG,
			       "the paths of the layers are longer than the kernel takes");
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, "cannot find the runtime directory");
	if (mount("overlay", cwd, "overlay", 0, buf_text(&text)) < 0)
		return err_sys(e, "cannot mount overlay");
	fd = mount_clone_path(cwd, false, e);
	if (fd >= 0 && umount2(cwd, MNT_DETACH) < 0)
		return err_sys(e, "cannot take the overlay from %s", cwd);
	return fd < 0 ? fd : TAKE_FD(fd);
}

/*
 * "lowerdir+" takes one layer a call, from 6.5 on; before that fsconfig() would take the word
 * and the mount fail. No path of fsconfig() may be longer than 255 bytes.
 */
bool mount_overlay_is_detached(const struct shim_overlay_config *o)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	if (major < 6 || (major == 6 && minor < 5))
		return false;
	for (size_t i = 0; i < o->lower.n; i++)
		if (strlen(o->lower.v[i]) > FSCONFIG_TEXT_MAX)
			return false;
	return !o->upper ||
	       (strlen(o->upper) <= FSCONFIG_TEXT_MAX && strlen(o->work) <= FSCONFIG_TEXT_MAX);
}

int mount_overlay(const struct shim_overlay_config *o, struct err *e)
{
	auto_close int fs = -1;
	auto_free char *rest = xstrdup(o->options ? o->options : "");

	if (!mount_overlay_is_detached(o))
		return overlay_classic(o, e);
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(e, "cannot mount overlay (is the kernel's module there?)");
	for (size_t i = 0; i < o->lower.n; i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir+", o->lower.v[i], 0) < 0)
			return fs_error(fs, "overlay", e);
	if (o->upper && (fsconfig(fs, FSCONFIG_SET_STRING, "upperdir", o->upper, 0) < 0 ||
			 fsconfig(fs, FSCONFIG_SET_STRING, "workdir", o->work, 0) < 0))
		return fs_error(fs, "overlay", e);
	for (char *save = NULL, *one = strtok_r(rest, ",", &save); one;
	     one = strtok_r(NULL, ",", &save)) {
		int rc = set_param(fs, "overlay", one, e);

		if (rc < 0)
			return rc;
	}
	return finish(fs, "overlay", 0, e);
}
