/*
 * See blob.h. Decompression is libarchive's, in this process and never by an outside program.
 */
#include "runtime/image/blob.h"

#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#define BLOB_BLOCK (256u << 10)

struct blob {
	int fd;
	bool plain;
	uint64_t position; /* of a plain one */
	struct archive *a; /* of a compressed one */
	char *block;
};

void blob_filters(struct archive *a)
{
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_zstd(a);
}

static int blob_open_compressed(struct blob *blob, struct err *e)
{
	struct archive_entry *entry;

	blob->a = archive_read_new();
	if (!blob->a)
		abort();
	blob_filters(blob->a);
	(void)archive_read_support_format_raw(blob->a);
	if (archive_read_open_fd(blob->a, blob->fd, BLOB_BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(blob->a, &entry) != ARCHIVE_OK)
		return err_set(e, -EBADMSG, "the compression is damaged: %s",
			       archive_error_string(blob->a));
	return 0;
}

static bool is_compressed(const unsigned char *p, ssize_t n)
{
	return (n >= 2 && p[0] == 0x1f && p[1] == 0x8b) ||
	       (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0) ||
	       (n >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0);
}

int blob_open(int fd, struct blob **ret, struct err *e)
{
	struct blob *blob = xcalloc(1, sizeof *blob);
	unsigned char magic[4];
	ssize_t n = pread(fd, magic, sizeof magic, 0);
	int rc = 0;

	blob->fd = fd;
	blob->plain = !is_compressed(magic, n);
	if (n < 0)
		rc = err_sys(e, "cannot read the layer");
	else if (blob->plain)
		blob->block = xmalloc(BLOB_BLOCK);
	else
		rc = blob_open_compressed(blob, e);
	if (rc < 0) {
		blob_close(blob);
		return rc;
	}
	*ret = blob;
	return 0;
}

void blob_close(struct blob *blob)
{
	if (!blob)
		return;
	if (blob->a)
		(void)archive_read_free(blob->a);
	free(blob->block);
	free(blob);
}

void blob_close_at(struct blob **blob)
{
	blob_close(*blob);
	*blob = NULL;
}

bool blob_is_plain(const struct blob *blob)
{
	return blob->plain;
}

static ssize_t blob_next_plain(struct blob *blob, const void **ret, struct err *e)
{
	ssize_t n;

	do
		n = read(blob->fd, blob->block, BLOB_BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "cannot read the layer");
	blob->position += (uint64_t)n;
	*ret = blob->block;
	return n;
}

ssize_t blob_next(struct blob *blob, const void **ret, struct err *e)
{
	size_t n = 0;
	la_int64_t offset;
	int rc;

	if (blob->plain)
		return blob_next_plain(blob, ret, e);
	do
		rc = archive_read_data_block(blob->a, ret, &n, &offset);
	while (rc == ARCHIVE_OK && n == 0);
	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc != ARCHIVE_OK)
		return err_set(e, -EBADMSG, "the compression is damaged: %s",
			       archive_error_string(blob->a));
	return (ssize_t)n;
}

uint64_t blob_position(const struct blob *blob)
{
	return blob->plain ? blob->position : (uint64_t)archive_filter_bytes(blob->a, -1);
}
