/*
 * A node's local database: sqlite3 with our error sentences, schema migrations, a cache of prepared
 * statements, transactions that roll back by themselves, and a plain pattern for objects kept as
 * JSON documents. Used by the agent and the image store; knows nothing of what it stores.
 *
 * A connection belongs to one thread at a time: whoever shares one brings the lock. Each owner has
 * a file of its own, so that no writer ever waits for another one's transaction.
 *
 * Files are in WAL mode with synchronous=NORMAL: a commit is one write() without an fsync (tens of
 * microseconds). A crash of the process loses nothing; a power cut may lose the last commits (those
 * since the last checkpoint or durable transaction), never their order and never the file. What
 * must survive a power cut once it is acknowledged uses db_begin_durable(), which costs an fsync.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db;
struct db_stmt;

struct db_options {
	/*
	 * SQL that leads from each version of the schema to the next; several statements may stand
	 * in one text. Released ones never change: new ones are added at the end.
	 */
	const char *const *migrations;
	size_t n_migrations;
	/*
	 * Leaves checkpoints (two fsyncs) to calls of db_checkpoint(), for owners who may not wait
	 * for the disk, such as the loop thread.
	 */
	bool manual_checkpoint;
};

/*
 * Opens or makes the database `path` (mode 0600) and brings its schema up to date, all or nothing.
 * Errors: -EUCLEAN damaged, -EPROTONOSUPPORT written by a newer version, -EBUSY held by another
 * process, -ENOSPC, -EIO or what open(2) says. Close with db_close().
 */
int db_open(const char *path, const struct db_options *options, struct db **ret, struct err *e);
/* Everything committed stays; an open transaction is rolled back. NULL is allowed. */
void db_close(struct db *db);
const char *db_path(const struct db *db);

/*
 * Copies what stands in the WAL into the database file, on a connection of its own: made to be
 * called on the pool while the owner goes on writing. `path` as given to db_open().
 */
int db_checkpoint(const char *path, struct err *e);
/* Pages in the WAL after the last commit: past DB_WAL_PAGES a checkpoint is due. */
int db_wal_pages(const struct db *db);
#define DB_WAL_PAGES 1000 /* of 4 KiB */

/* Transactions. Not nested. */
struct db_tx {
	struct db *db; /* NULL once committed or rolled back */
	bool durable;
};
#define auto_tx CLEANUP(db_rollback) struct db_tx

/* `ret` must be declared auto_tx: what is not committed at the end of its scope never was. */
int db_begin(struct db *db, struct db_tx *ret, struct err *e);
/* As db_begin(), and the commit is on the disk when db_commit() returns. */
int db_begin_durable(struct db *db, struct db_tx *ret, struct err *e);
/* On an error everything since db_begin() is rolled back. */
int db_commit(struct db_tx *tx, struct err *e);
/* Does nothing after db_commit(). */
void db_rollback(struct db_tx *tx);

/* Runs SQL without parameters or result; several statements are allowed. */
int db_exec(struct db *db, const char *sql, struct err *e);

/*
 * Takes a statement from the cache or prepares it. Parameters count from 1, columns from 0. The
 * statement must be declared auto_stmt and ends with its scope. One use of the same text at a time.
 */
int db_prepare(struct db *db, const char *sql, struct db_stmt **ret, struct err *e);
void db_stmt_end(struct db_stmt *st); /* resets it and gives it back; NULL is allowed */
void db_stmt_end_at(struct db_stmt **st);
#define auto_stmt CLEANUP(db_stmt_end_at) struct db_stmt

/* Failures of binding show at the next step. Texts and blobs must live until the statement ends. */
void db_bind_text(struct db_stmt *st, int at, const char *text); /* NULL binds NULL */
void db_bind_int(struct db_stmt *st, int at, int64_t value);
void db_bind_blob(struct db_stmt *st, int at, const void *p, size_t n);

enum db_result { DB_DONE = 0, DB_ROW = 1 };
/*
 * DB_ROW, DB_DONE or -errno: -EEXIST for a unique value that is taken, -EINVAL for another broken
 * constraint, -ENOSPC, -EIO, -EUCLEAN for a damaged file, -EBUSY.
 */
int db_step(struct db_stmt *st, struct err *e);
/* Steps a statement that answers no rows. 0 or as db_step(). */
int db_run(struct db_stmt *st, struct err *e);

/* Of the current row, valid until the next step. A NULL column is NULL, 0 and length 0. */
const char *db_text(struct db_stmt *st, int column);
int64_t db_int(struct db_stmt *st, int column);
const void *db_blob(struct db_stmt *st, int column, size_t *ret_n);

/* Rows that the last INSERT, UPDATE or DELETE changed. */
int db_changes(const struct db *db);
int64_t db_last_id(const struct db *db);

/*
 * Documents: a table of (id, doc), where doc is JSON text. In a migration:
 *	DB_DOCS("networks") DB_DOCS_UNIQUE("networks", "name", "$.Name")
 * The columns are computed from the document by sqlite, so that they can never disagree with it.
 */
#define DB_DOCS(table) \
	"CREATE TABLE " table " (id TEXT NOT NULL PRIMARY KEY, doc TEXT NOT NULL) STRICT;"
#define DB_DOCS_COLUMN_(table, column, json_path)                                                  \
	"ALTER TABLE " table " ADD COLUMN " column " ANY GENERATED ALWAYS AS (doc ->> '" json_path \
	"') VIRTUAL;"
#define DB_DOCS_INDEX(table, column, json_path)   \
	DB_DOCS_COLUMN_(table, column, json_path) \
	"CREATE INDEX " table "_" column " ON " table " (" column ");"
#define DB_DOCS_UNIQUE(table, column, json_path)  \
	DB_DOCS_COLUMN_(table, column, json_path) \
	"CREATE UNIQUE INDEX " table "_" column " ON " table " (" column ");"

/* Called for each document; a result other than 0 ends the walk and becomes its result. */
typedef int db_doc_cb(void *arg, const char *id, const char *doc, size_t n, struct err *e);

/* Table and column names are the caller's own constants, never an outsider's text. */

/* Stores a document, new or not. -EEXIST when a unique column is another document's. */
int db_doc_put(struct db *db, const char *table, const char *id, const char *doc, struct err *e);
/* As db_doc_put(), but -EEXIST also when the id is taken. */
int db_doc_add(struct db *db, const char *table, const char *id, const char *doc, struct err *e);
/* Adds the document to `ret`. -ENOENT when it is missing. */
int db_doc_get(struct db *db, const char *table, const char *id, struct buf *ret, struct err *e);
/* 0, or -ENOENT when it is missing. */
int db_doc_delete(struct db *db, const char *table, const char *id, struct err *e);
/* All documents in the order of their ids. The callback must not change the table. */
int db_doc_each(struct db *db, const char *table, db_doc_cb *cb, void *arg, struct err *e);
/* Those whose computed column equals `value`. */
int db_doc_find(struct db *db, const char *table, const char *column, const char *value,
		db_doc_cb *cb, void *arg, struct err *e);
