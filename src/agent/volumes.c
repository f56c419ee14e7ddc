/*
 * The host's volumes: folders DATA-ROOT/volumes/NAME with the content in _data and, for those that
 * were made by themselves, what their maker said in volume.json. The folder is the truth: a volume
 * that a container brought into being has no more than that. Reading and removing is the pool's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "agent/volume_local.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "model/mount.h"

#define T struct volume
static const struct field volume_fields[] = {
	FIELD_TIME(T, 0, created_ns, "CreatedAt", 0),
	FIELD_STR(T, 0, driver, "Driver", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_STR(T, 0, mountpoint, "Mountpoint", 0),
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STRMAP(T, 0, options, "Options", 0),
	FIELD_STR(T, 0, scope, "Scope", 0),
};
#undef T
TABLE_DEFINE(volume, volume_fields);

struct volume_job {
	struct job job;
	struct engine *engine;
	char *root;
	struct strs names;
	struct volume made; /* to be made */
	struct volumes found;
	struct volumes_removed removed;
	engine_volumes_got got;
	engine_volumes_gone gone;
	void *arg;
};

static struct volume_job *job_of(struct job *j)
{
	return container_of(j, struct volume_job, job);
}

static struct volume_job *volume_job_new(struct engine *e, void *arg)
{
	struct volume_job *v = xcalloc(1, sizeof *v);

	v->engine = e;
	v->root = xasprintf("%s/volumes", e->config.data_root);
	v->arg = arg;
	engine_hold(e);
	return v;
}

static void volume_job_start(struct volume_job *v, void (*run)(struct job *j),
			     void (*done)(struct job *j))
{
	v->job.run = run;
	v->job.done = done;
	job_start(v->engine->config.loop, &v->job);
}

static void volume_job_free(struct volume_job *v)
{
	struct engine *e = v->engine;

	free(v->root);
	strs_done(&v->names);
	table_done(&volume_table, &v->made);
	LIST_EACH (one, &v->found)
		table_done(&volume_table, one);
	free(v->found.v);
	strs_done(&v->removed.names);
	free(v);
	engine_release(e);
}

static const struct err *err_of(const struct job *j)
{
	return j->status < 0 ? &j->err : NULL;
}

static void got_done(struct job *j)
{
	struct volume_job *v = job_of(j);

	v->got(v->arg, j->status, &v->found, err_of(j));
	volume_job_free(v);
}

/* Reading. On the pool. */

/* Adds the volume `name`; -ENOENT when there is none. What its maker said may be missing. */
static int volume_add(struct volume_job *v, const char *name)
{
	auto_free char *dir = xasprintf("%s/%s", v->root, name);
	struct volume one = {0};
	struct stat st;

	if (lstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOENT;
	if (volume_read(dir, &one) < 0) {
		one.created_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
	}
	str_set(&one.name, name);
	str_set(&one.driver, "local");
	str_set(&one.scope, "local");
	free(one.mountpoint);
	one.mountpoint = xasprintf("%s/_data", dir);
	*LIST_ADD(&v->found) = one;
	return 0;
}

static int no_such(const char *name, struct err *e)
{
	return err_set(e, -ENOENT, "get %.255s: no such volume", name);
}

static void get_run(struct job *j)
{
	struct volume_job *v = job_of(j);

	if (volume_name_check(v->names.v[0], NULL) < 0 || volume_add(v, v->names.v[0]) < 0)
		j->status = no_such(v->names.v[0], &j->err);
}

void engine_volume_get(struct engine *e, const char *name, engine_volumes_got done, void *arg)
{
	struct volume_job *v = volume_job_new(e, arg);

	v->got = done;
	strs_add(&v->names, name);
	volume_job_start(v, get_run, got_done);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct volume *)a)->name, ((const struct volume *)b)->name);
}

static void list_run(struct job *j)
{
	struct volume_job *v = job_of(j);
	DIR *dir = opendir(v->root);
	const struct dirent *d;

	if (!dir) {
		j->status = err_sys(&j->err, "reading %s", v->root);
		return;
	}
	while ((d = readdir(dir)))
		if (volume_name_check(d->d_name, NULL) == 0)
			(void)volume_add(v, d->d_name);
	closedir(dir);
	if (v->found.n)
		qsort(v->found.v, v->found.n, sizeof *v->found.v, by_name);
}

void engine_volumes(struct engine *e, engine_volumes_got done, void *arg)
{
	struct volume_job *v = volume_job_new(e, arg);

	v->got = done;
	volume_job_start(v, list_run, got_done);
}

/* Making */

/* One that is there already is the answer, as it is. */
static void create_run(struct job *j)
{
	struct volume_job *v = job_of(j);

	if (j->status < 0 || volume_add(v, v->made.name) == 0)
		return;
	j->status = volume_make(v->root, &v->made, &j->err);
	if (j->status == 0 && volume_add(v, v->made.name) < 0)
		j->status = no_such(v->made.name, &j->err);
}

void engine_volume_create(struct engine *e, const struct volume *spec, engine_volumes_got done,
			  void *arg)
{
	struct volume_job *v = volume_job_new(e, arg);
	char id[ID_HOST_LEN + 1];

	v->got = done;
	table_copy(&volume_table, &v->made, spec);
	v->made.created_ns = clock_wall_ns();
	if (!v->made.name || !*v->made.name) {
		id_host(id);
		str_set(&v->made.name, id);
		strmap_set(&v->made.labels, VOLUME_ANONYMOUS, "");
	}
	v->job.status = volume_name_check(v->made.name, &v->job.err);
	if (v->job.status == 0)
		v->job.status = volume_options_check(&v->made.options, &v->job.err);
	volume_job_start(v, create_run, got_done);
}

/* Removing */

bool engine_volume_users(struct engine *e, const char *name, struct strs *ret)
{
	struct container_live *l, *next;
	bool used = false;

	/* By name, as one that is being made is not found by its id yet. */
	HASH_ITER (hh_name, e->by_name, l, next) {
		LIST_EACH (m, &l->c->mounts) {
			if (!m->name || strcmp(m->name, name) != 0)
				continue;
			used = true;
			if (ret)
				strs_add(ret, l->c->id);
			break;
		}
	}
	return used;
}

static int64_t bytes_below(const char *path)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	int64_t bytes = 0;
	FTSENT *f;

	if (!walk)
		return 0;
	while ((f = fts_read(walk)))
		if (f->fts_info == FTS_F)
			bytes += (int64_t)f->fts_statp->st_blocks * 512;
	(void)fts_close(walk);
	return bytes;
}

static void remove_run(struct job *j)
{
	struct volume_job *v = job_of(j);

	STRS_EACH (name, &v->names) {
		auto_free char *dir = xasprintf("%s/%s", v->root, name);
		int64_t bytes;

		/* What is mounted there is not the volume's to be removed. */
		j->status = volume_unmount(dir, &j->err);
		if (j->status < 0)
			return;
		bytes = bytes_below(dir);
		j->status = dir_remove(AT_FDCWD, dir, &j->err);
		if (j->status < 0)
			return;
		v->removed.bytes += bytes;
		strs_add(&v->removed.names, name);
	}
}

static void remove_done(struct job *j)
{
	struct volume_job *v = job_of(j);

	v->gone(v->arg, j->status, &v->removed, err_of(j));
	volume_job_free(v);
}

void engine_volumes_remove(struct engine *e, const struct strs *names, engine_volumes_gone done,
			   void *arg)
{
	struct volume_job *v = volume_job_new(e, arg);

	v->gone = done;
	STRS_EACH (name, names)
		if (volume_name_check(name, NULL) == 0 && !engine_volume_users(e, name, NULL))
			strs_add(&v->names, name);
	volume_job_start(v, remove_run, remove_done);
}
