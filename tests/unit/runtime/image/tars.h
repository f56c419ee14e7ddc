/*
 * Tars, honest and hostile, made in memory for the tests of runtime/image.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/file.h"
#include "runtime/image/digest.h"

#define WANT_ROOT()                 \
	do {                        \
		if (geteuid() != 0) \
			skip();     \
	} while (0)

struct tar {
	struct archive *a;
	struct buf bytes;
};

static inline la_ssize_t tar_take(struct archive *a, void *arg, const void *p, size_t n)
{
	struct tar *t = arg;

	return buf_add(&t->bytes, p, n) < 0 ? -1 : (la_ssize_t)n;
}

/* `filter` is one of ARCHIVE_FILTER_*. */
static inline void tar_init_filter(struct tar *t, int filter)
{
	buf_init(&t->bytes, 1u << 30);
	t->a = archive_write_new();
	archive_write_set_format_pax_restricted(t->a);
	assert_int_equal(archive_write_add_filter(t->a, filter), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(t->a, 1);
	assert_int_equal(archive_write_open(t->a, t, NULL, tar_take, NULL), ARCHIVE_OK);
}

static inline void tar_init(struct tar *t)
{
	tar_init_filter(t, ARCHIVE_FILTER_NONE);
}

/* Closes the tar; its bytes stay. */
static inline void tar_end(struct tar *t)
{
	assert_int_equal(archive_write_close(t->a), ARCHIVE_OK);
	archive_write_free(t->a);
	t->a = NULL;
}

static inline void tar_done(struct tar *t)
{
	if (t->a)
		archive_write_free(t->a);
	buf_done(&t->bytes);
}
#define auto_tar CLEANUP(tar_done) struct tar

static inline struct archive_entry *tar_entry(const char *name, mode_t type, mode_t mode)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, mode);
	archive_entry_set_mtime(entry, 1500000000, 0);
	archive_entry_set_size(entry, 0);
	return entry;
}

static inline void tar_put(struct tar *t, struct archive_entry *entry, const void *p, size_t n)
{
	archive_entry_set_size(entry, (la_int64_t)n);
	assert_in_range(archive_write_header(t->a, entry) + 30, ARCHIVE_WARN + 30, 30);
	if (n > 0)
		assert_int_equal(archive_write_data(t->a, p, n), n);
	archive_entry_free(entry);
}

static inline void tar_bytes(struct tar *t, const char *name, const void *p, size_t n)
{
	tar_put(t, tar_entry(name, AE_IFREG, 0644), p, n);
}

static inline void tar_text(struct tar *t, const char *name, const char *text)
{
	tar_bytes(t, name, text, strlen(text));
}

static inline void tar_dir(struct tar *t, const char *name, mode_t mode)
{
	tar_put(t, tar_entry(name, AE_IFDIR, mode), NULL, 0);
}

static inline void tar_symlink(struct tar *t, const char *name, const char *target)
{
	struct archive_entry *entry = tar_entry(name, AE_IFLNK, 0777);

	archive_entry_set_symlink(entry, target);
	tar_put(t, entry, NULL, 0);
}

static inline void tar_hardlink(struct tar *t, const char *name, const char *target)
{
	struct archive_entry *entry = tar_entry(name, AE_IFREG, 0644);

	archive_entry_set_hardlink(entry, target);
	tar_put(t, entry, NULL, 0);
}

static inline void tar_node(struct tar *t, const char *name, mode_t type, unsigned major_no,
			    unsigned minor_no)
{
	struct archive_entry *entry = tar_entry(name, type, 0640);

	archive_entry_set_rdevmajor(entry, major_no);
	archive_entry_set_rdevminor(entry, minor_no);
	tar_put(t, entry, NULL, 0);
}

/* A file in memory at its start. */
static inline int bytes_fd(const void *p, size_t n)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(file_write_fd(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static inline void tar_digest(const struct tar *t, char ret[DIGEST_TEXT_LEN + 1])
{
	digest_of(buf_text(&t->bytes), t->bytes.len, ret);
}

/* A temporary folder that goes with its scope. */
struct place {
	char dir[64];
	int fd;
};

static inline void place_init(struct place *p)
{
	(void)snprintf(p->dir, sizeof p->dir, "/tmp/shoal-test-image-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
}

static inline void place_done(struct place *p)
{
	struct err e = ERR_INIT;

	close(p->fd);
	assert_ok(dir_remove(AT_FDCWD, p->dir, &e), &e);
}
#define auto_place CLEANUP(place_done) struct place

/* The whole of a file below the folder. */
static inline void assert_file(const struct place *p, const char *path, const char *text)
{
	auto_buf b = BUF_INIT(1u << 20);
	int rc = file_read_at(p->fd, path, &b);

	if (rc < 0)
		fail_msg("%s: %d", path, rc);
	assert_string_equal(buf_text(&b), text);
}

static inline bool exists(const struct place *p, const char *path)
{
	return faccessat(p->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}
