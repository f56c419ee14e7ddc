/*
 * Objects kept as JSON documents in tables of (id, doc); see db.h.
 */
#include <stdio.h>

#include "base/db_impl.h"
#include "base/mem.h"

#define DOC_SQL_MAX 256

/* Prepares `format` with the table's and perhaps a column's name, which are constants of ours. */
__attribute__((format(printf, 4, 5))) static int doc_prepare(struct db *db, struct db_stmt **ret,
							     struct err *e, const char *format, ...)
{
	char sql[DOC_SQL_MAX];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(sql, sizeof sql, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof sql)
		return err_set(e, -EINVAL, "the name of a table in %s is too long", db->path);
	return db_prepare(db, sql, ret, e);
}

static int doc_write(struct db_stmt *st, const char *id, const char *doc, struct err *e)
{
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, doc);
	return db_run(st, e);
}

int db_doc_put(struct db *db, const char *table, const char *id, const char *doc, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e,
			     "INSERT INTO %s (id, doc) VALUES (?1, ?2) "
			     "ON CONFLICT (id) DO UPDATE SET doc = excluded.doc",
			     table);

	return rc < 0 ? rc : doc_write(st, id, doc, e);
}

int db_doc_add(struct db *db, const char *table, const char *id, const char *doc, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e, "INSERT INTO %s (id, doc) VALUES (?1, ?2)", table);

	return rc < 0 ? rc : doc_write(st, id, doc, e);
}

int db_doc_get(struct db *db, const char *table, const char *id, struct buf *ret, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e, "SELECT doc FROM %s WHERE id = ?1", table);
	const void *p;
	size_t n;

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	rc = db_step(st, e);
	if (rc < 0)
		return rc;
	if (rc == DB_DONE)
		return err_set(e, -ENOENT, "%s is not in %s of %s", id, table, db->path);
	p = db_blob(st, 0, &n);
	rc = buf_add(ret, p, n);
	if (rc < 0)
		return err_set(e, rc, "%s in %s of %s is larger than %zu bytes", id, table,
			       db->path, ret->max);
	return 0;
}

int db_doc_delete(struct db *db, const char *table, const char *id, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e, "DELETE FROM %s WHERE id = ?1", table);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, id);
	rc = db_run(st, e);
	if (rc == 0 && db_changes(db) == 0)
		return err_set(e, -ENOENT, "%s is not in %s of %s", id, table, db->path);
	return rc;
}

static int doc_walk(struct db_stmt *st, db_doc_cb *cb, void *arg, struct err *e)
{
	int rc;

	while ((rc = db_step(st, e)) == DB_ROW) {
		const char *id = db_text(st, 0), *doc = db_text(st, 1);
		size_t n;

		(void)db_blob(st, 1, &n);
		rc = cb(arg, id, doc, n, e);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int db_doc_each(struct db *db, const char *table, db_doc_cb *cb, void *arg, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e, "SELECT id, doc FROM %s ORDER BY id", table);

	return rc < 0 ? rc : doc_walk(st, cb, arg, e);
}

int db_doc_find(struct db *db, const char *table, const char *column, const char *value,
		db_doc_cb *cb, void *arg, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = doc_prepare(db, &st, e, "SELECT id, doc FROM %s WHERE %s = ?1 ORDER BY id", table,
			     column);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, value);
	return doc_walk(st, cb, arg, e);
}
