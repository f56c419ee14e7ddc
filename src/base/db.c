/*
 * Opening, migrating and committing; see db.h. Statements are in db_stmt.c, documents in db_doc.c.
 */
#include "base/db.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/db_impl.h"
#include "base/mem.h"

#define DB_APPLICATION_ID 0x53686f61   /* "Shoa": in the file's header, for file(1) and for us */
#define DB_BUSY_MS 2000                /* how long a lock of another process is waited for */
#define DB_CHECK_MAX_BYTES (8LL << 20) /* larger files are not read through when opened */

/* One connection's settings; each is explained in db.h or by sqlite's documentation. */
static const char db_settings[] = "PRAGMA journal_mode = WAL;"
				  "PRAGMA synchronous = NORMAL;"
				  "PRAGMA foreign_keys = ON;"
				  "PRAGMA cell_size_check = ON;"
				  "PRAGMA temp_store = MEMORY;"
				  "PRAGMA cache_size = -1024;"
				  "PRAGMA journal_size_limit = 4194304;";

static int db_errno(struct db *db, int rc)
{
	int system = db->sq ? sqlite3_system_errno(db->sq) : 0;

	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_IOERR:
		return system == ENOSPC ? -ENOSPC : -EIO;
	case SQLITE_CANTOPEN:
		return system ? -system : -EIO;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_TOOBIG:
		return -EMSGSIZE;
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    rc == SQLITE_CONSTRAINT_ROWID)
			return -EEXIST;
		return -EINVAL;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}

static int db_damaged(const char *path, const char *detail, struct err *e)
{
	return err_set(e, -EUCLEAN,
		       "the database %s is damaged (%s): stop the daemon, move it and its -wal and "
		       "-shm files aside, then put back a copy or start with an empty one",
		       path, detail);
}

int db_fail(struct db *db, int rc, struct err *e, const char *what)
{
	const char *detail = db->sq ? sqlite3_errmsg(db->sq) : sqlite3_errstr(rc);
	int code = db_errno(db, rc);

	switch (code) {
	case -EUCLEAN:
		return db_damaged(db->path, detail, e);
	case -ENOSPC:
		return err_set(e, code, "cannot %s in %s: no space left on the disk: free some",
			       what, db->path);
	case -EBUSY:
		return err_set(e, code, "cannot %s in %s: another process holds it", what,
			       db->path);
	default:
		return err_set(e, code, "cannot %s in %s: %s", what, db->path, detail);
	}
}

/* After each commit: the WAL's length, and the checkpoint where it is ours to make. */
static int db_committed(void *arg, sqlite3 *sq, const char *name, int pages)
{
	struct db *db = arg;

	db->wal_pages = pages;
	if (!db->manual_checkpoint && pages >= DB_WAL_PAGES)
		(void)sqlite3_wal_checkpoint_v2(sq, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

static int db_pragma_int(struct db *db, const char *sql, int64_t *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(db, sql, &st, e);

	if (rc < 0)
		return rc;
	rc = db_step(st, e);
	if (rc < 0)
		return rc;
	*ret = db_int(st, 0);
	return 0;
}

/* Small databases are read through once: damage shows now and by name, not in the middle of work.
 */
static int db_check(struct db *db, struct err *e)
{
	auto_stmt *st = NULL;
	struct stat file;
	int rc;

	if (stat(db->path, &file) < 0)
		return err_sys(e, "cannot look at the database %s", db->path);
	if (file.st_size > DB_CHECK_MAX_BYTES)
		return 0;
	rc = db_prepare(db, "PRAGMA quick_check(1)", &st, e);
	if (rc < 0)
		return rc;
	rc = db_step(st, e);
	if (rc < 0)
		return rc;
	if (rc == DB_ROW && strcmp(db_text(st, 0), "ok") != 0)
		return db_damaged(db->path, db_text(st, 0), e);
	return 0;
}

static int db_migrate(struct db *db, const struct db_options *options, struct err *e)
{
	int64_t version = 0, application = 0;
	char sql[80];
	auto_tx tx = {0};
	int rc = db_pragma_int(db, "PRAGMA user_version", &version, e);

	if (rc == 0)
		rc = db_pragma_int(db, "PRAGMA application_id", &application, e);
	if (rc < 0)
		return rc;
	if ((version > 0 || application != 0) && application != DB_APPLICATION_ID)
		return err_set(e, -EUCLEAN, "%s is a database of another program", db->path);
	if (version > (int64_t)options->n_migrations)
		return err_set(e, -EPROTONOSUPPORT,
			       "the database %s has schema version %lld and this version knows "
			       "%zu: a newer version has used it; start that one again, or put "
			       "back a copy made before the upgrade",
			       db->path, (long long)version, options->n_migrations);
	if (version == (int64_t)options->n_migrations)
		return 0;
	rc = db_begin_durable(db, &tx, e);
	for (size_t i = (size_t)version; rc == 0 && i < options->n_migrations; i++) {
		rc = db_exec(db, options->migrations[i], e);
		if (rc < 0)
			return err_wrap(e, "schema version %zu", i + 1);
	}
	snprintf(sql, sizeof sql, "PRAGMA user_version = %zu; PRAGMA application_id = %d",
		 options->n_migrations, DB_APPLICATION_ID);
	if (rc == 0)
		rc = db_exec(db, sql, e);
	return rc < 0 ? rc : db_commit(&tx, e);
}

static int db_connect(struct db *db, struct err *e)
{
	int fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	/* sqlite gives the -wal and -shm files the mode of this one. */
	if (fd >= 0)
		close(fd);
	else if (errno != EEXIST)
		return err_sys(e, "cannot make the database %s", db->path);
	rc = sqlite3_open_v2(db->path, &db->sq, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return db_fail(db, rc, e, "open the tables");
	sqlite3_extended_result_codes(db->sq, 1);
	sqlite3_busy_timeout(db->sq, DB_BUSY_MS);
	(void)sqlite3_db_config(db->sq, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	rc = sqlite3_exec(db->sq, db_settings, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return db_fail(db, rc, e, "open the tables");
	sqlite3_wal_hook(db->sq, db_committed, db);
	return 0;
}

int db_open(const char *path, const struct db_options *options, struct db **ret, struct err *e)
{
	struct db *db = xcalloc(1, sizeof *db);
	int rc;

	db->path = xstrdup(path);
	db->manual_checkpoint = options->manual_checkpoint;
	rc = db_connect(db, e);
	if (rc == 0)
		rc = db_check(db, e);
	if (rc == 0)
		rc = db_migrate(db, options, e);
	if (rc < 0) {
		db_close(db);
		return rc;
	}
	*ret = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_cache_drop(db);
	(void)sqlite3_close_v2(db->sq);
	free(db->path);
	free(db);
}

const char *db_path(const struct db *db)
{
	return db->path;
}

int db_checkpoint(const char *path, struct err *e)
{
	struct db db = {.path = (char *)(uintptr_t)path};
	int rc = sqlite3_open_v2(path, &db.sq, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db.sq, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_wal_checkpoint_v2(db.sq, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	/* Someone else's checkpoint is as good as ours. */
	rc = rc == SQLITE_OK || rc == SQLITE_BUSY ? 0 : db_fail(&db, rc, e, "write back the log");
	(void)sqlite3_close_v2(db.sq);
	return rc;
}

int db_wal_pages(const struct db *db)
{
	return db->wal_pages;
}

int db_exec(struct db *db, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(db->sq, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(db, rc, e, "change the tables");
}

int db_begin(struct db *db, struct db_tx *ret, struct err *e)
{
	int rc = db_exec(db, "BEGIN IMMEDIATE", e);

	if (rc < 0)
		return rc;
	*ret = (struct db_tx){.db = db};
	return 0;
}

/* In WAL mode FULL means: fsync the WAL at the end of each transaction. */
int db_begin_durable(struct db *db, struct db_tx *ret, struct err *e)
{
	int rc = db_exec(db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE", e);

	if (rc < 0) {
		(void)db_exec(db, "PRAGMA synchronous = NORMAL", NULL);
		return rc;
	}
	*ret = (struct db_tx){.db = db, .durable = true};
	return 0;
}

static void db_end(struct db_tx *tx)
{
	if (tx->durable)
		(void)db_exec(tx->db, "PRAGMA synchronous = NORMAL", NULL);
	tx->db = NULL;
}

int db_commit(struct db_tx *tx, struct err *e)
{
	int rc = sqlite3_exec(tx->db->sq, "COMMIT", NULL, NULL, NULL);

	if (rc != SQLITE_OK) {
		rc = db_fail(tx->db, rc, e, "commit");
		db_rollback(tx);
		return rc;
	}
	db_end(tx);
	return 0;
}

void db_rollback(struct db_tx *tx)
{
	if (!tx->db)
		return;
	/* Some failures (a full disk) have rolled back already. */
	if (!sqlite3_get_autocommit(tx->db->sq))
		(void)sqlite3_exec(tx->db->sq, "ROLLBACK", NULL, NULL, NULL);
	db_end(tx);
}

int db_changes(const struct db *db)
{
	return sqlite3_changes(db->sq);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sq);
}
