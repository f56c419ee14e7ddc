/*
 * The writable layer of a container over the layers of its image: directories for one overlayfs
 * mount, which the container runtime makes. A snapshot pins its image's layers until it is removed.
 * Made for pool threads; called by the agent.
 */
#pragma once

#include <stdint.h>

#include "base/table.h"
#include "runtime/image/store.h"

struct snapshot {
	char *image_id; /* "sha256:..." */
	char *upper;    /* absolute paths */
	char *work;
	struct strs lowers; /* top-most first, as overlayfs wants them; at least one */
};
extern const struct table snapshot_table;

/*
 * Makes containers/<container_id>/{upper,work}, or finds them, and pins the layers of `image_id`
 * (a full id). Safe to repeat: also pins again what a power cut forgot. -ENOENT without the image,
 * -EINVAL for a container id that is not 64 hex digits, -EEXIST when it stands on another image.
 */
int snapshot_prepare(struct image_store *store, const char *container_id, const char *image_id,
		     struct snapshot *ret, struct err *e);
/* -ENOENT when it was never prepared. */
int snapshot_get(struct image_store *store, const char *container_id, struct snapshot *ret,
		 struct err *e);
/*
 * Removes upper, work and the pin, and layers that nobody needs any more. The overlay must be
 * unmounted. Other files of the container's directory stay. A missing snapshot is 0.
 */
int snapshot_remove(struct image_store *store, const char *container_id, struct err *e);
/* Bytes of the files that the container wrote. */
int snapshot_usage(struct image_store *store, const char *container_id, int64_t *ret_bytes,
		   struct err *e);
