/*
 * The values of flags that have a form of their own: mounts, networks, ports, ulimits, labels. See
 * service_spec.h.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/service_spec.h"
#include "cli/text.h"

/*
 * The next field of a list with commas, cut out of `*at`; NULL at the end. In quotes it may have
 * commas itself, as in volume-opt's: "volume-opt=o=ro,soft".
 */
static char *field_next(char **at)
{
	char *start = *at, *to = *at, *from = *at;
	bool quoted = false;

	if (!start || !*start)
		return NULL;
	for (; *from && (quoted || *from != ','); from++) {
		if (*from != '"')
			*to++ = *from;
		else if (quoted && from[1] == '"') /* doubled, it stands for itself */
			*to++ = *from++;
		else
			quoted = !quoted;
	}
	*at = *from ? from + 1 : from;
	*to = '\0';
	return start;
}

/* Calls `take` for each "key=value" or "key" (value NULL) of a list with commas. */
static int each_option(const char *text,
		       int (*take)(const char *, const char *, void *, struct err *), void *data,
		       struct err *e)
{
	auto_free char *copy = xstrdup(text);
	char *at = copy;
	int rc = 0;

	for (char *key; rc == 0 && (key = field_next(&at));) {
		char *value = strchr(key, '=');

		if (value)
			*value++ = 0;
		rc = take(key, value, data, e);
	}
	return rc;
}

static bool is_one_of(const char *key, const char *a, const char *b, const char *c)
{
	return strcmp(key, a) == 0 || strcmp(key, b) == 0 || strcmp(key, c) == 0;
}

static bool is_true(const char *value)
{
	return !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static struct mount_bind *bind_of(struct mount *m)
{
	m->bind = m->bind ? m->bind : xcalloc(1, sizeof *m->bind);
	return m->bind;
}

static struct mount_volume *volume_of(struct mount *m)
{
	m->volume = m->volume ? m->volume : xcalloc(1, sizeof *m->volume);
	return m->volume;
}

static struct driver *driver_of(struct mount *m)
{
	struct mount_volume *v = volume_of(m);

	v->driver = v->driver ? v->driver : xcalloc(1, sizeof *v->driver);
	return v->driver;
}

static struct mount_tmpfs *tmpfs_of(struct mount *m)
{
	m->tmpfs = m->tmpfs ? m->tmpfs : xcalloc(1, sizeof *m->tmpfs);
	return m->tmpfs;
}

static int unknown(const char *key, const char *value, struct err *e)
{
	return err_set(e, -EINVAL, "unexpected key '%s' in '%s=%s'", key, key, value);
}

static int bind_option(const char *key, const char *value, struct mount *m, struct err *e)
{
	if (strcmp(key, "bind-propagation") == 0)
		str_set(&bind_of(m)->propagation, value);
	else if (strcmp(key, "bind-nonrecursive") == 0)
		bind_of(m)->non_recursive = is_true(value);
	else if (strcmp(key, "bind-create-src") == 0)
		bind_of(m)->create_mountpoint = is_true(value);
	else if (strcmp(key, "bind-recursive") != 0)
		return unknown(key, value, e);
	else if (strcmp(value, "disabled") == 0)
		bind_of(m)->non_recursive = true;
	else if (strcmp(value, "writable") == 0)
		bind_of(m)->read_only_non_recursive = true;
	else if (strcmp(value, "readonly") == 0)
		bind_of(m)->read_only_force_recursive = true;
	else if (strcmp(value, "enabled") != 0)
		return err_set(e, -EINVAL,
			       "invalid value for bind-recursive: %s (must be \"enabled\", "
			       "\"disabled\", \"writable\", or \"readonly\")",
			       value);
	return 0;
}

static int volume_option(const char *key, const char *value, struct mount *m, struct err *e)
{
	if (strcmp(key, "volume-nocopy") == 0)
		volume_of(m)->no_copy = is_true(value);
	else if (strcmp(key, "volume-label") == 0)
		label_put(&volume_of(m)->labels, value);
	else if (strcmp(key, "volume-subpath") == 0)
		str_set(&volume_of(m)->subpath, value);
	else if (strcmp(key, "volume-driver") == 0)
		str_set(&driver_of(m)->name, value);
	else if (strcmp(key, "volume-opt") == 0)
		label_put(&driver_of(m)->options, value);
	else
		return unknown(key, value, e);
	return 0;
}

static int tmpfs_option(const char *key, const char *value, struct mount *m, struct err *e)
{
	char *end;

	if (strcmp(key, "tmpfs-size") == 0) {
		if (size_parse(value, &tmpfs_of(m)->size_bytes) < 0)
			return err_set(e, -EINVAL, "invalid value for tmpfs-size: %s", value);
	} else if (strcmp(key, "tmpfs-mode") == 0) {
		tmpfs_of(m)->mode = (uint32_t)strtoul(value, &end, 8);
		if (*end || end == value)
			return err_set(e, -EINVAL, "invalid value for tmpfs-mode: %s", value);
	} else {
		return unknown(key, value, e);
	}
	return 0;
}

/* A folder named from here on ("./data") is one of this host: the daemon takes whole paths alone.
 */
static void source_set(struct mount *m, const char *value)
{
	bool relative = strcmp(value, ".") == 0 || strncmp(value, "./", 2) == 0;
	auto_free char *cwd = relative ? getcwd(NULL, 0) : NULL;
	auto_free char *path = NULL;

	if (cwd)
		value += value[1] ? 2 : 1;
	path = cwd && *value ? xasprintf("%s/%s", cwd, value) : NULL;
	str_set(&m->source, path ? path : cwd ? cwd : value);
}

static int mount_option(const char *key, const char *value, void *data, struct err *e)
{
	struct mount *m = data;

	if (is_one_of(key, "readonly", "ro", "ro")) {
		m->read_only = is_true(value);
		return 0;
	}
	if (!value && is_one_of(key, "volume-nocopy", "bind-nonrecursive", "bind-create-src"))
		value = "true";
	if (!value)
		return err_set(e, -EINVAL, "invalid field '%s' must be a key=value pair", key);
	if (strcmp(key, "type") == 0)
		str_set(&m->type, value);
	else if (is_one_of(key, "source", "src", "src"))
		source_set(m, value);
	else if (strcmp(key, "consistency") == 0)
		str_set(&m->consistency, value);
	else if (is_one_of(key, "target", "dst", "destination"))
		str_set(&m->target, value);
	else if (strncmp(key, "bind-", 5) == 0)
		return bind_option(key, value, m, e);
	else if (strncmp(key, "volume-", 7) == 0)
		return volume_option(key, value, m, e);
	else
		return tmpfs_option(key, value, m, e);
	return 0;
}

int mount_parse(const char *text, struct mount *ret, struct err *e)
{
	int rc = each_option(text, mount_option, ret, e);

	if (rc < 0)
		return err_wrap(e, "invalid mount \"%s\"", text);
	if (!ret->type)
		ret->type = xstrdup("volume");
	if (!ret->target)
		return err_set(e, -EINVAL, "invalid mount \"%s\": target is required", text);
	return 0;
}

static int network_option(const char *key, const char *value, void *data, struct err *e)
{
	struct network_attachment *n = data;

	if (value && strcmp(key, "name") == 0) {
		str_set(&n->target, value);
	} else if (value && strcmp(key, "alias") == 0) {
		strs_add(&n->aliases, value);
	} else if (value && strcmp(key, "driver-opt") == 0) {
		label_put(&n->driver_opts, value);
	} else {
		return err_set(e, -EINVAL, "invalid field %s: there are name, alias and driver-opt",
			       key);
	}
	return 0;
}

int network_parse(const char *text, struct network_attachment *ret, struct err *e)
{
	if (!strchr(text, '=')) {
		str_set(&ret->target, text);
		return 0;
	}
	if (each_option(text, network_option, ret, e) < 0)
		return err_wrap(e, "invalid network \"%s\"", text);
	if (!ret->target)
		return err_set(e, -EINVAL, "invalid network \"%s\": name is required", text);
	return 0;
}

struct file_wish {
	char *name;
	struct file_target *file;
};

static int file_option(const char *key, const char *value, void *data, struct err *e)
{
	struct file_wish *w = data;
	char *end;

	if (!value)
		return err_set(e, -EINVAL, "invalid field '%s' must be a key=value pair", key);
	if (is_one_of(key, "source", "src", "src")) {
		str_set(&w->name, value);
	} else if (strcmp(key, "target") == 0) {
		str_set(&w->file->name, value);
	} else if (strcmp(key, "uid") == 0) {
		str_set(&w->file->uid, value);
	} else if (strcmp(key, "gid") == 0) {
		str_set(&w->file->gid, value);
	} else if (strcmp(key, "mode") == 0) {
		w->file->mode = (uint32_t)strtoul(value, &end, 0); /* "0400", as docker reads it */
		if (end == value || *end || w->file->mode > 07777)
			return err_set(e, -EINVAL, "invalid mode specified: %s", value);
	} else {
		return err_set(e, -EINVAL, "invalid field in request: %s", key);
	}
	return 0;
}

int file_parse(const char *text, char **ret_name, struct file_target *ret, struct err *e)
{
	struct file_wish w = {.file = ret};
	int rc = 0;

	ret->mode = 0444;
	str_set(&ret->uid, "0");
	str_set(&ret->gid, "0");
	if (strchr(text, '=') || strchr(text, ','))
		rc = each_option(text, file_option, &w, e);
	else
		w.name = xstrdup(text);
	if (rc == 0 && !w.name)
		rc = err_set(e, -EINVAL, "source is required");
	if (rc < 0) {
		free(w.name);
		return err_wrap(e, "invalid value \"%s\"", text);
	}
	if (!ret->name)
		ret->name = xstrdup(w.name);
	*ret_name = w.name;
	return 0;
}

static int port_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (strchr("0123456789", *text) == NULL || !*text || *end || v > 65535)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int port_option(const char *key, const char *value, void *data, struct err *e)
{
	struct port_config *p = data;
	int rc = -EINVAL;

	if (value && strcmp(key, "protocol") == 0)
		rc = port_protocol_parse(value, &p->protocol);
	else if (value && strcmp(key, "mode") == 0 &&
		 (strcmp(value, "host") == 0 || strcmp(value, "ingress") == 0)) {
		p->mode = *value == 'h' ? PUBLISH_HOST : PUBLISH_INGRESS;
		rc = 0;
	} else if (value && is_one_of(key, "target", "target", "target"))
		rc = port_number(value, &p->target);
	else if (value && strcmp(key, "published") == 0)
		rc = port_number(value, &p->published);
	return rc < 0 ? err_set(e, rc, "invalid field %s=%s", key, value ? value : "") : 0;
}

/* "80" or "80-82" */
static int port_range(const char *text, uint32_t *first, uint32_t *last)
{
	auto_free char *copy = xstrdup(text);
	char *dash = strchr(copy, '-');

	if (dash)
		*dash = 0;
	if (port_number(copy, first) < 0 || port_number(dash ? dash + 1 : copy, last) < 0)
		return -EINVAL;
	return *first <= *last ? 0 : -EINVAL;
}

/* "8080:80/udp", "80", "8080-8082:80-82", or "8080-8082:80" for three that lead to one. */
static int port_short(const char *text, struct endpoint_spec *ret)
{
	auto_free char *copy = xstrdup(text);
	char *slash = strchr(copy, '/');
	char *colon = strchr(copy, ':');
	enum port_protocol protocol = 0;
	uint32_t p1 = 0, p2 = 0, t1, t2, n;

	if (slash)
		*slash = 0;
	if (colon)
		*colon = 0;
	if (slash && port_protocol_parse(slash + 1, &protocol) < 0)
		return -EINVAL;
	if (port_range(colon ? colon + 1 : copy, &t1, &t2) < 0 ||
	    (colon && port_range(copy, &p1, &p2) < 0) || !t1)
		return -EINVAL;
	n = 1 + (t1 == t2 ? p2 - p1 : t2 - t1);
	if (colon && p2 - p1 + 1 != n)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		*LIST_ADD(&ret->ports) = (struct port_config){.protocol = protocol,
							      .target = t1 == t2 ? t1 : t1 + i,
							      .published = colon ? p1 + i : 0};
	return 0;
}

int port_parse(const char *text, struct endpoint_spec *ret, struct err *e)
{
	struct port_config p = {0};
	int rc;

	if (!strchr(text, '=')) {
		rc = port_short(text, ret);
		return rc < 0 ? err_set(e, rc,
					"invalid port \"%s\": it must be like 8080:80/tcp, "
					"8080-8082:80-82 or published=8080,target=80",
					text)
			      : 0;
	}
	rc = each_option(text, port_option, &p, e);
	if (rc < 0)
		return err_wrap(e, "invalid port \"%s\"", text);
	if (!p.target)
		return err_set(e, -EINVAL, "invalid port \"%s\": target is required", text);
	*LIST_ADD(&ret->ports) = p;
	return 0;
}

int ulimit_parse(const char *text, struct ulimit *ret, struct err *e)
{
	long long soft;
	long long hard;
	int used = 0;
	const char *sign = strchr(text, '=');
	int n = sign ? sscanf(sign + 1, "%lld%n:%lld%n", &soft, &used, &hard, &used) : 0;

	if (n < 1 || sign[1 + used])
		return err_set(e, -EINVAL,
			       "invalid ulimit argument: %s; it must be like nofile=1024:2048",
			       text);
	ret->name = xstrndup(text, (size_t)(sign - text));
	ret->soft = soft;
	ret->hard = n == 2 ? hard : soft;
	return 0;
}

void env_add(struct strs *env, const char *text)
{
	const char *own = strchr(text, '=') ? NULL : getenv(text);
	auto_free char *whole = own ? xasprintf("%s=%s", text, own) : NULL;

	strs_add(env, whole ? whole : text);
}

void label_put(struct strmap *m, const char *text)
{
	const char *sign = strchr(text, '=');
	auto_free char *key = sign ? xstrndup(text, (size_t)(sign - text)) : xstrdup(text);

	strmap_set(m, key, sign ? sign + 1 : "");
}
