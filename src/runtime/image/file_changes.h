/*
 * What a container has changed of its image's files: its writable layer beside the layers below, as
 * overlayfs puts them together. Nothing of it is mounted and no link is followed, so a container
 * may run, and change things, while this looks. Made for pool threads; called by the agent.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct image_store;

/* The values are the Engine API's. */
enum file_change_kind { FILE_MODIFIED, FILE_ADDED, FILE_DELETED };

struct file_change {
	enum file_change_kind kind;
	const char *path; /* absolute, any bytes; part of the buffer */
};

/*
 * Fills `ret` (empty, whose bound is the caller's) for file_changes_next(), each folder before what
 * is in it, by name; no more than `files_max` names are looked at. A folder that the image has is
 * told when its owner or mode changed, or anything in it did; of a removed folder, or
 * one with a file in its place, only itself is told. What the NULL-ended list `made` names (without
 * the first '/') counts as the image's: empty files and folders that were made to be mounted on.
 * -E2BIG beyond `files_max` or the buffer, -ENAMETOOLONG for a path beyond LIMIT_CHANGES_DEPTH
 * folders or the kernel's PATH_MAX.
 */
int snapshot_changes(struct image_store *store, const char *container_id, const char *const *made,
		     size_t files_max, struct buf *ret, struct err *e);
/* The record at *at (0 at first), which then goes on; false at the end. */
bool file_changes_next(const struct buf *b, size_t *at, struct file_change *ret);
