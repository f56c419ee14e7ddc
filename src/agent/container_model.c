/*
 * Containers as they are kept and found: the database and the two indexes. See engine.h.
 */
#include <dirent.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "base/clock.h"
#include "base/log.h"

#define DOC_MAX (8u << 20)

char *container_data_dir(const struct engine *e, const char *id)
{
	return xasprintf("%s/containers/%s", e->config.data_root, id);
}

char *container_run_dir(const struct engine *e, const char *id)
{
	return xasprintf("%s/containers/%s", e->config.exec_root, id);
}

struct container_live *live_new(struct engine *e, struct container *c)
{
	struct container_live *l = xcalloc(1, sizeof *l);

	l->engine = e;
	l->c = c;
	c->live = l;
	l->ops_end = &l->ops;
	l->attaches = (struct attaches){.engine = e, .dir = container_run_dir, .id = c->id};
	l->pidfd = -1;
	HASH_ADD_KEYPTR(hh_name, e->by_name, c->name, strlen(c->name), l);
	return l;
}

void live_show(struct container_live *l)
{
	struct engine *e = l->engine;

	l->creating = false;
	HASH_ADD_KEYPTR(hh_id, e->by_id, l->c->id, strlen(l->c->id), l);
}

void live_hide(struct container_live *l)
{
	struct engine *e = l->engine;

	HASH_DELETE(hh_name, e->by_name, l);
	if (!l->creating)
		HASH_DELETE(hh_id, e->by_id, l);
	l->removed = true;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct container_live *l = h->data;
	struct engine *e = l->engine;

	l->timer_open = false;
	if (l->removed) {
		table_free(&container_table, l->c);
		free(l);
	}
	engine_release(e);
}

void live_timer_close(struct container_live *l)
{
	if (!l->timer_open || uv_is_closing((uv_handle_t *)&l->timer))
		return;
	engine_hold(l->engine);
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

void live_timer_start(struct container_live *l, uv_timer_cb cb, uint64_t ms)
{
	if (!l->timer_open) {
		(void)uv_timer_init(l->engine->config.loop, &l->timer);
		l->timer.data = l;
		l->timer_open = true;
	}
	uv_update_time(l->engine->config.loop);
	(void)uv_timer_start(&l->timer, cb, ms, 0);
}

void live_timer_stop(struct container_live *l)
{
	if (l->timer_open)
		(void)uv_timer_stop(&l->timer);
}

void live_free(struct container_live *l)
{
	if (l->timer_open) {
		live_timer_close(l);
		return;
	}
	table_free(&container_table, l->c);
	free(l);
}

/* ---- The database ---- */

struct checkpoint {
	struct job job;
	struct engine *engine;
	char *path;
};

static void checkpoint_run(struct job *j)
{
	struct checkpoint *c = container_of(j, struct checkpoint, job);

	j->status = db_checkpoint(c->path, &j->err);
}

static void checkpoint_done(struct job *j)
{
	struct checkpoint *c = container_of(j, struct checkpoint, job);

	if (j->status < 0)
		log_warn("the containers' database cannot be tidied: %s", err_text(&j->err));
	c->engine->checkpointing = false;
	engine_release(c->engine);
	free(c->path);
	free(c);
}

static void checkpoint_when_due(struct engine *e)
{
	struct checkpoint *c;

	if (e->checkpointing || db_wal_pages(e->db) <= DB_WAL_PAGES)
		return;
	c = xcalloc(1, sizeof *c);
	c->job.run = checkpoint_run;
	c->job.done = checkpoint_done;
	c->engine = e;
	c->path = xstrdup(db_path(e->db));
	e->checkpointing = true;
	engine_hold(e);
	job_start(e->config.loop, &c->job);
}

int container_store(struct container_live *l, struct err *err)
{
	auto_buf doc = BUF_INIT(DOC_MAX);
	int rc = json_write(&container_table, l->c, &doc);

	if (rc < 0)
		return err_set(err, rc, "the container's configuration is too large to be kept");
	rc = db_doc_put(l->engine->db, "containers", l->c->id, buf_text(&doc), err);
	checkpoint_when_due(l->engine);
	return rc;
}

void container_save(struct container_live *l)
{
	struct err err = ERR_INIT;

	if (container_store(l, &err) < 0)
		log_error("the state of container %s cannot be kept: %s", l->c->id, err_text(&err));
}

void container_forget(struct container_live *l)
{
	struct err err = ERR_INIT;

	if (db_doc_delete(l->engine->db, "containers", l->c->id, &err) < 0 && err.code != -ENOENT)
		log_error("container %s cannot be forgotten: %s", l->c->id, err_text(&err));
}

static int load_one(void *arg, const char *id, const char *doc, size_t n, struct err *err)
{
	struct engine *e = arg;
	struct container *c = xcalloc(1, sizeof *c);
	struct container_live *l;

	/* One that cannot be read must not keep all the others from running. */
	if (json_read(&container_table, doc, n, c, err) < 0 || strcmp(c->id, id) != 0) {
		log_error("the stored container %s is left out: %s", id, err_text(err));
		table_free(&container_table, c);
		*err = ERR_INIT;
		return 0;
	}
	HASH_FIND(hh_name, e->by_name, c->name, strlen(c->name), l);
	if (l)
		str_set(&c->name, c->id);
	live_show(live_new(e, c));
	return 0;
}

int containers_load(struct engine *e, struct err *err)
{
	return db_doc_each(e->db, "containers", load_one, e, err);
}

void run_dirs_of_nobody(struct engine *e, struct strs *ret)
{
	auto_free char *path = xasprintf("%s/containers", e->config.exec_root);
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		struct container_live *l;

		if (entry->d_name[0] == '.')
			continue;
		HASH_FIND(hh_id, e->by_id, entry->d_name, strlen(entry->d_name), l);
		if (!l) {
			auto_free char *dir = xasprintf("%s/%s", path, entry->d_name);

			strs_add(ret, dir);
		}
	}
	if (d)
		closedir(d);
}

/* ---- Finding ---- */

int engine_container_find(struct engine *e, const char *ref, struct container **ret,
			  struct err *err)
{
	const char *name = ref[0] == '/' ? ref + 1 : ref;
	struct container_live *l = NULL;
	size_t n = strlen(ref);

	HASH_FIND(hh_id, e->by_id, ref, n, l);
	if (!l) {
		HASH_FIND(hh_name, e->by_name, name, strlen(name), l);
		if (l && l->creating)
			l = NULL;
	}
	if (!l && n) {
		CONTAINERS_EACH(each, e)
		{
			if (strncmp(each->c->id, ref, n) != 0)
				continue;
			if (l)
				return err_set(err, -EINVAL,
					       "multiple IDs found with provided prefix: %.64s",
					       ref);
			l = each;
		}
	}
	if (!l)
		return err_set(err, -ENOENT, "No such container: %.255s", ref);
	*ret = l->c;
	return 0;
}

struct container *engine_container_of_task(struct engine *e, const char *task)
{
	CONTAINERS_EACH(l, e)
	if (l->c->task && strcmp(l->c->task, task) == 0)
		return l->c;
	return NULL;
}

static int by_age(const void *a, const void *b)
{
	const struct container *x = *(struct container *const *)a;
	const struct container *y = *(struct container *const *)b;

	return x->created_ns < y->created_ns ? 1 : x->created_ns > y->created_ns ? -1 : 0;
}

struct container **engine_containers(struct engine *e, size_t *ret_n)
{
	size_t n = HASH_CNT(hh_id, e->by_id);
	struct container **v = xcalloc(n + 1, sizeof *v);
	size_t i = 0;

	CONTAINERS_EACH(l, e)
	v[i++] = l->c;
	qsort(v, n, sizeof *v, by_age);
	*ret_n = n;
	return v;
}

void container_event_with(struct container_live *l, const char *action, const struct strmap *extra)
{
	struct strmap attributes = {0};
	struct engine_event ev = {.type = "container",
				  .action = action,
				  .id = l->c->id,
				  .scope = "local",
				  .time_ns = clock_wall_ns(),
				  .attributes = &attributes};

	for (size_t i = 0; i < l->c->config.labels.n; i++)
		strmap_set(&attributes, l->c->config.labels.v[i].key,
			   l->c->config.labels.v[i].value);
	strmap_set(&attributes, "image", l->c->config.image ? l->c->config.image : "");
	strmap_set(&attributes, "name", l->c->name);
	for (size_t i = 0; extra && i < extra->n; i++)
		strmap_set(&attributes, extra->v[i].key, extra->v[i].value);
	engine_event(l->engine, &ev);
	strmap_done(&attributes);
}

void container_event(struct container_live *l, const char *action, const char *extra,
		     const char *value)
{
	struct strmap_entry entry = {(char *)extra, (char *)value};
	const struct strmap one = {&entry, 1};

	container_event_with(l, action, extra ? &one : NULL);
}
