/*
 * The mounts of a container as a user writes them, taken apart: see container_spec.h. Pure but for
 * the names of volumes without one.
 */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "base/id.h"
#include "model/mount.h"

#define VOLUME_NAME_MAX 255

bool volume_is_anonymous(const char *name)
{
	return strlen(name) == ID_HOST_LEN && strspn(name, "0123456789abcdef") == ID_HOST_LEN;
}

int volume_name_check(const char *name, struct err *e)
{
	size_t n = strlen(name);
	bool ok = n >= 2 && n <= VOLUME_NAME_MAX && isalnum((unsigned char)name[0]);

	for (size_t i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)name[i]) || strchr("_.-", name[i]);
	if (ok)
		return 0;
	return err_set(e, -EINVAL,
		       "\"%.255s\" includes invalid characters for a local volume name, only "
		       "[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed; to mount a folder of the host, use "
		       "an absolute path",
		       name);
}

/* Absolute, without "..", never the root. */
static int check_target(const char *target, struct err *e)
{
	const char *p = target;

	if (!target || target[0] != '/')
		return err_set(e, -EINVAL,
			       "invalid mount: the path '%.255s' in the container is not absolute",
			       target ? target : "");
	while (*(p += strspn(p, "/"))) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, -EINVAL, "invalid mount: '..' in %.255s", target);
		p += n;
	}
	if (target[strspn(target, "/.")] == '\0')
		return err_set(e, -EINVAL, "invalid mount: destination can't be '/'");
	return 0;
}

/* "//a//b/" is "/a/b". */
static char *clean(const char *path)
{
	char *ret = xmalloc(strlen(path) + 2);
	size_t n = 0;

	while (*(path += strspn(path, "/"))) {
		size_t part = strcspn(path, "/");

		ret[n++] = '/';
		memcpy(ret + n, path, part);
		n += part;
		path += part;
	}
	if (!n)
		ret[n++] = '/';
	ret[n] = '\0';
	return ret;
}

static struct container_mount *find(struct container *c, const char *destination)
{
	LIST_EACH (m, &c->mounts)
		if (strcmp(m->destination, destination) == 0)
			return m;
	return NULL;
}

static int add(struct container *c, const char *target, struct container_mount **ret, struct err *e)
{
	auto_free char *destination = NULL;
	int rc = check_target(target, e);

	if (rc < 0)
		return rc;
	destination = clean(target);
	if (find(c, destination))
		return err_set(e, -EINVAL, "Duplicate mount point: %.255s", destination);
	*ret = LIST_ADD(&c->mounts);
	(*ret)->destination = TAKE_PTR(destination);
	(*ret)->rw = true;
	(*ret)->mode = xstrdup("");
	(*ret)->propagation = xstrdup("");
	return 0;
}

static int set_source(struct container_mount *m, const char *source, const char *root,
		      struct err *e)
{
	char id[ID_HOST_LEN + 1];
	int rc;

	if (source && source[0] == '/') {
		m->type = xstrdup("bind");
		m->source = clean(source);
		str_set(&m->propagation, "rprivate");
		return 0;
	}
	if (!source || !*source) {
		id_host(id);
		source = id;
	}
	rc = volume_name_check(source, e);
	if (rc < 0)
		return rc;
	m->type = xstrdup("volume");
	m->name = xstrdup(source);
	m->driver = xstrdup("local");
	m->source = xasprintf("%s/%s/_data", root, source);
	return 0;
}

static bool is_one_of(const char *o, const char *const *all)
{
	for (; *all; all++)
		if (strcmp(*all, o) == 0)
			return true;
	return false;
}

static bool is_propagation(const char *o)
{
	static const char *const all[] = {"private", "rprivate", "slave", "rslave",
					  "shared",  "rshared",  NULL};

	return is_one_of(o, all);
}

/* Of the options that change nothing here: labels are SELinux's, and nothing is copied up. */
static bool is_neutral(const char *o)
{
	static const char *const all[] = {"rw", "z", "Z", "nocopy", NULL};

	return is_one_of(o, all);
}

static int set_options(struct container_mount *m, const char *options, struct err *e)
{
	auto_free char *text = xstrdup(options);
	char *save = NULL;

	str_set(&m->mode, options);
	for (char *o = strtok_r(text, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		if (strcmp(o, "ro") == 0)
			m->rw = false;
		else if (is_propagation(o))
			str_set(&m->propagation, o);
		else if (!is_neutral(o))
			return err_set(e, -EINVAL, "invalid mode: %.128s", options);
	}
	return 0;
}

/* "SOURCE:TARGET[:OPTIONS]" or "TARGET". */
static int add_bind(struct container *c, const char *bind, const char *root, struct err *e)
{
	auto_free char *text = xstrdup(bind);
	char *target = strchr(text, ':');
	char *options = NULL;
	struct container_mount *m;
	int rc;

	if (target) {
		*target++ = '\0';
		options = strchr(target, ':');
		if (options)
			*options++ = '\0';
	}
	if ((target && !*text) || (options && strchr(options, ':')))
		return err_set(e, -EINVAL, "invalid volume specification: '%.255s'", bind);
	rc = add(c, target ? target : text, &m, e);
	if (rc == 0)
		rc = set_source(m, target ? text : NULL, root, e);
	return rc == 0 && options ? set_options(m, options, e) : rc;
}

static int add_mount(struct container *c, const struct mount *in, const char *root, struct err *e)
{
	const char *type = in->type ? in->type : "";
	bool bind = strcmp(type, "bind") == 0;
	struct container_mount *m = NULL;
	int rc = mount_check(in, e);

	if (rc == 0)
		rc = add(c, in->target, &m, e);
	if (rc < 0)
		return rc;
	assert(m);
	m->rw = !in->read_only;
	if (strcmp(type, "tmpfs") == 0) {
		m->type = xstrdup("tmpfs");
		m->source = xstrdup("");
		return 0;
	}
	rc = set_source(m, in->source, root, e);
	if (rc == 0 && bind && in->bind && in->bind->propagation && *in->bind->propagation)
		str_set(&m->propagation, in->bind->propagation);
	return rc;
}

int container_mounts_make(struct container *c, const char *volumes_root, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->host.binds.n; i++)
		rc = add_bind(c, c->host.binds.v[i], volumes_root, e);
	for (size_t i = 0; rc == 0 && i < c->host.mounts.n; i++)
		rc = add_mount(c, &c->host.mounts.v[i], volumes_root, e);
	for (size_t i = 0; rc == 0 && i < c->config.volumes.n; i++) {
		auto_free char *at = clean(c->config.volumes.v[i]);
		struct container_mount *m;

		if (find(c, at) || strmap_get(&c->host.tmpfs, at))
			continue;
		rc = add(c, at, &m, e);
		if (rc == 0)
			rc = set_source(m, NULL, volumes_root, e);
	}
	return rc;
}
