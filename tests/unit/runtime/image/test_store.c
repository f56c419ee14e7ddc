/*
 * runtime/image/store.h: loading, finding, naming, removing; what is shared, what is collected, and
 * that nothing is left of what failed.
 */
#include "unit/runtime/image/images.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "runtime/image/snapshot.h"

#define C1 "1111111111111111111111111111111111111111111111111111111111111111"

static void loads_shows_and_finds_an_image(void **state)
{
	auto_place p;
	auto_tar t;
	auto_sample *s = sample_new();
	struct err e = ERR_INIT;
	struct image_store *store;
	struct image_loaded loaded;
	struct image image;
	char part[16];

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	tar_text(sample_layer(s), "a", "one");
	tar_text(sample_layer(s), "b", "twotwo");
	sample_end(s, ",\"created\":\"2024-02-03T04:05:06Z\",\"config\":{\"Env\":[\"A=b\"],"
		      "\"Cmd\":[\"sh\",\"-c\",\"x\"],\"Labels\":{\"k\":\"v\"},"
		      "\"ExposedPorts\":{\"80/tcp\":{}},\"Healthcheck\":{\"Test\":[\"NONE\"]},"
		      "\"StopSignal\":\"SIGUSR1\",\"WorkingDir\":\"/w\",\"User\":\"7\"}");
	tar_init(&t);
	docker_archive(s, "[\"hello:1\",\"reg.example.com:5000/x/hello:2\"]", &t);
	assert_ok(load_tar(store, &t, &loaded, &e), &e);
	assert_int_equal(loaded.names.n, 2);
	assert_string_equal(loaded.names.v[0], "hello:1");
	assert_int_equal(loaded.ids.n, 0);
	table_done(&image_loaded_table, &loaded);
	assert_layers(&p, 2);

	snprintf(part, sizeof part, "%.8s", hex_of(s->id));
	const char *const ways[] = {"hello:1", "docker.io/library/hello:1",
				    s->id,     hex_of(s->id),
				    part,      "reg.example.com:5000/x/hello:2"};
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		assert_ok(image_get(store, ways[i], &image, &e), &e);
		assert_string_equal(image.id, s->id);
		table_done(&image_table, &image);
	}
	assert_ok(image_get(store, "hello:1", &image, &e), &e);
	assert_int_equal(image.repo_tags.n, 2);
	assert_string_equal(image.repo_tags.v[0], "hello:1");
	assert_int_equal(image.size, 9);
	assert_string_equal(image.config_text, buf_text(&s->config));
	assert_string_equal(image.config.config.env.v[0], "A=b");
	assert_string_equal(image.config.config.cmd.v[2], "x");
	assert_string_equal(image.config.config.exposed_ports.v[0], "80/tcp");
	assert_string_equal(image.config.config.healthcheck->test.v[0], "NONE");
	assert_string_equal(image.config.config.stop_signal, "SIGUSR1");
	assert_true(image.created_ns == 1706933106LL * NS_PER_SEC);
	assert_true(image.tagged_ns > image.created_ns);
	table_done(&image_table, &image);

	assert_int_equal(image_get(store, "hello", &image, &e), -ENOENT);
	assert_string_equal(e.msg, "No such image: hello:latest");
	assert_int_equal(image_get(store, C1, &image, &e), -ENOENT);
	assert_int_equal(image_get(store, "Bad Name", &image, &e), -EINVAL);
	image_store_close(store);

	store = store_ok(&p); /* all of it is on the disk */
	assert_ok(image_get(store, "hello:1", &image, &e), &e);
	table_done(&image_table, &image);
	image_store_close(store);
}

static void note_progress(void *arg, const char *diff_id, uint64_t done, uint64_t total)
{
	struct buf *told = arg;

	if (done == total)
		(void)buf_addf(told, "%.15s ", diff_id);
}

static void each_layer_tells_when_it_is_there(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	auto_tar t;
	auto_buf told = BUF_INIT(1000), want = BUF_INIT(1000);
	struct image_load_options options = {.progress = note_progress, .progress_arg = &told};
	struct err e = ERR_INIT;
	struct image_store *store;
	struct image_loaded loaded;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	tar_text(sample_layer(s), "a", "one");
	tar_text(sample_layer(s), "b", "two");
	sample_end(s, "");
	tar_init(&t);
	docker_archive(s, "null", &t);
	auto_close int fd = bytes_fd(buf_text(&t.bytes), t.bytes.len);
	assert_ok(image_load(store, fd, &options, &loaded, &e), &e);
	assert_string_equal(loaded.ids.v[0], s->id);
	table_done(&image_loaded_table, &loaded);
	buf_addf(&want, "%.15s %.15s ", s->diff_ids[0], s->diff_ids[1]);
	assert_string_equal(buf_text(&told), buf_text(&want));
	image_store_close(store);
}

static void layers_are_written_out_as_they_came(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	struct err e = ERR_INIT;
	struct image_store *store;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	tar_text(sample_layer(s), "a", "one");
	tar_text(sample_layer(s), "b", "twotwo");
	sample_end(s, "");
	load_sample(store, s, "null");
	for (size_t i = 0; i < 2; i++) {
		auto_close int out = memfd_create("out", MFD_CLOEXEC);
		auto_buf again = BUF_INIT(1u << 20);

		assert_ok(image_layer_write(store, s->id, i, out, &e), &e);
		assert_int_equal(lseek(out, 0, SEEK_SET), 0);
		assert_int_equal(file_read_fd(out, &again), 0);
		assert_int_equal(again.len, s->layers[i].bytes.len);
		assert_memory_equal(again.p, s->layers[i].bytes.p, again.len);
	}
	assert_int_equal(image_layer_write(store, s->id, 2, -1, &e), -ENOENT);
	image_store_close(store);
}

static void layers_are_shared_and_go_with_their_last_image(void **state)
{
	auto_place p;
	auto_sample *a = sample_new(), *b = sample_new();
	struct err e = ERR_INIT;
	struct image_store *store;
	struct image_removed removed;
	struct image_usage usage;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	tar_text(sample_layer(a), "base", "base");
	tar_text(sample_layer(a), "a", "a");
	sample_end(a, "");
	tar_text(sample_layer(b), "base", "base");
	tar_text(sample_layer(b), "b", "b");
	sample_end(b, "");
	load_sample(store, a, "[\"a:1\"]");
	load_sample(store, b, "[\"b:1\"]");
	assert_layers(&p, 3);
	assert_ok(image_usage(store, &usage, &e), &e);
	assert_int_equal(usage.layers_size, 6);
	assert_int_equal(usage.n_images, 2);
	assert_ok(image_remove(store, "a:1", NULL, &removed, &e), &e);
	assert_int_equal(removed.untagged.n, 1);
	assert_string_equal(removed.untagged.v[0], "a:1");
	assert_int_equal(removed.deleted.n, 2); /* the image and its own layer */
	assert_string_equal(removed.deleted.v[0], a->id);
	table_done(&image_removed_table, &removed);
	assert_layers(&p, 2);
	assert_ok(image_remove(store, b->id, NULL, &removed, &e), &e);
	assert_int_equal(removed.deleted.n, 3);
	assert_string_equal(removed.deleted.v[2], a->diff_ids[0]); /* the bottom's chain id */
	table_done(&image_removed_table, &removed);
	assert_layers(&p, 0);
	assert_int_equal(image_remove(store, b->id, NULL, &removed, &e), -ENOENT);
	image_store_close(store);
}

/* Removes and compares what was untagged ("a b") and how many ids were deleted; -errno if refused.
 */
static int remove_is(struct image_store *store, const char *ref, bool force, const char *running,
		     const char *untagged, size_t n_deleted, const char *why)
{
	struct image_remove_options options = {.force = force};
	struct image_removed removed;
	struct err e = ERR_INIT;
	auto_buf all = BUF_INIT(1000);
	int rc;

	if (running)
		strs_add(&options.running, running);
	rc = image_remove(store, ref, &options, &removed, &e);
	strs_done(&options.running);
	if (rc < 0) {
		assert_non_null(why);
		if (!strstr(e.msg, why))
			fail_msg("%s: %s", ref, e.msg);
		return rc;
	}
	STRS_EACH (name, &removed.untagged)
		buf_addf(&all, "%s ", name);
	assert_string_equal(buf_text(&all), untagged);
	assert_int_equal(removed.deleted.n, n_deleted);
	table_done(&image_removed_table, &removed);
	return 0;
}

static void removing_follows_the_engines_rules(void **state)
{
	auto_place p;
	auto_sample *s = sample_simple("x", "");
	struct err e = ERR_INIT;
	struct image_store *store;
	struct snapshot snapshot;
	struct image image;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	/* By name: untagged only, while there are others. */
	load_sample(store, s, "[\"a:1\",\"a:2\",\"b:1\"]");
	assert_int_equal(remove_is(store, "a:1", false, NULL, "a:1 ", 0, NULL), 0);
	/* By id with names in several repositories: only by force. */
	assert_int_equal(remove_is(store, s->id, false, NULL, "", 0, "must be forced"), -EBUSY);
	assert_int_equal(remove_is(store, s->id, true, NULL, "a:2 b:1 ", 2, NULL), 0);
	/* Two tags of one repository are as bad as two repositories. */
	load_sample(store, s, "[\"a:1\",\"a:2\"]");
	assert_int_equal(remove_is(store, s->id, false, NULL, "", 0, "must be forced"), -EBUSY);
	assert_int_equal(remove_is(store, "a:1", false, NULL, "a:1 ", 0, NULL), 0);
	assert_int_equal(remove_is(store, hex_of(s->id), false, NULL, "a:2 ", 2, NULL), 0);
	assert_layers(&p, 0);

	/* A stopped container: only by force; a running one: never. */
	load_sample(store, s, "[\"a:1\"]");
	assert_ok(snapshot_prepare(store, C1, s->id, &snapshot, &e), &e);
	table_done(&snapshot_table, &snapshot);
	assert_int_equal(remove_is(store, "a:1", false, NULL, "", 0, "must force"), -EBUSY);
	assert_int_equal(remove_is(store, s->id, false, NULL, "", 0, "stopped container"), -EBUSY);
	assert_int_equal(remove_is(store, s->id, false, C1, "", 0, "running container 1111"),
			 -EBUSY);
	assert_int_equal(remove_is(store, s->id, true, C1, "", 0, "cannot be forced"), -EBUSY);
	assert_int_equal(remove_is(store, "a:1", true, C1, "", 0, "cannot be forced"), -EBUSY);
	assert_ok(image_get(store, "a:1", &image, &e), &e); /* a refused removal untags nothing */
	assert_int_equal(image.n_containers, 1);
	table_done(&image_table, &image);
	/* With another name left the tag may go. */
	assert_ok(image_tag(store, "a:1", "b:1", &e), &e);
	assert_int_equal(remove_is(store, "b:1", false, C1, "b:1 ", 0, NULL), 0);
	/* By force the image goes, and its layers stay for the container. */
	assert_int_equal(remove_is(store, "a:1", true, NULL, "a:1 ", 1, NULL), 0);
	assert_layers(&p, 1);
	assert_ok(snapshot_get(store, C1, &snapshot, &e), &e);
	table_done(&snapshot_table, &snapshot);
	assert_ok(snapshot_remove(store, C1, &e), &e);
	assert_layers(&p, 0);
	image_store_close(store);
}

static void tags_move_and_leave_dangling_images(void **state)
{
	auto_place p;
	auto_sample *a = sample_simple("a", ""), *b = sample_simple("b", "");
	struct err e = ERR_INIT;
	struct image_store *store;
	struct image image;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	load_sample(store, a, "[\"x:1\"]");
	load_sample(store, b, "[\"x:1\"]");
	assert_ok(image_get(store, "x:1", &image, &e), &e);
	assert_string_equal(image.id, b->id);
	table_done(&image_table, &image);
	assert_ok(image_get(store, a->id, &image, &e), &e);
	assert_int_equal(image.repo_tags.n, 0);
	table_done(&image_table, &image);
	assert_ok(image_tag(store, a->id, "y", &e), &e);
	assert_ok(image_get(store, "y:latest", &image, &e), &e);
	assert_string_equal(image.id, a->id);
	table_done(&image_table, &image);
	assert_int_equal(image_tag(store, "none", "y", &e), -ENOENT);
	assert_int_equal(image_tag(store, "y", "Y", &e), -EINVAL);
	assert_int_equal(image_tag(store, "y",
				   "y@sha256:0123456789abcdef0123456789abcdef0123456789abcdef01234"
				   "56789abcdef",
				   &e),
			 -EINVAL);
	image_store_close(store);
}

static void list_is(struct image_store *store, const struct image_filters *f, const char *want)
{
	struct image_list list;
	struct err e = ERR_INIT;
	auto_buf all = BUF_INIT(1000);

	assert_ok(image_list(store, f, &list, &e), &e);
	LIST_EACH (image, &list.images) {
		if (image->repo_tags.n == 0)
			buf_adds(&all, "<none>");
		STRS_EACH (tag, &image->repo_tags)
			buf_addf(&all, "%s,", tag);
		buf_adds(&all, " ");
	}
	assert_string_equal(buf_text(&all), want);
	table_done(&image_list_table, &list);
}

static void lists_are_filtered(void **state)
{
	auto_place p;
	auto_sample *a = sample_simple("a", ",\"created\":\"2020-01-01T00:00:00Z\",\"config\":"
					    "{\"Labels\":{\"k\":\"1\"}}"),
		    *b = sample_simple("b", ",\"created\":\"2021-01-01T00:00:00Z\",\"config\":"
					    "{\"Labels\":{\"k\":\"2\"}}"),
		    *c = sample_simple("c", ",\"created\":\"2022-01-01T00:00:00Z\"");
	struct image_store *store;
	bool yes = true, no = false;
	char *value;
	struct err e = ERR_INIT;
	struct image_list list;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	load_sample(store, a, "[\"a:1\",\"q/a:2\"]");
	load_sample(store, b, "[\"b:1\"]");
	load_sample(store, c, "null");
	list_is(store, NULL, "<none> b:1, a:1,q/a:2, ");
	list_is(store, &(struct image_filters){.dangling = &yes}, "<none> ");
	list_is(store, &(struct image_filters){.dangling = &no}, "b:1, a:1,q/a:2, ");
	struct image_filters f = {0};
#define ONE(member, text, want)                                    \
	do {                                                       \
		value = (char[]){text};                            \
		f = (struct image_filters){.member = {&value, 1}}; \
		list_is(store, &f, want);                          \
	} while (0)
	ONE(label, "k", "b:1, a:1,q/a:2, ");
	ONE(label, "k=2", "b:1, ");
	ONE(label, "k=3", "");
	ONE(label, "z", "");
	ONE(reference, "a", "a:1, ");
	ONE(reference, "*/*", "q/a:2, ");
	ONE(reference, "*:1", "b:1, a:1, ");
	ONE(before, "b:1", "a:1,q/a:2, ");
	ONE(since, "a:1", "<none> b:1, ");
	value = (char[]){"nothing"};
	f = (struct image_filters){.since = {&value, 1}};
	assert_int_equal(image_list(store, &f, &list, &e), -ENOENT);
	value = (char[]){"[a"};
	f = (struct image_filters){.reference = {&value, 1}};
	assert_int_equal(image_list(store, &f, &list, &e), -EINVAL);
	image_store_close(store);
}

static void another_process_is_kept_out(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct image_store *store, *other = NULL;

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	assert_int_equal(image_store_open(p.dir, &other, &e), -EBUSY);
	assert_null(other);
	image_store_close(store);
	assert_int_equal(image_store_open("relative/path", &other, &e), -EINVAL);
}

/* Every archive cut short, and damaged everywhere, leaves nothing. */
static void cut_and_damaged_archives_leave_nothing(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP};
	auto_sample *s = sample_new();
	char big[50000];

	WANT_ROOT();
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * i >> 7);
	tar_bytes(sample_layer(s), "a", big, sizeof big);
	tar_bytes(sample_layer(s), "b", big, 30000);
	sample_end(s, "");
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		auto_place p;
		auto_tar t;
		struct image_store *store;
		size_t whole;

		place_init(&p);
		store = store_ok(&p);
		tar_init_filter(&t, filters[i]);
		docker_archive(s, "[\"a:1\"]", &t);
		/* The last two blocks only say that the end has come. */
		whole = filters[i] == ARCHIVE_FILTER_NONE ? t.bytes.len - 1024 : t.bytes.len;
		for (size_t at = 0; at < whole; at += 4096) {
			struct image_loaded loaded;
			struct err e = ERR_INIT;
			int rc = load_bytes(store, t.bytes.p, at, &loaded, &e);

			if (rc != -EBADMSG && rc != -EINVAL)
				fail_msg("cut at %zu of %zu: %d %s", at, t.bytes.len, rc, e.msg);
			assert_true(strlen(e.msg) > 10);
			assert_layers(&p, 0);
		}
		for (size_t at = 700; at < whole; at += 4096) {
			struct image_loaded loaded;
			struct err e = ERR_INIT;

			t.bytes.p[at] ^= 1;
			if (load_tar(store, &t, &loaded, &e) == 0) {
				/* Only padding may change without notice. */
				struct image_removed removed;

				assert_int_equal(filters[i], ARCHIVE_FILTER_NONE);
				table_done(&image_loaded_table, &loaded);
				assert_ok(image_remove(store, "a:1", NULL, &removed, &e), &e);
				table_done(&image_removed_table, &removed);
			}
			t.bytes.p[at] ^= 1;
			assert_layers(&p, 0);
		}
		image_store_close(store);
	}
}

static void a_full_disk_is_said_and_leaves_nothing(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	auto_tar t;
	struct err e = ERR_INIT;
	struct image_store *store;
	struct image_loaded loaded;
	char *big = malloc(1 << 20), name[8], size[32];
	pid_t pid;
	int status;

	WANT_ROOT();
	memset(big, 'x', 1 << 20);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "f%d", i);
		tar_bytes(sample_layer(s), name, big, 1 << 20);
	}
	sample_end(s, "");
	tar_init(&t);
	docker_archive(s, "[\"a:1\"]", &t);
	place_init(&p);
	pid = fork(); /* the mounts are this child's own */
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(77);
		assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
		for (int mib = 2; mib <= 16; mib += mib == 12 ? 4 : 1) {
			bool fits = mib == 16;

			snprintf(size, sizeof size, "size=%dm", mib);
			assert_int_equal(mount("tmpfs", p.dir, "tmpfs", 0, size), 0);
			close(p.fd);
			p.fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			store = store_ok(&p);
			if (fits) {
				assert_ok(load_tar(store, &t, &loaded, &e), &e);
				table_done(&image_loaded_table, &loaded);
				assert_layers(&p, 6);
			} else {
				int rc = load_tar(store, &t, &loaded, &e);

				if (rc != -ENOSPC)
					fail_msg("%d MiB: %d %s", mib, rc, e.msg);
				assert_non_null(strstr(e.msg, "no space left"));
				assert_layers(&p, 0);
			}
			image_store_close(store);
			close(p.fd);
			assert_int_equal(umount(p.dir), 0);
			p.fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(big);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/* A daemon killed at any moment of a load leaves a store that opens and sweeps clean. */
static void kill_during_a_load_leaves_only_what_is_swept(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	auto_tar t;
	char *big = malloc(2 << 20);

	WANT_ROOT();
	place_init(&p);
	memset(big, 'y', 2 << 20);
	tar_bytes(sample_layer(s), "a", big, 2 << 20);
	for (int i = 0; i < 200; i++) {
		char name[16];

		snprintf(name, sizeof name, "d%d/f", i);
		tar_text(&s->layers[0], name, name);
	}
	tar_bytes(sample_layer(s), "b", big, 1 << 20);
	sample_end(s, "");
	tar_init(&t);
	docker_archive(s, "[\"a:1\"]", &t);
	for (int round = 0; round < 30; round++) {
		struct err e = ERR_INIT;
		struct image_store *store;
		struct image image;
		/* The moment of the end, spread over the load: a signal that nobody handles. */
		struct itimerval moment = {.it_value.tv_usec = 1 + round * 700};
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			struct image_loaded loaded;

			assert_int_equal(setitimer(ITIMER_REAL, &moment, NULL), 0);
			if (image_store_open(p.dir, &store, &e) == 0)
				(void)load_tar(store, &t, &loaded, &e);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		store = store_ok(&p);
		assert_ok(image_store_sweep(store, &e), &e);
		if (image_get(store, "a:1", &image, &e) == 0) {
			struct image_removed removed;

			table_done(&image_table, &image);
			assert_layers(&p, 2);
			assert_ok(image_remove(store, "a:1", NULL, &removed, &e), &e);
			table_done(&image_removed_table, &removed);
		}
		assert_layers(&p, 0);
		image_store_close(store);
	}
	free(big);
}

struct racer {
	pthread_t thread;
	struct image_store *store;
	const struct tar *t;
	int rc;
	struct err e;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct image_loaded loaded;

	r->rc = load_tar(r->store, r->t, &loaded, &r->e);
	if (r->rc == 0)
		table_done(&image_loaded_table, &loaded);
	return NULL;
}

static void concurrent_loads_unpack_a_layer_once(void **state)
{
	auto_place p;
	auto_sample *s = sample_new();
	auto_tar t, bad;
	struct image_store *store;
	struct racer racers[6] = {0};
	char *big = malloc(4 << 20);

	WANT_ROOT();
	place_init(&p);
	store = store_ok(&p);
	memset(big, 'z', 4 << 20);
	tar_bytes(sample_layer(s), "a", big, 4 << 20);
	tar_bytes(sample_layer(s), "b", big, 1 << 20);
	sample_end(s, "");
	tar_init(&t);
	docker_archive(s, "[\"a:1\"]", &t);
	/* The same bottom layer, and a second one that is not what it says. */
	s->layers[1].bytes.p[600] ^= 1;
	tar_init(&bad);
	docker_archive(s, "[\"bad:1\"]", &bad);
	for (size_t i = 0; i < ARRAY_LEN(racers); i++) {
		racers[i].store = store;
		racers[i].t = i % 2 ? &bad : &t;
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(racers); i++) {
		pthread_join(racers[i].thread, NULL);
		/* Where the good layer was there already, the bad one was never looked at. */
		if (i % 2 && racers[i].rc < 0)
			assert_int_equal(racers[i].rc, -EBADMSG);
		else
			assert_ok(racers[i].rc, &racers[i].e);
	}
	assert_layers(&p, 2);
	for (size_t i = 0; i < 2; i++) {
		auto_close int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
		struct err e = ERR_INIT;

		assert_ok(image_layer_write(store, s->id, i, out, &e), &e);
	}
	image_store_close(store);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_shows_and_finds_an_image),
		TEST(each_layer_tells_when_it_is_there),
		TEST(layers_are_written_out_as_they_came),
		TEST(layers_are_shared_and_go_with_their_last_image),
		TEST(removing_follows_the_engines_rules),
		TEST(tags_move_and_leave_dangling_images),
		TEST(lists_are_filtered),
		TEST(another_process_is_kept_out),
		TEST(cut_and_damaged_archives_leave_nothing),
		TEST(a_full_disk_is_said_and_leaves_nothing),
		TEST(kill_during_a_load_leaves_only_what_is_swept),
		TEST(concurrent_loads_unpack_a_layer_once),
	};

	return RUN_TESTS(tests);
}
