/*
 * See task_rights.h.
 */
#include "model/task_rights.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static bool is_permission(const char *s)
{
	return *s && s[strspn(s, "rwm")] == '\0';
}

/* Absolute, without "." and ".." and doubled slashes, so that a path has one form alone. */
static bool is_plain_path(const char *p)
{
	if (!p || p[0] != '/' || !p[1])
		return false;
	while (*p == '/') {
		size_t n = strcspn(++p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return true;
}

int device_mapping_check(const struct device_mapping *d, struct err *e)
{
	if (!is_plain_path(d->host) || !is_plain_path(d->container))
		return err_set(e, -EINVAL,
			       "invalid device \"%.128s:%.128s\": both must be absolute paths",
			       d->host ? d->host : "", d->container ? d->container : "");
	if (!d->permissions || !is_permission(d->permissions))
		return err_set(e, -EINVAL,
			       "invalid mode of the device %.128s: \"%.16s\" is not "
			       "of r, w and m",
			       d->host, d->permissions ? d->permissions : "");
	return 0;
}

int device_mapping_parse(const char *text, struct device_mapping *ret, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *at = copy, *host = strsep(&at, ":"), *container = at ? strsep(&at, ":") : NULL;
	char *permissions = at;

	if (container && !permissions && container[0] != '/') {
		permissions = container;
		container = NULL;
	}
	ret->host = xstrdup(host);
	ret->container = xstrdup(container ? container : host);
	ret->permissions = xstrdup(permissions ? permissions : "rwm");
	return device_mapping_check(ret, e);
}

static int devices_read(const char *text, struct task_rights *ret, struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *at = copy, *one;
	int rc = 0;

	while (rc == 0 && (one = strsep(&at, ",")))
		rc = ret->devices.n < LIMIT_TASK_DEVICES
			     ? device_mapping_parse(one, LIST_ADD(&ret->devices), e)
			     : err_set(e, -EINVAL, "more than %u devices", LIMIT_TASK_DEVICES);
	return rc < 0 ? err_wrap(e, "label " DEVICES_LABEL) : 0;
}

int task_rights_read(const struct strmap *labels, struct task_rights *ret, struct err *e)
{
	const char *privileged = strmap_get(labels, PRIVILEGED_LABEL);
	const char *devices = strmap_get(labels, DEVICES_LABEL);
	int rc = 0;

	*ret = (struct task_rights){0};
	if (privileged && strcmp(privileged, "true") != 0 && strcmp(privileged, "false") != 0)
		return err_set(e, -EINVAL,
			       "label " PRIVILEGED_LABEL ": it is true or false, not \"%.64s\"",
			       privileged);
	ret->privileged = privileged && *privileged == 't';
	if (devices && *devices)
		rc = devices_read(devices, ret, e);
	if (rc < 0)
		task_rights_done(ret);
	return rc;
}

void task_rights_done(struct task_rights *r)
{
	LIST_EACH (d, &r->devices)
		table_done(&device_mapping_table, d);
	free(r->devices.v);
	*r = (struct task_rights){0};
}

const char *task_rights_device_missing(const struct task_rights *r, bool privileged,
				       const struct strs *paths)
{
	for (size_t i = 0; !privileged && i < r->devices.n; i++)
		if (!strs_has(paths, r->devices.v[i].host))
			return r->devices.v[i].host;
	return NULL;
}
