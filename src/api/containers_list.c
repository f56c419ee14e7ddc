/*
 * GET /containers/json: which containers, and how each is shown. Rendered piece by piece: what is
 * gone by the time that its turn comes is left out.
 */
#include <string.h>

#include "api/containers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* How much of a listing is rendered before the loop goes on. */
#define LIST_PIECE (32u << 10)

/* Status text, as docker words it */

void containers_duration_text(int64_t ns, char *ret, size_t room)
{
	int64_t s = ns / NS_PER_SEC, m = s / 60, h = (s + 1800) / 3600;

	if (s < 1)
		snprintf(ret, room, "Less than a second");
	else if (s == 1)
		snprintf(ret, room, "1 second");
	else if (s < 60)
		snprintf(ret, room, "%d seconds", (int)s);
	else if (m == 1)
		snprintf(ret, room, "About a minute");
	else if (m < 60)
		snprintf(ret, room, "%d minutes", (int)m);
	else if (h == 1)
		snprintf(ret, room, "About an hour");
	else if (h < 48)
		snprintf(ret, room, "%d hours", (int)h);
	else if (h < 24 * 7 * 2)
		snprintf(ret, room, "%d days", (int)(h / 24));
	else if (h < 24 * 30 * 2)
		snprintf(ret, room, "%d weeks", (int)(h / 24 / 7));
	else if (h < 24 * 365 * 2)
		snprintf(ret, room, "%d months", (int)(h / 24 / 30));
	else
		snprintf(ret, room, "%d years", (int)(s / 3600 / 24 / 365));
}

char *containers_status_text(const struct container *c, int64_t now_ns)
{
	char since[64];

	containers_duration_text(
		now_ns - (c->status == CONTAINER_RUNNING ? c->started_ns : c->finished_ns), since,
		sizeof since);
	switch (c->status) {
	case CONTAINER_RUNNING:
		if (c->paused || !c->health)
			return xasprintf("Up %s%s", since, c->paused ? " (Paused)" : "");
		return xasprintf("Up %s (%s%s)", since,
				 c->health->status == HEALTH_STARTING ? "health: " : "",
				 container_health_name(c));
	case CONTAINER_RESTARTING:
		return xasprintf("Restarting (%d) %s ago", (int)c->exit_code, since);
	case CONTAINER_REMOVING:
		return xstrdup("Removal In Progress");
	case CONTAINER_DEAD:
		return xstrdup("Dead");
	case CONTAINER_CREATED:
		return xstrdup("Created");
	case CONTAINER_EXITED:
		break;
	}
	return c->finished_ns ? xasprintf("Exited (%d) %s ago", (int)c->exit_code, since)
			      : xstrdup("");
}

/* One container in the list; its members are lent but for names, command and status. */

struct port_view {
	char *ip;
	int64_t private_port;
	int64_t public_port;
	char *type;
};
#define T struct port_view
static const struct field port_view_fields[] = {
	FIELD_STR(T, 0, ip, "IP", FIELD_OMIT),
	FIELD_I64(T, 0, private_port, "PrivatePort", 0),
	FIELD_I64(T, 0, public_port, "PublicPort", FIELD_OMIT),
	FIELD_STR(T, 0, type, "Type", 0),
};
#undef T
static TABLE_DEFINE(port_view, port_view_fields);

struct list_view {
	struct container c;
	struct strs names;
	char *command;
	int64_t created;
	LIST_OF(struct port_view) ports;
	int64_t size_rw, size_root;
	char *state;
	char *status;
	struct strmap host;
	struct networks_view {
		MAP_OF(struct endpoint_settings) networks;
	} networks;
};
#define T struct networks_view
static const struct field networks_view_fields[] = {
	FIELD_MAP(T, 0, networks, "Networks", 0, endpoint_settings),
};
#undef T
static TABLE_DEFINE(networks_view, networks_view_fields);

#define T struct list_view
static const struct field list_view_fields[] = {
	FIELD_STR(T, 0, c.id, "Id", 0),
	FIELD_STRS(T, 0, names, "Names", 0),
	FIELD_STR(T, 0, c.config.image, "Image", 0),
	FIELD_STR(T, 0, c.image_id, "ImageID", 0),
	FIELD_STR(T, 0, command, "Command", 0),
	FIELD_I64(T, 0, created, "Created", 0),
	FIELD_LIST(T, 0, ports, "Ports", 0, port_view),
	FIELD_I64(T, 0, size_rw, "SizeRw", FIELD_OMIT),
	FIELD_I64(T, 0, size_root, "SizeRootFs", FIELD_OMIT),
	FIELD_STRMAP(T, 0, c.config.labels, "Labels", 0),
	FIELD_STR(T, 0, state, "State", 0),
	FIELD_STR(T, 0, status, "Status", 0),
	FIELD_STRMAP(T, 0, host, "HostConfig", 0),
	FIELD_OBJ(T, 0, networks, "NetworkSettings", 0, networks_view),
	FIELD_LIST(T, 0, c.mounts, "Mounts", 0, container_mount),
};
#undef T
static TABLE_DEFINE(list_view, list_view_fields);

static char *command_text(const struct container *c)
{
	struct buf b = BUF_INIT(LIMIT_JSON_BODY);

	(void)buf_adds(&b, c->path ? c->path : "");
	STRS_EACH (arg, &c->args)
		(void)buf_addf(&b, strchr(arg, ' ') ? " '%s'" : " %s", arg);
	return buf_take(&b);
}

/* "80/tcp" as a port of its own, published where `b` says (NULL: nowhere). */
static void port_add(struct list_view *v, const char *spec, const struct port_binding *b)
{
	char *end;
	long port = strtol(spec, &end, 10);
	struct port_view *p;

	if (port < 1 || port > UINT16_MAX || (*end && *end != '/'))
		return;
	p = LIST_ADD(&v->ports);
	p->private_port = port;
	p->type = *end ? end + 1 : (char *)"tcp";
	if (b) {
		p->ip = b->host_ip;
		p->public_port = strtol(b->host_port ? b->host_port : "", NULL, 10);
	}
}

static void ports_add(const struct container *c, struct list_view *v)
{
	STRS_EACH (port, &c->config.exposed_ports)
		if (!MAP_GET(&c->ports, port))
			port_add(v, port, NULL);
	for (size_t i = 0; i < c->ports.n; i++)
		LIST_EACH (b, &c->ports.v[i].value.list)
			port_add(v, c->ports.v[i].key, b);
}

static void list_item(const struct container *c, const struct container_size *size, struct buf *ret)
{
	struct list_view v = {.c = *c,
			      .created = c->created_ns / NS_PER_SEC,
			      .size_rw = size ? size->rw : 0,
			      .size_root = size ? size->root : 0};
	struct strmap_entry mode = {(char *)"NetworkMode", c->host.network_mode
								   ? c->host.network_mode
								   : (char *)"default"};
	auto_free char *name = xasprintf("/%s", c->name);
	auto_free char *command = command_text(c);
	auto_free char *status = containers_status_text(c, clock_wall_ns());

	v.names = (struct strs){&name, 1};
	v.command = command;
	v.status = status;
	v.state = (char *)container_state_name(c);
	v.host = (struct strmap){&mode, 1};
	memcpy(&v.networks, &c->networks.endpoints, sizeof v.networks);
	if (c->status == CONTAINER_RUNNING)
		ports_add(c, &v);
	(void)json_write(&list_view_table, &v, ret);
	free(v.ports.v);
}

/* Filters */

struct list_state {
	struct api_req *r;
	struct filters filters;
	struct strs ancestors; /* image ids that the ancestor filter's values name */
	size_t ancestor_at;
	bool all, is_task, by_task;
	int64_t limit;        /* 0: none */
	char *before, *since; /* full ids */

	bool size;
	struct strs ids;              /* of what passed, in order */
	struct container_sizes sizes; /* of those of them that were still there */
	size_t at, size_at;
	bool opened, any;
};

static void list_free(void *data)
{
	struct list_state *l = data;

	filters_done(&l->filters);
	strs_done(&l->ancestors);
	strs_done(&l->ids);
	table_done(&container_sizes_table, &l->sizes);
	free(l->before);
	free(l->since);
	free(l);
}

static bool exited_matches(const struct filters *f, const struct container *c)
{
	char code[16];

	snprintf(code, sizeof code, "%d", (int)c->exit_code);
	return !filters_has(f, "exited") ||
	       (!containers_is_running(c) && c->started_ns && filters_match(f, "exited", code));
}

static bool network_matches(const struct filters *f, const struct container *c)
{
	if (!filters_has(f, "network"))
		return true;
	LIST_EACH (n, &c->networks.endpoints)
		if (filters_match(f, "network", n->key) ||
		    (n->value.network && *n->value.network &&
		     filters_match_prefix(f, "network", n->value.network)))
			return true;
	return false;
}

static bool volume_matches(const struct filters *f, const struct container *c)
{
	if (!filters_has(f, "volume"))
		return true;
	LIST_EACH (m, &c->mounts)
		if ((m->name && filters_match(f, "volume", m->name)) ||
		    (m->destination && filters_match(f, "volume", m->destination)))
			return true;
	return false;
}

static bool name_matches(const struct filters *f, const struct container *c)
{
	auto_free char *full = xasprintf("/%s", c->name);

	return filters_match_name(f, "name", c->name) || filters_match_name(f, "name", full);
}

static bool ancestor_matches(const struct list_state *l, const struct container *c)
{
	return !filters_has(&l->filters, "ancestor") || strs_has(&l->ancestors, c->image_id);
}

static bool passes(const struct list_state *l, const struct container *c)
{
	const struct filters *f = &l->filters;

	if (!containers_is_running(c) && !l->all && l->limit <= 0)
		return false;
	if (l->by_task && l->is_task != (c->task != NULL))
		return false;
	return name_matches(f, c) && filters_match_prefix(f, "id", c->id) &&
	       filters_match_labels(f, "label", &c->config.labels) && exited_matches(f, c) &&
	       filters_match(f, "status", container_state_name(c)) &&
	       filters_match(f, "health", container_health_name(c)) && volume_matches(f, c) &&
	       network_matches(f, c) && ancestor_matches(l, c);
}

/* Rendering */

static const struct container_size *size_of(struct list_state *l, const char *id)
{
	while (l->size_at < l->sizes.list.n) {
		const struct container_size *s = &l->sizes.list.v[l->size_at];

		if (strcmp(s->id, id) == 0)
			return s;
		l->size_at++;
	}
	return NULL;
}

static int list_more(void *data, struct buf *out)
{
	struct list_state *l = data;

	if (l->at > l->ids.n)
		return 0;
	if (!l->opened)
		(void)buf_addc(out, '[');
	l->opened = true;
	while (out->len < LIST_PIECE && l->at < l->ids.n) {
		struct container *c;

		if (engine_container_find(l->r->ctx, l->ids.v[l->at++], &c, NULL) < 0)
			continue;
		if (l->any)
			(void)buf_addc(out, ',');
		l->any = true;
		list_item(c, size_of(l, c->id), out);
	}
	if (l->at == l->ids.n) {
		l->at++;
		(void)buf_adds(out, "]\n");
	}
	return buf_status(out) < 0 ? -EMSGSIZE : 1;
}

static void list_done(void *data)
{
	/* The state is the request's. */
}

static void list_reply(struct list_state *l)
{
	struct http_pull pull = {.pull = list_more, .done = list_done, .data = l};

	http_reply_pull(l->r->http, 200, "application/json", &pull);
}

static void sized(void *arg, int status, const struct container_sizes *sizes, const struct err *e)
{
	struct list_state *l = arg;

	if (status < 0) {
		api_reply_error(l->r, e);
		return;
	}
	table_copy(&container_sizes_table, &l->sizes, sizes);
	list_reply(l);
}

static void list_choose(struct list_state *l)
{
	bool open = !l->before;
	size_t n;
	auto_free struct container **all = engine_containers(l->r->ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (l->since && strcmp(all[i]->id, l->since) == 0)
			break;
		if (open && passes(l, all[i])) {
			if (l->limit > 0 && l->ids.n == (size_t)l->limit)
				break;
			strs_add(&l->ids, all[i]->id);
		}
		if (l->before && strcmp(all[i]->id, l->before) == 0)
			open = true;
	}
	if (l->size)
		engine_container_sizes(l->r->ctx, &l->ids, sized, l);
	else
		list_reply(l);
}

static void ancestors_resolve(struct list_state *l);

static void ancestor_found(void *arg, int status, const struct image *image, const struct err *e)
{
	struct list_state *l = arg;

	if (status == 0)
		strs_add(&l->ancestors, image->id);
	ancestors_resolve(l);
}

/* Image names become ids one after the other; what names none matches nothing. */
static void ancestors_resolve(struct list_state *l)
{
	const char *name = filters_value(&l->filters, "ancestor", l->ancestor_at++);

	if (name)
		engine_image_get(l->r->ctx, name, ancestor_found, l);
	else
		list_choose(l);
}

static int statuses_check(struct list_state *l, struct err *e)
{
	const char *value;

	for (size_t i = 0; (value = filters_value(&l->filters, "status", i)); i++) {
		bool known = strcmp(value, "paused") == 0;

		for (size_t k = 0; k <= CONTAINER_DEAD; k++)
			known = known || strcmp(value, container_status_names[k]) == 0;
		if (!known)
			return err_set(e, -EINVAL, "invalid filter 'status=%.40s'", value);
		l->all = true;
	}
	for (size_t i = 0; (value = filters_value(&l->filters, "health", i)); i++) {
		bool known = strcmp(value, "none") == 0;

		for (size_t k = 0; k <= HEALTH_UNHEALTHY; k++)
			known = known || strcmp(value, health_status_names[k]) == 0;
		if (!known)
			return err_set(
				e, -EINVAL,
				"invalid filter 'health=%.40s': it is one of none, starting, "
				"healthy and unhealthy",
				value);
	}
	for (size_t i = 0; (value = filters_value(&l->filters, "exited", i)); i++)
		if (!*value || value[strspn(value, "0123456789")])
			return err_set(e, -EINVAL, "invalid filter 'exited=%.40s'", value);
	return 0;
}

static int neighbour_find(struct api_req *r, const char *ref, char **ret)
{
	struct container *c;

	if (!ref)
		return 0;
	if (engine_container_find(r->ctx, ref, &c, &r->err) < 0)
		return r->err.code;
	str_set(ret, c->id);
	return 0;
}

static int list_parse(struct api_req *r, struct list_state *l)
{
	static const char *const keys[] = {"ancestor", "before", "exited", "health",  "id",
					   "is-task",  "label",  "name",   "network", "since",
					   "status",   "volume", NULL};
	int rc = filters_read(r->query, keys, &l->filters, &r->err);

	l->r = r;
	l->all = query_bool(r->query, "all", false);
	l->by_task = filters_has(&l->filters, "is-task");
	if (rc == 0)
		rc = filters_bool(&l->filters, "is-task", false, &l->is_task, &r->err);
	if (rc == 0)
		rc = query_int(r->query, "limit", 0, INT32_MIN, INT32_MAX, &l->limit, &r->err);
	if (rc == 0)
		rc = statuses_check(l, &r->err);
	if (rc == 0)
		rc = neighbour_find(r, filters_value(&l->filters, "before", 0), &l->before);
	if (rc == 0)
		rc = neighbour_find(r, filters_value(&l->filters, "since", 0), &l->since);
	return rc;
}

void container_list_handler(struct api_req *r)
{
	struct list_state *l = xcalloc(1, sizeof *l);

	api_req_own(r, l, NULL, list_free);
	l->size = query_bool(r->query, "size", false);
	if (list_parse(r, l) < 0)
		api_reply_error(r, &r->err);
	else
		ancestors_resolve(l);
}
