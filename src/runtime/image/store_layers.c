/*
 * The layers of the image store: unpacking each once, pinning, and forgetting those that nothing
 * needs any more. See store_impl.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/image/layer.h"
#include "runtime/image/store_impl.h"

void store_layer_name(int64_t layer, char ret[LAYER_NAME_MAX])
{
	snprintf(ret, LAYER_NAME_MAX, "%lld", (long long)layer);
}

int store_lowers(struct image_store *store, int64_t layer, struct strs *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc;

	if (layer == LAYER_EMPTY)
		return 0;
	/* A layer is always younger than the one below it. */
	rc = db_prepare(store->db,
			"WITH RECURSIVE chain (n) AS (SELECT ?1 UNION ALL"
			" SELECT parent FROM layers JOIN chain USING (n) WHERE parent IS NOT NULL)"
			" SELECT n FROM chain ORDER BY n DESC",
			&st, e);
	if (rc < 0)
		return rc;
	db_bind_int(st, 1, layer);
	while ((rc = db_step(st, e)) == DB_ROW) {
		auto_free char *path = xasprintf("%s/" DIR_LAYERS "/%lld/diff", store->root,
						 (long long)db_int(st, 0));

		strs_add(ret, path);
	}
	return rc;
}

static bool busy_has(struct image_store *store, const char *chain_id)
{
	return strs_has(&store->busy, chain_id);
}

static void busy_remove(struct image_store *store, const char *chain_id)
{
	for (size_t i = 0; i < store->busy.n; i++) {
		if (strcmp(store->busy.v[i], chain_id) != 0)
			continue;
		free(store->busy.v[i]);
		store->busy.v[i] = store->busy.v[--store->busy.n];
		break;
	}
	pthread_cond_broadcast(&store->unpacked);
}

static void layer_pin(struct image_store *store, int64_t layer)
{
	*LIST_ADD(&store->pins) = layer;
}

void layer_unpin(struct image_store *store, int64_t layer)
{
	auto_store_lock *held = store_lock(store);

	for (size_t i = 0; i < held->pins.n; i++) {
		if (held->pins.v[i] != layer)
			continue;
		held->pins.v[i] = held->pins.v[--held->pins.n];
		break;
	}
}

/* The number of a layer, 0 when it is not known; `ret_missing` when its files have been lost. */
static int layer_known(struct image_store *store, const char *chain_id, int64_t *ret,
		       bool *ret_missing, struct err *e)
{
	auto_stmt *st = NULL;
	char path[LAYER_NAME_MAX + 8];
	struct stat stat;
	int rc = db_prepare(store->db, "SELECT n FROM layers WHERE chain = ?1", &st, e);

	*ret = 0;
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, chain_id);
	rc = db_step(st, e);
	if (rc != DB_ROW)
		return rc;
	*ret = db_int(st, 0);
	snprintf(path, sizeof path, "%lld/diff", (long long)*ret);
	*ret_missing = fstatat(store->layers_fd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0;
	return 0;
}

static int layer_insert(struct image_store *store, const struct layer_needed *needed, int64_t size,
			int64_t *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db,
			    "INSERT INTO layers (chain, parent, diff, size)"
			    " VALUES (?1, nullif(?2, 0), ?3, ?4)",
			    &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, needed->chain_id);
	db_bind_int(st, 2, needed->parent);
	db_bind_text(st, 3, needed->diff_id);
	db_bind_int(st, 4, size);
	rc = db_run(st, e);
	if (rc == 0)
		*ret = db_last_id(store->db);
	return rc;
}

/* Gives the unpacked directory its number, and the number its row, or neither. */
static int layer_publish(struct image_store *store, const struct layer_needed *needed, int64_t size,
			 int64_t *ret, struct err *e)
{
	char name[LAYER_NAME_MAX];
	auto_tx tx = {0};
	int rc = db_begin(store->db, &tx, e);

	if (rc == 0 && *ret == 0)
		rc = layer_insert(store, needed, size, ret, e);
	if (rc < 0)
		return rc;
	store_layer_name(*ret, name);
	rc = trash_move(store, store->layers_fd, name, NULL, e); /* a remnant without files */
	if (rc < 0)
		return rc;
	if (renameat(needed->blob_dir, needed->work, store->layers_fd, name) < 0)
		return err_sys(e, "cannot put the layer %s into place", needed->diff_id);
	rc = db_commit(&tx, e);
	if (rc < 0)
		(void)renameat(store->layers_fd, name, needed->blob_dir, needed->work);
	return rc;
}

static int layer_make(struct image_store *store, const struct layer_needed *needed,
		      const struct strs *lowers, int64_t *ret_size, struct err *e)
{
	auto_close int dir = -1;
	struct layer_job job = {
		.blob_dir = needed->blob_dir,
		.blob_name = needed->blob_name,
		.blob_digest = needed->blob_digest,
		.diff_id = needed->diff_id,
		.lowers = lowers,
	};
	int rc;

	if (mkdirat(needed->blob_dir, needed->work, 0700) < 0)
		return err_sys(e, "cannot make a folder for the layer");
	dir = openat(needed->blob_dir, needed->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "cannot open the folder for the layer");
	job.layer_dir = dir;
	if (needed->options) {
		job.progress = needed->options->progress;
		job.progress_arg = needed->options->progress_arg;
	}
	rc = layer_unpack(&job, ret_size, e);
	return rc < 0 ? err_wrap(e, "layer %s", needed->diff_id) : 0;
}

/* Waits while another thread unpacks the same. 0 with *ret when it is there, else it is ours. */
static int layer_reserve(struct image_store *store, const struct layer_needed *needed, int64_t *ret,
			 bool *ret_ours, struct strs *ret_lowers, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	bool missing = false;
	int rc;

	while (busy_has(held, needed->chain_id))
		pthread_cond_wait(&held->unpacked, &held->lock);
	rc = layer_known(held, needed->chain_id, ret, &missing, e);
	if (rc < 0)
		return rc;
	*ret_ours = *ret == 0 || missing;
	if (!*ret_ours) {
		layer_pin(held, *ret);
		return 0;
	}
	rc = store_lowers(held, needed->parent, ret_lowers, e);
	if (rc == 0)
		strs_add(&held->busy, needed->chain_id);
	return rc;
}

int layer_need(struct image_store *store, const struct layer_needed *needed, int64_t *ret,
	       struct err *e)
{
	struct strs lowers = {0};
	bool ours = false;
	int64_t size = 0;
	int rc = layer_reserve(store, needed, ret, &ours, &lowers, e);

	if (rc == 0 && ours) {
		rc = layer_make(store, needed, &lowers, &size, e);
		auto_store_lock *held = store_lock(store);

		if (rc == 0)
			rc = layer_publish(held, needed, size, ret, e);
		if (rc == 0)
			layer_pin(held, *ret);
		busy_remove(held, needed->chain_id);
	}
	strs_done(&lowers);
	return rc;
}

static bool layer_is_pinned(struct image_store *store, int64_t layer)
{
	LIST_EACH (pin, &store->pins)
		if (*pin == layer)
			return true;
	return false;
}

static int collect_layer(struct image_store *store, int64_t layer, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db, "DELETE FROM layers WHERE n = ?1", &st, e);

	if (rc < 0)
		return rc;
	db_bind_int(st, 1, layer);
	return db_run(st, e);
}

int store_layers_collect(struct image_store *store, struct layer_numbers *ret_gone,
			 struct strs *ret_chains, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db,
			    "WITH RECURSIVE live (n) AS ("
			    " SELECT layer FROM images WHERE layer IS NOT NULL"
			    " UNION SELECT layer FROM snapshots WHERE layer IS NOT NULL"
			    " UNION SELECT parent FROM layers JOIN live USING (n)"
			    "  WHERE parent IS NOT NULL)"
			    " SELECT n, chain FROM layers WHERE n NOT IN (SELECT n FROM live)"
			    " ORDER BY n DESC",
			    &st, e);

	if (rc < 0)
		return rc;
	while ((rc = db_step(st, e)) == DB_ROW) {
		if (layer_is_pinned(store, db_int(st, 0)))
			continue; /* and so are all below it, by the same load */
		*LIST_ADD(&ret_gone->n) = db_int(st, 0);
		if (ret_chains)
			strs_add(ret_chains, db_text(st, 1));
	}
	for (size_t i = 0; rc == 0 && i < ret_gone->n.n; i++)
		rc = collect_layer(store, ret_gone->n.v[i], e);
	if (rc == 0)
		rc = db_exec(store->db,
			     "DELETE FROM content WHERE digest NOT IN (SELECT id FROM images"
			     " UNION SELECT manifest FROM images WHERE manifest IS NOT NULL)",
			     e);
	return rc;
}

int store_discard(struct image_store *store, const struct layer_numbers *gone, struct strs *trash,
		  struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < gone->n.n; i++) {
		char name[LAYER_NAME_MAX];

		store_layer_name(gone->n.v[i], name);
		rc = trash_move(store, store->layers_fd, name, trash, e);
	}
	return rc;
}
