/*
 * A stack's sections but its services: networks, volumes, secrets, configs; and names. See stack.h.
 */
#include "cli/compose/stack.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/stack_impl.h"

static const struct field stack_blob_fields[] = {
	FIELD_STR(struct stack_blob, 0, name, "Name", 0),
	FIELD_STRMAP(struct stack_blob, 0, labels, "Labels", 0),
	FIELD_BYTES(struct stack_blob, 0, data, "Data", 0),
	FIELD_PTR(struct stack_blob, 0, templating, "Templating", FIELD_OMIT, driver),
};
TABLE_DEFINE(stack_blob, stack_blob_fields);

bool stack_name_valid(const char *name)
{
	if (!isalnum((unsigned char)*name))
		return false;
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-' && *c != '.')
			return false;
	return strlen(name) <= NAME_MAX_LEN;
}

const char *stack_own_name(const struct compose_project *p)
{
	const struct compose_node *n = compose_get(p->root, "name");

	return n && n->type == COMPOSE_TEXT ? n->text : NULL;
}

bool stack_is_external(struct compose_project *p, const struct compose_node *declared)
{
	const struct compose_node *n = compose_get(declared, "external");
	bool external = n && n->type == COMPOSE_MAP;

	if (!external)
		compose_bool(p, n, &external);
	return external;
}

char *stack_name_of(struct compose_project *p, const struct stack *s, const char *section,
		    const char *key, const struct compose_node *at)
{
	const struct compose_node *all = compose_get(p->root, section);
	const struct compose_node *declared = compose_get(all, key);
	const struct compose_node *external = compose_get(declared, "external");
	char *name = NULL;

	if (!declared && strcmp(key, "default") == 0 && strcmp(section, "networks") == 0)
		return xasprintf("%s_default", s->name);
	if (!declared) {
		compose_problem(p, at, "%s is not declared under the top level's %s", key, section);
		return NULL;
	}
	compose_text(p, compose_get(declared, "name"), &name);
	if (!name && external && external->type == COMPOSE_MAP)
		compose_text(p, compose_get(external, "name"), &name);
	if (!name)
		name = stack_is_external(p, declared) ? xstrdup(key)
						      : xasprintf("%s_%s", s->name, key);
	return name;
}

/* Keys that stack_name_of() and stack_is_external() have read. */
static STACK_KEY(key_known)
{
}

/* Networks */

static STACK_KEY(network_driver)
{
	compose_text(p, n, &((struct network_spec *)data)->driver);
}

static STACK_KEY(network_options)
{
	compose_strmap(p, n, &((struct network_spec *)data)->options);
}

static STACK_KEY(network_labels)
{
	compose_strmap(p, n, &((struct network_spec *)data)->labels);
}

static STACK_KEY(network_attachable)
{
	compose_bool(p, n, &((struct network_spec *)data)->attachable);
}

static STACK_KEY(network_internal)
{
	compose_bool(p, n, &((struct network_spec *)data)->internal);
}

static STACK_KEY(network_ipv6)
{
	compose_bool(p, n, &((struct network_spec *)data)->enable_ipv6);
}

static STACK_KEY(network_ipv4)
{
	bool on = true;

	compose_bool(p, n, &on);
	((struct network_spec *)data)->enable_ipv4 = xmemdup(&on, sizeof on);
}

static STACK_KEY(pool_subnet)
{
	compose_text(p, n, &((struct ipam_pool *)data)->subnet);
}

static STACK_KEY(pool_gateway)
{
	compose_text(p, n, &((struct ipam_pool *)data)->gateway);
}

static STACK_KEY(pool_range)
{
	compose_text(p, n, &((struct ipam_pool *)data)->range);
}

static STACK_KEY(pool_aux)
{
	compose_strmap(p, n, &((struct ipam_pool *)data)->aux);
}

static const struct compose_key pool_keys[] = {
	{.name = "subnet", .fn = pool_subnet},
	{.name = "gateway", .fn = pool_gateway},
	{.name = "ip_range", .fn = pool_range},
	{.name = "aux_addresses", .fn = pool_aux},
};

static STACK_KEY(ipam_config)
{
	struct ipam *ipam = data;

	if (n->type != COMPOSE_LIST)
		compose_problem(p, n, "ipam's config is to be a list");
	for (size_t i = 0; n->type == COMPOSE_LIST && i < n->n; i++)
		compose_keys(p, n->v[i], pool_keys, ARRAY_LEN(pool_keys), LIST_ADD(&ipam->config));
}

static STACK_KEY(ipam_driver)
{
	compose_text(p, n, &((struct ipam *)data)->driver);
}

static STACK_KEY(ipam_options)
{
	compose_strmap(p, n, &((struct ipam *)data)->options);
}

static const struct compose_key ipam_keys[] = {
	{.name = "config", .fn = ipam_config},
	{.name = "driver", .fn = ipam_driver},
	{.name = "options", .fn = ipam_options},
};

static STACK_KEY(network_ipam)
{
	compose_keys(p, n, ipam_keys, ARRAY_LEN(ipam_keys), &((struct network_spec *)data)->ipam);
}

static const struct compose_key network_keys[] = {
	{.name = "name", .fn = key_known},
	{.name = "external", .fn = key_known},
	{.name = "driver", .fn = network_driver},
	{.name = "driver_opts", .fn = network_options},
	{.name = "labels", .fn = network_labels},
	{.name = "attachable", .fn = network_attachable},
	{.name = "internal", .fn = network_internal},
	{.name = "enable_ipv4", .fn = network_ipv4},
	{.name = "enable_ipv6", .fn = network_ipv6},
	{.name = "ipam", .fn = network_ipam},
};

/* Whether any service is on the network; one that names none is on "default". */
static bool network_used(const struct compose_project *p, const char *key)
{
	const struct compose_node *services = compose_get(p->root, "services");

	for (size_t i = 0; services && i < services->n; i++) {
		const struct compose_node *on = compose_get(services->v[i], "networks");
		const struct compose_node *mode = compose_get(services->v[i], "network_mode");

		if (on && on->n ? compose_get(on, key) != NULL
				: !mode && strcmp(key, "default") == 0)
			return true;
	}
	return false;
}

static void network_make(struct compose_project *p, struct stack *s, const char *key,
			 const struct compose_node *n)
{
	struct network_spec spec = {.name = stack_name_of(p, s, "networks", key, n)};

	compose_keys(p, n, network_keys, ARRAY_LEN(network_keys), &spec);
	if (stack_is_external(p, n)) {
		strs_add(&s->external_networks, spec.name);
		table_done(&network_spec_table, &spec);
		return;
	}
	strmap_set(&spec.labels, STACK_LABEL, s->name);
	if (!spec.driver)
		spec.driver = xstrdup("overlay");
	spec.scope = xstrdup("swarm");
	*LIST_ADD(&s->networks) = spec;
}

void stack_networks(struct compose_project *p, struct stack *s)
{
	const struct compose_node *all = compose_get(p->root, "networks");

	if (all && all->type != COMPOSE_MAP && all->type != COMPOSE_NULL)
		compose_problem(p, all, "networks is to be a map");
	if (network_used(p, "default") && !compose_get(all, "default"))
		network_make(p, s, "default", NULL);
	for (size_t i = 0; all && all->type == COMPOSE_MAP && i < all->n; i++)
		if (network_used(p, all->v[i]->key) || stack_is_external(p, all->v[i]))
			network_make(p, s, all->v[i]->key, all->v[i]);
		else
			compose_warn(p, all->v[i], "the network %s is not made: no service uses it",
				     all->v[i]->key);
}

/* Volumes: what the services' mounts do not read is checked here. */

static const struct compose_key volume_keys[] = {
	{.name = "name", .fn = key_known},        {.name = "external", .fn = key_known},
	{.name = "driver", .fn = key_known},      {.name = "labels", .fn = key_known},
	{.name = "driver_opts", .fn = key_known},
};

void stack_volumes_check(struct compose_project *p, struct stack *s)
{
	const struct compose_node *all = compose_get(p->root, "volumes");

	if (all && all->type != COMPOSE_MAP && all->type != COMPOSE_NULL)
		compose_problem(p, all, "volumes is to be a map");
	for (size_t i = 0; all && all->type == COMPOSE_MAP && i < all->n; i++)
		compose_keys(p, all->v[i], volume_keys, ARRAY_LEN(volume_keys), s);
}

/* Secrets and configs */

static STACK_KEY(blob_labels)
{
	compose_strmap(p, n, &((struct stack_blob *)data)->labels);
}

static STACK_KEY(blob_template)
{
	struct stack_blob *b = data;

	b->templating = xcalloc(1, sizeof *b->templating);
	compose_text(p, n, &b->templating->name);
}

static void blob_set(struct stack_blob *b, const char *text, size_t n)
{
	free(b->data.p);
	b->data.p = n ? xmemdup(text, n) : NULL;
	b->data.n = n;
}

static STACK_KEY(blob_file)
{
	auto_buf content = BUF_INIT(LIMIT_COMPOSE_FILE);
	auto_free char *name = NULL;
	auto_free char *path = NULL;
	struct err e = ERR_INIT;

	compose_text(p, n, &name);
	if (!name)
		return;
	path = compose_path(p, n, name);
	if (compose_file_read(p, path, &content, &e) < 0)
		compose_problem(p, n, "cannot read %s: %s", path, err_text(&e));
	else
		blob_set(data, buf_text(&content), content.len);
}

static STACK_KEY(blob_environment)
{
	auto_free char *name = NULL;
	const char *value;

	compose_text(p, n, &name);
	value = name ? strmap_get(&p->vars, name) : NULL;
	if (value)
		blob_set(data, value, strlen(value));
	else if (name)
		compose_problem(p, n, "the variable %s is not set", name);
}

static STACK_KEY(blob_content)
{
	auto_free char *text = NULL;

	compose_text(p, n, &text);
	if (text)
		blob_set(data, text, strlen(text));
}

static const struct compose_key blob_keys[] = {
	{.name = "name", .fn = key_known},
	{.name = "external", .fn = key_known},
	{.name = "file", .fn = blob_file},
	{.name = "environment", .fn = blob_environment},
	{.name = "content", .fn = blob_content},
	{.name = "labels", .fn = blob_labels},
	{.name = "template_driver", .fn = blob_template},
	{.name = "driver", .why = "there are no drivers of secrets"},
	{.name = "driver_opts", .why = "there are no drivers of secrets"},
};

static bool blob_make(struct compose_project *p, struct stack *s, const char *section,
		      const struct compose_node *n, struct stack_blob *b)
{
	bool external = stack_is_external(p, n);
	int sources = !!compose_get(n, "file") + !!compose_get(n, "environment") +
		      !!compose_get(n, "content");

	compose_keys(p, n, blob_keys, ARRAY_LEN(blob_keys), b);
	if (sources != !external)
		compose_problem(
			p, n, "%s.%s takes exactly one of file, environment, content and external",
			section, n->key);
	b->name = stack_name_of(p, s, section, n->key, n);
	strmap_set(&b->labels, STACK_LABEL, s->name);
	return !external;
}

void stack_blobs(struct compose_project *p, struct stack *s)
{
	static const char *const sections[] = {"secrets", "configs"};

	for (size_t k = 0; k < ARRAY_LEN(sections); k++) {
		const struct compose_node *all = compose_get(p->root, sections[k]);

		if (all && all->type != COMPOSE_MAP && all->type != COMPOSE_NULL)
			compose_problem(p, all, "%s is to be a map", sections[k]);
		for (size_t i = 0; all && all->type == COMPOSE_MAP && i < all->n; i++) {
			struct stack_blob b = {0};

			if (blob_make(p, s, sections[k], all->v[i], &b))
				*(k ? LIST_ADD(&s->configs) : LIST_ADD(&s->secrets)) = b;
			else
				table_done(&stack_blob_table, &b);
		}
	}
}

/* The top level */

static const struct compose_key top_keys[] = {
	{.name = "version", .fn = key_known},
	{.name = "name", .fn = key_known},
	{.name = "services", .fn = key_known},
	{.name = "networks", .fn = key_known},
	{.name = "volumes", .fn = key_known},
	{.name = "secrets", .fn = key_known},
	{.name = "configs", .fn = key_known},
	{.name = "include", .why = "give several files with -c"},
	{.name = "models", .why = "a cluster has no models"},
};

void stack_make(struct compose_project *p, const char *name, struct stack *ret)
{
	const char *own = name ? name : stack_own_name(p);

	*ret = (struct stack){.name = xstrdup(own)};
	if (!own || !stack_name_valid(own)) {
		compose_problem(p, compose_get(p->root, "name"),
				"\"%s\" is no stack's name: letters, digits, _, - and . after a "
				"letter or digit, at most %u",
				own ? own : "", NAME_MAX_LEN);
		return;
	}
	compose_keys(p, p->root, top_keys, ARRAY_LEN(top_keys), ret);
	stack_networks(p, ret);
	stack_volumes_check(p, ret);
	stack_blobs(p, ret);
	stack_services(p, ret);
	stack_depends_check(p, ret);
}

#define LIST_DONE(list, table)                       \
	do {                                         \
		LIST_EACH (item_, list)              \
			table_done(&(table), item_); \
		free((list)->v);                     \
	} while (0)

void stack_done(struct stack *s)
{
	free(s->name);
	strs_done(&s->external_networks);
	LIST_DONE(&s->networks, network_spec_table);
	LIST_DONE(&s->secrets, stack_blob_table);
	LIST_DONE(&s->configs, stack_blob_table);
	LIST_DONE(&s->services, service_spec_table);
	LIST_EACH (f, &s->followers) {
		free(f->service);
		free(f->dependency);
	}
	free(s->followers.v);
	*s = (struct stack){0};
}
