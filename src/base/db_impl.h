/*
 * What the files of the database wrapper share. Included by db*.c only.
 */
#pragma once

#include <sqlite3.h>

#include "base/db.h"

#define DB_CACHED_STATEMENTS 64

struct db_stmt {
	struct db *db;
	sqlite3_stmt *st;
	char *sql;
	uint64_t used; /* the db's clock when it was last taken */
	int bind_rc;   /* the first failure of a bind */
	bool busy;
	bool cached;
};

struct db {
	sqlite3 *sq;
	char *path;
	struct db_stmt *cache[DB_CACHED_STATEMENTS];
	size_t n_cached;
	uint64_t clock;
	int wal_pages;
	bool manual_checkpoint;
};

/* Turns a result of sqlite3 into -errno and a sentence about `what`. */
int db_fail(struct db *db, int rc, struct err *e, const char *what);
void db_cache_drop(struct db *db);
