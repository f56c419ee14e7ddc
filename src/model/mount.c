/*
 * See mount.h. Facts from moby's volume/mounts and volume/local.
 */
#include "model/mount.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static bool is_set(const char *s)
{
	return s && *s;
}

static int invalid(const struct mount *m, struct err *e, const char *what)
{
	return err_set(e, -EINVAL, "invalid mount config for type \"%s\": %s", m->type, what);
}

static bool is_one_of(const char *s, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(*names, s) == 0)
			return true;
	return false;
}

int volume_options_check(const struct strmap *options, struct err *e)
{
	static const char *const known[] = {"type", "o", "device", NULL};
	static const char *const required[] = {"device", "type"};

	if (strmap_get(options, "size"))
		return err_set(e, -ENOSYS,
			       "the option size of the volume driver local (a quota) is "
			       "not implemented");
	for (size_t i = 0; i < options->n; i++)
		if (!is_one_of(options->v[i].key, known))
			return err_set(e, -EINVAL, "invalid option: \"%.64s\"", options->v[i].key);
	for (size_t i = 0; options->n && i < ARRAY_LEN(required); i++)
		if (!is_set(strmap_get(options, required[i])))
			return err_set(e, -EINVAL, "missing required option: \"%s\"", required[i]);
	return 0;
}

static int volume_check(const struct mount *m, struct err *e)
{
	const struct mount_volume *v = m->volume;
	const struct driver *d = v ? v->driver : NULL;

	if (is_set(m->source) && m->source[0] == '/')
		return invalid(m, e, "the source of a volume is its name, not a path");
	if (!v)
		return 0;
	if (is_set(v->subpath) && v->subpath[0] == '/')
		return invalid(m, e, "subpath must be a relative path within the volume");
	if (is_set(v->subpath) && !is_set(m->source))
		return invalid(m, e, "must not set Subpath when using anonymous volumes");
	if (d && is_set(d->name) && strcmp(d->name, "local") != 0)
		return err_set(e, -ENOSYS, "volume driver \"%.64s\" is not implemented: only local",
			       d->name);
	return d ? volume_options_check(&d->options, e) : 0;
}

static int bind_check(const struct mount *m, struct err *e)
{
	static const char *const propagations[] = {"private", "rprivate", "slave", "rslave",
						   "shared",  "rshared",  NULL};
	const struct mount_bind *b = m->bind;

	if (!is_set(m->source) || m->source[0] != '/')
		return err_set(
			e, -EINVAL,
			"invalid mount config for type \"bind\": invalid mount path: '%.255s' "
			"mount path must be absolute",
			m->source ? m->source : "");
	if (!b)
		return 0;
	if (is_set(b->propagation) && !is_one_of(b->propagation, propagations))
		return err_set(e, -EINVAL,
			       "invalid mount config for type \"bind\": invalid propagation mode: "
			       "%.64s",
			       b->propagation);
	if (b->read_only_non_recursive && b->read_only_force_recursive)
		return invalid(m, e,
			       "ReadOnlyNonRecursive and ReadOnlyForceRecursive contradict each "
			       "other");
	if ((b->read_only_non_recursive || b->read_only_force_recursive) && !m->read_only)
		return invalid(m, e,
			       "ReadOnlyNonRecursive and ReadOnlyForceRecursive need ReadOnly");
	if (b->non_recursive && b->read_only_force_recursive)
		return invalid(m, e, "ReadOnlyForceRecursive needs a recursive mount");
	return 0;
}

static int option_add(const json_t *words, struct strs *ret, struct err *e)
{
	static const char *const flags[] = {"exec", "noexec", NULL};
	const char *key = json_string_value(json_array_get(words, 0));

	if (json_array_size(words) != 1 || !key || !is_one_of(key, flags))
		return err_set(
			e, -EINVAL,
			"invalid mount config for type \"tmpfs\": invalid option: \"%.64s\"; "
			"there are exec and noexec",
			key ? key : "");
	strs_add(ret, key);
	return 0;
}

int mount_tmpfs_options(const struct mount_tmpfs *t, struct strs *ret, struct err *e)
{
	json_t *root, *words;
	size_t i;
	int rc = 0;

	if (!is_set(t->options) || strcmp(t->options, "null") == 0)
		return 0;
	root = json_loads(t->options, 0, NULL);
	if (!json_is_array(root))
		rc = err_set(e, -EINVAL, "TmpfsOptions.Options: not a list of lists");
	else
		json_array_foreach(root, i, words) if (rc == 0) rc = option_add(words, ret, e);
	json_decref(root);
	return rc;
}

static int tmpfs_check(const struct mount *m, struct err *e)
{
	struct strs options = {0};
	int rc;

	if (is_set(m->source))
		return invalid(m, e, "source cannot be specified");
	if (!m->tmpfs)
		return 0;
	if (m->tmpfs->size_bytes < 0)
		return invalid(m, e, "the size must not be negative");
	if (m->tmpfs->mode & ~07777u)
		return invalid(m, e, "the mode has more than permission bits");
	rc = mount_tmpfs_options(m->tmpfs, &options, e);
	strs_done(&options);
	return rc;
}

int mount_check(const struct mount *m, struct err *e)
{
	const char *type = m->type ? m->type : "";
	bool bind = strcmp(type, "bind") == 0, volume = strcmp(type, "volume") == 0;

	if (!bind && !volume && strcmp(type, "tmpfs") != 0)
		return err_set(e, *type ? -ENOSYS : -EINVAL,
			       "mounts of type \"%.32s\" are not implemented", type);
	if (!m->target || m->target[0] != '/')
		return err_set(e, -EINVAL,
			       "invalid mount target \"%.255s\": must be an absolute path",
			       m->target ? m->target : "");
	if (m->bind && !bind)
		return invalid(m, e, "field BindOptions must not be specified");
	if (m->volume && !volume)
		return invalid(m, e, "field VolumeOptions must not be specified");
	if (m->tmpfs && (bind || volume))
		return invalid(m, e, "field TmpfsOptions must not be specified");
	return bind ? bind_check(m, e) : volume ? volume_check(m, e) : tmpfs_check(m, e);
}
