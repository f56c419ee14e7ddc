/*
 * manager/raft_node.h over manager/raft_disk.h: real files, restarts, snapshots, failover, damage.
 */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "unit/manager/raft_rig.h"

static char dir[64];

static int setup(void **state)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/shoal-raft-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return dir_remove(AT_FDCWD, dir, NULL);
}

static void start(struct rig *r, unsigned place, bool bootstrap)
{
	struct err e = ERR_INIT;

	assert_ok(rig_start(r, place, bootstrap, &e), &e);
}

static void put_many(struct rig *r, unsigned n, size_t len)
{
	char *bytes = xcalloc(1, len);

	for (unsigned i = 0; i < n; i++) {
		memset(bytes, 'a' + (int)(i % 26), len);
		assert_int_equal(rig_put(r, rig_leader(r), bytes, len, 5000), 0);
	}
	free(bytes);
}

static void one_node_keeps_what_was_written(void **state)
{
	struct rig r;
	struct err e = ERR_INIT;

	rig_init(&r, dir);
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 100));
	put_many(&r, 20, 100);
	/* The bound of an entry, and past it. */
	put_many(&r, 1, LIMIT_ENTRY);
	char *big = xcalloc(1, LIMIT_ENTRY + 1);
	assert_int_equal(rig_put(&r, &r.nodes[0], big, LIMIT_ENTRY + 1, 1000), -EMSGSIZE);
	free(big);
	assert_int_equal(r.nodes[0].state.len, 2000 + LIMIT_ENTRY);
	rig_stop(&r, 0);

	start(&r, 0, false);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	assert_int_equal(r.nodes[0].changes, 21);
	assert_int_equal(r.nodes[0].state.len, 2000 + LIMIT_ENTRY);
	assert_memory_equal(r.nodes[0].state.p + 100, "bbbb", 4);
	/* A second group in the same place is refused. */
	rig_stop(&r, 0);
	assert_int_equal(rig_start(&r, 0, true, &e), -EEXIST);
	rig_done(&r);
}

static bool all_have(struct rig *r)
{
	for (unsigned i = 1; i < RIG_NODES; i++) {
		if (r->nodes[i].raft && r->nodes[i].changes != r->nodes[0].changes)
			return false;
	}
	return r->nodes[0].changes > 0;
}

static void three_nodes_replace_a_leader(void **state)
{
	uint64_t begin, took;
	struct rig r;

	rig_init(&r, dir);
	start(&r, 0, true);
	start(&r, 1, false);
	start(&r, 2, false);
	assert_true(rig_until(&r, rig_is_formed, 10000));
	put_many(&r, 50, 1000);
	assert_true(rig_until(&r, all_have, 2000));
	for (unsigned i = 1; i < RIG_NODES; i++)
		assert_memory_equal(r.nodes[i].state.p, r.nodes[0].state.p, 50000);

	struct rig_node *old = rig_leader(&r);
	old->cut = true;
	begin = clock_mono_ms();
	assert_true(rig_until(&r, rig_has_leader, 5000));
	took = clock_mono_ms() - begin;
	print_message("a new leader after %llu ms\n", (unsigned long long)took);
	assert_in_range(took, 0, 2000);
	put_many(&r, 10, 100);
	/* The old one has noticed that nobody follows it. */
	assert_false(raft_node_is_leader(old->raft));
	assert_int_equal(raft_node_available(old->raft, NULL), -EHOSTUNREACH);
	old->cut = false;
	assert_true(rig_until(&r, all_have, 3000));
	rig_done(&r);
}

static unsigned files_in(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(d);
	while ((entry = readdir(d)))
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static struct raft_node_stats stats_of(const struct rig_node *n)
{
	struct raft_node_stats st;

	raft_node_stats(n->raft, &st);
	return st;
}

static bool has_snapshot(struct rig *r)
{
	return stats_of(&r->nodes[0]).snapshot_index > 100;
}

/* Three MiB of log with a bound of 256 KiB: it is cut, and a newcomer starts from a snapshot. */
static void snapshots_shorten_the_log_and_start_newcomers(void **state)
{
	struct rig r;

	rig_init(&r, dir);
	r.options.snapshot_bytes = 256u << 10;
	r.options.trailing_bytes = 64u << 10;
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 300, 10000);
	assert_true(rig_until(&r, has_snapshot, 5000));
	assert_in_range(files_in(r.nodes[0].dir, "snapshot-"), 2, 4);
	/* The snapshot holds 3 MB, so that the next is due after 3 MB more. */
	assert_in_range(stats_of(&r.nodes[0]).log_bytes, 1, 4u << 20);
	start(&r, 1, false);
	start(&r, 2, false);
	assert_true(rig_until(&r, rig_is_formed, 10000));
	assert_true(rig_until(&r, all_have, 3000));
	assert_int_equal(r.nodes[1].restored, 1);
	assert_memory_equal(r.nodes[1].state.p, r.nodes[0].state.p, r.nodes[0].state.len);

	for (unsigned i = 0; i < RIG_NODES; i++)
		rig_stop(&r, i);
	for (unsigned i = 0; i < RIG_NODES; i++)
		start(&r, i, false);
	assert_true(rig_until(&r, rig_has_leader, 5000));
	assert_int_equal(rig_leader(&r)->changes, 300);
	assert_int_equal(r.nodes[1].restored, 1);
	put_many(&r, 10, 10000);
	assert_true(rig_until(&r, all_have, 3000));
	rig_done(&r);
}

static bool interval_passed(struct rig *r)
{
	struct raft_node_stats st = stats_of(&r->nodes[0]);

	return st.snapshot_index > 0 && st.applied_index < st.snapshot_index + 20;
}

/*
 * Bounds in entries, set while it runs: a snapshot after so many, and what stays of the log. None
 * of it comes near the bounds in bytes.
 */
static void entries_bound_the_log_too(void **state)
{
	struct raft_node_stats st;
	struct rig r;
	uint64_t first;

	rig_init(&r, dir);
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 100, 100);
	assert_int_equal(stats_of(&r.nodes[0]).snapshot_index, 0);
	raft_node_set_snapshots(r.nodes[0].raft, 20, 5);
	put_many(&r, 1, 100);
	assert_true(rig_until(&r, interval_passed, 3000));
	first = stats_of(&r.nodes[0]).snapshot_index;
	assert_in_range(stats_of(&r.nodes[0]).log_entries, 5, 5 + 20);
	put_many(&r, 100, 100);
	assert_true(rig_until(&r, interval_passed, 3000));
	assert_true(stats_of(&r.nodes[0]).snapshot_index >= first + 80);
	raft_node_set_snapshots(r.nodes[0].raft, 0, 0);
	first = stats_of(&r.nodes[0]).snapshot_index;
	put_many(&r, 100, 100);
	st = stats_of(&r.nodes[0]);
	assert_int_equal(st.snapshot_index, first);
	assert_true(st.log_entries >= 100 && st.applied_index >= first + 100);
	rig_done(&r);
}

/* An entry, a snapshot, again and again, with followers that fall behind and come back. */
static void a_snapshot_after_each_entry(void **state)
{
	struct rig r;

	rig_init(&r, dir);
	start(&r, 0, true);
	start(&r, 1, false);
	start(&r, 2, false);
	assert_true(rig_until(&r, rig_is_formed, 10000));
	for (unsigned i = 0; i < RIG_NODES; i++)
		raft_node_set_snapshots(r.nodes[i].raft, 1, 1);
	for (unsigned round = 0; round < 6; round++) {
		struct rig_node *n;

		assert_true(rig_until(&r, rig_has_leader, 5000));
		n = &r.nodes[(rig_leader(&r)->place + 1) % RIG_NODES];
		rig_stop(&r, n->place);
		put_many(&r, 30, 1000);
		start(&r, n->place, false);
		raft_node_set_snapshots(n->raft, 1, 1);
		put_many(&r, 10, 1000);
		/* What was sent to one that was stopped is sent again half a minute later. */
		assert_true(rig_until(&r, all_have, 40000));
	}
	for (unsigned i = 1; i < RIG_NODES; i++)
		assert_memory_equal(r.nodes[i].state.p, r.nodes[0].state.p, r.nodes[0].state.len);
	rig_done(&r);
}

static bool change_done;
static int change_status;

static void on_change(void *arg, int status, const struct err *e)
{
	change_done = true;
	change_status = status;
}

static bool is_changed(struct rig *r)
{
	return change_done;
}

/* Up to the bound: spares that nobody has heard of do not count for anything. */
static void so_many_members_and_no_more(void **state)
{
	const struct raft_member *members;
	char id[ID_CLUSTER_LEN + 1];
	struct err e = ERR_INIT;
	struct rig r;

	rig_init(&r, dir);
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 1, 100);
	for (unsigned i = 1; i < LIMIT_MANAGERS; i++) {
		(void)snprintf(id, sizeof id, "spare%020u", i);
		change_done = false;
		assert_ok(raft_node_add(r.nodes[0].raft, 1000 + i, id, on_change, NULL, &e), &e);
		assert_true(rig_until(&r, is_changed, 2000));
		assert_int_equal(change_status, 0);
	}
	assert_int_equal(raft_node_members(r.nodes[0].raft, &members), LIMIT_MANAGERS);
	assert_int_equal(raft_node_add(r.nodes[0].raft, 2000, "more", on_change, NULL, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "at most 32 managers"));
	/* All of it is written, read again, and gone on with. */
	rig_stop(&r, 0);
	start(&r, 0, false);
	assert_true(rig_until(&r, rig_has_leader, 3000));
	put_many(&r, 10, 100);
	assert_int_equal(raft_node_members(r.nodes[0].raft, &members), LIMIT_MANAGERS);
	change_done = false;
	assert_ok(raft_node_remove(r.nodes[0].raft, 1001, on_change, NULL, &e), &e);
	assert_true(rig_until(&r, is_changed, 2000));
	change_done = false;
	assert_ok(raft_node_add(r.nodes[0].raft, 2000, "more", on_change, NULL, &e), &e);
	assert_true(rig_until(&r, is_changed, 2000));
	assert_int_equal(change_status, 0);
	rig_done(&r);
}

static bool other_leads(struct rig *r)
{
	return rig_leader(r) && rig_leader(r)->place != 0;
}

static void a_leader_hands_over_before_it_goes(void **state)
{
	struct err e = ERR_INIT;
	const struct raft_member *m;
	struct rig r;

	rig_init(&r, dir);
	for (unsigned i = 0; i < RIG_NODES; i++)
		start(&r, i, i == 0);
	assert_true(rig_until(&r, rig_is_formed, 10000));
	change_done = false;
	assert_ok(raft_node_demote(r.nodes[0].raft, 100, on_change, NULL, &e), &e);
	assert_true(rig_until(&r, is_changed, 2000));
	assert_int_equal(change_status, -EAGAIN);
	assert_true(rig_until(&r, other_leads, 2000));
	change_done = false;
	assert_ok(raft_node_remove(rig_leader(&r)->raft, 100, on_change, NULL, &e), &e);
	assert_true(rig_until(&r, is_changed, 2000));
	assert_int_equal(change_status, 0);
	assert_int_equal(raft_node_members(rig_leader(&r)->raft, &m), 2);
	/* What it says now is of no weight: the two go on, with the term they have. */
	uint64_t term = raft_node_term(rig_leader(&r)->raft);
	put_many(&r, 5, 100);
	(void)rig_until(&r, all_have, 1500);
	assert_int_equal(raft_node_term(rig_leader(&r)->raft), term);
	assert_int_equal(raft_node_available(r.nodes[0].raft, NULL), -EHOSTUNREACH);
	/* The last voter cannot go. */
	rig_done(&r);
}

static void flip_a_byte(const char *path, const char *prefix, off_t offset)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	bool flipped = false;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		uint8_t byte;
		int fd;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
		    strstr(entry->d_name, ".meta"))
			continue;
		fd = openat(dirfd(d), entry->d_name, O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(pread(fd, &byte, 1, offset), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
		close(fd);
		flipped = true;
	}
	closedir(d);
	assert_true(flipped);
}

static void refuses(struct rig *r, const char *word)
{
	struct err e = ERR_INIT;
	int rc = rig_start(r, 0, false, &e);

	print_message("%s\n", err_text(&e));
	assert_int_equal(rc, -EBADMSG);
	assert_non_null(strstr(e.msg, r->nodes[0].dir));
	assert_non_null(strstr(e.msg, word));
	rig_stop(r, 0);
}

static void a_damaged_log_is_refused(void **state)
{
	struct rig r;

	rig_init(&r, dir);
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 20, 1000);
	rig_stop(&r, 0);
	/* The file of entries 2 and on; the first one holds the bootstrapped group. */
	flip_a_byte(r.nodes[0].dir, "0000000000000002", 3000);
	refuses(&r, "checksum");
	flip_a_byte(r.nodes[0].dir, "0000000000000002", 3000);
	start(&r, 0, false);
	assert_int_equal(r.nodes[0].raft != NULL, 1);
	rig_stop(&r, 0);
	/* Another manager's log. */
	seal_key_unref(r.key);
	r.key = seal_key_new();
	refuses(&r, "another key");
	rig_done(&r);
}

static void segment_make(const struct rig *r, const char *name, const char *text, off_t size)
{
	auto_free char *path = xasprintf("%s/%s", r->nodes[0].dir, name);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
	assert_int_equal(ftruncate(fd, size), 0);
}

static bool tells_holes(const char *name)
{
	auto_close int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && ftruncate(fd, 4) == 0);
	return lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
}

/* One that was never written to is not even read: raft_uv would refuse it, being so short. */
static void segments_set_aside_are_dropped_and_no_others(void **state)
{
	auto_free char *probe = xasprintf("%s/probe", dir);
	struct rig r;

	if (!tells_holes(probe))
		skip();
	rig_init(&r, dir);
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 20, 1000);
	rig_stop(&r, 0);
	segment_make(&r, "open-8", "", 4);
	segment_make(&r, "open-9", "", 8 << 20);
	start(&r, 0, false);
	assert_int_equal(r.nodes[0].changes, 20);
	rig_stop(&r, 0);
	segment_make(&r, "open-9", "garbage", 8 << 20);
	refuses(&r, "format");
	rig_done(&r);
}

static void a_damaged_snapshot_is_refused(void **state)
{
	struct rig r;

	rig_init(&r, dir);
	r.options.snapshot_bytes = 64u << 10;
	r.options.trailing_bytes = 16u << 10;
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	put_many(&r, 150, 1000);
	assert_true(rig_until(&r, has_snapshot, 3000));
	rig_stop(&r, 0);
	flip_a_byte(r.nodes[0].dir, "snapshot-", 5000);
	refuses(&r, "snapshot");
	rig_done(&r);
}

static void secrets_are_not_in_the_clear(void **state)
{
	static const char secret[] = "the-secret-that-nobody-may-read!";
	struct rig r;
	DIR *d;
	struct dirent *entry;

	rig_init(&r, dir);
	r.options.snapshot_bytes = 32u << 10;
	start(&r, 0, true);
	assert_true(rig_until(&r, rig_has_leader, 1000));
	for (unsigned i = 0; i < 1200; i++)
		assert_int_equal(rig_put(&r, &r.nodes[0], secret, sizeof(secret) - 1, 1000), 0);
	assert_true(rig_until(&r, has_snapshot, 3000));
	rig_stop(&r, 0);
	d = opendir(r.nodes[0].dir);
	while ((entry = readdir(d))) {
		auto_buf b = BUF_INIT(64u << 20);

		if (entry->d_type == DT_REG && file_read_at(dirfd(d), entry->d_name, &b) == 0)
			assert_null(memmem(b.p ? b.p : "", b.len, secret, sizeof(secret) - 1));
	}
	closedir(d);
	rig_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_node_keeps_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(three_nodes_replace_a_leader, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_bound_the_log_too, setup, teardown),
		cmocka_unit_test_setup_teardown(so_many_members_and_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(a_snapshot_after_each_entry, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshots_shorten_the_log_and_start_newcomers,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_leader_hands_over_before_it_goes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_damaged_log_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_set_aside_are_dropped_and_no_others, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_damaged_snapshot_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_are_not_in_the_clear, setup, teardown),
	};

	return RUN_TESTS(tests);
}
