/*
 * What tests of the engine share: an engine over a new data root with an image of busybox, and
 * calls that run the loop until they are answered. Networks are those of the mode "none", unless
 * the library has the real ones.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/engine.h"
#include "agent/network.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/cgroup.h"

#define RIG_TIMEOUT_MS 30000

static struct rig {
	uv_loop_t loop;
	struct engine *engine;
	char dir[64];
	char data[96], exec[96], parent[64];
	uv_timer_t timer;
	bool timed_out;
	/* The last answer. */
	bool answered;
	int status;
	struct err err;
	struct container *c;
	int exit_code;
	char error[256];
} rig;

static void rig_on_timeout(uv_timer_t *t)
{
	(void)t;
	rig.timed_out = true;
}

/* Runs the loop until *flag. */
static inline void rig_until(const bool *flag)
{
	rig.timed_out = false;
	uv_update_time(&rig.loop);
	uv_timer_start(&rig.timer, rig_on_timeout, RIG_TIMEOUT_MS, 0);
	while (!*flag && !rig.timed_out)
		uv_run(&rig.loop, UV_RUN_ONCE);
	uv_timer_stop(&rig.timer);
	if (!*flag)
		fail_msg("nothing came within %d ms", RIG_TIMEOUT_MS);
}

static inline void rig_done(void *arg, int status, const struct err *e)
{
	(void)arg;
	rig.answered = true;
	rig.status = status;
	rig.err = e ? *e : ERR_INIT;
}

static inline int rig_answer(void)
{
	rig_until(&rig.answered);
	rig.answered = false;
	return rig.status;
}

static inline void rig_created(void *arg, int status, const struct container *c,
			       const struct strs *warnings, const struct err *e)
{
	(void)warnings;
	rig.c = (struct container *)c;
	rig_done(arg, status, e);
}

/* `json` is the body of POST /containers/create. */
static inline int rig_create(const char *json, const char *name)
{
	struct container_create spec = {0};
	struct engine_create create = {.spec = &spec, .name = name};
	struct err e = ERR_INIT;

	assert_ok(container_create_read(json, strlen(json), &spec, &e), &e);
	rig.c = NULL;
	engine_container_create(rig.engine, &create, rig_created, NULL);
	assert_false(rig.answered);
	return rig_answer();
}

static inline int rig_start(struct container *c)
{
	engine_container_start(rig.engine, c, rig_done, NULL);
	return rig_answer();
}

static inline int rig_stop(struct container *c, int64_t grace_s)
{
	engine_container_stop(rig.engine, c, 0, grace_s, rig_done, NULL);
	return rig_answer();
}

static inline int rig_remove(struct container *c, bool force)
{
	engine_container_remove(rig.engine, c, force, true, rig_done, NULL);
	return rig_answer();
}

static inline void rig_waited(void *arg, int exit_code, const char *error)
{
	(void)arg;
	rig.exit_code = exit_code;
	(void)snprintf(rig.error, sizeof rig.error, "%s", error ? error : "");
	rig.answered = true;
}

static inline int rig_wait(struct container *c, enum engine_wait_for what)
{
	engine_wait(rig.engine, c, what, rig_waited, NULL);
	rig_until(&rig.answered);
	rig.answered = false;
	return rig.exit_code;
}

static inline void rig_open(void)
{
	struct engine_config config = {.loop = &rig.loop,
				       .data_root = rig.data,
				       .exec_root = rig.exec,
				       .shim_path = SHIM_PATH,
				       .cgroup_parent = rig.parent,
				       .bridge = "none"};
	struct err e = ERR_INIT;

	assert_ok(engine_open(&rig.engine, &config, &e), &e);
}

static inline void rig_on_closed(void *arg)
{
	*(bool *)arg = true;
}

static inline void rig_close(void)
{
	bool closed = false;

	engine_close(rig.engine, rig_on_closed, &closed);
	rig_until(&closed);
	rig.engine = NULL;
}

static inline void rig_loaded(void *arg, int status, const struct image_loaded *loaded,
			      const struct err *e)
{
	(void)loaded;
	rig_done(arg, status, e);
}

static inline int rig_setup(void **state)
{
	char command[512];
	int fd;

	(void)state;
	(void)snprintf(rig.dir, sizeof rig.dir, "/tmp/shoal-engine-XXXXXX");
	assert_non_null(mkdtemp(rig.dir));
	(void)snprintf(rig.data, sizeof rig.data, "%s/data", rig.dir);
	(void)snprintf(rig.exec, sizeof rig.exec, "%s/run", rig.dir);
	(void)snprintf(rig.parent, sizeof rig.parent, "/shoal-test-%d", (int)getpid());
	assert_int_equal(uv_loop_init(&rig.loop), 0);
	uv_timer_init(&rig.loop, &rig.timer);
	rig_open();
	(void)snprintf(command, sizeof command, "%s busybox %s/image.tar", MKIMAGE_PATH, rig.dir);
	assert_int_equal(system(command), 0);
	(void)snprintf(command, sizeof command, "%s/image.tar", rig.dir);
	fd = open(command, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	engine_image_load(rig.engine, fd, NULL, rig_loaded, NULL);
	assert_ok(rig_answer(), &rig.err);
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct cgroup group;
	struct err e = ERR_INIT;

	(void)state;
	if (rig.engine)
		rig_close();
	uv_close((uv_handle_t *)&rig.timer, NULL);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig.loop), 0);
	if (cgroup_open(CGROUP_ROOT, rig.parent, &group, NULL) == 0) {
		assert_ok(cgroup_remove(&group, &e), &e);
		cgroup_done(&group);
	}
	assert_ok(dir_remove(AT_FDCWD, rig.dir, &e), &e);
	return 0;
}
