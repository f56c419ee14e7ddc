/*
 * runtime/image/file_changes.h: writable layers as overlayfs leaves them, written by hand, beside
 * the layers of an image; what a container can do to mislead who looks; the bounds.
 */
#include "unit/runtime/image/images.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "runtime/image/file_changes.h"
#include "runtime/image/snapshot.h"

#define C1 "1111111111111111111111111111111111111111111111111111111111111111"
#define TEXT (1u << 20)

static const char *const made[] = {"etc", "etc/hosts", NULL};

static struct box {
	struct place p;
	struct image_store *store;
	int upper;
} box;

/* Three layers: `gone` and all of `o` but `o/over` are hidden in them; `d` is in two of them. */
static void box_init(void)
{
	auto_sample *s = sample_new();
	struct tar *t = sample_layer(s);
	struct snapshot snapshot;
	struct err e = ERR_INIT;

	tar_dir(t, "d", 0755);
	tar_text(t, "d/low", "1");
	tar_text(t, "d/sub/x", "1");
	tar_text(t, "d/sub/y/z", "1");
	tar_text(t, "gone", "1");
	tar_text(t, "o/under", "1");
	tar_text(t, "file", "1");
	t = sample_layer(s);
	tar_text(t, ".wh.gone", "");
	tar_text(t, "o/.wh..wh..opq", "");
	tar_text(t, "o/over", "2");
	tar_text(t, "d/high", "2");
	t = sample_layer(s);
	tar_text(t, "d/.wh.low", "");
	sample_end(s, "");
	place_init(&box.p);
	box.store = store_ok(&box.p);
	load_sample(box.store, s, "[\"a:1\"]");
	assert_ok(snapshot_prepare(box.store, C1, s->id, &snapshot, &e), &e);
	box.upper = open(snapshot.upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(box.upper >= 0);
	table_done(&snapshot_table, &snapshot);
}

static void box_done(void)
{
	close(box.upper);
	image_store_close(box.store);
	place_done(&box.p);
}

static void put(const char *path)
{
	assert_int_equal(file_write_atomic(box.upper, path, "12", 2, 0644), 0);
}

static void folder(const char *path)
{
	assert_int_equal(mkdirat(box.upper, path, 0755), 0);
}

static void whiteout(const char *path)
{
	assert_int_equal(mknodat(box.upper, path, S_IFCHR, makedev(0, 0)), 0);
}

static void opaque(const char *path)
{
	auto_close int fd = openat(box.upper, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0), 0);
}

/* "C /d,A /d/new": all changes in their order. */
static void assert_changes(const char *want)
{
	auto_buf all = BUF_INIT(TEXT), text = BUF_INIT(TEXT);
	struct err e = ERR_INIT;
	struct file_change c;
	size_t at = 0;

	assert_ok(snapshot_changes(box.store, C1, made, 1000, &all, &e), &e);
	while (file_changes_next(&all, &at, &c))
		(void)buf_addf(&text, "%s%c %s", text.len ? "," : "", "CAD"[c.kind], c.path);
	assert_string_equal(buf_text(&text), want);
}

static void added_changed_and_deleted(void **state)
{
	WANT_ROOT();
	box_init();
	assert_changes("");
	put("new");
	put("file");
	put("gone");
	folder("d");
	put("d/high");
	put("d/low");
	folder("d/sub");
	whiteout("d/sub/x");
	folder("tree");
	folder("tree/a");
	put("tree/a/b");
	whiteout("nothing");
	assert_changes("C /d,C /d/high,A /d/low,C /d/sub,D /d/sub/x,C /file,A /gone,A /new,"
		       "A /tree,A /tree/a,A /tree/a/b");
	box_done();
}

static void folders_count_by_owner_and_mode(void **state)
{
	WANT_ROOT();
	box_init();
	folder("d");
	folder("d/sub");
	folder("d/sub/y");
	assert_changes("");
	assert_int_equal(fchmodat(box.upper, "d/sub", 0700, 0), 0);
	assert_changes("C /d,C /d/sub");
	assert_int_equal(fchmodat(box.upper, "d/sub", 0755, 0), 0);
	assert_int_equal(fchownat(box.upper, "d/sub/y", 1, 1, 0), 0);
	assert_changes("C /d,C /d/sub,C /d/sub/y");
	box_done();
}

static void an_opaque_folder_deletes_what_it_hides(void **state)
{
	WANT_ROOT();
	box_init();
	folder("d");
	opaque("d");
	put("d/new");
	/* Below it nothing has to be marked to hide. */
	folder("d/sub");
	put("d/sub/x");
	assert_changes("C /d,D /d/high,A /d/new,C /d/sub,C /d/sub/x,D /d/sub/y");
	folder("o");
	opaque("o");
	assert_changes("C /d,D /d/high,A /d/new,C /d/sub,C /d/sub/x,D /d/sub/y,C /o,D /o/over");
	box_done();
}

static void files_and_folders_in_the_place_of_one_another(void **state)
{
	WANT_ROOT();
	box_init();
	put("d");
	folder("file");
	put("file/in");
	assert_int_equal(symlinkat("/", box.upper, "o"), 0);
	assert_changes("C /d,C /file,A /file/in,C /o");
	box_done();
}

static void what_was_made_to_be_mounted_on(void **state)
{
	WANT_ROOT();
	box_init();
	folder("etc");
	assert_int_equal(file_write_atomic(box.upper, "etc/hosts", "", 0, 0644), 0);
	assert_changes("");
	put("etc/own");
	assert_changes("C /etc,A /etc/own");
	put("etc/hosts");
	assert_changes("C /etc,A /etc/hosts,A /etc/own");
	box_done();
}

/* Links to the host are told as links, whatever the image has there. */
static void links_are_not_followed(void **state)
{
	WANT_ROOT();
	box_init();
	assert_int_equal(symlinkat("/etc", box.upper, "link"), 0);
	assert_int_equal(symlinkat("/etc", box.upper, "d"), 0);
	assert_int_equal(symlinkat("../../../../../../etc", box.upper, "o"), 0);
	assert_changes("C /d,A /link,C /o");
	box_done();
}

/* Makes `n` folders within one another. */
static void nest(int n, const char *name)
{
	int fd = dup(box.upper);

	for (int i = 0; i < n; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
}

static int changes_status(size_t files, size_t room, struct err *e)
{
	auto_buf all = BUF_INIT(room);

	*e = ERR_INIT;
	return snapshot_changes(box.store, C1, made, files, &all, e);
}

static void depth_and_length_are_bounded(void **state)
{
	char name[200];
	struct err e;

	WANT_ROOT();
	box_init();
	nest(LIMIT_CHANGES_DEPTH, "x");
	assert_ok(changes_status(1000, TEXT, &e), &e);
	box_done();
	box_init();
	nest(LIMIT_CHANGES_DEPTH + 1, "x");
	assert_int_equal(changes_status(1000, TEXT, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.msg, "256 folders deep"));
	box_done();
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	box_init();
	nest(20, name); /* 20 * 199 and 19 slashes: 3999 */
	assert_ok(changes_status(1000, TEXT, &e), &e);
	assert_int_equal(changes_status(1000, 1000, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "more than 1000 bytes"));
	box_done();
	box_init();
	nest(21, name);
	assert_int_equal(changes_status(1000, TEXT, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.msg, "longer than"));
	box_done();
}

/* Files `from` to `to` below twenty folders, whose paths have 3,999 characters each, about. */
static void put_deep(int deep, size_t from, size_t to)
{
	char name[32];

	for (size_t i = from; i < to; i++) {
		(void)snprintf(name, sizeof name, "%08zu", i);
		assert_int_equal(mknodat(deep, name, S_IFREG | 0644, 0), 0);
	}
}

/* The bound of a daemon, in its own figure: what is looked at is more than an answer may say. */
static void names_are_bounded_in_all(void **state)
{
	char name[200], path[20 * sizeof name];
	auto_close int deep = -1;
	struct buf all = BUF_INIT(LIMIT_CHANGES_TEXT);
	struct err e = ERR_INIT;
	size_t each, most;

	WANT_ROOT();
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	box_init();
	nest(19, name);
	path[0] = '\0';
	for (int i = 0; i < 19; i++)
		(void)snprintf(path + strlen(path), sizeof path - strlen(path), "%s%s",
			       i ? "/" : "", name);
	deep = openat(box.upper, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(deep >= 0);
	put_deep(deep, 0, 2);
	assert_ok(snapshot_changes(box.store, C1, made, 1u << 17, &all, &e), &e);
	each = all.len;
	put_deep(deep, 2, 3);
	buf_reset(&all);
	assert_ok(snapshot_changes(box.store, C1, made, 1u << 17, &all, &e), &e);
	each = all.len - each;
	assert_in_range(each, 19 * sizeof name, 19 * sizeof name + 32);
	most = 3 + (LIMIT_CHANGES_TEXT - all.len) / each;
	put_deep(deep, 3, most);
	buf_reset(&all);
	assert_ok(snapshot_changes(box.store, C1, made, 1u << 17, &all, &e), &e);
	assert_in_range(all.len, LIMIT_CHANGES_TEXT - each, LIMIT_CHANGES_TEXT);
	put_deep(deep, most, most + 1);
	buf_reset(&all);
	assert_int_equal(snapshot_changes(box.store, C1, made, 1u << 17, &all, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "more than 134217728 bytes"));
	buf_done(&all);
	box_done();
}

static void files_are_bounded(void **state)
{
	struct err e;

	WANT_ROOT();
	box_init();
	folder("new");
	put("new/a");
	put("new/b");
	assert_ok(changes_status(3, TEXT, &e), &e);
	assert_int_equal(changes_status(2, TEXT, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "more than 2 files"));
	/* Also those that only the image has are looked at here. */
	folder("d");
	opaque("d");
	assert_ok(changes_status(8, TEXT, &e), &e);
	assert_int_equal(changes_status(7, TEXT, &e), -E2BIG);
	box_done();
}

static void a_container_that_is_not_there(void **state)
{
	auto_buf all = BUF_INIT(TEXT);
	struct err e = ERR_INIT;

	WANT_ROOT();
	box_init();
	assert_int_equal(snapshot_changes(box.store, "2222", made, 1000, &all, &e), -EINVAL);
	assert_ok(snapshot_remove(box.store, C1, &e), &e);
	assert_int_equal(snapshot_changes(box.store, C1, made, 1000, &all, &e), -ENOENT);
	box_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(added_changed_and_deleted),
		TEST(folders_count_by_owner_and_mode),
		TEST(an_opaque_folder_deletes_what_it_hides),
		TEST(files_and_folders_in_the_place_of_one_another),
		TEST(what_was_made_to_be_mounted_on),
		TEST(links_are_not_followed),
		TEST(depth_and_length_are_bounded),
		TEST(names_are_bounded_in_all),
		TEST(files_are_bounded),
		TEST(a_container_that_is_not_there),
	};

	return RUN_TESTS(tests);
}
