/*
 * base/db.h: migrations, transactions that survive SIGKILL, a full disk, a damaged file, the cache.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/db.h"
#include "base/file.h"

static const char *const schema[] = {
	"CREATE TABLE pairs (a INTEGER NOT NULL, b INTEGER NOT NULL) STRICT;"
	"CREATE TABLE sums (id INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;"
	"INSERT INTO sums VALUES (1, 0);",
	DB_DOCS("things") DB_DOCS_UNIQUE("things", "name", "$.Name"),
	DB_DOCS_INDEX("things", "kind", "$.Spec.Kind"),
};
static const struct db_options options = {.migrations = schema, .n_migrations = ARRAY_LEN(schema)};

struct place {
	char dir[64];
	char path[80];
};

static void place_init(struct place *p)
{
	snprintf(p->dir, sizeof p->dir, "/tmp/shoal-test-db-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof p->path, "%s/node.db", p->dir);
}

static void place_done(struct place *p)
{
	struct err e = ERR_INIT;

	assert_ok(dir_remove(AT_FDCWD, p->dir, &e), &e);
}
#define auto_place CLEANUP(place_done) struct place

static struct db *open_ok(const struct place *p)
{
	struct err e = ERR_INIT;
	struct db *db = NULL;

	assert_ok(db_open(p->path, &options, &db, &e), &e);
	return db;
}

static int64_t number(struct db *db, const char *sql)
{
	struct err e = ERR_INIT;
	auto_stmt *st = NULL;

	assert_ok(db_prepare(db, sql, &st, &e), &e);
	assert_int_equal(db_step(st, &e), DB_ROW);
	return db_int(st, 0);
}

static void opens_privately_and_migrates_step_by_step(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db = NULL;
	struct db_options first = {.migrations = schema, .n_migrations = 1};
	struct stat st;

	place_init(&p);
	assert_ok(db_open(p.path, &first, &db, &e), &e);
	assert_ok(db_exec(db, "UPDATE sums SET n = 7", &e), &e);
	assert_int_equal(number(db, "PRAGMA user_version"), 1);
	assert_int_equal(stat(p.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_close(db);
	db = open_ok(&p);
	assert_int_equal(number(db, "PRAGMA user_version"), 3);
	assert_int_equal(number(db, "SELECT n FROM sums"), 7);
	db_close(db);
	db = open_ok(&p); /* nothing to do any more */
	db_close(db);
}

static void refuses_a_newer_schema_and_foreign_files(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db = NULL;
	struct db_options older = {.migrations = schema, .n_migrations = 2};

	place_init(&p);
	db_close(open_ok(&p));
	assert_int_equal(db_open(p.path, &older, &db, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.msg, "newer version"));
	assert_non_null(strstr(e.msg, p.path));
	db = open_ok(&p);
	assert_ok(db_exec(db, "PRAGMA application_id = 77", &e), &e);
	db_close(db);
	assert_int_equal(db_open(p.path, &options, &db, &e), -EUCLEAN);
	assert_non_null(strstr(e.msg, "another program"));
}

static void a_failing_migration_changes_nothing(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db = NULL;
	const char *const bad[] = {schema[0], "CREATE TABLE more (x); CREATE TABLE pairs (y)"};
	struct db_options broken = {.migrations = bad, .n_migrations = 2};

	place_init(&p);
	assert_true(db_open(p.path, &broken, &db, &e) < 0);
	assert_non_null(strstr(e.msg, "schema version 2"));
	db = open_ok(&p);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), 0);
	db_close(db);
}

static void a_transaction_left_is_rolled_back(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db;

	place_init(&p);
	db = open_ok(&p);
	{
		auto_tx tx = {0};

		assert_ok(db_begin(db, &tx, &e), &e);
		assert_ok(db_exec(db, "INSERT INTO pairs VALUES (1, 1)", &e), &e);
	}
	assert_int_equal(number(db, "SELECT count(*) FROM pairs"), 0);
	{
		auto_tx tx = {0};

		assert_ok(db_begin_durable(db, &tx, &e), &e);
		assert_int_equal(number(db, "PRAGMA synchronous"), 2);
		assert_ok(db_exec(db, "INSERT INTO pairs VALUES (1, 1)", &e), &e);
		assert_ok(db_commit(&tx, &e), &e);
	}
	assert_int_equal(number(db, "SELECT count(*) FROM pairs"), 1);
	assert_int_equal(number(db, "PRAGMA synchronous"), 1);
	db_close(db);
}

/* Writes rows and their sum in one transaction each, telling the count after each commit. */
static void write_forever(const char *path, int tell)
{
	struct err e = ERR_INIT;
	struct db *db = NULL;

	if (db_open(path, &options, &db, &e) < 0)
		_exit(1);
	for (int64_t i = number(db, "SELECT n FROM sums") + 1;; i++) {
		auto_tx tx = {0};
		auto_stmt *st = NULL;

		if (db_begin(db, &tx, &e) < 0 ||
		    db_prepare(db, "INSERT INTO pairs VALUES (?1, ?1)", &st, &e) < 0)
			_exit(1);
		db_bind_int(st, 1, i);
		if (db_run(st, &e) < 0 || db_exec(db, "UPDATE sums SET n = n + 1", &e) < 0 ||
		    db_commit(&tx, &e) < 0 || write(tell, &i, sizeof i) != sizeof i)
			_exit(1);
	}
}

static void survives_kill_in_the_middle_of_transactions(void **state)
{
	auto_place p;
	int64_t told = 0;

	place_init(&p);
	db_close(open_ok(&p));
	for (int round = 0; round < 20; round++) {
		int ends[2], status;
		struct db *db;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		if (pid == 0)
			write_forever(p.path, ends[1]);
		close(ends[1]);
		for (int i = 0; i < 10 + round * 17; i++)
			assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(ends[0], &told, sizeof told) == sizeof told)
			;
		close(ends[0]);
		db = open_ok(&p);
		/* What was acknowledged is there; at most the one in flight was committed too. */
		assert_in_range(number(db, "SELECT n FROM sums"), told, told + 1);
		assert_int_equal(number(db, "SELECT count(*) - (SELECT n FROM sums) FROM pairs"),
				 0);
		db_close(db);
	}
}

static int fill(struct db *db, struct err *e)
{
	static char big[40000];
	int rc = 0;

	memset(big, 'x', sizeof big - 1);
	for (int i = 0; rc == 0 && i < 1000; i++) {
		auto_tx tx = {0};
		char id[16], *doc = xasprintf("{\"Name\":\"%d\",\"X\":\"%s\"}", i, big);

		snprintf(id, sizeof id, "%d", i);
		rc = db_begin(db, &tx, e);
		if (rc == 0)
			rc = db_doc_put(db, "things", id, doc, e);
		if (rc == 0)
			rc = db_commit(&tx, e);
		free(doc);
	}
	return rc;
}

static void a_full_disk_is_said_and_harms_nothing(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db;
	int64_t before;

	place_init(&p);
	if (unshare(CLONE_NEWNS) < 0)
		skip();
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", p.dir, "tmpfs", 0, "size=2m"), 0);
	db = open_ok(&p);
	assert_int_equal(fill(db, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "no space left"));
	assert_non_null(strstr(e.msg, p.path));
	before = number(db, "SELECT count(*) FROM things");
	assert_true(before > 5);
	db_close(db);
	assert_int_equal(mount("tmpfs", p.dir, "tmpfs", MS_REMOUNT, "size=64m"), 0);
	db = open_ok(&p);
	assert_int_equal(number(db, "SELECT count(*) FROM things"), before);
	assert_ok(fill(db, &e), &e);
	db_close(db);
	assert_int_equal(umount(p.dir), 0);
}

static void a_damaged_file_is_named(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db;
	char noise[3000];
	int fd;

	place_init(&p);
	db = open_ok(&p);
	assert_ok(fill(db, &e), &e);
	db_close(db);
	memset(noise, 0xa5, sizeof noise);
	fd = open(p.path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, noise, sizeof noise, 4096), sizeof noise); /* a page of it */
	assert_int_equal(ftruncate(fd, 4096 * 40), 0);
	db = NULL;
	assert_int_equal(db_open(p.path, &options, &db, &e), -EUCLEAN);
	assert_non_null(strstr(e.msg, p.path));
	assert_non_null(strstr(e.msg, "move it"));
	assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise); /* its header */
	assert_int_equal(db_open(p.path, &options, &db, &e), -EUCLEAN);
	assert_null(db);
	close(fd);
}

static int collect(void *arg, const char *id, const char *doc, size_t n, struct err *e)
{
	struct buf *all = arg;

	assert_int_equal(strlen(doc), n);
	return buf_addf(all, "%s=%s ", id, doc);
}

static void documents_are_found_by_id_and_column(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db;
	auto_buf b = BUF_INIT(1000);
	auto_buf small = BUF_INIT(4);

	place_init(&p);
	db = open_ok(&p);
	assert_ok(db_doc_add(db, "things", "2", "{\"Name\":\"b\",\"Spec\":{\"Kind\":\"k\"}}", &e),
		  &e);
	assert_ok(db_doc_put(db, "things", "1", "{\"Name\":\"a\"}", &e), &e);
	assert_int_equal(db_doc_add(db, "things", "1", "{\"Name\":\"z\"}", &e), -EEXIST);
	assert_int_equal(db_doc_put(db, "things", "1", "{\"Name\":\"b\"}", &e), -EEXIST);
	assert_true(db_doc_put(db, "things", "3", "not json", &e) < 0);
	assert_ok(db_doc_put(db, "things", "1", "{\"Name\":\"c\"}", &e), &e);
	assert_ok(db_doc_each(db, "things", collect, &b, &e), &e);
	assert_string_equal(buf_text(&b),
			    "1={\"Name\":\"c\"} 2={\"Name\":\"b\",\"Spec\":{\"Kind\":\"k\"}} ");
	buf_reset(&b);
	assert_ok(db_doc_find(db, "things", "kind", "k", collect, &b, &e), &e);
	assert_ok(db_doc_find(db, "things", "name", "c", collect, &b, &e), &e);
	assert_ok(db_doc_find(db, "things", "name", "a", collect, &b, &e), &e);
	assert_string_equal(buf_text(&b), "2={\"Name\":\"b\",\"Spec\":{\"Kind\":\"k\"}} "
					  "1={\"Name\":\"c\"} ");
	assert_int_equal(db_doc_get(db, "things", "1", &small, &e), -EMSGSIZE);
	assert_ok(db_doc_delete(db, "things", "1", &e), &e);
	assert_int_equal(db_doc_delete(db, "things", "1", &e), -ENOENT);
	assert_int_equal(db_doc_get(db, "things", "1", &b, &e), -ENOENT);
	db_close(db);
}

static void more_statements_than_the_cache_holds(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db_stmt *held[200];
	struct db *db;
	char sql[40];

	place_init(&p);
	db = open_ok(&p);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) { /* all at once, then one after the other */
			snprintf(sql, sizeof sql, "SELECT %d", i);
			assert_ok(db_prepare(db, sql, &held[i], &e), &e);
			assert_int_equal(db_step(held[i], &e), DB_ROW);
			assert_int_equal(db_int(held[i], 0), i);
			if (round > 0)
				db_stmt_end(held[i]);
		}
		for (int i = 0; round == 0 && i < 200; i++)
			db_stmt_end(held[i]);
	}
	db_close(db);
}

static void values_of_all_kinds_come_back(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db *db;
	auto_stmt *st = NULL;
	size_t n;

	place_init(&p);
	db = open_ok(&p);
	assert_ok(db_prepare(db, "SELECT ?1, ?2, ?3, ?4, ?5", &st, &e), &e);
	db_bind_text(st, 1, "text");
	db_bind_text(st, 2, NULL);
	db_bind_int(st, 3, INT64_MIN);
	db_bind_blob(st, 4, "a\0b", 3);
	db_bind_blob(st, 5, NULL, 0);
	assert_int_equal(db_step(st, &e), DB_ROW);
	assert_string_equal(db_text(st, 0), "text");
	assert_null(db_text(st, 1));
	assert_true(db_int(st, 2) == INT64_MIN);
	assert_memory_equal(db_blob(st, 3, &n), "a\0b", 3);
	assert_int_equal(n, 3);
	(void)db_blob(st, 4, &n);
	assert_int_equal(n, 0);
	assert_int_equal(db_step(st, &e), DB_DONE);
	db_bind_int(st, 6, 1); /* no such parameter */
	assert_int_equal(db_step(st, &e), -EINVAL);
	db_stmt_end_at(&st);
	db_close(db);
}

static void checkpoints_empty_the_log(void **state)
{
	auto_place p;
	struct err e = ERR_INIT;
	struct db_options manual = options;
	struct db *db = NULL;

	place_init(&p);
	manual.manual_checkpoint = true;
	assert_ok(db_open(p.path, &manual, &db, &e), &e);
	assert_ok(fill(db, &e), &e);
	assert_true(db_wal_pages(db) > DB_WAL_PAGES);
	assert_ok(db_checkpoint(p.path, &e), &e);
	assert_ok(db_exec(db, "UPDATE sums SET n = 3", &e), &e);
	assert_true(db_wal_pages(db) < 10);
	assert_int_equal(number(db, "SELECT n FROM sums"), 3);
	db_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_privately_and_migrates_step_by_step),
		TEST(refuses_a_newer_schema_and_foreign_files),
		TEST(a_failing_migration_changes_nothing),
		TEST(a_transaction_left_is_rolled_back),
		TEST(survives_kill_in_the_middle_of_transactions),
		TEST(a_damaged_file_is_named),
		TEST(documents_are_found_by_id_and_column),
		TEST(more_statements_than_the_cache_holds),
		TEST(values_of_all_kinds_come_back),
		TEST(checkpoints_empty_the_log),
		TEST(a_full_disk_is_said_and_harms_nothing),
	};

	return RUN_TESTS(tests);
}
