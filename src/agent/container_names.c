/*
 * Names of containers: chosen, checked, changed.
 */
#include <ctype.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/network.h"
#include "base/nickname.h"

#define CONTAINER_NAME_MAX 255

static bool is_taken(const char *name, void *arg)
{
	struct engine *e = arg;
	struct container_live *l;

	HASH_FIND(hh_name, e->by_name, name, strlen(name), l);
	return l != NULL;
}

char *container_name_choose(struct engine *e)
{
	return nickname_choose(is_taken, e);
}

int container_name_check(struct engine *e, const char *name, struct err *err)
{
	struct container_live *l;
	size_t n = strlen(name);
	bool ok = n >= 2 && n <= CONTAINER_NAME_MAX && isalnum((unsigned char)name[0]);

	for (size_t i = 0; i < n; i++)
		ok = ok && (isalnum((unsigned char)name[i]) || strchr("_.-", name[i]));
	if (!ok)
		return err_set(
			err, -EINVAL,
			"Invalid container name (%.255s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
			"allowed",
			name);
	HASH_FIND(hh_name, e->by_name, name, n, l);
	if (l)
		return err_set(
			err, -EEXIST,
			"Conflict. The container name \"/%s\" is already in use by container "
			"\"%s\". You have to remove (or rename) that container to be able to "
			"reuse that name.",
			name, l->c->id);
	return 0;
}

int engine_container_rename(struct engine *e, struct container *c, const char *name,
			    struct err *err)
{
	struct container_live *l = c->live;
	auto_free char *old = xstrdup(c->name);
	int rc;

	if (name[0] == '/')
		name++;
	if (strcmp(name, c->name) == 0)
		return err_set(err, -EINVAL,
			       "Renaming a container with the same name as its current name");
	rc = container_name_check(e, name, err);
	if (rc < 0)
		return rc;
	HASH_DELETE(hh_name, e->by_name, l);
	str_set(&c->name, name);
	rc = container_store(l, err);
	if (rc < 0)
		str_set(&c->name, old);
	HASH_ADD_KEYPTR(hh_name, e->by_name, c->name, strlen(c->name), l);
	if (rc < 0)
		return rc;
	network_container_renamed(e, c);
	container_event(l, "rename", "oldName", old);
	return 0;
}
