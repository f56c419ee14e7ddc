/*
 * The group of a container that is being made: made by its parent, and given to the container's
 * user where the container is to make groups of its own in it. See launch_internal.h.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/launch_internal.h"

static bool has_option(const struct spec_mount *m, const char *option)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (strcmp(m->options.v[i], option) == 0)
			return true;
	return false;
}

/* Whether the container can write to its group: the last such mount counts. */
static bool is_writable(const struct spec *s)
{
	bool writable = false;

	for (size_t i = 0; i < s->mounts.n; i++)
		if (s->mounts.v[i].type && strncmp(s->mounts.v[i].type, "cgroup", 6) == 0)
			writable = !has_option(&s->mounts.v[i], "ro");
	return writable;
}

/* The host's id of the process's user; -1 where that is not known or not mapped. */
static int64_t host_uid(const struct spec *s, const struct namespaces *ns)
{
	int64_t uid = s->process.user.uid == SPEC_UNSET ? 0 : s->process.user.uid;

	if (!ns->user)
		return ns->joins_user ? -1 : uid;
	for (size_t i = 0; i < s->linux_.uid_maps.n; i++) {
		const struct spec_id_map *m = &s->linux_.uid_maps.v[i];

		if (uid >= m->container_id && uid - m->container_id < m->size)
			return m->host_id + uid - m->container_id;
	}
	return -1;
}

/* The runtime specification's "cgroup ownership". Who is not root gives what may be given. */
static int give(const struct launch *l, const struct namespaces *ns, const struct cgroup *c,
		struct err *e)
{
	int64_t uid = host_uid(l->spec, ns);
	int rc;

	if (!c->v2 || !ns->cgroup || uid < 0 || uid == (int64_t)geteuid() || !is_writable(l->spec))
		return 0;
	rc = cgroup_give(c, (uid_t)uid, geteuid() == 0 ? e : NULL);
	return rc == -EPERM && geteuid() != 0 ? 0 : rc;
}

int launch_make_cgroup(const struct launch *l, const struct namespaces *ns, struct container *c,
		       struct err *e)
{
	int rc = (l->cgroup_held ? cgroup_create_held
				 : cgroup_create)(CGROUP_ROOT, l->spec->linux_.cgroups_path,
						  &l->spec->linux_.resources, &c->cgroup, e);

	c->has_cgroup = rc == 0;
	if (l->cgroup_optional && (rc == -EACCES || rc == -EPERM || rc == -EROFS)) {
		*e = ERR_INIT;
		return 0;
	}
	return rc == 0 ? give(l, ns, &c->cgroup, e) : rc;
}
