/*
 * The worker's assignments on disk: one row a task, in the binary form of its table.
 */
#include <string.h>

#include "agent/worker_impl.h"
#include "base/log.h"
#include "base/mem.h"

#define RECORD_MAX (4u << 20)

#define T struct work_record
static const struct field work_record_fields[] = {
	FIELD_OBJ(T, 1, task, NULL, 0, task),         FIELD_OBJ(T, 2, template, NULL, 0, template),
	FIELD_LIST(T, 3, networks, NULL, 0, network), FIELD_BOOL(T, 4, gone, NULL, 0),
	FIELD_U64(T, 5, local_restarts, NULL, 0),
};
#undef T
TABLE_DEFINE(work_record, work_record_fields, TABLE_REST(work_record));

static const char *const migrations[] = {
	"CREATE TABLE work (id TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL) STRICT;",
};

static int row_load(struct worker *w, struct db_stmt *st, struct err *e)
{
	size_t n;
	const void *p = db_blob(st, 1, &n);
	struct work *work = xcalloc(1, sizeof *work);
	int rc = tlv_read(&work_record_table, p, n, &work->record, e);
	const char *id = db_text(st, 0);

	if (rc == 0 && (!id || strlen(id) > ID_CLUSTER_LEN))
		rc = err_set(e, -EBADMSG, "a stored task has no id");
	if (rc < 0) {
		free(work);
		return rc;
	}
	work->worker = w;
	memcpy(work->id, id, strlen(id) + 1);
	HASH_ADD_STR(w->works, id, work);
	return 0;
}

int worker_store_open(struct worker *w, struct err *e)
{
	struct db_options options = {.migrations = migrations,
				     .n_migrations = ARRAY_LEN(migrations)};
	auto_stmt *st = NULL;
	int rc = db_open(w->config.db_path, &options, &w->db, e);

	if (rc == 0)
		rc = db_prepare(w->db, "SELECT id, record FROM work", &st, e);
	while (rc == 0 && (rc = db_step(st, e)) == DB_ROW)
		rc = row_load(w, st, e);
	return rc;
}

static int record_put(struct work *work, struct err *e)
{
	auto_buf bytes = BUF_INIT(RECORD_MAX);
	auto_stmt *st = NULL;
	int rc;

	if (tlv_write(&work_record_table, &work->record, &bytes) < 0)
		return err_set(e, -EMSGSIZE, "the task's record is too large");
	rc = db_prepare(work->worker->db, "INSERT OR REPLACE INTO work VALUES (?1, ?2)", &st, e);
	if (rc < 0)
		return rc;
	db_bind_text(st, 1, work->id);
	db_bind_blob(st, 2, bytes.p, bytes.len);
	return db_run(st, e);
}

void work_save(struct work *work)
{
	struct err e = ERR_INIT;

	if (record_put(work, &e) < 0)
		log_error("the assignment of task %s cannot be kept: %s", work->id, e.msg);
}

static int record_delete(struct work *work, struct err *e)
{
	auto_stmt *st = NULL;
	int rc = db_prepare(work->worker->db, "DELETE FROM work WHERE id = ?1", &st, e);

	if (rc < 0)
		return rc;
	db_bind_text(st, 1, work->id);
	return db_run(st, e);
}

void work_forget(struct work *work)
{
	struct err e = ERR_INIT;

	if (record_delete(work, &e) < 0)
		log_error("task %s cannot be forgotten: %s", work->id, e.msg);
}
