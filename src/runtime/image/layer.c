/*
 * See layer.h. One pass over the tar: each block is uncompressed, hashed, remembered for the recipe
 * and given to libarchive's tar reader, whose members go to tree.h.
 */
#include "runtime/image/layer.h"

#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "runtime/image/blob.h"
#include "runtime/image/digest.h"
#include "runtime/image/recipe.h"
#include "runtime/image/tree.h"

#define LAYER_BLOB "blob"
#define LAYER_DIFF "diff"
#define PROGRESS_MS 200
#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct unpack {
	const struct layer_job *job;
	struct archive *a;
	struct blob *blob;
	struct digest *digest; /* NULL when the blob's digest says it all */
	struct recipe_writer *recipe;
	struct tree tree;
	struct buf path;
	struct buf target;
	uint64_t tar_bytes;
	uint64_t file_bytes;
	uint64_t n_members;
	uint64_t blob_size;
	uint64_t told_ms;
	int rc; /* of the source, where libarchive only knows "failed" */
	struct err *e;
};

static void unpack_tell(struct unpack *u, bool end)
{
	uint64_t now = clock_mono_ms(), done = blob_position(u->blob);

	if (!u->job->progress)
		return;
	/* That all of it has been read is told once, at the end. */
	if (!end && (now < u->told_ms + PROGRESS_MS || done >= u->blob_size))
		return;
	u->told_ms = now;
	u->job->progress(u->job->progress_arg, u->job->diff_id, done, u->blob_size);
}

/* The next block of the tar, from the blob to all who want it. Its length, 0 at the end. */
static ssize_t unpack_block(struct unpack *u, const void **ret)
{
	ssize_t n = blob_next(u->blob, ret, u->e);

	if (n <= 0) {
		u->rc = (int)n;
		return n;
	}
	u->tar_bytes += (uint64_t)n;
	if (u->tar_bytes > (uint64_t)LIMIT_LAYER_BYTES) {
		u->rc = err_set(u->e, -EMSGSIZE, "the layer is larger than %lld bytes",
				LIMIT_LAYER_BYTES);
		return u->rc;
	}
	if (u->digest)
		digest_add(u->digest, *ret, (size_t)n);
	recipe_add(u->recipe, *ret, (size_t)n, (uint64_t)archive_filter_bytes(u->a, 0));
	unpack_tell(u, false);
	return n;
}

static la_ssize_t unpack_read(struct archive *a, void *arg, const void **ret)
{
	ssize_t n = unpack_block(arg, ret);

	return n < 0 ? ARCHIVE_FATAL : n;
}

static int unpack_failed(struct unpack *u)
{
	const char *text = archive_error_string(u->a);

	if (u->rc < 0)
		return u->rc;
	return err_set(u->e, -EBADMSG, "the layer's tar is damaged: %s", text ? text : "unknown");
}

static struct tree_meta member_meta(struct archive_entry *entry)
{
	return (struct tree_meta){
		.uid = (uid_t)archive_entry_uid(entry),
		.gid = (gid_t)archive_entry_gid(entry),
		.mode = archive_entry_perm(entry),
		.mtime = {.tv_sec = archive_entry_mtime(entry),
			  .tv_nsec = archive_entry_mtime_nsec(entry)},
	};
}

static int member_xattrs(struct unpack *u, struct archive_entry *entry, int fd)
{
	const char *name;
	const void *value;
	size_t n;
	int rc = 0;

	archive_entry_xattr_reset(entry);
	while (rc == 0 && archive_entry_xattr_next(entry, &name, &value, &n) == ARCHIVE_OK)
		rc = tree_xattr_fd(fd, buf_text(&u->path), name, value, n, u->e);
	return rc;
}

/* Copies a file's content. A sparse one has holes between its blocks. */
static int member_content(struct unpack *u, int fd, uint64_t start, bool exact)
{
	const void *p;
	la_int64_t at;
	size_t n;
	int rc;

	while ((rc = archive_read_data_block(u->a, &p, &n, &at)) == ARCHIVE_OK) {
		if (n == 0)
			continue;
		if (exact)
			recipe_match(u->recipe, start + (uint64_t)at, p, n);
		if (!exact && lseek(fd, at, SEEK_SET) < 0)
			return err_sys(u->e, "cannot write %s", buf_text(&u->path));
		rc = file_write_fd(fd, p, n);
		if (rc < 0)
			return err_code(u->e, rc, "cannot write %s", buf_text(&u->path));
	}
	return rc == ARCHIVE_EOF ? 0 : unpack_failed(u);
}

static int member_file(struct unpack *u, struct archive_entry *entry)
{
	uint64_t start = (uint64_t)archive_filter_bytes(u->a, 0);
	struct tree_meta meta = member_meta(entry);
	int64_t size = archive_entry_size(entry);
	bool exact = archive_entry_sparse_count(entry) == 0;
	const char *path = buf_text(&u->path);
	int fd, rc;

	u->file_bytes += (uint64_t)size;
	if (size < 0 || u->file_bytes > (uint64_t)LIMIT_LAYER_BYTES)
		return err_set(u->e, -EMSGSIZE, "the layer's files are larger than %lld bytes",
			       LIMIT_LAYER_BYTES);
	rc = tree_file(&u->tree, path, &fd, u->e);
	if (rc < 0)
		return rc;
	if (exact)
		recipe_file(u->recipe, start, (uint64_t)size, path);
	rc = member_content(u, fd, start, exact);
	if (rc == 0 && !exact && ftruncate(fd, size) < 0)
		rc = err_sys(u->e, "cannot write %s", path);
	if (rc == 0)
		rc = tree_file_own(path, fd, &meta, u->e);
	if (rc == 0)
		rc = member_xattrs(u, entry, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return tree_file_end(path, fd, &meta, u->e);
}

static int member_dir(struct unpack *u, struct archive_entry *entry)
{
	struct tree_meta meta = member_meta(entry);
	auto_close int fd = -1;
	int rc = tree_dir(&u->tree, buf_text(&u->path), &meta, u->e);

	if (rc < 0 || archive_entry_xattr_count(entry) == 0)
		return rc;
	rc = tree_dir_open(&u->tree, buf_text(&u->path), &fd, u->e);
	return rc < 0 ? rc : member_xattrs(u, entry, fd);
}

static int member_put(struct unpack *u, struct archive_entry *entry)
{
	const char *path = buf_text(&u->path), *hardlink = archive_entry_hardlink(entry);
	struct tree_meta meta = member_meta(entry);
	mode_t type = archive_entry_filetype(entry);
	const char *target;
	int rc;

	if (hardlink) {
		rc = tree_path(hardlink, &u->target, u->e);
		return rc < 0 ? rc : tree_hardlink(&u->tree, path, buf_text(&u->target), u->e);
	}
	switch (type) {
	case AE_IFREG:
		return member_file(u, entry);
	case AE_IFDIR:
		return member_dir(u, entry);
	case AE_IFLNK:
		target = archive_entry_symlink(entry);
		if (!target || *target == '\0')
			return err_set(u->e, -EINVAL, "the symbolic link %s leads nowhere", path);
		return tree_symlink(&u->tree, path, target, &meta, u->e);
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return tree_node(&u->tree, path, type,
				 type == AE_IFIFO ? 0 : archive_entry_rdev(entry), &meta, u->e);
	default:
		return err_set(u->e, -EINVAL, "%s is of a kind that no layer may have", path);
	}
}

/* Whiteouts stand for what is hidden; see the OCI image specification, layer.md. */
static int member_whiteout(struct unpack *u, const char *base)
{
	char *path = u->path.p, *at = path + (base - path);
	const char *hidden = base + strlen(WHITEOUT);

	if (strcmp(base, WHITEOUT_OPAQUE) == 0) {
		*(at > path ? at - 1 : at) = '\0';
		return tree_opaque(&u->tree, path, u->e);
	}
	if (strncmp(base, WHITEOUT_META, strlen(WHITEOUT_META)) == 0)
		return 0; /* bookkeeping of aufs */
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return err_set(u->e, -EINVAL, "the member \"%.200s\" hides nothing", path);
	memmove(at, hidden, strlen(hidden) + 1);
	return tree_whiteout(&u->tree, path, u->e);
}

static int unpack_member(struct unpack *u, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry), *slash, *base;
	uint64_t max = u->job->max_members ? u->job->max_members : LIMIT_LAYER_ENTRIES;
	int rc;

	if (++u->n_members > max)
		return err_set(u->e, -EMSGSIZE, "the layer has more than %llu members",
			       (unsigned long long)max);
	if (!name)
		return err_set(u->e, -EINVAL, "a member of the layer has no name");
	/* The last number means "leave it" to chown(2). */
	if (archive_entry_uid(entry) < 0 || archive_entry_uid(entry) >= UINT32_MAX ||
	    archive_entry_gid(entry) < 0 || archive_entry_gid(entry) >= UINT32_MAX)
		return err_set(u->e, -EINVAL, "the member \"%.200s\" has no valid owner", name);
	rc = tree_path(name, &u->path, u->e);
	if (rc < 0)
		return rc;
	if (strncmp(buf_text(&u->path), WHITEOUT_META "plnk/", 13) == 0)
		return 0;
	slash = u->path.len ? strrchr(u->path.p, '/') : NULL;
	base = slash ? slash + 1 : buf_text(&u->path);
	if (strncmp(base, WHITEOUT, strlen(WHITEOUT)) == 0)
		return member_whiteout(u, base);
	return member_put(u, entry);
}

static int unpack_members(struct unpack *u)
{
	struct archive_entry *entry;
	const void *ignored;
	ssize_t n;
	int rc;

	for (;;) {
		rc = archive_read_next_header(u->a, &entry);
		if (rc == ARCHIVE_EOF)
			break;
		/* A warning is about text that is not UTF-8: such names are taken as they are. */
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return unpack_failed(u);
		rc = unpack_member(u, entry);
		if (rc < 0)
			return rc;
	}
	/* What follows the end of the archive counts for the digest. */
	while ((n = unpack_block(u, &ignored)) > 0)
		;
	return n < 0 ? (int)n : tree_finish(&u->tree, u->e);
}

static int unpack_verify(struct unpack *u)
{
	char text[DIGEST_TEXT_LEN + 1];

	if (u->digest)
		digest_end(u->digest, text);
	else
		memcpy(text, u->job->blob_digest, sizeof text);
	if (strcmp(text, u->job->diff_id) != 0)
		return err_set(u->e, -EBADMSG,
			       "the layer's content is %s, but the image's configuration says %s",
			       text, u->job->diff_id);
	return 0;
}

/* Keeps the recipe where it holds, else the blob. */
static int unpack_keep(struct unpack *u)
{
	int rc = u->tree.replaced ? -ENOTSUP : recipe_end(u->recipe, u->e);

	if (rc != -ENOTSUP)
		return rc;
	(void)unlinkat(u->job->layer_dir, RECIPE_NAME, 0);
	if (linkat(u->job->blob_dir, u->job->blob_name, u->job->layer_dir, LAYER_BLOB, 0) < 0)
		return err_sys(u->e, "cannot keep the layer's blob");
	return 0;
}

static int unpack_run(struct unpack *u)
{
	int rc;

	if (archive_read_open(u->a, u, NULL, unpack_read, NULL) != ARCHIVE_OK)
		return unpack_failed(u);
	rc = unpack_members(u);
	if (rc == 0)
		rc = unpack_verify(u);
	return rc < 0 ? rc : unpack_keep(u);
}

static int unpack_open(struct unpack *u, int blob_fd, int *ret_root)
{
	struct stat st;
	int rc;

	if (fstat(blob_fd, &st) < 0)
		return err_sys(u->e, "cannot look at the layer's blob");
	u->blob_size = (uint64_t)st.st_size;
	rc = blob_open(blob_fd, &u->blob, u->e);
	if (rc < 0)
		return rc;
	if (!blob_is_plain(u->blob))
		u->digest = digest_new();
	if (mkdirat(u->job->layer_dir, LAYER_DIFF, 0700) < 0)
		return err_sys(u->e, "cannot make the layer's folder");
	*ret_root = openat(u->job->layer_dir, LAYER_DIFF, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_root < 0)
		return err_sys(u->e, "cannot open the layer's folder");
	rc = tree_init(&u->tree, *ret_root, u->job->lowers, u->e);
	return rc < 0 ? rc : recipe_writer_open(u->job->layer_dir, &u->recipe, u->e);
}

int layer_unpack(const struct layer_job *job, int64_t *ret_size, struct err *e)
{
	auto_close int blob_fd =
		openat(job->blob_dir, job->blob_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int root = -1;
	/* Names are UTF-8 whatever the daemon's environment says; this thread alone, for now. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;
	struct unpack u = {.job = job,
			   .path = BUF_INIT(PATH_MAX),
			   .target = BUF_INIT(PATH_MAX),
			   .tree.parent = -1,
			   .told_ms = clock_mono_ms(),
			   .e = e};
	int rc;

	if (blob_fd < 0)
		return err_sys(e, "cannot open the layer's blob");
	if (utf8)
		before = uselocale(utf8);
	u.a = archive_read_new();
	if (!u.a)
		abort();
	(void)archive_read_support_format_tar(u.a);
	(void)archive_read_support_format_empty(u.a);
	rc = unpack_open(&u, blob_fd, &root);
	if (rc == 0)
		rc = unpack_run(&u);
	if (rc == 0) {
		*ret_size = (int64_t)u.file_bytes;
		unpack_tell(&u, true);
	}
	(void)archive_read_free(u.a);
	recipe_writer_close(u.recipe);
	tree_done(&u.tree);
	digest_free(u.digest);
	blob_close(u.blob);
	buf_done(&u.path);
	buf_done(&u.target);
	if (utf8) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	return rc;
}
