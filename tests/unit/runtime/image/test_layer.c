/*
 * runtime/image/layer.h: what comes out of honest layers, what hostile ones cannot do, and that a
 * layer's tar can be written again bit by bit.
 */
#include "unit/runtime/image/tars.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/limits.h"
#include "runtime/image/layer.h"

/* Unpacks the bytes as layer `p`/NAME; `plain` are the tar's own bytes. */
static int unpack_bytes(struct place *p, const char *name, const struct buf *blob,
			const char *diff_id, const struct strs *lowers, int64_t *ret_size,
			struct err *e)
{
	static const struct strs none;
	char digest[DIGEST_TEXT_LEN + 1];
	auto_close int dir = -1;
	struct layer_job job = {.blob_dir = p->fd,
				.blob_name = "blob",
				.blob_digest = digest,
				.diff_id = diff_id,
				.lowers = lowers ? lowers : &none};

	(void)unlinkat(p->fd, "blob", 0);
	assert_int_equal(file_write_atomic(p->fd, "blob", buf_text(blob), blob->len, 0600), 0);
	digest_of(buf_text(blob), blob->len, digest);
	assert_int_equal(mkdirat(p->fd, name, 0700), 0);
	dir = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job.layer_dir = dir;
	return layer_unpack(&job, ret_size, e);
}

static int unpack_over(struct place *p, const char *name, struct tar *t, const struct strs *lowers,
		       struct err *e)
{
	char diff_id[DIGEST_TEXT_LEN + 1];
	int64_t size;

	if (t->a)
		tar_end(t);
	tar_digest(t, diff_id);
	return unpack_bytes(p, name, &t->bytes, diff_id, lowers, &size, e);
}

static int unpack(struct place *p, struct tar *t, struct err *e)
{
	return unpack_over(p, "l", t, NULL, e);
}

/* Writes the layer out again and compares. */
static void assert_same_again(struct place *p, const char *name, struct tar *t)
{
	struct err e = ERR_INIT;
	char diff_id[DIGEST_TEXT_LEN + 1];
	auto_close int dir = openat(p->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int out = memfd_create("out", MFD_CLOEXEC);
	auto_buf again = BUF_INIT(1u << 30);

	tar_digest(t, diff_id);
	assert_ok(layer_write(dir, diff_id, out, &e), &e);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(file_read_fd(out, &again), 0);
	assert_int_equal(again.len, t->bytes.len);
	assert_memory_equal(again.p, t->bytes.p, again.len);
}

static void all_kinds_of_files_come_out_as_they_were(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	struct archive_entry *entry;
	struct stat st, st2;
	char text[32] = "";

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	tar_dir(&t, "./", 0751);
	tar_dir(&t, "bin/", 0755);
	entry = tar_entry("bin/su", AE_IFREG, 04755);
	archive_entry_set_uid(entry, 7);
	archive_entry_set_gid(entry, 8);
	archive_entry_xattr_add_entry(entry, "user.note", "hello", 5);
	archive_entry_xattr_add_entry(entry, "security.capability",
				      "\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	archive_entry_xattr_add_entry(entry, "trusted.overlay.redirect", "/etc", 4);
	archive_entry_xattr_add_entry(entry, "user.overlay.metacopy", "", 0);
	tar_put(&t, entry, "setuid", 6);
	tar_hardlink(&t, "bin/sudo", "bin/su");
	tar_symlink(&t, "bin/sh", "/bin/busybox");
	tar_node(&t, "null", AE_IFCHR, 1, 3);
	tar_node(&t, "disk", AE_IFBLK, 7, 200);
	tar_node(&t, "pipe", AE_IFIFO, 0, 0);
	tar_text(&t, "/etc/passwd", "root\n");
	tar_text(&t, "sp\xc3\xa4t/na\xc3\xafve", "utf8");
	assert_ok(unpack(&p, &t, &e), &e);

	assert_int_equal(fstatat(p.fd, "l/diff", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0751);
	assert_int_equal(st.st_mtime, 1500000000);
	assert_int_equal(fstatat(p.fd, "l/diff/bin/su", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(st.st_mtime, 1500000000);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fstatat(p.fd, "l/diff/bin/sudo", &st2, 0), 0);
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_file(&p, "l/diff/bin/su", "setuid");
	assert_int_equal(fstatat(p.fd, "l/diff/bin", &st, 0), 0);
	assert_int_equal(st.st_mtime, 1500000000);
	assert_true(readlinkat(p.fd, "l/diff/bin/sh", text, sizeof text - 1) > 0);
	assert_string_equal(text, "/bin/busybox");
	assert_int_equal(fstatat(p.fd, "l/diff/null", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFCHR | 0640);
	assert_int_equal(st.st_rdev, makedev(1, 3));
	assert_int_equal(fstatat(p.fd, "l/diff/disk", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFBLK | 0640);
	assert_int_equal(fstatat(p.fd, "l/diff/pipe", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0640);
	assert_file(&p, "l/diff/etc/passwd", "root\n");
	assert_file(&p, "l/diff/sp\xc3\xa4t/na\xc3\xafve", "utf8");

	auto_close int fd = openat(p.fd, "l/diff/bin/su", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.note", text, sizeof text), 5);
	assert_int_equal(fgetxattr(fd, "security.capability", text, sizeof text), 20);
	assert_int_equal(fgetxattr(fd, "trusted.overlay.redirect", text, sizeof text), -1);
	assert_int_equal(fgetxattr(fd, "user.overlay.metacopy", text, sizeof text), -1);
	assert_true(exists(&p, "l/recipe"));
	assert_false(exists(&p, "l/blob"));
	assert_same_again(&p, "l", &t);
}

static bool is_whiteout_at(const struct place *p, const char *path)
{
	struct stat st;

	return fstatat(p->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

static bool is_opaque_at(const struct place *p, const char *path)
{
	auto_close int fd = openat(p->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char value[4];

	assert_true(fd >= 0);
	return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y';
}

static void whiteouts_become_overlays(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	tar_text(&t, "a/.wh.gone", "");
	tar_text(&t, "b/.wh..wh..opq", "");
	tar_text(&t, "b/new", "n");
	tar_text(&t, "kept", "k"); /* what this layer has wins over its own whiteout */
	tar_text(&t, ".wh.kept", "");
	tar_text(&t, ".wh.later", "");
	tar_text(&t, "later", "l");
	tar_text(&t, ".wh.dir", "");
	tar_text(&t, "dir/x", "x");
	tar_dir(&t, "known", 0755);
	tar_text(&t, ".wh.known", "");
	tar_text(&t, ".wh..wh.plnk/12.34", "");
	tar_text(&t, "c/.wh..wh.aufs", "");
	assert_ok(unpack(&p, &t, &e), &e);
	assert_true(is_whiteout_at(&p, "l/diff/a/gone"));
	assert_true(is_opaque_at(&p, "l/diff/b"));
	assert_file(&p, "l/diff/b/new", "n");
	assert_file(&p, "l/diff/kept", "k");
	assert_file(&p, "l/diff/later", "l");
	assert_true(is_opaque_at(&p, "l/diff/dir"));
	assert_true(is_opaque_at(&p, "l/diff/known"));
	assert_false(exists(&p, "l/diff/.wh..wh.plnk"));
	assert_false(exists(&p, "l/diff/c/.wh..wh.aufs"));
	assert_same_again(&p, "l", &t);
}

static void folders_not_named_look_as_in_the_layers_below(void **state)
{
	auto_place p;
	auto_tar base, top;
	struct err e = ERR_INIT;
	struct strs lowers = {0};
	struct archive_entry *entry;
	struct stat st;
	char path[128];

	WANT_ROOT();
	place_init(&p);
	tar_init(&base);
	tar_dir(&base, ".", 0700);
	entry = tar_entry("tmp", AE_IFDIR, 01777);
	archive_entry_set_uid(entry, 3);
	tar_put(&base, entry, NULL, 0);
	assert_ok(unpack_over(&p, "base", &base, NULL, &e), &e);
	tar_init(&top);
	tar_text(&top, "tmp/x", "x");
	tar_text(&top, "new/x", "x");
	snprintf(path, sizeof path, "%s/base/diff", p.dir);
	strs_add(&lowers, path);
	assert_ok(unpack_over(&p, "top", &top, &lowers, &e), &e);
	assert_int_equal(fstatat(p.fd, "top/diff/tmp", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	assert_int_equal(st.st_uid, 3);
	assert_int_equal(fstatat(p.fd, "top/diff/new", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(fstatat(p.fd, "top/diff", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	strs_done(&lowers);
}

/* Each tries to read, write or make something outside the layer: see CVE-2014-6407, 2014-9357. */
static void hostile_link_parent(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", outside);
	tar_text(t, "door/pwned", "x");
}
static void hostile_link_parent_relative(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", "../../../..");
	tar_text(t, "door/tmp/pwned", "x");
}
static void hostile_link_deep(struct tar *t, const char *outside)
{
	tar_dir(t, "a", 0755);
	tar_symlink(t, "a/b", outside);
	tar_dir(t, "a/b/c", 0755);
	tar_text(t, "a/b/c/pwned", "x");
}
static void hostile_dots(struct tar *t, const char *outside)
{
	tar_text(t, "../../pwned", "x");
}
static void hostile_dots_inside(struct tar *t, const char *outside)
{
	tar_dir(t, "a", 0755);
	tar_text(t, "a/../../../pwned", "x");
}
static void hostile_hardlink_absolute(struct tar *t, const char *outside)
{
	char target[128];

	snprintf(target, sizeof target, "%s/secret", outside);
	tar_hardlink(t, "mine", target);
}
static void hostile_hardlink_dots(struct tar *t, const char *outside)
{
	tar_hardlink(t, "mine", "../../out/secret");
}
static void hostile_hardlink_through_link(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", outside);
	tar_hardlink(t, "mine", "door/secret");
}
static void hostile_whiteout_dots(struct tar *t, const char *outside)
{
	tar_text(t, ".wh...", "");
}
static void hostile_whiteout_dot(struct tar *t, const char *outside)
{
	tar_text(t, "a/.wh..", "");
}
static void hostile_whiteout_nothing(struct tar *t, const char *outside)
{
	tar_text(t, "a/.wh.", "");
}
static void hostile_whiteout_through_link(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", outside);
	tar_text(t, "door/.wh.secret", "");
}
static void hostile_opaque_through_link(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", outside);
	tar_text(t, "door/.wh..wh..opq", "");
}
static void hostile_opaque_is_a_link(struct tar *t, const char *outside)
{
	tar_symlink(t, "door", outside);
	tar_text(t, ".wh.door", "");
	tar_text(t, "door/x", "");
}
static void hostile_below_a_file(struct tar *t, const char *outside)
{
	tar_text(t, "file", "x");
	tar_text(t, "file/pwned", "x");
}
static void hostile_root_is_a_link(struct tar *t, const char *outside)
{
	tar_symlink(t, "./", outside);
	tar_text(t, "pwned", "x");
}
static void hostile_root_is_a_file(struct tar *t, const char *outside)
{
	tar_text(t, ".", "x");
}
static void hostile_self_link(struct tar *t, const char *outside)
{
	tar_text(t, "a", "x");
	tar_hardlink(t, "a", "./a");
}
static void hostile_dir_hardlink(struct tar *t, const char *outside)
{
	tar_dir(t, "a", 0755);
	tar_hardlink(t, "b", "a");
}
static void hostile_missing_hardlink(struct tar *t, const char *outside)
{
	tar_hardlink(t, "b", "nothing");
}
static void hostile_owner(struct tar *t, const char *outside)
{
	struct archive_entry *entry = tar_entry("a", AE_IFREG, 04755);

	archive_entry_set_uid(entry, 4294967295LL);
	tar_put(t, entry, NULL, 0);
}
static void hostile_depth(struct tar *t, const char *outside)
{
	auto_buf b = BUF_INIT(4096);

	for (int i = 0; i <= LIMIT_LAYER_DEPTH; i++)
		buf_adds(&b, "d/");
	tar_dir(t, buf_text(&b), 0755);
}
static void hostile_name_length(struct tar *t, const char *outside)
{
	auto_buf b = BUF_INIT(10000);

	for (int i = 0; i < 30; i++)
		buf_addf(&b, "%0200d/", i);
	tar_dir(t, buf_text(&b), 0755);
}
static void hostile_part_length(struct tar *t, const char *outside)
{
	auto_buf b = BUF_INIT(10000);

	buf_addf(&b, "%0300d", 7);
	tar_text(t, buf_text(&b), "x");
}

static void hostile_layers_are_refused_and_touch_nothing(void **state)
{
	static const struct {
		const char *name;
		void (*fill)(struct tar *t, const char *outside);
	} cases[] = {
#define CASE(name) {#name, hostile_##name}
		CASE(link_parent),
		CASE(link_parent_relative),
		CASE(link_deep),
		CASE(dots),
		CASE(dots_inside),
		CASE(hardlink_absolute),
		CASE(hardlink_dots),
		CASE(hardlink_through_link),
		CASE(whiteout_dots),
		CASE(whiteout_dot),
		CASE(whiteout_nothing),
		CASE(whiteout_through_link),
		CASE(opaque_through_link),
		CASE(opaque_is_a_link),
		CASE(below_a_file),
		CASE(root_is_a_link),
		CASE(root_is_a_file),
		CASE(self_link),
		CASE(dir_hardlink),
		CASE(missing_hardlink),
		CASE(owner),
		CASE(depth),
		CASE(name_length),
		CASE(part_length),
	};

	WANT_ROOT();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_place p;
		auto_tar t;
		struct err e = ERR_INIT;
		struct stat before, after;
		char outside[96];

		place_init(&p);
		snprintf(outside, sizeof outside, "%s/out", p.dir);
		assert_int_equal(mkdir(outside, 0755), 0);
		assert_int_equal(file_write_atomic(p.fd, "out/secret", "secret", 6, 0600), 0);
		assert_int_equal(fstatat(p.fd, "out", &before, 0), 0);
		tar_init(&t);
		cases[i].fill(&t, outside);
		if (unpack(&p, &t, &e) >= 0)
			fail_msg("%s was taken", cases[i].name);
		assert_true(strlen(e.msg) > 10);
		assert_int_equal(fstatat(p.fd, "out", &after, 0), 0);
		assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
		assert_int_equal(before.st_ctim.tv_sec, after.st_ctim.tv_sec);
		assert_int_equal(fstatat(p.fd, "out/secret", &after, 0), 0);
		assert_int_equal(after.st_nlink, 1);
		assert_int_equal(access("/tmp/pwned", F_OK), -1);
		assert_false(exists(&p, "pwned"));
		assert_false(exists(&p, "l/pwned"));
		assert_false(exists(&p, "out/pwned"));
	}
}

/* Links themselves may be replaced, and are never written through. */
static void members_replace_links_instead_of_following_them(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	struct stat st;
	char outside[96];

	WANT_ROOT();
	place_init(&p);
	snprintf(outside, sizeof outside, "%s/secret", p.dir);
	assert_int_equal(file_write_atomic(p.fd, "secret", "secret", 6, 0600), 0);
	tar_init(&t);
	tar_symlink(&t, "a", outside);
	tar_text(&t, "a", "mine");
	tar_symlink(&t, "b", outside);
	tar_hardlink(&t, "c", "b"); /* the link itself */
	tar_symlink(&t, "d", p.dir);
	tar_dir(&t, "d", 0755);
	tar_text(&t, "d/in", "in");
	tar_text(&t, "e/old", "old");
	tar_text(&t, "e", "file now");
	tar_symlink(&t, "f", outside);
	tar_node(&t, "f", AE_IFIFO, 0, 0);
	assert_ok(unpack(&p, &t, &e), &e);
	assert_file(&p, "secret", "secret");
	assert_file(&p, "l/diff/a", "mine");
	assert_int_equal(fstatat(p.fd, "l/diff/c", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_file(&p, "l/diff/d/in", "in");
	assert_file(&p, "l/diff/e", "file now");
	assert_int_equal(fstatat(p.fd, "secret", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Paths that came twice: the recipe cannot hold, so the blob was kept. */
	assert_false(exists(&p, "l/recipe"));
	assert_true(exists(&p, "l/blob"));
	assert_same_again(&p, "l", &t);
}

static void sparse_files_keep_their_content(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	struct archive_entry *entry;
	char *content = calloc(1, 3 << 20);
	struct stat st;

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	memcpy(content + (1 << 20), "middle", 6);
	entry = tar_entry("hole", AE_IFREG, 0644);
	archive_entry_sparse_add_entry(entry, 1 << 20, 4096);
	archive_entry_sparse_add_entry(entry, 3 << 20, 0);
	tar_put(&t, entry, content, 3 << 20);
	tar_text(&t, "after", "after");
	assert_ok(unpack(&p, &t, &e), &e);
	assert_int_equal(fstatat(p.fd, "l/diff/hole", &st, 0), 0);
	assert_int_equal(st.st_size, 3 << 20);
	auto_close int fd = openat(p.fd, "l/diff/hole", O_RDONLY | O_CLOEXEC);
	auto_buf b = BUF_INIT(4 << 20);
	assert_int_equal(file_read_fd(fd, &b), 0);
	assert_memory_equal(b.p, content, 3 << 20);
	assert_file(&p, "l/diff/after", "after");
	assert_same_again(&p, "l", &t);
	free(content);
}

/* Bytes that do not compress, the same each time. */
static char *noise(size_t n)
{
	char *p = malloc(n);
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (char)x;
	}
	return p;
}

static void compressed_layers_are_the_same(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				      ARCHIVE_FILTER_ZSTD};
	char *content = noise(1 << 20);
	auto_tar plain;
	char diff_id[DIGEST_TEXT_LEN + 1];

	WANT_ROOT();
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		auto_place p;
		auto_tar t;
		struct err e = ERR_INIT;
		int64_t size = 0;

		place_init(&p);
		tar_init_filter(&t, filters[i]);
		tar_bytes(&t, "big", content, 1 << 20);
		tar_bytes(&t, "odd", content, 12345);
		tar_text(&t, "empty", "");
		tar_end(&t);
		if (i == 0) {
			tar_digest(&t, diff_id);
			plain = t;
			t.bytes = BUF_INIT(0);
			assert_ok(unpack_bytes(&p, "l", &plain.bytes, diff_id, NULL, &size, &e),
				  &e);
		} else {
			assert_ok(unpack_bytes(&p, "l", &t.bytes, diff_id, NULL, &size, &e), &e);
		}
		assert_int_equal(size, (1 << 20) + 12345);
		assert_true(exists(&p, "l/recipe"));
		assert_same_again(&p, "l", &plain);
	}
	free(content);
}

static void another_content_than_promised_is_refused(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	int64_t size;

	WANT_ROOT();
	place_init(&p);
	tar_init_filter(&t, ARCHIVE_FILTER_GZIP);
	tar_text(&t, "a", "x");
	tar_end(&t);
	assert_int_equal(unpack_bytes(&p, "l", &t.bytes,
				      "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123"
				      "456789abcdef",
				      NULL, &size, &e),
			 -EBADMSG);
	assert_non_null(strstr(e.msg, "configuration says"));
}

static void truncated_and_damaged_layers_are_refused(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				      ARCHIVE_FILTER_ZSTD};
	char *content = noise(100000), diff_id[DIGEST_TEXT_LEN + 1];

	WANT_ROOT();
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		auto_place p;
		auto_tar t;
		int n = 0;

		place_init(&p);
		tar_init_filter(&t, filters[i]);
		tar_dir(&t, "d", 0755);
		for (int k = 0; k < 10; k++) {
			char name[16];

			snprintf(name, sizeof name, "d/%d", k);
			tar_bytes(&t, name, content + k * 10000, 10000);
		}
		tar_end(&t);
		if (i == 0)
			tar_digest(&t, diff_id); /* of the tar; the others hold the same one */
		for (size_t at = 0; at < t.bytes.len; at += 4096) {
			struct buf part = {.p = t.bytes.p, .len = at, .cap = at, .max = at};
			struct err e = ERR_INIT;
			int64_t size;
			char name[16];
			int rc;

			snprintf(name, sizeof name, "t%d", n++);
			if (i == 0) /* a plain blob's digest is known to be wrong before */
				continue;
			rc = unpack_bytes(&p, name, &part, diff_id, NULL, &size, &e);
			if (rc != -EBADMSG)
				fail_msg("cut at %zu of %zu: %d %s", at, t.bytes.len, rc, e.msg);
		}
		for (size_t at = 600; at < t.bytes.len - 1600; at += 4096) {
			struct err e = ERR_INIT;
			int64_t size;
			char name[16];

			snprintf(name, sizeof name, "t%d", n++);
			t.bytes.p[at] ^= 0x10;
			assert_true(unpack_bytes(&p, name, &t.bytes, diff_id, NULL, &size, &e) < 0);
			t.bytes.p[at] ^= 0x10;
		}
	}
	free(content);
}

static void what_follows_the_end_is_part_of_the_digest(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	char *tail = noise(300000);

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	tar_text(&t, "a", "x");
	tar_end(&t);
	buf_add(&t.bytes, tail, 300000);
	assert_ok(unpack(&p, &t, &e), &e);
	assert_true(exists(&p, "l/recipe"));
	assert_same_again(&p, "l", &t);
	free(tail);
}

static void empty_layers_are_layers(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	assert_ok(unpack(&p, &t, &e), &e);
	assert_same_again(&p, "l", &t);
	buf_reset(&t.bytes);
	assert_ok(unpack_over(&p, "none", &t, NULL, &e), &e);
	assert_same_again(&p, "none", &t);
	buf_adds(&t.bytes, "this is no tar at all");
	assert_int_equal(unpack_over(&p, "text", &t, NULL, &e), -EBADMSG);
}

static void altered_files_are_noticed_when_written_out(void **state)
{
	auto_place p;
	auto_tar t;
	struct err e = ERR_INIT;
	char diff_id[DIGEST_TEXT_LEN + 1];

	WANT_ROOT();
	place_init(&p);
	tar_init(&t);
	tar_text(&t, "a", "content");
	assert_ok(unpack(&p, &t, &e), &e);
	tar_digest(&t, diff_id);
	auto_close int dir = openat(p.fd, "l", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int out = memfd_create("out", MFD_CLOEXEC);
	assert_int_equal(file_write_atomic(p.fd, "l/diff/a", "CONTENT", 7, 0644), 0);
	assert_int_equal(layer_write(dir, diff_id, out, &e), -EUCLEAN);
	assert_int_equal(file_write_atomic(p.fd, "l/diff/a", "short", 5, 0644), 0);
	assert_int_equal(layer_write(dir, diff_id, out, &e), -EUCLEAN);
	assert_int_equal(unlinkat(p.fd, "l/diff/a", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", p.fd, "l/diff/a"), 0);
	assert_int_equal(layer_write(dir, diff_id, out, &e), -EUCLEAN);
	assert_int_equal(unlinkat(p.fd, "l/recipe", 0), 0);
	assert_int_equal(file_write_atomic(p.fd, "l/recipe", "rubbish", 7, 0644), 0);
	assert_int_equal(layer_write(dir, diff_id, out, &e), -EUCLEAN);
}

static void bounds_of_a_layer_hold(void **state)
{
	struct archive_entry *entry;
	struct err e = ERR_INIT;
	auto_buf deep = BUF_INIT(8192);

	WANT_ROOT();
	for (uint64_t max = 2; max <= 3; max++) { /* LIMIT_LAYER_ENTRIES stands for 0 */
		auto_place p;
		auto_tar t;
		char diff_id[DIGEST_TEXT_LEN + 1];
		struct strs none = {0};
		struct layer_job job = {.blob_name = "blob",
					.blob_digest = diff_id,
					.diff_id = diff_id,
					.max_members = max,
					.lowers = &none};
		int64_t size;

		place_init(&p);
		tar_init(&t);
		tar_text(&t, "a", "");
		tar_text(&t, "b", "");
		tar_text(&t, "c", "");
		tar_end(&t);
		tar_digest(&t, diff_id);
		assert_int_equal(file_write_atomic(p.fd, "blob", t.bytes.p, t.bytes.len, 0600), 0);
		assert_int_equal(mkdirat(p.fd, "l", 0700), 0);
		auto_close int dir = openat(p.fd, "l", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		job.blob_dir = p.fd;
		job.layer_dir = dir;
		assert_int_equal(layer_unpack(&job, &size, &e), max == 3 ? 0 : -EMSGSIZE);
	}
	for (int over = 0; over <= 1; over++) { /* a header may promise what it wants */
		auto_place p;
		auto_tar t;

		place_init(&p);
		tar_init(&t);
		entry = tar_entry("huge", AE_IFREG, 0644);
		archive_entry_set_size(entry, LIMIT_LAYER_BYTES + over);
		assert_int_equal(archive_write_header(t.a, entry), ARCHIVE_OK);
		archive_entry_free(entry);
		t.bytes.max = 64u << 10; /* of the content only this comes */
		archive_write_free(t.a);
		t.a = NULL;
		assert_int_equal(unpack(&p, &t, &e), over ? -EMSGSIZE : -EBADMSG);
	}
	for (int i = 0; i < 16; i++)
		buf_addf(&deep, "%0240d/", i);
	auto_place p;
	auto_tar t;
	place_init(&p);
	tar_init_filter(&t, ARCHIVE_FILTER_ZSTD);
	for (size_t n = 0; n < LIMIT_LAYER_HEADERS / deep.len; n++)
		tar_dir(&t, buf_text(&deep), 0755);
	for (int i = 0; i < 2; i++)
		tar_dir(&t, buf_text(&deep), 0755);
	assert_int_equal(unpack(&p, &t, &e), -EMSGSIZE);
	assert_non_null(strstr(e.msg, "too many folders"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_kinds_of_files_come_out_as_they_were),
		TEST(whiteouts_become_overlays),
		TEST(folders_not_named_look_as_in_the_layers_below),
		TEST(hostile_layers_are_refused_and_touch_nothing),
		TEST(members_replace_links_instead_of_following_them),
		TEST(sparse_files_keep_their_content),
		TEST(compressed_layers_are_the_same),
		TEST(another_content_than_promised_is_refused),
		TEST(truncated_and_damaged_layers_are_refused),
		TEST(what_follows_the_end_is_part_of_the_digest),
		TEST(empty_layers_are_layers),
		TEST(altered_files_are_noticed_when_written_out),
		TEST(bounds_of_a_layer_hold),
	};

	umask(077); /* modes must not depend on it */
	return RUN_TESTS(tests);
}
