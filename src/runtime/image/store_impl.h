/*
 * What the files of the image store share. Functions called store_* expect the store's lock to be
 * held, unless they say otherwise; the lock is never held while files are read or written.
 */
#pragma once

#include <pthread.h>

#include "base/db.h"
#include "base/mem.h"
#include "runtime/image/reference.h"
#include "runtime/image/store.h"

/* Directories below the data root. What lies in trash is nobody's and waits to be removed. */
#define DIR_LAYERS "layers"
#define DIR_INGEST "ingest"
#define DIR_TRASH "trash"
#define DIR_CONTAINERS "containers"
/* The lower directory of images without any layer: layers/0/diff, always empty. */
#define LAYER_EMPTY 0
#define LAYER_NAME_MAX 24

struct image_store {
	char *root; /* absolute */
	int root_fd;
	int layers_fd;
	int lock_fd; /* locked: one process at a time */
	struct db *db;
	pthread_mutex_t lock;
	pthread_cond_t unpacked; /* something has left `busy` */
	struct strs busy;        /* chain ids that a thread is unpacking now */
	LIST_OF(int64_t) pins;   /* layers that loads rely on, once for each */
};

struct image_store *store_lock(struct image_store *store);
void store_unlock_at(struct image_store **store);
/* Holds the lock to the end of the scope. */
#define auto_store_lock CLEANUP(store_unlock_at) struct image_store

/*
 * Finds the id of an image by what a user gave, and says in `ret_by_id` whether that was an id or
 * the start of one. Errors as image_get().
 */
int store_find(struct image_store *store, const char *text, char ret_id[DIGEST_TEXT_LEN + 1],
	       bool *ret_by_id, struct err *e);
/* -ENOENT when there is no such image; `ret_layer` is its top layer. */
int store_image_layer(struct image_store *store, const char *id, int64_t *ret_layer, struct err *e);
/* All names of an image, whole, sorted: tags before digests. */
int store_names(struct image_store *store, const char *id, struct strs *ret, struct err *e);
/* Gives an image a whole name, taking it from any other; inside the caller's transaction. */
int store_name_put(struct image_store *store, const char *text, const char *id, struct err *e);

/* Layers (store_layers.c) */

/* Adds the directories of a layer and those below it, top-most first. */
int store_lowers(struct image_store *store, int64_t layer, struct strs *ret, struct err *e);
void store_layer_name(int64_t layer, char ret[LAYER_NAME_MAX]);

struct layer_needed {
	const char *chain_id;
	const char *diff_id;
	int64_t parent; /* LAYER_EMPTY for the bottom */
	int blob_dir;
	const char *blob_name;
	const char *blob_digest;
	const char *work; /* a name in the ingest directory of the load, for the unpacking */
	const struct image_load_options *options;
};
/*
 * Gives the layer's number and pins it; unpacks it when nobody has. Takes the lock itself.
 * The caller unpins it with layer_unpin().
 */
int layer_need(struct image_store *store, const struct layer_needed *needed, int64_t *ret,
	       struct err *e);
void layer_unpin(struct image_store *store, int64_t layer);

/*
 * Forgets all layers, configurations and manifests that nothing needs, inside the caller's
 * transaction. `ret_gone` gets their numbers and `ret_chains`, if any, their chain ids.
 */
struct layer_numbers {
	LIST_OF(int64_t) n;
};
int store_layers_collect(struct image_store *store, struct layer_numbers *ret_gone,
			 struct strs *ret_chains, struct err *e);
/* After the commit: moves the directories into the trash; `trash` gets their names. */
int store_discard(struct image_store *store, const struct layer_numbers *gone, struct strs *trash,
		  struct err *e);

/* Moves `name` of `dirfd` into the trash. A missing one is 0. Needs no lock. */
int trash_move(struct image_store *store, int dirfd, const char *name, struct strs *ret_trash,
	       struct err *e);
/* Removes what was moved there. Called without the lock. */
int trash_remove(struct image_store *store, const struct strs *trash, struct err *e);
