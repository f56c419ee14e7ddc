/*
 * An engine that does nothing but remember what it was asked: two containers, a network, events.
 * It stands before agent/engine.c in tests of the API's handlers, which link it instead.
 */
#pragma once

#include "unit/base/http_fixture.h"

#include "api/engine_api.h"

const char *const container_status_names[CONTAINER_DEAD + 1] = {"created",  "running", "restarting",
								"removing", "exited",  "dead"};
const char *container_state_name(const struct container *c)
{
	return c->paused ? "paused" : container_status_names[c->status];
}

const char *container_health_name(const struct container *c)
{
	return c->health ? health_status_names[c->health->status] : "none";
}

#define T struct container_mount
static const struct field container_mount_fields[] = {
	FIELD_STR(T, 0, type, "Type", 0),
	FIELD_STR(T, 0, name, "Name", FIELD_OMIT),
	FIELD_STR(T, 0, source, "Source", 0),
	FIELD_STR(T, 0, destination, "Destination", 0),
	FIELD_STR(T, 0, driver, "Driver", FIELD_OMIT),
	FIELD_STR(T, 0, mode, "Mode", 0),
	FIELD_BOOL(T, 0, rw, "RW", 0),
	FIELD_STR(T, 0, propagation, "Propagation", 0),
};
#undef T
TABLE_DEFINE(container_mount, container_mount_fields);

#define FAKE_ID "1111111111111111111111111111111111111111111111111111111111111111"
#define FAKE_ID_OLD "2222222222222222222222222222222222222222222222222222222222222222"

static struct fake {
	struct container web, old;
	struct engine_exec exec; /* the last one that was made */
	char asked[256];
	int status; /* what the next operation ends with */
	engine_done done;
	void *done_arg;
	engine_waited waited;
	void *waited_arg;
	bool wait_cancelled;
	const struct engine_attach_ops *attach_ops;
	void *attach_arg;
	struct buf input;
	bool input_closed, attach_closed;
	int attach_write_says;
	unsigned resumed;
	const struct engine_logs_ops *logs_ops;
	void *logs_arg;
	struct engine_logs_options logs_options;
	bool logs_closed;
	struct engine_stats *stats;
	struct engine_watch *watch;
	struct engine_event *kept;
	size_t n_kept;
	struct engine_network network;
	struct buf archive;
} E;

static void fake_start(void)
{
	memset(&E, 0, sizeof E);
	E.input = BUF_INIT(8u << 20);
	E.archive = BUF_INIT(64u << 20);
	E.web = (struct container){.id = (char *)FAKE_ID,
				   .name = (char *)"web",
				   .path = (char *)"sh",
				   .image_id = (char *)"sha256:aa",
				   .status = CONTAINER_RUNNING,
				   .pid = 42,
				   .config = {.image = (char *)"busybox"}};
	E.old = (struct container){.id = (char *)FAKE_ID_OLD,
				   .name = (char *)"old",
				   .path = (char *)"true",
				   .image_id = (char *)"sha256:bb",
				   .status = CONTAINER_EXITED,
				   .exit_code = 3,
				   .task = (char *)"t1",
				   .config = {.image = (char *)"alpine"}};
	E.network = (struct engine_network){.id = (char *)"nnnn",
					    .name = (char *)"bridge",
					    .driver = (char *)"bridge",
					    .scope = (char *)"local"};
}

static void fake_stop(void)
{
	buf_done(&E.input);
	buf_done(&E.archive);
}

uv_loop_t *engine_loop(struct engine *e)
{
	return &F.loop;
}

int engine_container_find(struct engine *e, const char *ref, struct container **ret,
			  struct err *err)
{
	struct container *all[] = {&E.web, &E.old};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(all[i]->id, ref) == 0 || strcmp(all[i]->name, ref) == 0) {
			*ret = all[i];
			return 0;
		}
	return err_set(err, -ENOENT, "No such container: %s", ref);
}

struct container **engine_containers(struct engine *e, size_t *ret_n)
{
	struct container **all = xcalloc(2, sizeof *all);

	all[0] = &E.web;
	all[1] = &E.old;
	*ret_n = 2;
	return all;
}

static struct err fake_err;

static const struct err *fake_failure(void)
{
	err_set(&fake_err, E.status, "the fake fails");
	return E.status < 0 ? &fake_err : NULL;
}

void engine_container_create(struct engine *e, const struct engine_create *create,
			     engine_created done, void *arg)
{
	struct strs warnings = {0};

	snprintf(E.asked, sizeof E.asked, "create %s %s %s", create->name ? create->name : "-",
		 create->platform ? create->platform : "-", create->spec->config.image);
	done(arg, E.status, &E.web, &warnings, fake_failure());
}

static void fake_op(const char *what, engine_done done, void *arg)
{
	snprintf(E.asked, sizeof E.asked, "%s", what);
	done(arg, E.status, fake_failure());
}

void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg)
{
	size_t n = strlen(E.asked);

	snprintf(E.asked + n, sizeof E.asked - n, "start %s;", c->name);
	done(arg, E.status, fake_failure());
}

void engine_container_pause(struct engine *e, struct container *c, bool frozen, engine_done done,
			    void *arg)
{
	char what[64];

	snprintf(what, sizeof what, "%s %s", frozen ? "pause" : "unpause", c->name);
	fake_op(what, done, arg);
}

void engine_container_top(struct engine *e, struct container *c, const char *args,
			  engine_topped done, void *arg)
{
	struct container_top top = {0};

	snprintf(E.asked, sizeof E.asked, "top %s %s", c->name, args ? args : "-");
	strs_add(&top.titles, "PID");
	strs_add(&top.titles, "CMD");
	for (int i = 0; i < 2; i++) {
		struct top_row *row = LIST_ADD(&top.rows);

		strs_add(&row->cells, i ? "43" : "42");
		strs_add(&row->cells, "sh -c \"x\"");
	}
	done(arg, E.status, &top, fake_failure());
	strs_done(&top.titles);
	LIST_EACH (row, &top.rows)
		strs_done(&row->cells);
	free(top.rows.v);
}

struct engine_stats {
	const struct engine_stats_ops *ops;
	void *arg;
};

struct engine_stats *engine_stats(struct engine *e, struct container *c,
				  const struct engine_stats_ops *ops, void *arg, struct err *err)
{
	static struct engine_stats one;

	if (E.status < 0) {
		(void)err_set(err, E.status, "the fake fails");
		return NULL;
	}
	one = (struct engine_stats){ops, arg};
	snprintf(E.asked, sizeof E.asked, "stats %s", c->name);
	E.stats = &one;
	return &one;
}

void engine_stats_close(struct engine_stats *s)
{
	E.stats = NULL;
}

void engine_container_update(struct engine *e, struct container *c,
			     const struct host_config *changes, engine_done done, void *arg)
{
	char what[64];

	snprintf(what, sizeof what, "update %s %lld %s", c->name, (long long)changes->memory,
		 changes->restart.name ? changes->restart.name : "-");
	fake_op(what, done, arg);
}

#define T struct container_size
static const struct field container_size_fields[] = {
	FIELD_STR(T, 0, id, NULL, 0),
	FIELD_I64(T, 0, rw, NULL, 0),
	FIELD_I64(T, 0, root, NULL, 0),
};
#undef T
static TABLE_DEFINE(container_size, container_size_fields);
#define T struct container_sizes
static const struct field container_sizes_fields[] = {
	FIELD_LIST(T, 0, list, NULL, 0, container_size),
};
#undef T
TABLE_DEFINE(container_sizes, container_sizes_fields);

void engine_container_sizes(struct engine *e, const struct strs *ids, engine_sized done, void *arg)
{
	struct container_sizes all = {0};

	STRS_EACH (id, ids)
		*LIST_ADD(&all.list) = (struct container_size){id, 1000, 5000};
	done(arg, E.status, &all, fake_failure());
	free(all.list.v);
}

bool file_changes_next(const struct buf *b, size_t *at, struct file_change *ret)
{
	if (*at >= b->len)
		return false;
	*ret = (struct file_change){b->p[*at] - '0', b->p + *at + 1};
	*at += 2 + strlen(ret->path);
	return true;
}

void engine_container_changes(struct engine *e, const struct container *c, engine_compared done,
			      void *arg)
{
	static const char records[] = "0/etc\0001/etc/\377\"new\0002/gone";
	struct buf all = BUF_INIT(sizeof records);

	if (E.status == 0 && c == &E.web)
		(void)buf_add(&all, records, sizeof records);
	done(arg, E.status, &all, fake_failure());
	buf_done(&all);
}

void engine_container_stop(struct engine *e, struct container *c, int signal, int64_t grace_s,
			   engine_done done, void *arg)
{
	snprintf(E.asked, sizeof E.asked, "stop %s %d %d;", c->name, signal, (int)grace_s);
	done(arg, E.status, fake_failure());
}

void engine_container_kill(struct engine *e, struct container *c, int signal, engine_done done,
			   void *arg)
{
	auto_free char *text = xasprintf("kill %s %d", c->name, signal);

	fake_op(text, done, arg);
}

void engine_container_remove(struct engine *e, struct container *c, bool force, bool volumes,
			     engine_done done, void *arg)
{
	auto_free char *text = xasprintf("remove %s %d %d", c->name, force, volumes);

	fake_op(text, done, arg);
}

void engine_container_resize(struct engine *e, struct container *c, int rows, int cols,
			     engine_done done, void *arg)
{
	auto_free char *text = xasprintf("resize %s %d %d", c->name, rows, cols);

	fake_op(text, done, arg);
}

int engine_container_rename(struct engine *e, struct container *c, const char *name,
			    struct err *err)
{
	snprintf(E.asked, sizeof E.asked, "rename %s %s", c->name, name);
	return E.status < 0 ? err_set(err, E.status, "the fake fails") : 0;
}

struct engine_wait *engine_wait(struct engine *e, struct container *c, enum engine_wait_for what,
				engine_waited done, void *arg)
{
	snprintf(E.asked, sizeof E.asked, "wait %s %d", c->name, what);
	E.waited = done;
	E.waited_arg = arg;
	return (struct engine_wait *)&E;
}

void engine_wait_cancel(struct engine_wait *w)
{
	E.wait_cancelled = true;
}

struct engine_attach *engine_attach(struct engine *e, struct container *c, unsigned streams,
				    const struct engine_attach_ops *ops, void *arg, struct err *err)
{
	snprintf(E.asked, sizeof E.asked, "attach %s %u", c->name, streams);
	E.attach_ops = ops;
	E.attach_arg = arg;
	return (struct engine_attach *)&E;
}

int engine_attach_write(struct engine_attach *a, const void *p, size_t n)
{
	buf_add(&E.input, p, n);
	return E.attach_write_says;
}

void engine_attach_close_stdin(struct engine_attach *a)
{
	E.input_closed = true;
}

void engine_attach_resume(struct engine_attach *a)
{
	E.resumed++;
}

void engine_attach_close(struct engine_attach *a)
{
	E.attach_closed = true;
}

int engine_exec_create(struct engine *e, struct container *c, struct exec_config *config,
		       struct engine_exec **ret, struct err *err)
{
	if (config->cmd.n == 0)
		return err_set(err, -EINVAL, "No exec command specified");
	table_done(&exec_config_table, &E.exec.config);
	E.exec.id = (char *)FAKE_ID;
	E.exec.container = c->id;
	E.exec.config = *config;
	*config = (struct exec_config){0};
	E.exec.status = EXEC_CREATED;
	*ret = &E.exec;
	return 0;
}

int engine_exec_find(struct engine *e, const char *id, struct engine_exec **ret, struct err *err)
{
	if (!E.exec.id || strcmp(id, E.exec.id) != 0)
		return err_set(err, -ENOENT, "No such exec instance: %s", id);
	*ret = &E.exec;
	return 0;
}

int engine_exec_check(struct engine *e, const struct engine_exec *x, struct err *err)
{
	return x->status == EXEC_CREATED
		       ? 0
		       : err_set(err, -EBUSY, "Error: Exec command %s has already run", x->id);
}

struct engine_attach *engine_exec_attach(struct engine *e, struct engine_exec *x, unsigned streams,
					 const struct engine_attach_ops *ops, void *arg,
					 struct err *err)
{
	snprintf(E.asked, sizeof E.asked, "exec attach %u", streams);
	E.attach_ops = ops;
	E.attach_arg = arg;
	return (struct engine_attach *)&E;
}

void engine_exec_start(struct engine *e, struct engine_exec *x, engine_done done, void *arg)
{
	x->status = EXEC_RUNNING;
	E.done = done;
	E.done_arg = arg;
}

void engine_exec_resize(struct engine *e, struct engine_exec *x, int rows, int cols,
			engine_done done, void *arg)
{
	snprintf(E.asked, sizeof E.asked, "exec resize %d %d", rows, cols);
	done(arg, 0, NULL);
}

void engine_exec_ids(const struct container *c, struct strs *ret)
{
	if (E.exec.id)
		strs_add(ret, E.exec.id);
}

struct engine_logs *engine_logs(struct engine *e, struct container *c,
				const struct engine_logs_options *options,
				const struct engine_logs_ops *ops, void *arg, struct err *err)
{
	E.logs_options = *options;
	E.logs_ops = ops;
	E.logs_arg = arg;
	return (struct engine_logs *)&E;
}

void engine_logs_resume(struct engine_logs *l)
{
	E.resumed++;
}

void engine_logs_close(struct engine_logs *l)
{
	E.logs_closed = true;
}

/* Images */

void engine_image_load(struct engine *e, int fd, const char *platform, engine_loaded done,
		       void *arg)
{
	char *name = (char *)"busybox:latest";
	struct image_loaded loaded = {.names = {&name, 1}};
	char piece[65536];
	ssize_t n;

	snprintf(E.asked, sizeof E.asked, "load %s", platform ? platform : "-");
	while ((n = read(fd, piece, sizeof piece)) > 0)
		buf_add(&E.archive, piece, (size_t)n);
	close(fd);
	done(arg, E.status, &loaded, fake_failure());
}

void engine_image_list(struct engine *e, struct image_filters *filters, engine_images_listed done,
		       void *arg)
{
	struct image image = {.id = (char *)"sha256:aa", .created_ns = 5 * NS_PER_SEC, .size = 7};
	struct image_list list = {.images = {&image, 1}};

	snprintf(E.asked, sizeof E.asked, "images %zu %zu %d", filters->reference.n,
		 filters->label.n, filters->dangling ? *filters->dangling : -1);
	strs_done(&filters->reference);
	strs_done(&filters->label);
	strs_done(&filters->before);
	strs_done(&filters->since);
	free(filters->dangling);
	memset(filters, 0, sizeof *filters);
	done(arg, E.status, &list, fake_failure());
}

void engine_image_get(struct engine *e, const char *ref, engine_image_got done, void *arg)
{
	struct image image = {.id = (char *)"sha256:aa", .created_ns = 5 * NS_PER_SEC};
	struct err err = ERR_INIT;

	if (strcmp(ref, "busybox") == 0)
		done(arg, 0, &image, NULL);
	else
		done(arg, err_set(&err, -ENOENT, "No such image: %s", ref), NULL, &err);
}

void engine_image_tag(struct engine *e, const char *source, const char *target, engine_done done,
		      void *arg)
{
	auto_free char *text = xasprintf("tag %s %s", source, target);

	fake_op(text, done, arg);
}

void engine_image_remove(struct engine *e, const char *ref, bool force, engine_image_removed done,
			 void *arg)
{
	char *name = (char *)"a:1", *id = (char *)"sha256:aa";
	struct image_removed removed = {.untagged = {&name, 1}, .deleted = {&id, 1}};

	snprintf(E.asked, sizeof E.asked, "rmi %s %d", ref, force);
	done(arg, E.status, &removed, fake_failure());
}

/* Networks */

void engine_network_create(struct engine *e, const struct network_spec *spec,
			   engine_network_done done, void *arg)
{
	snprintf(E.asked, sizeof E.asked, "network create %s", spec->name);
	done(arg, E.status, &E.network, fake_failure());
}

void engine_network_remove(struct engine *e, const char *ref, engine_done done, void *arg)
{
	auto_free char *text = xasprintf("network rm %s", ref);

	fake_op(text, done, arg);
}

const struct engine_network **engine_networks(struct engine *e, size_t *ret_n)
{
	const struct engine_network **all = xcalloc(1, sizeof *all);

	all[0] = &E.network;
	*ret_n = 1;
	return all;
}

/* Events and the host */

void engine_watch_add(struct engine *e, struct engine_watch *w)
{
	assert_null(E.watch);
	E.watch = w;
}

void engine_watch_remove(struct engine *e, struct engine_watch *w)
{
	assert_ptr_equal(E.watch, w);
	E.watch = NULL;
}

void engine_event(struct engine *e, const struct engine_event *ev)
{
	if (E.watch)
		E.watch->event(E.watch->arg, ev);
}

void engine_events_each(struct engine *e, void (*cb)(void *arg, const struct engine_event *ev),
			void *arg)
{
	for (size_t i = 0; i < E.n_kept; i++)
		cb(arg, &E.kept[i]);
}

void engine_info(struct engine *e, struct engine_info *ret)
{
	*ret = (struct engine_info){.data_root = "/tmp",
				    .id = "the-id",
				    .running = 1,
				    .stopped = 1,
				    .total = 2,
				    .cgroup_version = 2};
}
