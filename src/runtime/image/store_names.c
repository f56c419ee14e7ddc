/*
 * Naming and removing images; see store.h. What is removed when follows the Engine's rules for
 * DELETE /images/{name}.
 */
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "runtime/image/store_impl.h"

static const struct field image_removed_fields[] = {
	FIELD_STRS(struct image_removed, 0, untagged, "Untagged", 0),
	FIELD_STRS(struct image_removed, 0, deleted, "Deleted", 0),
	FIELD_STR(struct image_removed, 0, id, "Id", 0),
};
TABLE_DEFINE(image_removed, image_removed_fields);

#define SHORT_ID 12 /* digits of an id that people see */

static int name_put(struct image_store *store, const struct image_ref *ref, const char *id,
		    struct err *e)
{
	auto_stmt *name = NULL, *stamp = NULL;
	auto_free char *text = image_ref_text(ref);
	int rc = db_prepare(store->db,
			    "INSERT INTO names (ref, by_digest, image) VALUES (?1, ?2, ?3)"
			    " ON CONFLICT (ref) DO UPDATE SET image = excluded.image",
			    &name, e);

	if (rc == 0)
		rc = db_prepare(store->db, "UPDATE images SET tagged_ns = ?2 WHERE id = ?1", &stamp,
				e);
	if (rc < 0)
		return rc;
	db_bind_text(name, 1, text);
	db_bind_int(name, 2, ref->digest != NULL);
	db_bind_text(name, 3, id);
	rc = db_run(name, e);
	db_bind_text(stamp, 1, id);
	db_bind_int(stamp, 2, clock_wall_ns());
	return rc < 0 ? rc : db_run(stamp, e);
}

int store_name_put(struct image_store *store, const char *text, const char *id, struct err *e)
{
	auto_ref ref = {0};
	int rc = image_ref_parse(text, &ref, e);

	return rc < 0 ? rc : name_put(store, &ref, id, e);
}

int image_tag(struct image_store *store, const char *source, const char *target, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	char id[DIGEST_TEXT_LEN + 1];
	auto_ref ref = {0};
	auto_tx tx = {0};
	bool by_id;
	int rc = image_ref_parse(target, &ref, e);

	if (rc < 0)
		return rc;
	if (ref.digest)
		return err_set(e, -EINVAL, "a tag cannot be a digest: \"%.200s\"", target);
	image_ref_default_tag(&ref);
	rc = db_begin_durable(held->db, &tx, e);
	if (rc == 0)
		rc = store_find(held, source, id, &by_id, e);
	if (rc == 0)
		rc = name_put(held, &ref, id, e);
	return rc < 0 ? rc : db_commit(&tx, e);
}

/* One removal; lives in one transaction. */
struct removing {
	struct image_store *store;
	const struct image_remove_options *options;
	char id[DIGEST_TEXT_LEN + 1];
	struct strs names; /* whole */
	struct strs containers;
	struct image_removed *ret;
	struct err *e;
};

/* Are all names in one repository, with at most one tag? */
static bool names_are_single(const struct strs *names)
{
	struct image_ref first = {0};
	size_t n_tags = 0;
	bool single = names->n > 0;

	STRS_EACH (text, names) {
		auto_ref ref = {0};

		if (image_ref_parse(text, &ref, NULL) < 0)
			continue;
		n_tags += ref.digest == NULL;
		if (!first.path)
			image_ref_copy(&ref, &first);
		single = single && strcmp(first.domain, ref.domain) == 0 &&
			 strcmp(first.path, ref.path) == 0;
	}
	image_ref_done(&first);
	return single && n_tags <= 1;
}

static int removing_untag(struct removing *r, const char *text)
{
	auto_stmt *st = NULL;
	auto_ref ref = {0};
	auto_free char *shown = NULL;
	int rc = image_ref_parse(text, &ref, r->e);

	if (rc == 0)
		rc = db_prepare(r->store->db, "DELETE FROM names WHERE ref = ?1", &st, r->e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, text);
	rc = db_run(st, r->e);
	shown = image_ref_familiar(&ref);
	strs_add(&r->ret->untagged, shown);
	return rc;
}

static int removing_untag_all(struct removing *r)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->names.n; i++)
		rc = removing_untag(r, r->names.v[i]);
	strs_done(&r->names);
	return rc;
}

static int removing_containers(struct removing *r)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(r->store->db,
			    "SELECT container FROM snapshots WHERE image = ?1 ORDER BY container",
			    &st, r->e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, r->id);
	while ((rc = db_step(st, r->e)) == DB_ROW)
		strs_add(&r->containers, db_text(st, 0));
	return rc;
}

static int conflict(struct removing *r, bool forcible, const char *why, const char *container)
{
	return err_set(r->e, -EBUSY, "conflict: unable to delete %.*s (%s) - image is %s%s%.*s",
		       SHORT_ID, r->id + strlen("sha256:"),
		       forcible ? "must be forced" : "cannot be forced", why, container ? " " : "",
		       container ? SHORT_ID : 0, container ? container : "");
}

/* Running containers keep their image always, stopped ones and several names without force. */
static int removing_conflict(struct removing *r, bool names_count)
{
	STRS_EACH (container, &r->containers)
		if (strs_has(&r->options->running, container))
			return conflict(r, false, "being used by running container", container);
	if (r->options->force)
		return 0;
	if (names_count && r->names.n > 0)
		return conflict(r, true, "referenced in multiple repositories", NULL);
	if (r->containers.n > 0)
		return conflict(r, true, "being used by stopped container", r->containers.v[0]);
	return 0;
}

/* Takes one name away. 1 when others are left, 0 when the image is to go with it. */
static int removing_by_name(struct removing *r, const char *given)
{
	struct strs left = {0};
	auto_ref ref = {0};
	auto_free char *text = NULL;
	bool tag_left = false;
	int rc = image_ref_parse(given, &ref, r->e);

	if (rc < 0)
		return rc;
	image_ref_default_tag(&ref);
	if (ref.digest)
		str_set(&ref.tag, NULL);
	text = image_ref_text(&ref);
	if (!r->options->force && names_are_single(&r->names) && r->containers.n > 0)
		return err_set(r->e, -EBUSY,
			       "conflict: unable to remove repository reference \"%.200s\" (must "
			       "force) - container %.*s is using its referenced image %.*s",
			       given, SHORT_ID, r->containers.v[0], SHORT_ID,
			       r->id + strlen("sha256:"));
	rc = removing_untag(r, text);
	for (size_t i = 0; rc == 0 && i < r->names.n; i++) {
		auto_ref other = {0};

		if (strcmp(r->names.v[i], text) == 0 ||
		    image_ref_parse(r->names.v[i], &other, NULL) < 0)
			continue;
		strs_add(&left, r->names.v[i]);
		tag_left |= !other.digest && strcmp(other.domain, ref.domain) == 0 &&
			    strcmp(other.path, ref.path) == 0;
	}
	strs_done(&r->names);
	/* A repository's digests go with its last tag. */
	for (size_t i = 0; rc == 0 && i < left.n; i++) {
		auto_ref other = {0};

		(void)image_ref_parse(left.v[i], &other, NULL);
		if (!ref.digest && !tag_left && other.digest &&
		    strcmp(other.domain, ref.domain) == 0 && strcmp(other.path, ref.path) == 0)
			rc = removing_untag(r, left.v[i]);
		else
			strs_add(&r->names, left.v[i]);
	}
	strs_done(&left);
	return rc < 0 ? rc : r->names.n > 0;
}

static int removing_delete(struct removing *r, struct layer_numbers *ret_gone)
{
	auto_stmt *st = NULL;
	int rc = removing_untag_all(r);

	if (rc == 0)
		rc = db_prepare(r->store->db, "DELETE FROM images WHERE id = ?1", &st, r->e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, r->id);
	rc = db_run(st, r->e);
	strs_add(&r->ret->deleted, r->id);
	return rc < 0 ? rc : store_layers_collect(r->store, ret_gone, &r->ret->deleted, r->e);
}

static int removing_run(struct removing *r, const char *given, struct layer_numbers *ret_gone)
{
	bool by_id, names_count = true;
	int rc = store_find(r->store, given, r->id, &by_id, r->e);

	if (rc == 0)
		rc = store_names(r->store, r->id, &r->names, r->e);
	if (rc == 0)
		rc = removing_containers(r);
	if (rc < 0)
		return rc;
	str_set(&r->ret->id, r->id);
	if (by_id) {
		names_count = !names_are_single(&r->names);
	} else {
		rc = removing_by_name(r, given);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	rc = removing_conflict(r, names_count);
	return rc < 0 ? rc : removing_delete(r, ret_gone);
}

static int removing_locked(struct removing *r, const char *given, struct strs *trash)
{
	auto_store_lock *held = store_lock(r->store);
	struct layer_numbers gone = {0};
	auto_tx tx = {0};
	int rc = db_begin_durable(held->db, &tx, r->e);

	if (rc == 0)
		rc = removing_run(r, given, &gone);
	if (rc == 0)
		rc = db_commit(&tx, r->e);
	if (rc == 0)
		rc = store_discard(held, &gone, trash, r->e);
	free(gone.n.v);
	return rc;
}

int image_remove(struct image_store *store, const char *ref,
		 const struct image_remove_options *options, struct image_removed *ret,
		 struct err *e)
{
	static const struct image_remove_options none;
	struct removing r = {
		.store = store, .options = options ? options : &none, .ret = ret, .e = e};
	struct strs trash = {0};
	int rc;

	*ret = (struct image_removed){0};
	rc = removing_locked(&r, ref, &trash);
	if (rc == 0)
		rc = trash_remove(store, &trash, e);
	strs_done(&trash);
	strs_done(&r.names);
	strs_done(&r.containers);
	if (rc < 0)
		table_done(&image_removed_table, ret);
	return rc;
}
