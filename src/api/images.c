/*
 * /images: list, inspect, tag and remove. Loading has a file of its own. Called by the router; asks
 * the engine, which works on the pool.
 */
#include <string.h>

#include "api/engine_api.h"
#include "api/error.h"
#include "api/images.h"
#include "api/query.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

/* GET /images/json; lent from the list. */
struct image_item {
	struct image image;
	char *parent;
	int64_t created;
	int64_t shared_size;
	int64_t n_containers;
};
#define T struct image_item
static const struct field image_item_fields[] = {
	FIELD_STR(T, 0, image.id, "Id", 0),
	FIELD_STR(T, 0, parent, "ParentId", 0),
	FIELD_STRS(T, 0, image.repo_tags, "RepoTags", 0),
	FIELD_STRS(T, 0, image.repo_digests, "RepoDigests", 0),
	FIELD_I64(T, 0, created, "Created", 0),
	FIELD_I64(T, 0, image.size, "Size", 0),
	FIELD_I64(T, 0, shared_size, "SharedSize", 0),
	FIELD_STRMAP(T, 0, image.config.config.labels, "Labels", 0),
	FIELD_I64(T, 0, n_containers, "Containers", 0),
};
#undef T
static TABLE_DEFINE(image_item, image_item_fields);

struct list_state {
	int64_t until_ns;
};

static void listed(void *arg, int status, const struct image_list *list, const struct err *e)
{
	struct api_req *r = arg;
	const struct list_state *state = api_req_state(r);
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	(void)buf_addc(&json, '[');
	LIST_EACH (image, &list->images) {
		/* -1: not counted, as docker has it where nobody asked. */
		struct image_item item = {.image = *image,
					  .created = image->created_ns / NS_PER_SEC,
					  .shared_size = -1,
					  .n_containers = -1};

		if (state->until_ns && image->created_ns >= state->until_ns)
			continue;
		if (json.len > 1)
			(void)buf_addc(&json, ',');
		(void)json_write(&image_item_table, &item, &json);
	}
	(void)buf_addc(&json, ']');
	api_reply_json(r, 200, &json);
}

static void values_take(const struct filters *f, const char *key, struct strs *ret)
{
	const char *value;

	for (size_t i = 0; (value = filters_value(f, key, i)); i++)
		strs_add(ret, value);
}

static int list_parse(const struct filters *f, struct image_filters *ret, int64_t *ret_until_ns,
		      struct err *e)
{
	const char *until = filters_value(f, "until", 0);
	bool dangling;

	if (filters_bool(f, "dangling", false, &dangling, e) < 0)
		return e->code;
	if (until && time_parse_query(until, clock_wall_ns(), ret_until_ns) < 0)
		return err_set(e, -EINVAL, "invalid filter 'until=%.40s'", until);
	if (filters_has(f, "dangling")) {
		ret->dangling = xmalloc(sizeof *ret->dangling);
		*ret->dangling = dangling;
	}
	values_take(f, "reference", &ret->reference);
	values_take(f, "label", &ret->label);
	values_take(f, "before", &ret->before);
	values_take(f, "since", &ret->since);
	return 0;
}

static void image_list_handler(struct api_req *r)
{
	static const char *const keys[] = {"before", "dangling", "label", "reference",
					   "since",  "until",    NULL};
	struct list_state *state = xcalloc(1, sizeof *state);
	struct image_filters wanted = {0};
	struct filters f = {0};

	api_req_own(r, state, NULL, free);
	if (filters_read(r->query, keys, &f, &r->err) < 0 ||
	    list_parse(&f, &wanted, &state->until_ns, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		engine_image_list(r->ctx, &wanted, listed, r);
	filters_done(&f);
}

/* GET /images/{name}/json; lent. */
struct image_rootfs_view {
	char *type;
	struct strs layers;
};
#define T struct image_rootfs_view
static const struct field image_rootfs_view_fields[] = {
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STRS(T, 0, layers, "Layers", FIELD_OMIT),
};
#undef T
static TABLE_DEFINE(image_rootfs_view, image_rootfs_view_fields);

struct image_metadata_view {
	int64_t tagged_ns;
};
#define T struct image_metadata_view
static const struct field image_metadata_view_fields[] = {
	FIELD_TIME(T, 0, tagged_ns, "LastTagTime", 0),
};
#undef T
static TABLE_DEFINE(image_metadata_view, image_metadata_view_fields);

struct image_graph_view {
	char *data;
	char *name;
};
#define T struct image_graph_view
static const struct field image_graph_view_fields[] = {
	FIELD_RAW(T, 0, data, "Data", 0),
	FIELD_STR(T, 0, name, "Name", 0),
};
#undef T
static TABLE_DEFINE(image_graph_view, image_graph_view_fields);

struct image_view {
	struct image image;
	char *parent;
	struct image_graph_view graph;
	struct image_rootfs_view rootfs;
	struct image_metadata_view metadata;
};
#define T struct image_view
static const struct field image_view_fields[] = {
	FIELD_STR(T, 0, image.id, "Id", 0),
	FIELD_STRS(T, 0, image.repo_tags, "RepoTags", 0),
	FIELD_STRS(T, 0, image.repo_digests, "RepoDigests", 0),
	FIELD_STR(T, 0, parent, "Parent", 0),
	FIELD_STR(T, 0, image.config.comment, "Comment", 0),
	FIELD_TIME(T, 0, image.created_ns, "Created", FIELD_OMIT),
	FIELD_STR(T, 0, image.config.docker_version, "DockerVersion", 0),
	FIELD_STR(T, 0, image.config.author, "Author", 0),
	FIELD_OBJ(T, 0, image.config.config, "Config", 0, image_run),
	FIELD_STR(T, 0, image.config.architecture, "Architecture", 0),
	FIELD_STR(T, 0, image.config.variant, "Variant", FIELD_OMIT),
	FIELD_STR(T, 0, image.config.os, "Os", 0),
	FIELD_STR(T, 0, image.config.os_version, "OsVersion", FIELD_OMIT),
	FIELD_I64(T, 0, image.size, "Size", 0),
	FIELD_OBJ(T, 0, graph, "GraphDriver", 0, image_graph_view),
	FIELD_OBJ(T, 0, rootfs, "RootFS", 0, image_rootfs_view),
	FIELD_OBJ(T, 0, metadata, "Metadata", 0, image_metadata_view),
};
#undef T
static TABLE_DEFINE(image_view, image_view_fields);

static void inspected(void *arg, int status, const struct image *image, const struct err *e)
{
	struct api_req *r = arg;
	struct image_view view = {0};

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	view.image = *image;
	view.graph.data = (char *)"null";
	view.graph.name = (char *)"overlay2";
	view.rootfs.type = image->config.rootfs.type;
	view.rootfs.layers = image->config.rootfs.diff_ids;
	view.metadata.tagged_ns = image->tagged_ns;
	api_reply_table(r, 200, &image_view_table, &view);
}

static void image_inspect(struct api_req *r)
{
	engine_image_get(r->ctx, r->vars[0], inspected, r);
}

static void tagged(void *arg, int status, const struct err *e)
{
	struct api_req *r = arg;

	if (status < 0)
		api_reply_error(r, e);
	else
		api_reply_empty(r, 201);
}

static void image_tag_handler(struct api_req *r)
{
	const char *repo = http_req_arg(r->http, "repo");
	const char *tag = http_req_arg(r->http, "tag");
	auto_free char *target = NULL;

	if (!repo || !*repo) {
		api_reply_fail(r, -EINVAL, "the query parameter \"repo\" is missing");
		return;
	}
	target = tag && *tag ? xasprintf("%s:%s", repo, tag) : xstrdup(repo);
	engine_image_tag(r->ctx, r->vars[0], target, tagged, r);
}

static void removed_add(struct buf *json, const char *key, const char *value)
{
	(void)buf_adds(json, json->len > 1 ? ",{" : "{");
	(void)json_quote(json, key, strlen(key));
	(void)buf_addc(json, ':');
	(void)json_quote(json, value, strlen(value));
	(void)buf_addc(json, '}');
}

static void removed(void *arg, int status, const struct image_removed *what, const struct err *e)
{
	struct api_req *r = arg;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

	if (status < 0) {
		api_reply_error(r, e);
		return;
	}
	(void)buf_addc(&json, '[');
	STRS_EACH (name, &what->untagged)
		removed_add(&json, "Untagged", name);
	STRS_EACH (id, &what->deleted)
		removed_add(&json, "Deleted", id);
	(void)buf_addc(&json, ']');
	api_reply_json(r, 200, &json);
}

static void image_delete(struct api_req *r)
{
	engine_image_remove(r->ctx, r->vars[0], query_bool(r->query, "force", false), removed, r);
}

static const struct api_route routes[] = {
	{"GET", "/images/json", image_list_handler, API_BODY_NONE, 0, 0},
	{"GET", "/images/{name:.*}/json", image_inspect, API_BODY_NONE, 0, 0},
	{"POST", "/images/{name:.*}/tag", image_tag_handler, API_BODY_NONE, 0, 0},
	{"DELETE", "/images/{name:.*}", image_delete, API_BODY_NONE, 0, 0},
	{"POST", "/images/load", image_load_handler, API_BODY_STREAM, 0, 0},
};

void api_images_add(struct api_router *r, struct engine *engine)
{
	api_router_add(r, routes, ARRAY_LEN(routes), engine);
}
