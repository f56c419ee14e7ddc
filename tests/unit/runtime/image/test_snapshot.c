/*
 * runtime/image/snapshot.h: a container's writable layer over those of its image, seen through
 * overlayfs, found again by a new store, and removed; layers that were lost.
 */
#include "unit/runtime/image/images.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "runtime/image/snapshot.h"

#define C1 "1111111111111111111111111111111111111111111111111111111111111111"
#define C2 "2222222222222222222222222222222222222222222222222222222222222222"

static void lost_layers_come_back_with_the_image(void **state)
{
	auto_place p;
	auto_sample *s = sample_simple("precious", "");
	struct err e = ERR_INIT;
	struct image_store *store;
	struct snapshot snapshot;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	load_sample(store, s, "[\"a:1\"]");
	assert_ok(dir_remove(p.fd, "layers/1", &e), &e);
	assert_int_equal(snapshot_prepare(store, C1, s->id, &snapshot, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "load the image again"));
	load_sample(store, s, "[\"a:1\"]");
	assert_file(&p, "layers/1/diff/file", "precious");
	assert_ok(snapshot_prepare(store, C1, s->id, &snapshot, &e), &e);
	table_done(&snapshot_table, &snapshot);
	image_store_close(store);
}

static int mount_snapshot(const struct snapshot *s, const char *at)
{
	auto_buf options = BUF_INIT(4000);

	buf_adds(&options, "lowerdir=");
	STRS_EACH (lower, &s->lowers)
		buf_addf(&options, "%s%s", options.p[options.len - 1] == '=' ? "" : ":", lower);
	buf_addf(&options, ",upperdir=%s,workdir=%s", s->upper, s->work);
	return mount("overlay", at, "overlay", 0, buf_text(&options));
}

static void three_layers(struct sample *s)
{
	struct tar *t = sample_layer(s);

	tar_dir(t, "./", 0711);
	tar_text(t, "gone", "1");
	tar_text(t, "kept", "1");
	tar_text(t, "d/under", "1");
	tar_text(t, "o/under", "1");
	tar_text(t, "changed", "1");
	t = sample_layer(s);
	tar_text(t, ".wh.gone", "");
	tar_text(t, "o/.wh..wh..opq", "");
	tar_text(t, "o/over", "2");
	tar_text(t, "d/over", "2");
	tar_text(t, "changed", "2");
	t = sample_layer(s);
	tar_text(t, "d/.wh.over", "");
	tar_text(t, "changed", "3");
	sample_end(s, "");
}

static void check_mounted(const struct place *p)
{
	struct stat st;

	assert_int_equal(fstatat(p->fd, "mnt", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0711);
	assert_false(exists(p, "mnt/gone"));
	assert_file(p, "mnt/kept", "1");
	assert_file(p, "mnt/d/under", "1");
	assert_false(exists(p, "mnt/d/over"));
	assert_false(exists(p, "mnt/o/under"));
	assert_file(p, "mnt/o/over", "2");
	assert_file(p, "mnt/changed", "3");
	assert_int_equal(file_write_atomic(p->fd, "mnt/new", "12345", 5, 0600), 0);
}

static void a_container_sees_the_layers_through_overlayfs(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	struct err e = ERR_INIT;
	struct image_store *store;
	struct snapshot snapshot, again;
	char at[80];
	int64_t bytes;
	int status;
	pid_t pid;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	three_layers(s);
	load_sample(store, s, "[\"a:1\"]");
	assert_ok(snapshot_prepare(store, C1, s->id, &snapshot, &e), &e);
	assert_int_equal(snapshot.lowers.n, 3);
	snprintf(at, sizeof at, "%s/mnt", p.dir);
	assert_int_equal(mkdir(at, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(77);
		assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
		if (mount_snapshot(&snapshot, at) < 0)
			_exit(errno == EINVAL || errno == ENODEV ? 77 : 1); /* no overlay here */
		close(p.fd); /* it looks into the old namespace */
		p.fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		check_mounted(&p);
		assert_int_equal(umount(at), 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		print_message("overlayfs cannot be mounted here\n");
	else
		assert_int_equal(status, 0);

	assert_ok(snapshot_usage(store, C1, &bytes, &e), &e);
	if (status == 0)
		assert_int_equal(bytes, 5);
	assert_ok(snapshot_prepare(store, C1, s->id, &again, &e), &e); /* harmless */
	assert_string_equal(again.upper, snapshot.upper);
	table_done(&snapshot_table, &again);
	table_done(&snapshot_table, &snapshot);
	image_store_close(store);

	store = store_ok(&p);
	assert_ok(snapshot_get(store, C1, &snapshot, &e), &e);
	assert_string_equal(snapshot.image_id, s->id);
	table_done(&snapshot_table, &snapshot);
	assert_ok(snapshot_remove(store, C1, &e), &e);
	assert_ok(snapshot_remove(store, C1, &e), &e);
	assert_false(exists(&p, "containers/" C1));
	assert_int_equal(snapshot_get(store, C1, &snapshot, &e), -ENOENT);
	assert_int_equal(snapshot_prepare(store, "../../etc", s->id, &snapshot, &e), -EINVAL);
	assert_int_equal(snapshot_prepare(store, C2, C2, &snapshot, &e), -ENOENT);
	image_store_close(store);
}

static void images_without_layers_have_an_empty_root(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	struct err e = ERR_INIT;
	struct image_store *store;
	struct snapshot snapshot;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	sample_end(s, "");
	load_sample(store, s, "[\"scratch:1\"]");
	assert_ok(snapshot_prepare(store, C1, s->id, &snapshot, &e), &e);
	assert_int_equal(snapshot.lowers.n, 1);
	assert_int_equal(access(snapshot.lowers.v[0], F_OK), 0);
	table_done(&snapshot_table, &snapshot);
	image_store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lost_layers_come_back_with_the_image),
		TEST(a_container_sees_the_layers_through_overlayfs),
		TEST(images_without_layers_have_an_empty_root),
	};

	return RUN_TESTS(tests);
}
