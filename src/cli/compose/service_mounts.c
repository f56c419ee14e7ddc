/*
 * A service's ports, mounts, networks, secrets and configs, in their short and long forms.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/stack_impl.h"

#define MAKER(data) ((struct service_maker *)(data))

/* Ports */

static bool range_read(const char *text, uint32_t *first, uint32_t *last)
{
	char *end;
	unsigned long a = strtoul(text, &end, 10);
	unsigned long b = a;

	if (end == text || *text < '0' || *text > '9')
		return false;
	if (*end == '-' && end[1] >= '0' && end[1] <= '9')
		b = strtoul(end + 1, &end, 10);
	*first = (uint32_t)a;
	*last = (uint32_t)b;
	return !*end && a >= 1 && b <= 65535 && a <= b && b - a < LIMIT_COMPOSE_PORTS;
}

/* "[PUBLISHED:]TARGET[/PROTOCOL]", each a port or a range. */
static void port_short(struct compose_project *p, const struct compose_node *n,
		       struct endpoint_spec *ep)
{
	auto_free char *text = xstrdup(n->text);
	char *slash = strchr(text, '/');
	enum port_protocol protocol = PORT_TCP;
	uint32_t t1, t2, p1 = 0, p2 = 0;
	char *colon;

	if (slash)
		*slash++ = 0;
	colon = strrchr(text, ':');
	if (colon) {
		*colon++ = 0;
		if (strchr(text, ':') || strchr(text, '.')) {
			compose_problem(p, n,
					"the port %s: services publish on all addresses of the "
					"nodes; leave the address out",
					n->text);
			return;
		}
	}
	if (!range_read(colon ? colon : text, &t1, &t2) ||
	    (colon && *text && !range_read(text, &p1, &p2)) ||
	    (p1 && t1 != t2 && p2 - p1 != t2 - t1) || (p1 != p2 && t1 == t2) ||
	    (slash && port_protocol_parse(slash, &protocol) < 0)) {
		compose_problem(p, n, "%.60s is no port: [PUBLISHED:]TARGET[/PROTOCOL]", n->text);
		return;
	}
	for (uint32_t i = 0; i <= t2 - t1; i++) {
		struct port_config *port = LIST_ADD(&ep->ports);

		port->target = t1 + i;
		port->published = p1 ? p1 + i : 0;
		port->protocol = protocol;
	}
}

#define PORT(data) ((struct port_config *)(data))

static STACK_KEY(port_number)
{
	int64_t v = 0;

	compose_number(p, n, 1, 65535, &v);
	*(*n->key == 't' ? &PORT(data)->target : &PORT(data)->published) = (uint32_t)v;
}

static STACK_KEY(port_protocol)
{
	if (n->type != COMPOSE_TEXT || port_protocol_parse(n->text, &PORT(data)->protocol) < 0)
		compose_problem(p, n, "protocol is to be tcp, udp or sctp");
}

static STACK_KEY(port_mode)
{
	static const char *const names[] = {"ingress", "host"};
	size_t i = 0;

	compose_choice(p, n, names, ARRAY_LEN(names), &i);
	PORT(data)->mode = i ? PUBLISH_HOST : PUBLISH_INGRESS;
}

static STACK_KEY(port_name)
{
	compose_text(p, n, &PORT(data)->name);
}

static const struct compose_key port_keys[] = {
	{.name = "target", .fn = port_number},
	{.name = "published", .fn = port_number},
	{.name = "protocol", .fn = port_protocol},
	{.name = "mode", .fn = port_mode},
	{.name = "name", .fn = port_name},
	{.name = "app_protocol", .why = "nothing here reads it", .harmless = true},
	{.name = "host_ip", .why = "services publish on all addresses of the nodes"},
};

STACK_KEY(stack_ports)
{
	struct service_spec *s = MAKER(data)->spec;

	if (n->type != COMPOSE_LIST) {
		compose_problem(p, n, "ports is to be a list");
		return;
	}
	if (!s->endpoint)
		s->endpoint = xcalloc(1, sizeof *s->endpoint);
	for (size_t i = 0; i < n->n; i++) {
		struct port_config *port;

		if (n->v[i]->type == COMPOSE_TEXT) {
			port_short(p, n->v[i], s->endpoint);
			continue;
		}
		port = LIST_ADD(&s->endpoint->ports);
		compose_keys(p, n->v[i], port_keys, ARRAY_LEN(port_keys), port);
		if (!port->target)
			compose_problem(p, n->v[i], "a port is to have a target");
	}
}

/* Mounts */

/* The declared volume's name, labels and driver. */
static void volume_fill(struct compose_project *p, struct service_maker *m,
			const struct compose_node *at, struct mount *mount)
{
	const struct compose_node *declared;
	char *name;

	if (!mount->source || !*mount->source)
		return;
	declared = compose_get(compose_get(p->root, "volumes"), mount->source);
	name = stack_name_of(p, m->stack, "volumes", mount->source, at);
	if (!name)
		return;
	free(mount->source);
	mount->source = name;
	if (stack_is_external(p, declared))
		return;
	if (!mount->volume)
		mount->volume = xcalloc(1, sizeof *mount->volume);
	compose_strmap(p, compose_get(declared, "labels"), &mount->volume->labels);
	strmap_set(&mount->volume->labels, STACK_LABEL, m->stack->name);
	if (!compose_get(declared, "driver") && !compose_get(declared, "driver_opts"))
		return;
	mount->volume->driver = xcalloc(1, sizeof *mount->volume->driver);
	compose_text(p, compose_get(declared, "driver"), &mount->volume->driver->name);
	compose_strmap(p, compose_get(declared, "driver_opts"), &mount->volume->driver->options);
}

static void mount_option(struct compose_project *p, const struct compose_node *n, struct mount *m,
			 const char *option)
{
	static const char *const propagations[] = {"rprivate", "private", "rshared",
						   "shared",   "rslave",  "slave"};

	if (strcmp(option, "ro") == 0) {
		m->read_only = true;
		return;
	}
	if (strcmp(option, "nocopy") == 0) {
		if (!m->volume)
			m->volume = xcalloc(1, sizeof *m->volume);
		m->volume->no_copy = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(propagations); i++)
		if (strcmp(option, propagations[i]) == 0) {
			if (!m->bind)
				m->bind = xcalloc(1, sizeof *m->bind);
			str_set(&m->bind->propagation, option);
			return;
		}
	if (strcmp(option, "rw") != 0)
		compose_problem(p, n, "the volume %.60s: unknown option %.20s", n->text, option);
}

/* "[SOURCE:]TARGET[:OPTIONS]"; a source with a slash or a dot in front is a path. */
static void mount_short(struct compose_project *p, const struct compose_node *n, struct mount *m)
{
	auto_free char *text = xstrdup(n->text);
	char *colon = strchr(text, ':');
	char *options = colon ? strchr(colon + 1, ':') : NULL;
	char *save = NULL;
	bool path = colon && (*text == '/' || *text == '.' || *text == '~');

	if (colon)
		*colon++ = 0;
	if (options)
		*options++ = 0;
	m->type = xstrdup(path ? "bind" : "volume");
	m->target = xstrdup(colon ? colon : text);
	if (path)
		m->source = compose_path(p, n, text);
	else if (colon)
		m->source = xstrdup(text);
	for (char *o = options ? strtok_r(options, ",", &save) : NULL; o;
	     o = strtok_r(NULL, ",", &save))
		mount_option(p, n, m, o);
}

#define MOUNT(data) ((struct mount *)(data))

static STACK_KEY(mount_text)
{
	struct mount *m = data;

	compose_text(p, n,
		     strcmp(n->key, "type") == 0     ? &m->type
		     : strcmp(n->key, "source") == 0 ? &m->source
		     : strcmp(n->key, "target") == 0 ? &m->target
						     : &m->consistency);
}

static STACK_KEY(mount_read_only)
{
	compose_bool(p, n, &MOUNT(data)->read_only);
}

static STACK_KEY(bind_propagation)
{
	compose_text(p, n, &MOUNT(data)->bind->propagation);
}

static STACK_KEY(bind_create)
{
	compose_bool(p, n, &MOUNT(data)->bind->create_mountpoint);
}

static STACK_KEY(mount_bind)
{
	static const struct compose_key keys[] = {
		{.name = "propagation", .fn = bind_propagation},
		{.name = "create_host_path", .fn = bind_create},
		{.name = "selinux", .why = "mounts are not labelled"},
	};

	MOUNT(data)->bind = xcalloc(1, sizeof *MOUNT(data)->bind);
	compose_keys(p, n, keys, ARRAY_LEN(keys), data);
}

static STACK_KEY(volume_nocopy)
{
	compose_bool(p, n, &MOUNT(data)->volume->no_copy);
}

static STACK_KEY(volume_subpath)
{
	compose_text(p, n, &MOUNT(data)->volume->subpath);
}

static STACK_KEY(volume_labels)
{
	compose_strmap(p, n, &MOUNT(data)->volume->labels);
}

static STACK_KEY(mount_volume)
{
	static const struct compose_key keys[] = {
		{.name = "nocopy", .fn = volume_nocopy},
		{.name = "subpath", .fn = volume_subpath},
		{.name = "labels", .fn = volume_labels},
	};

	MOUNT(data)->volume = xcalloc(1, sizeof *MOUNT(data)->volume);
	compose_keys(p, n, keys, ARRAY_LEN(keys), data);
}

static STACK_KEY(tmpfs_size)
{
	compose_bytes(p, n, &MOUNT(data)->tmpfs->size_bytes);
}

static STACK_KEY(tmpfs_mode)
{
	int64_t mode = 0;

	compose_number(p, n, 0, 07777, &mode);
	MOUNT(data)->tmpfs->mode = (uint32_t)mode;
}

static STACK_KEY(mount_tmpfs)
{
	static const struct compose_key keys[] = {
		{.name = "size", .fn = tmpfs_size},
		{.name = "mode", .fn = tmpfs_mode},
	};

	MOUNT(data)->tmpfs = xcalloc(1, sizeof *MOUNT(data)->tmpfs);
	compose_keys(p, n, keys, ARRAY_LEN(keys), data);
}

static const struct compose_key mount_keys[] = {
	{.name = "type", .fn = mount_text},
	{.name = "source", .fn = mount_text},
	{.name = "target", .fn = mount_text},
	{.name = "consistency", .fn = mount_text},
	{.name = "read_only", .fn = mount_read_only},
	{.name = "bind", .fn = mount_bind},
	{.name = "volume", .fn = mount_volume},
	{.name = "tmpfs", .fn = mount_tmpfs},
	{.name = "image", .why = "images are not mounted"},
};

static void mount_long(struct compose_project *p, const struct compose_node *n, struct mount *m)
{
	static const char *const types[] = {"volume", "bind", "tmpfs"};
	size_t type = 0;
	char *path;

	compose_keys(p, n, mount_keys, ARRAY_LEN(mount_keys), m);
	compose_choice(p, compose_get(n, "type"), types, ARRAY_LEN(types), &type);
	if (!m->type || !m->target)
		compose_problem(p, n, "a volume is to have a type and a target");
	if (type != 1)
		return;
	if (!m->source) {
		compose_problem(p, n, "a bind is to have a source");
		return;
	}
	path = compose_path(p, n, m->source);
	free(m->source);
	m->source = path;
}

STACK_KEY(stack_volumes)
{
	struct service_maker *m = data;

	if (n->type != COMPOSE_LIST)
		compose_problem(p, n, "volumes is to be a list");
	for (size_t i = 0; n->type == COMPOSE_LIST && i < n->n; i++) {
		struct mount *mount = LIST_ADD(&m->c->mounts);

		if (n->v[i]->type == COMPOSE_TEXT)
			mount_short(p, n->v[i], mount);
		else
			mount_long(p, n->v[i], mount);
		if (mount->type && strcmp(mount->type, "volume") == 0)
			volume_fill(p, m, n->v[i], mount);
	}
}

STACK_KEY(stack_tmpfs)
{
	struct strs paths = {0};

	compose_strs(p, n, &paths);
	STRS_EACH (path, &paths) {
		struct mount *mount = LIST_ADD(&MAKER(data)->c->mounts);

		if (strchr(path, ':'))
			compose_problem(p, n,
					"tmpfs: %.60s has options; write them under volumes with "
					"the type tmpfs",
					path);
		mount->type = xstrdup("tmpfs");
		mount->target = xstrdup(path);
	}
	strs_done(&paths);
}

/* Networks */

static STACK_KEY(network_aliases)
{
	compose_strs(p, n, &((struct network_attachment *)data)->aliases);
}

static STACK_KEY(network_options)
{
	compose_strmap(p, n, &((struct network_attachment *)data)->driver_opts);
}

#define ADDRESS "each task has an address of its own"

static const struct compose_key network_keys[] = {
	{.name = "aliases", .fn = network_aliases},
	{.name = "driver_opts", .fn = network_options},
	{.name = "ipv4_address", .why = ADDRESS},
	{.name = "ipv6_address", .why = ADDRESS},
	{.name = "link_local_ips", .why = ADDRESS},
	{.name = "mac_address", .why = ADDRESS},
	{.name = "priority", .why = "networks of tasks have no order"},
	{.name = "gw_priority", .why = "networks of tasks have no order"},
	{.name = "interface_name", .why = "interfaces of tasks are named by the node"},
};

static void network_add(struct compose_project *p, struct service_maker *m, const char *key,
			const struct compose_node *n)
{
	char *name = stack_name_of(p, m->stack, "networks", key, n);
	struct network_attachment *at;

	if (!name)
		return;
	at = LIST_ADD(&m->spec->task.networks);
	at->target = name;
	compose_keys(p, n, network_keys, ARRAY_LEN(network_keys), at);
	/* The node's own networks know no names. */
	if (!network_is_nodes_own(name) && !strs_has(&at->aliases, m->node->key))
		strs_add(&at->aliases, m->node->key);
}

STACK_KEY(stack_service_networks)
{
	struct service_maker *m = data;

	if (n && n->type == COMPOSE_TEXT)
		compose_problem(p, n, "networks is to be a list or a map");
	for (size_t i = 0; n && n->type == COMPOSE_MAP && i < n->n; i++)
		network_add(p, m, n->v[i]->key, n->v[i]);
	if ((!n || !n->n) && !compose_get(m->node, "network_mode"))
		network_add(p, m, "default", NULL);
}

/* Secrets and configs: their ids are found out when they exist. */

struct grant {
	char *source;
	struct file_target file;
};

static STACK_KEY(grant_text)
{
	struct grant *g = data;

	compose_text(p, n,
		     strcmp(n->key, "source") == 0   ? &g->source
		     : strcmp(n->key, "target") == 0 ? &g->file.name
		     : strcmp(n->key, "uid") == 0    ? &g->file.uid
						     : &g->file.gid);
}

static STACK_KEY(grant_mode)
{
	int64_t mode = 0;

	compose_number(p, n, 0, 07777, &mode);
	((struct grant *)data)->file.mode = (uint32_t)mode;
}

/* What an entry says; false (and a problem) when it says nothing usable. */
static bool grant_read(struct compose_project *p, const struct compose_node *n, struct grant *g)
{
	static const struct compose_key keys[] = {
		{.name = "source", .fn = grant_text}, {.name = "target", .fn = grant_text},
		{.name = "uid", .fn = grant_text},    {.name = "gid", .fn = grant_text},
		{.name = "mode", .fn = grant_mode},
	};

	g->file.mode = 0444;
	if (n->type == COMPOSE_TEXT)
		g->source = xstrdup(n->text);
	else
		compose_keys(p, n, keys, ARRAY_LEN(keys), g);
	if (!g->source) {
		compose_problem(p, n, "an entry is to have a source");
		return false;
	}
	if (!g->file.name)
		g->file.name = xstrdup(g->source);
	if (!g->file.uid)
		g->file.uid = xstrdup("0");
	if (!g->file.gid)
		g->file.gid = xstrdup("0");
	return true;
}

static void grants(struct compose_project *p, const struct compose_node *n, void *data, bool secret)
{
	struct service_maker *m = data;

	if (n->type != COMPOSE_LIST)
		compose_problem(p, n, "%s is to be a list", n->key);
	for (size_t i = 0; n->type == COMPOSE_LIST && i < n->n; i++) {
		struct grant g = {0};
		char *name = grant_read(p, n->v[i], &g)
				     ? stack_name_of(p, m->stack, n->key, g.source, n->v[i])
				     : NULL;

		if (name && secret) {
			struct secret_ref *r = LIST_ADD(&m->c->secrets);

			r->name = name;
			r->file = xmemdup(&g.file, sizeof g.file);
		} else if (name) {
			struct config_ref *r = LIST_ADD(&m->c->configs);

			r->name = name;
			r->file = xmemdup(&g.file, sizeof g.file);
		} else {
			table_done(&file_target_table, &g.file);
		}
		free(g.source);
	}
}

STACK_KEY(stack_service_secrets)
{
	grants(p, n, data, true);
}

STACK_KEY(stack_service_configs)
{
	grants(p, n, data, false);
}
