/*
 * A layer as it is stored or sent: a tar, plain or compressed by gzip or zstd, read as a stream of
 * uncompressed blocks. Which it is, its first bytes say; names and media types are not trusted.
 * Used inside runtime/image only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

struct blob;

/* `fd` must be seekable and at its start; it stays the caller's and must live as long. */
int blob_open(int fd, struct blob **ret, struct err *e);
void blob_close(struct blob *blob);
void blob_close_at(struct blob **blob);
#define auto_blob CLEANUP(blob_close_at) struct blob

/* True when the bytes of the blob are those of the tar. */
bool blob_is_plain(const struct blob *blob);
/*
 * The next block, valid until the next call: its length, 0 at the end, or -EBADMSG for damaged
 * compression, or -errno of read().
 */
ssize_t blob_next(struct blob *blob, const void **ret, struct err *e);
/* Bytes of the stored form that were read so far. */
uint64_t blob_position(const struct blob *blob);

/* Allows libarchive's reader the compressions that images may have, and nothing else. */
struct archive;
void blob_filters(struct archive *a);
