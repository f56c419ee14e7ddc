/*
 * Finding and listing images; see store.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "runtime/image/store_impl.h"

static const struct field image_fields[] = {
	FIELD_STR(struct image, 0, id, "Id", 0),
	FIELD_STRS(struct image, 0, repo_tags, "RepoTags", 0),
	FIELD_STRS(struct image, 0, repo_digests, "RepoDigests", 0),
	FIELD_TIME(struct image, 0, created_ns, "Created", 0),
	FIELD_TIME(struct image, 0, tagged_ns, "Tagged", 0),
	FIELD_I64(struct image, 0, size, "Size", 0),
	FIELD_I64(struct image, 0, n_containers, "Containers", 0),
	FIELD_STR(struct image, 0, manifest_digest, "Manifest", FIELD_OMIT),
	FIELD_STR(struct image, 0, config_text, NULL, 0),
	FIELD_OBJ(struct image, 0, config, "Config", 0, image_config),
};
TABLE_DEFINE(image, image_fields);

static const struct field image_list_fields[] = {
	FIELD_LIST(struct image_list, 0, images, "Images", 0, image),
};
TABLE_DEFINE(image_list, image_list_fields);

static int no_such_image(const char *text, struct err *e)
{
	auto_ref ref = {0};
	auto_free char *name = NULL;

	if (image_ref_parse(text, &ref, NULL) == 0)
		image_ref_default_tag(&ref);
	name = ref.path ? image_ref_familiar(&ref) : xstrdup(text);
	return err_set(e, -ENOENT, "No such image: %.300s", name);
}

/* 1 and the id when there is exactly one row, 0 for none, -EEXIST for more, or -errno. */
static int find_one(struct db_stmt *st, char ret_id[DIGEST_TEXT_LEN + 1], struct err *e)
{
	int rc = db_step(st, e);

	if (rc != DB_ROW)
		return rc;
	(void)snprintf(ret_id, DIGEST_TEXT_LEN + 1, "%s", db_text(st, 0));
	rc = db_step(st, e);
	return rc == DB_ROW ? -EEXIST : rc < 0 ? rc : 1;
}

static int find_name(struct image_store *store, struct image_ref *ref,
		     char ret_id[DIGEST_TEXT_LEN + 1], struct err *e)
{
	auto_stmt *st = NULL;
	auto_free char *text = NULL;
	int rc = db_prepare(store->db, "SELECT image FROM names WHERE ref = ?1", &st, e);

	if (rc < 0)
		return rc;
	image_ref_default_tag(ref);
	if (ref->digest)
		str_set(&ref->tag, NULL); /* the digest is the stronger name */
	text = image_ref_text(ref);
	db_bind_text(st, 1, text);
	return find_one(st, ret_id, e);
}

static int find_prefix(struct image_store *store, const char *text,
		       char ret_id[DIGEST_TEXT_LEN + 1], struct err *e)
{
	auto_stmt *st = NULL;
	auto_free char *low = NULL, *high = NULL;
	int rc;

	if (strncmp(text, "sha256:", 7) == 0)
		text += 7;
	if (*text == '\0' || strlen(text) > ID_HOST_LEN ||
	    strspn(text, "0123456789abcdef") != strlen(text))
		return 0;
	rc = db_prepare(store->db, "SELECT id FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2", &st,
			e);
	if (rc < 0)
		return rc;
	low = xasprintf("sha256:%s", text);
	high = xasprintf("sha256:%sg", text);
	db_bind_text(st, 1, low);
	db_bind_text(st, 2, high);
	return find_one(st, ret_id, e);
}

int store_find(struct image_store *store, const char *text, char ret_id[DIGEST_TEXT_LEN + 1],
	       bool *ret_by_id, struct err *e)
{
	auto_ref ref = {0};
	struct err bad = ERR_INIT;
	int parsed = image_ref_parse_any(text, &ref, &bad), rc = 0;

	*ret_by_id = false;
	if (parsed == 0 && ref.path)
		rc = find_name(store, &ref, ret_id, e);
	if (rc == 0) {
		rc = find_prefix(store, text, ret_id, e);
		*ret_by_id = rc == 1;
	}
	if (rc == 1)
		return 0;
	if (rc == -EEXIST)
		return err_set(e, -ENOENT,
			       "No such image: %.100s: several ids begin so, give more of it",
			       text);
	if (rc == 0 && parsed < 0 && strncmp(text, "sha256:", 7) != 0)
		return err_set(e, parsed, "%s", bad.msg);
	return rc < 0 ? rc : no_such_image(text, e);
}

int store_image_layer(struct image_store *store, const char *id, int64_t *ret_layer, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db, "SELECT layer FROM images WHERE id = ?1", &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	rc = db_step(st, e);
	if (rc == DB_DONE)
		return no_such_image(id, e);
	*ret_layer = rc == DB_ROW ? db_int(st, 0) : LAYER_EMPTY;
	return rc < 0 ? rc : 0;
}

int store_names(struct image_store *store, const char *id, struct strs *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db,
			    "SELECT ref FROM names WHERE image = ?1 ORDER BY by_digest, ref", &st,
			    e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	while ((rc = db_step(st, e)) == DB_ROW)
		strs_add(ret, db_text(st, 0));
	return rc;
}

/* 1 when any pattern matches or there is none, 0, or -EINVAL. */
static int name_wanted(const struct image_ref *ref, const struct strs *patterns, struct err *e)
{
	if (!patterns || patterns->n == 0)
		return 1;
	STRS_EACH (pattern, patterns) {
		int rc = image_ref_match(ref, pattern, e);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int fill_names(struct image_store *store, const struct strs *patterns, struct image *ret,
		      struct err *e)
{
	struct strs names = {0};
	int rc = store_names(store, ret->id, &names, e);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		auto_ref ref = {0};
		auto_free char *shown = NULL;
		int wanted;

		rc = image_ref_parse(names.v[i], &ref, e);
		wanted = rc == 0 ? name_wanted(&ref, patterns, e) : rc;
		if (wanted < 0)
			rc = wanted;
		if (wanted <= 0)
			continue;
		shown = image_ref_familiar(&ref);
		strs_add(ref.digest ? &ret->repo_digests : &ret->repo_tags, shown);
	}
	strs_done(&names);
	return rc;
}

#define IMAGE_COLUMNS                                                         \
	"SELECT id, created_ns, tagged_ns, size, manifest, data,"             \
	" (SELECT count(*) FROM snapshots WHERE snapshots.image = images.id)" \
	" FROM images JOIN content ON content.digest = images.id"

static int fill_row(struct db_stmt *st, bool whole, struct image *ret, struct err *e)
{
	size_t n;
	const char *text = db_blob(st, 5, &n);

	ret->id = xstrdup(db_text(st, 0));
	ret->created_ns = db_int(st, 1);
	ret->tagged_ns = db_int(st, 2);
	ret->size = db_int(st, 3);
	ret->manifest_digest = xstrdup(db_text(st, 4));
	ret->n_containers = db_int(st, 6);
	if (whole)
		ret->config_text = xstrndup(text ? text : "", n);
	return image_config_read(text ? text : "", n, &ret->config, e);
}

int image_get(struct image_store *store, const char *ref, struct image *ret, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	auto_stmt *st = NULL;
	char id[DIGEST_TEXT_LEN + 1];
	bool by_id;
	int rc = store_find(held, ref, id, &by_id, e);

	*ret = (struct image){0};
	if (rc == 0)
		rc = db_prepare(held->db, IMAGE_COLUMNS " WHERE id = ?1", &st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	rc = db_step(st, e);
	if (rc == DB_DONE)
		return no_such_image(ref, e);
	if (rc == DB_ROW)
		rc = fill_row(st, true, ret, e);
	if (rc == 0)
		rc = fill_names(held, NULL, ret, e);
	if (rc < 0)
		table_done(&image_table, ret);
	return rc;
}

/* What the filters say about times, looked up once. */
struct list_bounds {
	int64_t before_ns;
	int64_t since_ns;
	bool any_before;
	bool any_since;
};

static int image_created(struct image_store *store, const char *ref, int64_t *ret, struct err *e)
{
	auto_stmt *st = NULL;
	char id[DIGEST_TEXT_LEN + 1];
	bool by_id;
	int rc = store_find(store, ref, id, &by_id, e);

	if (rc == 0)
		rc = db_prepare(store->db, "SELECT created_ns FROM images WHERE id = ?1", &st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	rc = db_step(st, e);
	*ret = rc == DB_ROW ? db_int(st, 0) : 0;
	return rc < 0 ? rc : 0;
}

static int list_bounds(struct image_store *store, const struct image_filters *f,
		       struct list_bounds *ret, struct err *e)
{
	int64_t created;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->before.n; i++) {
		rc = image_created(store, f->before.v[i], &created, e);
		if (!ret->any_before || created < ret->before_ns)
			ret->before_ns = created;
		ret->any_before = true;
	}
	for (size_t i = 0; rc == 0 && i < f->since.n; i++) {
		rc = image_created(store, f->since.v[i], &created, e);
		if (!ret->any_since || created > ret->since_ns)
			ret->since_ns = created;
		ret->any_since = true;
	}
	return rc;
}

/* "k" asks for the label, "k=v" for its value too. */
static bool label_matches(const struct strmap *labels, const char *want)
{
	const char *equals = strchr(want, '=');
	auto_free char *key = xstrndup(want, equals ? (size_t)(equals - want) : strlen(want));
	const char *value = strmap_get(labels, key);

	return value && (!equals || strcmp(value, equals + 1) == 0);
}

static bool list_wants(const struct image_filters *f, const struct list_bounds *bounds,
		       const struct image *image)
{
	bool named = image->repo_tags.n + image->repo_digests.n > 0;

	if (!f)
		return true;
	if (bounds->any_before && image->created_ns >= bounds->before_ns)
		return false;
	if (bounds->any_since && image->created_ns <= bounds->since_ns)
		return false;
	if (f->reference.n > 0 && !named)
		return false;
	if (f->dangling && *f->dangling == named)
		return false;
	STRS_EACH (want, &f->label)
		if (!label_matches(&image->config.config.labels, want))
			return false;
	return true;
}

static int list_run(struct image_store *store, const struct image_filters *f,
		    const struct list_bounds *bounds, struct image_list *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db, IMAGE_COLUMNS " ORDER BY created_ns DESC, id", &st, e);

	while (rc >= 0 && (rc = db_step(st, e)) == DB_ROW) {
		struct image image = {0};

		rc = fill_row(st, false, &image, e);
		if (rc == 0)
			rc = fill_names(store, f ? &f->reference : NULL, &image, e);
		if (rc == 0 && list_wants(f, bounds, &image))
			*LIST_ADD(&ret->images) = image;
		else
			table_done(&image_table, &image);
	}
	return rc;
}

int image_list(struct image_store *store, const struct image_filters *filters,
	       struct image_list *ret, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	struct list_bounds bounds = {0};
	int rc = filters ? list_bounds(held, filters, &bounds, e) : 0;

	*ret = (struct image_list){0};
	if (rc == 0)
		rc = list_run(held, filters, &bounds, ret, e);
	if (rc < 0)
		table_done(&image_list_table, ret);
	return rc;
}

int image_usage(struct image_store *store, struct image_usage *ret, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	auto_stmt *st = NULL;
	int rc = db_prepare(held->db,
			    "SELECT coalesce(sum(size), 0), count(*),"
			    " (SELECT count(*) FROM images) FROM layers",
			    &st, e);

	if (rc == 0)
		rc = db_step(st, e);
	if (rc < 0)
		return rc;
	*ret = (struct image_usage){
		.layers_size = db_int(st, 0), .n_layers = db_int(st, 1), .n_images = db_int(st, 2)};
	return 0;
}
