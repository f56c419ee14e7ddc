/*
 * Loading archives into the store, and writing layers out of it; see store.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "base/limits.h"
#include "runtime/image/digest.h"
#include "runtime/image/layer.h"
#include "runtime/image/manifest.h"
#include "runtime/image/store_impl.h"

static const struct field image_loaded_fields[] = {
	FIELD_STRS(struct image_loaded, 0, names, "Names", 0),
	FIELD_STRS(struct image_loaded, 0, ids, "Ids", 0),
};
TABLE_DEFINE(image_loaded, image_loaded_fields);

struct loading {
	struct image_store *store;
	const struct image_load_options *options;
	int dir; /* its own, below ingest */
	struct archive_images images;
	LIST_OF(int64_t) pins;
	unsigned n_works;
	struct err *e;
};

/* The chain id says which layers stand on each other; OCI image specification, config.md. */
static void chain_next(char chain[DIGEST_TEXT_LEN + 1], const char *diff_id)
{
	char text[2 * DIGEST_TEXT_LEN + 2];
	int n = snprintf(text, sizeof text, "%s %s", chain, diff_id);

	if (*chain == '\0')
		memcpy(chain, diff_id, DIGEST_TEXT_LEN + 1);
	else
		digest_of(text, (size_t)n, chain);
}

/* Unpacks what is missing of one image; `ret_layer` is its top. */
static int loading_layers(struct loading *l, const struct archive_image *image, int64_t *ret_layer)
{
	const struct strs *diff_ids = &image->config.rootfs.diff_ids;
	char chain[DIGEST_TEXT_LEN + 1] = "", work[24];
	int rc = 0;

	*ret_layer = LAYER_EMPTY;
	for (size_t i = 0; rc == 0 && i < diff_ids->n; i++) {
		struct layer_needed needed = {
			.chain_id = chain,
			.diff_id = diff_ids->v[i],
			.parent = *ret_layer,
			.blob_dir = l->dir,
			.blob_name = image->layers[i]->file,
			.blob_digest = image->layers[i]->digest,
			.work = work,
			.options = l->options,
		};

		chain_next(chain, diff_ids->v[i]);
		snprintf(work, sizeof work, "layer-%u", l->n_works++);
		rc = layer_need(l->store, &needed, ret_layer, l->e);
		if (rc == 0)
			*LIST_ADD(&l->pins) = *ret_layer;
	}
	return rc;
}

static int content_put(struct image_store *store, const char *digest, const char *text, size_t n,
		       struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db,
			    "INSERT OR IGNORE INTO content (digest, data) VALUES (?1, ?2)", &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, digest);
	db_bind_blob(st, 2, text, n);
	return db_run(st, e);
}

/* Only the size of what is unpacked is known for sure: that of the rows. */
static int image_put(struct image_store *store, const struct archive_image *image, int64_t layer,
		     struct err *e)
{
	auto_stmt *st = NULL;
	bool manifest = *image->manifest_digest != '\0';
	int rc = content_put(store, image->id, image->config_text, image->config_n, e);

	if (rc == 0 && manifest)
		rc = content_put(store, image->manifest_digest, image->manifest_text,
				 image->manifest_n, e);
	if (rc == 0)
		rc = db_prepare(
			store->db,
			"WITH RECURSIVE chain (n) AS (SELECT nullif(?2, 0) UNION ALL"
			" SELECT parent FROM layers JOIN chain USING (n) WHERE parent IS NOT NULL)"
			" INSERT INTO images (id, layer, manifest, created_ns, tagged_ns, size)"
			" VALUES (?1, nullif(?2, 0), ?3, ?4, 0, (SELECT coalesce(sum(size), 0)"
			"  FROM layers WHERE n IN (SELECT n FROM chain)))"
			" ON CONFLICT (id) DO UPDATE"
			" SET manifest = coalesce(excluded.manifest, manifest)",
			&st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, image->id);
	db_bind_int(st, 2, layer);
	db_bind_text(st, 3, manifest ? image->manifest_digest : NULL);
	db_bind_int(st, 4, image->config.created_ns);
	return db_run(st, e);
}

static int loading_publish_one(struct loading *l, const struct archive_image *image, int64_t layer,
			       struct image_loaded *ret)
{
	int rc = image_put(l->store, image, layer, l->e);

	for (size_t i = 0; rc == 0 && i < image->names.n; i++) {
		auto_ref ref = {0};
		auto_free char *shown = NULL;

		rc = store_name_put(l->store, image->names.v[i], image->id, l->e);
		if (rc == 0)
			rc = image_ref_parse(image->names.v[i], &ref, l->e);
		if (rc < 0)
			break;
		shown = image_ref_familiar(&ref);
		strs_add(&ret->names, shown);
	}
	if (image->names.n == 0)
		strs_add(&ret->ids, image->id);
	return rc;
}

/* Makes all images visible at once. Their files are on the disk before their rows. */
static int loading_publish(struct loading *l, const int64_t *layers, struct image_loaded *ret)
{
	auto_store_lock *held = NULL;
	auto_tx tx = {0};
	int rc;

	if (syncfs(l->store->layers_fd) < 0)
		return err_sys(l->e, "cannot write the layers to the disk");
	held = store_lock(l->store);
	rc = db_begin_durable(held->db, &tx, l->e);
	for (size_t i = 0; rc == 0 && i < l->images.images.n; i++)
		rc = loading_publish_one(l, &l->images.images.v[i], layers[i], ret);
	return rc < 0 ? rc : db_commit(&tx, l->e);
}

static int loading_run(struct loading *l, int fd, struct image_loaded *ret)
{
	struct image_archive archive;
	auto_free int64_t *layers = NULL;
	int rc = image_archive_read(fd, l->dir, &archive, l->e);

	if (rc < 0)
		return rc;
	rc = archive_images_find(&archive, l->options ? l->options->platform : NULL, &l->images,
				 l->e);
	if (rc == 0) {
		layers = xcalloc(l->images.images.n, sizeof *layers);
		for (size_t i = 0; rc == 0 && i < l->images.images.n; i++)
			rc = loading_layers(l, &l->images.images.v[i], &layers[i]);
	}
	if (rc == 0)
		rc = loading_publish(l, layers, ret);
	archive_images_done(&l->images);
	image_archive_done(&archive);
	return rc;
}

/* What a failed load has unpacked and no other one uses goes again. */
static void loading_undo(struct image_store *store, struct strs *trash)
{
	auto_store_lock *held = store_lock(store);
	struct layer_numbers gone = {0};
	auto_tx tx = {0};

	/* Should this fail as well, the next collection or start finds the same. */
	if (db_begin(held->db, &tx, NULL) == 0 &&
	    store_layers_collect(held, &gone, NULL, NULL) == 0 && db_commit(&tx, NULL) == 0)
		(void)store_discard(held, &gone, trash, NULL);
	free(gone.n.v);
}

static void loading_end(struct loading *l, const char *dir, bool failed)
{
	struct strs ours = {0}, layers = {0};

	for (size_t i = 0; i < l->pins.n; i++)
		layer_unpin(l->store, l->pins.v[i]);
	free(l->pins.v);
	(void)trash_move(l->store, l->store->root_fd, dir, &ours, NULL);
	/* First what only takes room: on a full disk the database needs some to forget the rest. */
	(void)trash_remove(l->store, &ours, NULL);
	if (failed) {
		loading_undo(l->store, &layers);
		(void)trash_remove(l->store, &layers, NULL);
	}
	strs_done(&ours);
	strs_done(&layers);
}

int image_load(struct image_store *store, int fd, const struct image_load_options *options,
	       struct image_loaded *ret, struct err *e)
{
	struct loading l = {.store = store, .options = options, .e = e};
	auto_close int dir = -1;
	char name[64];
	int rc = 0;

	*ret = (struct image_loaded){0};
	snprintf(name, sizeof name, DIR_INGEST "/%016llx", (unsigned long long)random_u64());
	if (mkdirat(store->root_fd, name, 0700) < 0)
		return err_sys(e, "cannot make a folder for the archive in %s", store->root);
	dir = openat(store->root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		rc = err_sys(e, "cannot open a folder for the archive");
	l.dir = dir;
	if (rc == 0)
		rc = loading_run(&l, fd, ret);
	loading_end(&l, name, rc < 0);
	if (rc < 0)
		table_done(&image_loaded_table, ret);
	if (rc == -ENOSPC)
		return err_wrap(e, "no space left for the image below %s", store->root);
	return rc;
}

/* The layer's number and diff id; it is pinned. */
static int layer_at(struct image_store *store, const char *id, size_t at, int64_t *ret,
		    char ret_diff[DIGEST_TEXT_LEN + 1], struct err *e)
{
	auto_store_lock *held = store_lock(store);
	auto_stmt *st = NULL;
	int64_t top = 0;
	int rc = store_image_layer(held, id, &top, e);

	if (rc == 0)
		rc = db_prepare(
			held->db,
			"WITH RECURSIVE chain (n) AS (SELECT ?1 UNION ALL SELECT parent FROM"
			" layers JOIN chain USING (n) WHERE parent IS NOT NULL)"
			" SELECT n, diff FROM layers JOIN chain USING (n) ORDER BY n"
			" LIMIT 1 OFFSET ?2",
			&st, e);
	if (rc < 0)
		return rc;
	db_bind_int(st, 1, top);
	db_bind_int(st, 2, (int64_t)at);
	rc = db_step(st, e);
	if (rc == DB_DONE)
		return err_set(e, -ENOENT, "the image %s has no layer %zu", id, at);
	if (rc < 0)
		return rc;
	*ret = db_int(st, 0);
	(void)snprintf(ret_diff, DIGEST_TEXT_LEN + 1, "%s", db_text(st, 1));
	*LIST_ADD(&held->pins) = *ret;
	return 0;
}

int image_layer_write(struct image_store *store, const char *id, size_t at, int fd, struct err *e)
{
	char diff_id[DIGEST_TEXT_LEN + 1], name[LAYER_NAME_MAX];
	auto_close int dir = -1;
	int64_t layer = LAYER_EMPTY;
	int rc = layer_at(store, id, at, &layer, diff_id, e);

	if (rc < 0)
		return rc;
	store_layer_name(layer, name);
	dir = openat(store->layers_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		rc = err_sys(e, "cannot open the layer %s", diff_id);
	else
		rc = layer_write(dir, diff_id, fd, e);
	layer_unpin(store, layer);
	return rc;
}
