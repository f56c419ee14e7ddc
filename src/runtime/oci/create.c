/*
 * create, run and start: from a bundle to a running container.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/hooks.h"
#include "runtime/container/launch.h"
#include "runtime/container/self.h"
#include "runtime/container/userns.h"
#include "runtime/oci/bundle.h"
#include "runtime/oci/delete.h"
#include "runtime/oci/process.h"
#include "runtime/oci/state.h"
#include "runtime/oci/systemd.h"

struct creation {
	struct oci *o;
	struct oci_flags *f;
	struct spec spec;
	struct shim_config config; /* nothing of it is used */
	struct oci_container state;
	struct container c;
	struct launch l;
	struct notify notify;
	struct systemd_scope scope;
	char *bundle;
	bool run;
	int exit_code; /* of a program that could not be executed */
};

static void creation_done(struct creation *k)
{
	if (k->l.start_socket > 0)
		close(k->l.start_socket);
	systemd_scope_done(&k->scope);
	notify_done(&k->notify);
	container_close(&k->c);
	oci_container_done(&k->state);
	shim_config_done(&k->config);
	spec_done(&k->spec);
	free(k->bundle);
}

static int place(void *arg, pid_t pid, struct err *e)
{
	const struct creation *k = arg;

	return systemd_scope_attach(k->state.record.unit, pid, e);
}

/* Without a cgroupsPath a group is made all the same: by it `kill --all`, ps and pause work. */
static int set_cgroup(struct creation *k, struct err *e)
{
	char **path = &k->spec.linux_.cgroups_path;
	int rc = 0;

	if (!*path || !**path) {
		/* Nobody has asked for it: who may not make groups runs without. */
		k->l.cgroup_optional = userns_is_ordinary();
		free(*path);
		*path = k->o->systemd_cgroup ? xasprintf(":shoal-oci:%s", k->state.id)
					     : xasprintf("/shoal-oci/%s", k->state.id);
	}
	if (k->o->systemd_cgroup && !strchr(*path, ':'))
		return err_set(e, -EINVAL,
			       "config.json: linux.cgroupsPath: with --systemd-cgroup it must be "
			       "of the form slice:prefix:name, and %.128s is not",
			       *path);
	if (k->o->systemd_cgroup && systemd_runs()) {
		auto_free char *text = TAKE_PTR(*path);

		rc = systemd_find(text, &k->state.record.unit, path, e);
		k->l.cgroup_held = true;
		k->l.place = systemd_places() ? place : NULL;
		k->l.place_arg = k;
		k->l.cgroup_optional = false;
	}
	return rc < 0 ? rc : cgroup_path_clean(*path, &k->state.record.cgroup, e);
}

static int fill_record(struct creation *k, struct err *e)
{
	struct oci_record *r = &k->state.record;
	char when[TIME_TEXT_MAX];

	time_format(clock_wall_ns(), when);
	r->bundle = xstrdup(k->bundle);
	r->rootfs = xstrdup(k->spec.root.path);
	r->created = xstrdup(when);
	r->no_new_keyring = k->f->no_new_keyring;
	for (size_t i = 0; i < k->spec.annotations.n; i++)
		spec_pairs_add(&r->annotations, k->spec.annotations.v[i].key,
			       k->spec.annotations.v[i].value);
	return set_cgroup(k, e);
}

/* The working directory is the container's state directory: the socket's address is short. */
static int make_socket(struct creation *k, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = OCI_SOCKET_EARLY};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0) {
		err_sys(e, "cannot make the socket of container %s", k->state.id);
		fd_close_at(&fd);
		return -EIO;
	}
	k->l.start_socket = fd;
	return 0;
}

static int write_config(struct creation *k, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);

	if (spec_write(&k->spec, &text) < 0)
		return err_set(e, -EMSGSIZE, "config.json takes more than %u bytes",
			       LIMIT_SPEC_JSON);
	return oci_state_put(&k->state, "config.json", &text, e);
}

static int prepare(struct creation *k, const char *id, struct err *e)
{
	bool detached = !k->run || k->f->detach;
	int rc = oci_check_id(id, e);

	if (rc == 0)
		rc = process_take_fds(k->o, k->f, &k->l, e);
	if (rc == 0)
		rc = bundle_load(k->f->bundle, &k->bundle, &k->spec, e);
	if (rc == 0)
		rc = process_check_terminal(k->f, &k->spec.process, detached, e);
	if (rc < 0)
		return rc;
	process_add_listen_env(k->o, &k->spec.process);
	return oci_state_make(k->o, id, &k->state, e);
}

/* The folder is ours from here on; the configuration tells of a group that may be left. */
static int write_first(struct creation *k, struct err *e)
{
	int rc = fill_record(k, e);

	if (rc == 0 && fchdir(k->state.dir) < 0)
		rc = err_sys(e, "cannot enter the state directory of %s", k->state.id);
	if (rc == 0)
		rc = write_config(k, e);
	/* After: what is kept is what was asked for, and no process of `exec` speaks for it. */
	if (rc == 0)
		rc = notify_prepare(&k->state, k->o->root, &k->spec, e);
	if (rc == 0 && !k->run)
		rc = make_socket(k, e);
	k->l.spec = &k->spec;
	k->l.config = &k->config;
	k->l.id = k->state.id;
	k->l.bundle = k->bundle;
	k->l.stdio[1] = 1;
	k->l.stdio[2] = 2;
	k->l.detached = true;
	k->l.no_pivot = k->f->no_pivot;
	k->l.no_new_keyring = k->f->no_new_keyring;
	return rc;
}

/* The pid is written down before hooks run: they may ask for the state. */
static int write_pid(struct creation *k, struct err *e)
{
	if (!k->c.has_cgroup)
		str_set(&k->state.record.cgroup, NULL);
	k->state.record.pid = k->c.pid;
	k->state.record.start_time = oci_start_time(k->c.pid);
	return oci_state_write(&k->state, e);
}

/* With systemd the group is there before, held by a process of ours until the init is in it. */
static int begin(struct creation *k, struct err *e)
{
	const struct oci_record *r = &k->state.record;
	auto_free char *text = oci_state_description(k->o, k->state.id);
	int rc = 0;

	if (r->unit)
		rc = systemd_scope_begin(r->unit, r->cgroup, text, &k->spec.linux_.resources,
					 &k->scope, e);
	if (rc == 0)
		rc = launch_begin(&k->l, &k->c, e);
	if (rc < 0 || !r->unit)
		return rc;
	systemd_scope_done(&k->scope);
	return 0;
}

static int make(struct creation *k, struct err *e)
{
	int rc = begin(k, e);

	if (rc < 0)
		return rc;
	rc = write_pid(k, e);
	if (rc == 0)
		rc = launch_finish(&k->l, &k->c, &k->exit_code, e);
	if (rc == 0)
		rc = process_send_console(k->f, &k->c, e);
	if (rc == 0)
		rc = process_write_pid(k->f, k->c.pid, e);
	if (rc == 0 && !k->run &&
	    renameat(k->state.dir, OCI_SOCKET_EARLY, k->state.dir, OCI_SOCKET) < 0)
		rc = err_sys(e, "cannot write the state of container %s", k->state.id);
	/* Before: the init has the same open folder, and would hold the lock after our death. */
	if (rc == 0 && !k->run)
		oci_state_unlock(&k->state);
	if (rc == 0 && !k->run)
		rc = launch_detach(&k->c, e);
	if (rc < 0)
		launch_abort(&k->c);
	return rc;
}

static struct hook_state hook_state(const struct creation *k, const char *status)
{
	return (struct hook_state){.id = k->state.id,
				   .bundle = k->bundle,
				   .status = status,
				   .pid = k->c.pid,
				   .spec = &k->spec};
}

/* Executes the program; a failure takes the container along. */
static int execute(struct creation *k, struct err *e)
{
	struct hook_state s = hook_state(k, "created");
	int rc = launch_start(&k->c, e);

	if (rc == 0)
		rc = launch_result(&k->c, &s, &k->exit_code, e);
	s.status = "running";
	if (rc == 0)
		rc = hooks_run(&k->spec.hooks.poststart, "poststart", &s, e);
	if (rc < 0)
		launch_abort(&k->c);
	return rc;
}

/* The container has ended, and it is we who clean up. */
static int clean_up(struct creation *k, struct err *e)
{
	const struct cgroup *group = k->c.has_cgroup ? &k->c.cgroup : NULL;

	return k->f->keep ? 0 : oci_delete_container(k->o, &k->state, &k->spec, group, e);
}

/* The program runs, and whoever has asked for that may have to wait until it is of use. */
static void await_notice(const struct oci *o, struct notify *n, int pidfd)
{
	struct err why = ERR_INIT;

	if (notify_await(n, pidfd, LIMIT_NOTIFY_MS, &why) < 0)
		oci_warn(o, err_text(&why));
}

static int run(struct creation *k, struct err *e)
{
	pid_t main_pid = k->f->detach ? k->c.pid : getpid();
	int rc = notify_open(&k->state, main_pid, &k->notify, e), code;

	if (rc < 0)
		launch_abort(&k->c);
	else
		rc = execute(k, e);
	if (rc < 0)
		return rc;
	/* Others may look at the container and change it while it runs. */
	oci_state_unlock(&k->state);
	if (k->f->detach) {
		await_notice(k->o, &k->notify, k->c.pidfd);
		return 0;
	}
	code = process_wait(k->o, &k->c, &k->notify, e);
	rc = clean_up(k, e);
	return rc < 0 ? rc : code;
}

/* Who waits in the foreground passes signals on, and reaps what the container leaves to it. */
static int prepare_wait(const struct creation *k, struct err *e)
{
	if (!k->run || k->f->detach)
		return 0;
	process_block_signals();
	if (!k->f->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot become the reaper of the container's orphans");
	return 0;
}

/* What a creation that failed has left: its processes are gone. */
static void undo(struct creation *k)
{
	auto_free char *text = oci_state_description(k->o, k->state.id);

	systemd_scope_done(&k->scope);
	if (k->state.record.unit)
		(void)systemd_stop(k->state.record.unit, text, NULL);
	(void)oci_state_remove(&k->state, NULL);
}

static int create(struct oci *o, struct oci_flags *f, const char *id, bool is_run, struct err *e)
{
	CLEANUP(creation_done)
	struct creation k = {.o = o,
			     .f = f,
			     .state = OCI_CONTAINER_INIT,
			     .c = CONTAINER_INIT,
			     .notify = NOTIFY_INIT,
			     .scope = SYSTEMD_SCOPE_INIT,
			     .run = is_run};
	int rc = self_protect(o->main_argv, e);

	spec_init(&k.spec);
	shim_config_init(&k.config);
	(void)prctl(PR_SET_NAME, "shoal-oci", 0, 0, 0);
	if (rc == 0)
		rc = prepare(&k, id, e);
	if (rc == 0)
		rc = prepare_wait(&k, e);
	if (rc < 0)
		return rc;
	rc = write_first(&k, e);
	if (rc == 0)
		rc = make(&k, e);
	if (rc == 0 && is_run)
		rc = run(&k, e);
	if (rc < 0)
		undo(&k);
	return rc < 0 && k.exit_code ? k.exit_code : rc;
}

int oci_create(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return create(o, f, argv[0], false, e);
}

int oci_run(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return create(o, f, argv[0], true, e);
}

/* The init's own end of the socket is gone once it runs; so is the name, after it. */
static int connect_init(const struct oci_container *s, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = OCI_SOCKET};
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || fchdir(s->dir) < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(e, "cannot reach the init of container %s", s->id);
	return TAKE_FD(fd);
}

static int start(const struct oci_container *s, const struct spec *spec, struct err *e)
{
	struct hook_state h = {.id = s->id,
			       .bundle = s->record.bundle,
			       .status = "created",
			       .pid = (pid_t)s->record.pid,
			       .spec = spec};
	struct container c = CONTAINER_INIT;
	int code = 0, rc;

	c.sync = connect_init(s, e);
	if (c.sync < 0)
		return c.sync;
	rc = launch_start(&c, e);
	if (rc == 0)
		rc = launch_result(&c, &h, &code, e);
	container_close(&c);
	(void)unlinkat(s->dir, OCI_SOCKET, 0);
	h.status = "running";
	if (rc == 0) {
		rc = hooks_run(&spec->hooks.poststart, "poststart", &h, e);
		if (rc < 0)
			(void)oci_signal(s, SIGKILL);
	}
	return rc;
}

int oci_start(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	CLEANUP(notify_done) struct notify notify = NOTIFY_INIT;
	auto_container s = OCI_CONTAINER_INIT;
	struct spec spec;
	int rc = oci_state_open(o, argv[0], OCI_LOCKED, &s, e);
	enum oci_status status;

	if (rc < 0)
		return rc;
	status = oci_status(&s);
	if (status == OCI_STOPPED)
		return err_set(e, -EINVAL, "cannot start a container that has stopped: %s", s.id);
	if (status != OCI_CREATED)
		return err_set(e, -EINVAL, "cannot start an already running container: %s", s.id);
	rc = oci_state_spec(&s, &spec, e);
	if (rc < 0)
		return rc;
	rc = notify_open(&s, (pid_t)s.record.pid, &notify, e);
	if (rc == 0)
		rc = start(&s, &spec, e);
	spec_done(&spec);
	if (rc < 0)
		return rc;
	oci_state_unlock(&s);
	await_notice(o, &notify, s.pidfd);
	return 0;
}
