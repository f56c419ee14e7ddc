/*
 * Making a container: checks, image, writable layer, files; nothing runs. The name is taken at
 * once, the rest of the work is one job.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/container_check.h"
#include "agent/container_merge.h"
#include "agent/container_spec.h"
#include "agent/engine_impl.h"
#include "agent/network.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/image/platform.h"

struct create {
	struct job job;
	struct deferred deferred;
	struct engine *engine;
	struct container *c; /* the job's own while it runs, but for the name */
	struct container_live *live;
	char *platform;
	struct engine_endpoint *endpoints;
	size_t n_endpoints;
	struct strs warnings;
	char *dir, *volumes;
	engine_created done;
	void *arg;
	struct err err;
};

static void create_free(struct create *cr)
{
	struct engine *e = cr->engine;

	for (size_t i = 0; i < cr->n_endpoints; i++) {
		free(cr->endpoints[i].network);
		strs_done(&cr->endpoints[i].addresses);
		strs_done(&cr->endpoints[i].aliases);
	}
	free(cr->endpoints);
	free(cr->platform);
	free(cr->dir);
	free(cr->volumes);
	strs_done(&cr->warnings);
	free(cr);
	engine_release(e);
}

static void create_failed(struct create *cr)
{
	if (cr->live) {
		live_hide(cr->live);
		live_free(cr->live);
	} else {
		table_free(&container_table, cr->c);
	}
	cr->done(cr->arg, cr->err.code, NULL, NULL, &cr->err);
	create_free(cr);
}

static void failed_later(struct deferred *d)
{
	create_failed(container_of(d, struct create, deferred));
}

/* ---- The job ---- */

static int check_platform(struct create *cr, const struct image *image, struct err *err)
{
	struct image_platform wants = {0};
	struct image_platform has = {.os = image->config.os,
				     .architecture = image->config.architecture,
				     .variant = image->config.variant};
	int rc;

	if (!cr->platform || !*cr->platform)
		return 0;
	rc = image_platform_read(cr->platform, &wants, err);
	if (rc == 0 && image_platform_score(&wants, &has) <= 0) {
		auto_free char *text = image_platform_text(&has);

		rc = err_set(err, -ENOENT,
			     "image with reference %.200s was found but its platform (%s) does not "
			     "match the specified platform (%.64s)",
			     cr->c->config.image, text, cr->platform);
	}
	table_done(&image_platform_table, &wants);
	return rc;
}

static int use_image(struct create *cr, const struct image *image, struct err *err)
{
	struct container *c = cr->c;
	struct image_platform p = {.os = image->config.os,
				   .architecture = image->config.architecture,
				   .variant = image->config.variant};
	int rc = check_platform(cr, image, err);

	if (rc < 0)
		return rc;
	c->platform = xstrdup(p.os && *p.os ? p.os : "linux");
	c->image_id = xstrdup(image->id);
	container_config_merge(&c->config, &image->config.config);
	rc = container_command(&c->config, &c->path, &c->args, err);
	return rc == 0 ? container_mounts_make(c, cr->volumes, err) : rc;
}

/* A trial, so that what cannot be started is refused now and not at each start. */
static int try_spec(struct create *cr, const struct snapshot *snapshot, struct err *err)
{
	struct container_spec_input in = {.c = cr->c,
					  .snapshot = snapshot,
					  .init = cr->engine->config.init_path,
					  .files_dir = cr->dir,
					  .cgroup_parent = cr->engine->config.cgroup_parent};
	auto_buf filter = BUF_INIT(SECCOMP_BPF_MAX);
	struct shim_config shim;
	struct spec spec;
	unsigned int flags;
	int rc = container_spec_make(&in, &spec, &shim, err);

	if (rc < 0)
		return rc;
	if (spec.linux_.seccomp.default_action)
		rc = seccomp_spec_compile(&spec.linux_.seccomp, &filter, &flags, err);
	spec_done(&spec);
	shim_config_done(&shim);
	return rc;
}

static void undo(struct create *cr)
{
	(void)snapshot_remove(cr->engine->images, cr->c->id, NULL);
	(void)dir_remove(AT_FDCWD, cr->dir, NULL);
}

static void create_run(struct job *j)
{
	struct create *cr = container_of(j, struct create, job);
	struct snapshot snapshot = {0};
	struct image image = {0};
	int rc = image_get(cr->engine->images, cr->c->config.image, &image, &j->err);

	if (rc == 0) {
		rc = use_image(cr, &image, &j->err);
		if (rc == 0)
			rc = container_volumes_make(cr->c, cr->volumes, &j->err);
		if (rc == 0)
			rc = snapshot_prepare(cr->engine->images, cr->c->id, image.id, &snapshot,
					      &j->err);
		table_done(&image_table, &image);
		if (rc == 0) {
			rc = dir_make(cr->dir, 0710, &j->err);
			if (rc == 0)
				rc = try_spec(cr, &snapshot, &j->err);
			if (rc == 0)
				rc = container_volumes_fill(cr->c, &snapshot, &j->err);
			table_done(&snapshot_table, &snapshot);
			if (rc < 0)
				undo(cr);
		}
	}
	j->status = rc;
}

static void undo_run(struct job *j)
{
	undo(container_of(j, struct create, job));
}

static void undo_done(struct job *j)
{
	create_failed(container_of(j, struct create, job));
}

static void create_done(struct job *j)
{
	struct create *cr = container_of(j, struct create, job);
	struct engine *e = cr->engine;
	int rc = j->status;

	cr->err = j->err;
	if (rc < 0) {
		cr->err.code = rc;
		create_failed(cr);
		return;
	}
	if (e->closing)
		rc = err_set(&cr->err, -ESHUTDOWN, "the daemon stops");
	if (rc == 0)
		rc = network_container_check(e, cr->c, cr->endpoints, cr->n_endpoints, &cr->err);
	if (rc == 0)
		rc = container_store(cr->live, &cr->err);
	if (rc < 0) {
		cr->err.code = rc;
		cr->job = (struct job){.run = undo_run, .done = undo_done};
		job_start(e->config.loop, &cr->job);
		return;
	}
	live_show(cr->live);
	container_event(cr->live, "create", NULL, NULL);
	cr->done(cr->arg, 0, cr->c, &cr->warnings, NULL);
	create_free(cr);
}

/* ---- The call ---- */

static void set_paths(struct create *cr)
{
	struct engine *e = cr->engine;
	struct container *c = cr->c;

	cr->dir = container_data_dir(e, c->id);
	cr->volumes = xasprintf("%s/volumes", e->config.data_root);
	c->hostname_path = xasprintf("%s/hostname", cr->dir);
	c->hosts_path = xasprintf("%s/hosts", cr->dir);
	c->resolv_path = xasprintf("%s/resolv.conf", cr->dir);
	if (c->host.log.type && strcmp(c->host.log.type, "none") == 0)
		return;
	c->log_path = xasprintf("%s/%s-json.log", cr->dir, c->id);
}

static void set_defaults(const struct engine *e, struct container *c)
{
	struct host_config *h = &c->host;
	char name[HOST_NAME_MAX + 1] = "";

	if (!c->config.hostname || !*c->config.hostname) {
		free(c->config.hostname);
		c->config.hostname = xstrndup(c->id, 12);
		if (h->network_mode && strcmp(h->network_mode, "host") == 0 &&
		    gethostname(name, sizeof name) == 0)
			str_set(&c->config.hostname, name);
	}
	if (!h->init && e->config.init)
		h->init = xmemdup(&e->config.init, sizeof *h->init);
	if (!h->log.type || !*h->log.type)
		str_set(&h->log.type, "json-file");
	if (!h->restart.name || !*h->restart.name)
		str_set(&h->restart.name, "no");
	if (!h->network_mode || !*h->network_mode)
		str_set(&h->network_mode, c->config.network_disabled ? "none" : "default");
	if (h->memory > 0 && !h->memory_swap)
		h->memory_swap = h->memory * 2; /* as much swap as memory */
	if (!h->shm_size)
		h->shm_size = 64 << 20;
	if (!h->ipc_mode || !*h->ipc_mode)
		str_set(&h->ipc_mode, "private");
	if (!h->cgroupns_mode || !*h->cgroupns_mode)
		str_set(&h->cgroupns_mode, "private");
	if (!h->runtime || !*h->runtime)
		str_set(&h->runtime, "runc");
}

static void copy_endpoints(struct create *cr, const struct engine_create *in)
{
	cr->endpoints = xcalloc(in->n_endpoints + 1, sizeof *cr->endpoints);
	cr->n_endpoints = in->n_endpoints;
	for (size_t i = 0; i < in->n_endpoints; i++) {
		cr->endpoints[i].network = xstrdup(in->endpoints[i].network);
		STRS_EACH (a, &in->endpoints[i].addresses)
			strs_add(&cr->endpoints[i].addresses, a);
		STRS_EACH (a, &in->endpoints[i].aliases)
			strs_add(&cr->endpoints[i].aliases, a);
	}
}

static struct container *take_spec(struct container_create *spec)
{
	struct container *c = xcalloc(1, sizeof *c);
	char id[ID_HOST_LEN + 1];

	id_host(id);
	c->id = xstrdup(id);
	c->created_ns = clock_wall_ns();
	c->config = spec->config;
	c->host = spec->host;
	c->networks = spec->networking;
	*spec = (struct container_create){0};
	return c;
}

void engine_container_create(struct engine *e, const struct engine_create *in, engine_created done,
			     void *arg)
{
	const char *name = in->name && in->name[0] == '/' ? in->name + 1 : in->name;
	struct create *cr = xcalloc(1, sizeof *cr);
	int rc = container_check(in->spec, &cr->err);

	cr->engine = e;
	cr->done = done;
	cr->arg = arg;
	cr->c = take_spec(in->spec);
	engine_hold(e);
	if (rc == 0 && e->closing)
		rc = err_set(&cr->err, -ESHUTDOWN, "the daemon stops");
	if (rc == 0 && name && *name)
		rc = container_name_check(e, name, &cr->err);
	if (rc < 0) {
		cr->err.code = rc;
		cr->deferred.run = failed_later;
		engine_defer(e, &cr->deferred);
		return;
	}
	cr->c->name = name && *name ? xstrdup(name) : container_name_choose(e);
	cr->c->task = xstrdup(in->task);
	cr->c->files = in->files;
	cr->platform = xstrdup(in->platform);
	copy_endpoints(cr, in);
	set_defaults(e, cr->c);
	if (e->cgroup_version == 2)
		container_discard_for_v2(&cr->c->host, &cr->warnings);
	set_paths(cr);
	cr->live = live_new(e, cr->c);
	cr->live->creating = true;
	cr->job.run = create_run;
	cr->job.done = create_done;
	job_start(e->config.loop, &cr->job);
}
