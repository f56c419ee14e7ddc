/*
 * The images of one host: which there are, their names, configurations and unpacked layers, and who
 * uses them. Everything here may block on the disk and is made for pool threads; a store may be
 * used by several of them at once (it holds its own lock, never while unpacking). Knows no
 * containers beyond their ids, no loop and no HTTP. Called by the agent.
 *
 * On disk, below the data root:
 *	images.db		images, names, layers, snapshots, and all configurations and
 *manifests layers/<n>/diff		an unpacked layer, ready as an overlayfs lower directory
 *	layers/<n>/recipe	what is needed to write its tar again, bit by bit (see recipe.h)
 *	ingest/<random>/	what is being loaded; swept when the store is opened
 *	containers/<id>/	upper and work of a container (see snapshot.h)
 * A layer is known by its chain id and shared by all images and containers that stand on it. Its
 * directory is a small number, so that 125 of them fit into the options of one mount.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "runtime/image/config.h"

struct image_store;

/*
 * Opens or makes the store below `data_root` (an absolute path; made with mode 0710), and moves
 * what a crash left behind out of the way. One process at a time: -EBUSY otherwise. Fast: the files
 * go in image_store_sweep().
 */
int image_store_open(const char *data_root, struct image_store **ret, struct err *e);
/*
 * Removes what waits to be removed; may take as long as there are files. To be called once on the
 * pool after the start, while everything else goes on.
 */
int image_store_sweep(struct image_store *store, struct err *e);
/* Nothing may be using the store any more. */
void image_store_close(struct image_store *store);

/* An image as lists and inspect show it. Free with table_done(&image_table, ...). */
struct image {
	char *id;                   /* "sha256:..." of the configuration */
	struct strs repo_tags;      /* familiar: "busybox:latest" */
	struct strs repo_digests;   /* familiar: "busybox@sha256:..." */
	int64_t created_ns;         /* 0 when the image does not say */
	int64_t tagged_ns;          /* when it was last tagged here, 0 never */
	int64_t size;               /* bytes of all files of all layers */
	int64_t n_containers;       /* containers made from it, running or not */
	char *manifest_digest;      /* of its OCI manifest, NULL when it came without one */
	char *config_text;          /* the configuration as it came; NULL in lists */
	struct image_config config; /* parsed; in lists only labels and platform are of use */
};
extern const struct table image_table;

struct image_list {
	LIST_OF(struct image) images;
};
extern const struct table image_list_table;

/* Finding */

/*
 * Finds an image by name (":latest" is assumed), by digest, by id or by the start of an id.
 * -ENOENT "No such image: ...", -EINVAL for what can be none of them.
 */
int image_get(struct image_store *store, const char *ref, struct image *ret, struct err *e);

struct image_filters {
	struct strs reference; /* patterns; any matches */
	struct strs label;     /* "k" or "k=v"; all match */
	struct strs before;    /* images made before any of these images (at most one) */
	struct strs since;
	bool *dangling; /* NULL: both */
};

/* Newest first. -ENOENT when `before` or `since` names no image, -EINVAL for a bad pattern. */
int image_list(struct image_store *store, const struct image_filters *filters,
	       struct image_list *ret, struct err *e);

/* Names */

/* Gives the image another name; a name that is taken moves. */
int image_tag(struct image_store *store, const char *source, const char *target, struct err *e);

struct image_remove_options {
	bool force;
	/* Containers of this host that run now: even force does not take their image away. */
	struct strs running;
};

struct image_removed {
	struct strs untagged; /* familiar names, in the order of removal */
	struct strs deleted;  /* the image's id, then chain ids of layers nobody needs any more */
	char *id;             /* the image that was named */
};
extern const struct table image_removed_table;

/*
 * As the Engine's DELETE /images/{name}: a name is untagged, and the image goes with its last one;
 * an id with names in several repositories, or one in use, needs `force`. -ENOENT, or
 * -EBUSY for a conflict (409) with the reason.
 */
int image_remove(struct image_store *store, const char *ref,
		 const struct image_remove_options *options, struct image_removed *ret,
		 struct err *e);

/* Loading */

/* Called on the loading thread, at most a few times a second and at the end of each layer. */
typedef void image_progress_cb(void *arg, const char *diff_id, uint64_t done, uint64_t total);

struct image_load_options {
	/* "linux/arm64/v8"; NULL takes this machine's from a multi-platform archive. */
	const char *platform;
	image_progress_cb *progress; /* or NULL */
	void *progress_arg;
};

struct image_loaded {
	struct strs names; /* familiar names given, in the archive's order */
	struct strs ids;   /* ids of images that came without a name */
};
extern const struct table image_loaded_table;

/*
 * Reads an archive (docker-archive or OCI layout; plain, gzip or zstd) from `fd`, a file or a
 * stream, to its end. All images of it are stored or none. -EINVAL for a malformed archive,
 * -EBADMSG for a digest that does not match, -EMSGSIZE past a bound, -ENOSPC, -EIO; nothing is left
 * behind then.
 */
int image_load(struct image_store *store, int fd, const struct image_load_options *options,
	       struct image_loaded *ret, struct err *e);

/* Writing out */

/* Writes the tar of an image's layer `at` (from the bottom), exactly as its diff id says. */
int image_layer_write(struct image_store *store, const char *id, size_t at, int fd, struct err *e);

/* Usage of the disk, in bytes: each layer counted once. */
struct image_usage {
	int64_t layers_size;
	int64_t n_layers;
	int64_t n_images;
};
int image_usage(struct image_store *store, struct image_usage *ret, struct err *e);
