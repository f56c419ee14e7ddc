/*
 * Unpacking one layer into a directory that overlayfs can use, and writing its tar again. Knows no
 * store: the caller names the directories and makes the result visible. Used inside runtime/image
 * only.
 */
#pragma once

#include <stdint.h>

#include "base/table.h"
#include "runtime/image/store.h"

struct layer_job {
	int blob_dir; /* where the blob is; it must not change meanwhile */
	const char *blob_name;
	const char *blob_digest;   /* of its bytes as they are, which the caller has checked */
	const char *diff_id;       /* of the tar in it, which is checked here */
	int layer_dir;             /* an empty directory of ours: gets diff/, and recipe or blob */
	const struct strs *lowers; /* directories of the layers below, top-most first */
	uint64_t max_members;      /* 0: LIMIT_LAYER_ENTRIES */
	image_progress_cb *progress; /* or NULL */
	void *progress_arg;
};

/*
 * Unpacks the layer. `ret_size` is the bytes of its files. -EBADMSG for a damaged tar or another
 * digest than `diff_id`, -EINVAL for members that are refused, -EMSGSIZE past a bound, -ENOSPC.
 * The caller removes `layer_dir` then.
 */
int layer_unpack(const struct layer_job *job, int64_t *ret_size, struct err *e);

/* Writes the tar of the layer in `layer_dir` to `fd`; -EUCLEAN when it is not that of `diff_id`. */
int layer_write(int layer_dir, const char *diff_id, int fd, struct err *e);
