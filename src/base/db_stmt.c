/*
 * Prepared statements and their cache; see db.h.
 */
#include <string.h>

#include "base/db_impl.h"
#include "base/mem.h"

static void stmt_free(struct db_stmt *st)
{
	(void)sqlite3_finalize(st->st);
	free(st->sql);
	free(st);
}

void db_cache_drop(struct db *db)
{
	for (size_t i = 0; i < db->n_cached; i++)
		stmt_free(db->cache[i]);
	db->n_cached = 0;
}

static struct db_stmt *cache_find(struct db *db, const char *sql)
{
	for (size_t i = 0; i < db->n_cached; i++)
		if (!db->cache[i]->busy && strcmp(db->cache[i]->sql, sql) == 0)
			return db->cache[i];
	return NULL;
}

/* Puts a new statement into a free place or that of the one unused for longest. */
static void cache_add(struct db *db, struct db_stmt *st)
{
	size_t oldest = DB_CACHED_STATEMENTS;

	if (db->n_cached < DB_CACHED_STATEMENTS) {
		db->cache[db->n_cached++] = st;
		st->cached = true;
		return;
	}
	for (size_t i = 0; i < db->n_cached; i++)
		if (!db->cache[i]->busy && (oldest == DB_CACHED_STATEMENTS ||
					    db->cache[i]->used < db->cache[oldest]->used))
			oldest = i;
	if (oldest == DB_CACHED_STATEMENTS)
		return; /* all in use: this one is freed when it ends */
	stmt_free(db->cache[oldest]);
	db->cache[oldest] = st;
	st->cached = true;
}

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret, struct err *e)
{
	struct db_stmt *st = cache_find(db, sql);
	int rc;

	if (!st) {
		st = xcalloc(1, sizeof *st);
		rc = sqlite3_prepare_v3(db->sq, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->st, NULL);
		if (rc != SQLITE_OK) {
			free(st);
			return db_fail(db, rc, e, "prepare a statement");
		}
		st->db = db;
		st->sql = xstrdup(sql);
		cache_add(db, st);
	}
	st->used = ++db->clock;
	st->busy = true;
	st->bind_rc = SQLITE_OK;
	*ret = st;
	return 0;
}

void db_stmt_end(struct db_stmt *st)
{
	if (!st)
		return;
	if (!st->cached) {
		stmt_free(st);
		return;
	}
	(void)sqlite3_reset(st->st);
	(void)sqlite3_clear_bindings(st->st);
	st->busy = false;
}

void db_stmt_end_at(struct db_stmt **st)
{
	db_stmt_end(*st);
	*st = NULL;
}

static void stmt_bound(struct db_stmt *st, int rc)
{
	if (st->bind_rc == SQLITE_OK)
		st->bind_rc = rc;
}

void db_bind_text(struct db_stmt *st, int at, const char *text)
{
	stmt_bound(st, text ? sqlite3_bind_text(st->st, at, text, -1, SQLITE_STATIC)
			    : sqlite3_bind_null(st->st, at));
}

void db_bind_int(struct db_stmt *st, int at, int64_t value)
{
	stmt_bound(st, sqlite3_bind_int64(st->st, at, value));
}

void db_bind_blob(struct db_stmt *st, int at, const void *p, size_t n)
{
	/* A NULL pointer would bind NULL instead of an empty blob. */
	stmt_bound(st, sqlite3_bind_blob64(st->st, at, n ? p : "", n, SQLITE_STATIC));
}

int db_step(struct db_stmt *st, struct err *e)
{
	int rc = st->bind_rc;

	if (rc != SQLITE_OK)
		return db_fail(st->db, rc, e, "fill in a statement");
	rc = sqlite3_step(st->st);
	if (rc == SQLITE_ROW)
		return DB_ROW;
	if (rc == SQLITE_DONE)
		return DB_DONE;
	rc = db_fail(st->db, sqlite3_extended_errcode(st->db->sq), e, "read or write");
	(void)sqlite3_reset(st->st);
	return rc;
}

int db_run(struct db_stmt *st, struct err *e)
{
	int rc = db_step(st, e);

	return rc == DB_ROW ? 0 : rc;
}

const char *db_text(struct db_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st->st, column);
}

int64_t db_int(struct db_stmt *st, int column)
{
	return sqlite3_column_int64(st->st, column);
}

const void *db_blob(struct db_stmt *st, int column, size_t *ret_n)
{
	const void *p = sqlite3_column_blob(st->st, column);

	*ret_n = (size_t)sqlite3_column_bytes(st->st, column);
	return p;
}
