/*
 * Opening, sweeping and closing the image store; see store.h.
 */
#include "runtime/image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/id.h"
#include "runtime/image/store_impl.h"

/* Released versions never change: add at the end. */
static const char *const store_schema[] = {
	/* A layer's number is never used again, so that a stale directory is never taken for it. */
	"CREATE TABLE layers ("
	" n INTEGER PRIMARY KEY AUTOINCREMENT,"
	" chain TEXT NOT NULL UNIQUE,"
	" parent INTEGER REFERENCES layers (n)," /* NULL for the bottom */
	" diff TEXT NOT NULL,"
	" size INTEGER NOT NULL"
	") STRICT;"
	/* Configurations and manifests, byte by byte as they came. */
	"CREATE TABLE content ("
	" digest TEXT NOT NULL PRIMARY KEY,"
	" data BLOB NOT NULL"
	") STRICT;"
	"CREATE TABLE images ("
	" id TEXT NOT NULL PRIMARY KEY REFERENCES content (digest),"
	" layer INTEGER REFERENCES layers (n)," /* NULL without any */
	" manifest TEXT REFERENCES content (digest),"
	" created_ns INTEGER NOT NULL,"
	" tagged_ns INTEGER NOT NULL,"
	" size INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX images_layer ON images (layer);"
	"CREATE TABLE names ("
	" ref TEXT NOT NULL PRIMARY KEY," /* whole: docker.io/library/busybox:latest */
	" by_digest INTEGER NOT NULL,"
	" image TEXT NOT NULL REFERENCES images (id)"
	") STRICT;"
	"CREATE INDEX names_image ON names (image);"
	/* A container's image may be gone (removed by force): its layers are not. */
	"CREATE TABLE snapshots ("
	" container TEXT NOT NULL PRIMARY KEY,"
	" image TEXT NOT NULL,"
	" layer INTEGER REFERENCES layers (n)"
	") STRICT;"
	"CREATE INDEX snapshots_image ON snapshots (image);"
	"CREATE INDEX snapshots_layer ON snapshots (layer);"
	"CREATE INDEX layers_parent ON layers (parent);",
};

struct image_store *store_lock(struct image_store *store)
{
	pthread_mutex_lock(&store->lock);
	return store;
}

void store_unlock_at(struct image_store **store)
{
	if (*store)
		pthread_mutex_unlock(&(*store)->lock);
}

int trash_move(struct image_store *store, int dirfd, const char *name, struct strs *ret_trash,
	       struct err *e)
{
	char to[64];

	snprintf(to, sizeof to, DIR_TRASH "/%016llx", (unsigned long long)random_u64());
	if (renameat(dirfd, name, store->root_fd, to) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot move %s into the trash", name);
	if (ret_trash)
		strs_add(ret_trash, to);
	return 0;
}

int trash_remove(struct image_store *store, const struct strs *trash, struct err *e)
{
	int rc = 0;

	STRS_EACH (name, trash) {
		int removed = dir_remove(store->root_fd, name, rc == 0 ? e : NULL);

		if (rc == 0)
			rc = removed;
	}
	return rc;
}

/* Calls for each entry of a directory of the data root. */
static int store_each_entry(struct image_store *store, const char *dir,
			    int (*cb)(struct image_store *store, int dirfd, const char *name,
				      struct err *e),
			    struct err *e)
{
	int fd = openat(store->root_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream) {
		rc = err_sys(e, "cannot read the folder %s/%s", store->root, dir);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (struct dirent *d; rc == 0 && (d = readdir(stream));)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = cb(store, fd, d->d_name, e);
	closedir(stream);
	return rc;
}

static int sweep_ingest(struct image_store *store, int dirfd, const char *name, struct err *e)
{
	return trash_move(store, dirfd, name, NULL, e);
}

/* A layer's directory without its row was never finished, or already given up. */
static int sweep_layer(struct image_store *store, int dirfd, const char *name, struct err *e)
{
	auto_stmt *st = NULL;
	char *end;
	long long n = strtoll(name, &end, 10);
	int rc;

	if (*name >= '0' && *name <= '9' && *end == '\0') {
		if (n == LAYER_EMPTY)
			return 0;
		rc = db_prepare(store->db, "SELECT 1 FROM layers WHERE n = ?1", &st, e);
		if (rc < 0)
			return rc;
		db_bind_int(st, 1, n);
		rc = db_step(st, e);
		if (rc != DB_DONE)
			return rc < 0 ? rc : 0;
	}
	return trash_move(store, dirfd, name, NULL, e);
}

static int sweep_trash(struct image_store *store, int dirfd, const char *name, struct err *e)
{
	return dir_remove(dirfd, name, e);
}

/* Only renames and one small transaction: the files go in image_store_sweep(). */
static int store_recover(struct image_store *store, struct err *e)
{
	struct layer_numbers gone = {0};
	auto_tx tx = {0};
	int rc = db_begin(store->db, &tx, e);

	if (rc == 0)
		rc = store_layers_collect(store, &gone, NULL, e);
	if (rc == 0)
		rc = db_commit(&tx, e);
	free(gone.n.v); /* their directories are without a row now */
	if (rc == 0)
		rc = store_each_entry(store, DIR_INGEST, sweep_ingest, e);
	if (rc == 0)
		rc = store_each_entry(store, DIR_LAYERS, sweep_layer, e);
	return rc;
}

int image_store_sweep(struct image_store *store, struct err *e)
{
	return store_each_entry(store, DIR_TRASH, sweep_trash, e);
}

static int store_dirs(struct image_store *store, struct err *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{DIR_LAYERS, 0700},     {DIR_INGEST, 0700},      {DIR_TRASH, 0700},
		{DIR_CONTAINERS, 0710}, {DIR_LAYERS "/0", 0700}, {DIR_LAYERS "/0/diff", 0755},
	};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(store->root_fd, dirs[i].name, dirs[i].mode) < 0 && errno != EEXIST)
			return err_sys(e, "cannot make the folder %s/%s", store->root,
				       dirs[i].name);
	store->layers_fd =
		openat(store->root_fd, DIR_LAYERS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store->layers_fd < 0)
		return err_sys(e, "cannot open the folder %s/" DIR_LAYERS, store->root);
	return 0;
}

static int store_own(struct image_store *store, struct err *e)
{
	int rc;

	store->lock_fd = openat(store->root_fd, "images.lock",
				O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return err_sys(e, "cannot make %s/images.lock", store->root);
	rc = file_wait_lock(store->lock_fd, LIMIT_TAKEOVER_MS);
	if (rc < 0)
		return rc == -EWOULDBLOCK ? err_set(e, -EBUSY,
						    "the images in %s are in use by another "
						    "daemon: stop it, or "
						    "choose another --data-root",
						    store->root)
					  : err_sys(e, "cannot lock %s/images.lock", store->root);
	return 0;
}

static int store_setup(struct image_store *store, struct err *e)
{
	auto_free char *path = xasprintf("%s/images.db", store->root);
	struct db_options options = {.migrations = store_schema,
				     .n_migrations = ARRAY_LEN(store_schema)};
	int rc;

	if (*store->root != '/')
		return err_set(e, -EINVAL, "the data root \"%s\" is not an absolute path",
			       store->root);
	rc = dir_make(store->root, 0710, e);
	if (rc < 0)
		return rc;
	store->root_fd = open(store->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->root_fd < 0)
		return err_sys(e, "cannot open the data root %s", store->root);
	rc = store_own(store, e);
	if (rc == 0)
		rc = store_dirs(store, e);
	if (rc == 0)
		rc = db_open(path, &options, &store->db, e);
	return rc < 0 ? rc : store_recover(store, e);
}

int image_store_open(const char *data_root, struct image_store **ret, struct err *e)
{
	struct image_store *store = xcalloc(1, sizeof *store);
	int rc;

	store->root = xstrdup(data_root);
	store->root_fd = store->layers_fd = store->lock_fd = -1;
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->unpacked, NULL);
	rc = store_setup(store, e);
	if (rc < 0) {
		image_store_close(store);
		return rc;
	}
	*ret = store;
	return 0;
}

void image_store_close(struct image_store *store)
{
	if (!store)
		return;
	db_close(store->db);
	fd_close_at(&store->layers_fd);
	fd_close_at(&store->lock_fd);
	fd_close_at(&store->root_fd);
	pthread_cond_destroy(&store->unpacked);
	pthread_mutex_destroy(&store->lock);
	strs_done(&store->busy);
	free(store->pins.v);
	free(store->root);
	free(store);
}
