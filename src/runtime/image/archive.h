/*
 * An image archive, read as a stream: its members come in any order and may be gigabytes, so each
 * is put into a file of its own under a number (never under a name of the archive's), hashed on the
 * way, and found by name afterwards. What the members mean is in manifest.h. Used inside
 * runtime/image only.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/table.h"
#include "runtime/image/reference.h"

struct archive_member {
	char *name; /* without leading "./" or "/" */
	char *link; /* the member that this one stands for; NULL for a file */
	uint64_t size;
	char digest[DIGEST_TEXT_LEN + 1];
	char file[12]; /* its name in the directory */
};

struct image_archive {
	int dir;                                /* borrowed: where the members are */
	LIST_OF(struct archive_member) members; /* sorted by name */
};

/*
 * Reads the tar (plain, gzip or zstd) from `fd` to its end and puts its files into the empty
 * directory `dirfd`. A member called blobs/sha256/<hex> must be what it says. -EBADMSG for a
 * damaged archive or such a member, -EINVAL for what is no archive, -EMSGSIZE past a bound,
 * -ENOSPC. The caller removes the directory, also after an error.
 */
int image_archive_read(int fd, int dirfd, struct image_archive *ret, struct err *e);
void image_archive_done(struct image_archive *a);

/* Finds a file by its name, through links inside the archive. NULL when there is none. */
const struct archive_member *image_archive_find(const struct image_archive *a, const char *name);
/* Finds the blob of an OCI layout by its digest. NULL when there is none. */
const struct archive_member *image_archive_blob(const struct image_archive *a, const char *digest);
/* Adds a member's bytes to `ret`; -EMSGSIZE past its bound. */
int image_archive_text(const struct image_archive *a, const struct archive_member *m,
		       struct buf *ret, struct err *e);
