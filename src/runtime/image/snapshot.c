/*
 * See snapshot.h.
 */
#include "runtime/image/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "runtime/image/store_impl.h"

#define USAGE_DEPTH 256 /* folders open at once; what lies deeper is not counted */

static const struct field snapshot_fields[] = {
	FIELD_STR(struct snapshot, 0, image_id, "ImageId", 0),
	FIELD_STR(struct snapshot, 0, upper, "Upper", 0),
	FIELD_STR(struct snapshot, 0, work, "Work", 0),
	FIELD_STRS(struct snapshot, 0, lowers, "Lowers", 0),
};
TABLE_DEFINE(snapshot, snapshot_fields);

static int container_check(const char *id, struct err *e)
{
	if (strlen(id) != ID_HOST_LEN || strspn(id, "0123456789abcdef") != ID_HOST_LEN)
		return err_set(e, -EINVAL, "\"%.100s\" is not a container's id", id);
	return 0;
}

static int snapshot_fill(struct image_store *store, const char *container, const char *image,
			 int64_t layer, struct snapshot *ret, struct err *e)
{
	int rc;

	ret->image_id = xstrdup(image);
	ret->upper = xasprintf("%s/" DIR_CONTAINERS "/%s/upper", store->root, container);
	ret->work = xasprintf("%s/" DIR_CONTAINERS "/%s/work", store->root, container);
	rc = store_lowers(store, layer, &ret->lowers, e);
	if (rc == 0 && ret->lowers.n == 0) {
		auto_free char *empty = xasprintf("%s/" DIR_LAYERS "/0/diff", store->root);

		strs_add(&ret->lowers, empty);
	}
	return rc;
}

/* 1 and the row, 0 when there is none. */
static int snapshot_row(struct image_store *store, const char *container, char **ret_image,
			int64_t *ret_layer, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(store->db, "SELECT image, layer FROM snapshots WHERE container = ?1",
			    &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, container);
	rc = db_step(st, e);
	if (rc != DB_ROW)
		return rc;
	*ret_image = xstrdup(db_text(st, 0));
	*ret_layer = db_int(st, 1);
	return 1;
}

static int snapshot_pin(struct image_store *store, const char *container, const char *image,
			int64_t *ret_layer, struct err *e)
{
	auto_stmt *st = NULL;
	auto_free char *known = NULL;
	int rc = snapshot_row(store, container, &known, ret_layer, e);

	if (rc == 1 && strcmp(known, image) != 0)
		return err_set(e, -EEXIST, "the container %s stands on another image, %s",
			       container, known);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = store_image_layer(store, image, ret_layer, e);
	if (rc == 0)
		rc = db_prepare(store->db,
				"INSERT INTO snapshots (container, image, layer)"
				" VALUES (?1, ?2, nullif(?3, 0))",
				&st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, container);
	db_bind_text(st, 2, image);
	db_bind_int(st, 3, *ret_layer);
	return db_run(st, e);
}

/* The merged root shows the upper directory's owner and mode: they are those of the image's root.
 */
static int snapshot_upper(int dir, const char *lower, struct err *e)
{
	struct stat st;

	if (faccessat(dir, "upper", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (stat(lower, &st) < 0)
		return err_sys(e, "the image's layer %s is not there: load the image again", lower);
	if ((mkdirat(dir, "upper.new", 0700) < 0 && errno != EEXIST) ||
	    fchownat(dir, "upper.new", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, "upper.new", st.st_mode & 07777, 0) < 0 ||
	    renameat(dir, "upper.new", dir, "upper") < 0)
		return err_sys(e, "cannot make the container's writable layer");
	return 0;
}

static int snapshot_dirs(struct image_store *store, const char *container,
			 const struct snapshot *snapshot, struct err *e)
{
	auto_free char *path = xasprintf(DIR_CONTAINERS "/%s", container);
	auto_close int dir = -1;

	if (mkdirat(store->root_fd, path, 0710) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the container's folder %s/%s", store->root, path);
	dir = openat(store->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "cannot open the container's folder %s/%s", store->root, path);
	if (mkdirat(dir, "work", 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the container's work folder");
	return snapshot_upper(dir, snapshot->lowers.v[0], e);
}

static int snapshot_find(struct image_store *store, const char *container, const char *image,
			 struct snapshot *ret, struct err *e)
{
	auto_store_lock *held = store_lock(store);
	auto_free char *known = NULL;
	int64_t layer = LAYER_EMPTY;
	int rc;

	if (image)
		rc = snapshot_pin(held, container, image, &layer, e);
	else
		rc = snapshot_row(held, container, &known, &layer, e);
	if (rc == 0 && !image)
		return err_set(e, -ENOENT, "the container %s has no writable layer", container);
	return rc < 0 ? rc : snapshot_fill(held, container, image ? image : known, layer, ret, e);
}

int snapshot_prepare(struct image_store *store, const char *container_id, const char *image_id,
		     struct snapshot *ret, struct err *e)
{
	int rc = container_check(container_id, e);

	*ret = (struct snapshot){0};
	if (rc == 0)
		rc = snapshot_find(store, container_id, image_id, ret, e);
	if (rc == 0)
		rc = snapshot_dirs(store, container_id, ret, e);
	if (rc < 0)
		table_done(&snapshot_table, ret);
	return rc;
}

int snapshot_get(struct image_store *store, const char *container_id, struct snapshot *ret,
		 struct err *e)
{
	int rc = container_check(container_id, e);

	*ret = (struct snapshot){0};
	if (rc == 0)
		rc = snapshot_find(store, container_id, NULL, ret, e);
	if (rc < 0)
		table_done(&snapshot_table, ret);
	return rc;
}

static int snapshot_forget(struct image_store *store, const char *container, struct strs *trash,
			   struct err *e)
{
	auto_store_lock *held = store_lock(store);
	struct layer_numbers gone = {0};
	auto_stmt *st = NULL;
	auto_tx tx = {0};
	int rc = db_begin(held->db, &tx, e);

	if (rc == 0)
		rc = db_prepare(held->db, "DELETE FROM snapshots WHERE container = ?1", &st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, container);
	rc = db_run(st, e);
	if (rc == 0 && db_changes(held->db) > 0)
		rc = store_layers_collect(held, &gone, NULL, e);
	if (rc == 0)
		rc = db_commit(&tx, e);
	if (rc == 0)
		rc = store_discard(held, &gone, trash, e);
	free(gone.n.v);
	return rc;
}

int snapshot_remove(struct image_store *store, const char *container_id, struct err *e)
{
	static const char *const parts[] = {"upper", "upper.new", "work"};
	struct strs trash = {0};
	int rc = container_check(container_id, e);

	if (rc < 0)
		return rc;
	rc = snapshot_forget(store, container_id, &trash, e);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++) {
		auto_free char *path = xasprintf(DIR_CONTAINERS "/%s/%s", container_id, parts[i]);

		rc = trash_move(store, store->root_fd, path, &trash, e);
	}
	if (rc == 0) {
		auto_free char *path = xasprintf(DIR_CONTAINERS "/%s", container_id);

		(void)unlinkat(store->root_fd, path, AT_REMOVEDIR); /* if nothing else is in it */
		rc = trash_remove(store, &trash, e);
	}
	strs_done(&trash);
	return rc;
}

/* Adds up what is below a folder; links of one file count each time, as docker's sizes do. */
static int usage_below(int dirfd, const char *name, int depth, int64_t *ret, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;

	if (!dir) {
		rc = errno == ENOENT ? 0 : err_sys(e, "cannot read the folder %s", name);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (struct dirent *d; rc == 0 && (d = readdir(dir));) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* a running container removes files while they are counted */
		if (S_ISDIR(st.st_mode) && depth < USAGE_DEPTH)
			rc = usage_below(fd, d->d_name, depth + 1, ret, e);
		else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
			*ret += st.st_size;
	}
	closedir(dir);
	return rc;
}

int snapshot_usage(struct image_store *store, const char *container_id, int64_t *ret_bytes,
		   struct err *e)
{
	auto_free char *path = xasprintf(DIR_CONTAINERS "/%s/upper", container_id);
	int rc = container_check(container_id, e);

	*ret_bytes = 0;
	return rc < 0 ? rc : usage_below(store->root_fd, path, 0, ret_bytes, e);
}
