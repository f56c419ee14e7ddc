/*
 * systemd's manager over D-Bus: see systemd.h, org.freedesktop.systemd1(5) for the methods, and
 * systemd.resource-control(5) for the properties.
 */
#include "runtime/oci/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/cgroup.h"
#include "runtime/oci/bus.h"
#include "runtime/oci/systemd_props.h"

#define NAME "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define MANAGER NAME ".Manager"
#define METHOD(member, types) ((struct bus_method){NAME, OBJECT, MANAGER, member, types})
#define UID_MAP_MAX 4096

bool systemd_runs(void)
{
	return access("/run/systemd/system/", F_OK) == 0;
}

/* Root of a user namespace is an ordinary user to the host's systemd. */
static bool is_user(void)
{
	auto_buf text = BUF_INIT(UID_MAP_MAX);
	long long inside, outside, n;

	if (geteuid() != 0)
		return true;
	return file_read_at(AT_FDCWD, "/proc/self/uid_map", &text) == 0 &&
	       sscanf(buf_text(&text), "%lld %lld %lld", &inside, &outside, &n) == 3 &&
	       n != UINT32_MAX;
}

/* A property that is a string, of the object `path`. */
static int get_property(struct bus *b, const char *path, const char *interface, const char *name,
			char **ret, struct err *e)
{
	const struct bus_method get = {NAME, path, "org.freedesktop.DBus.Properties", "Get", "ss"};
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE), answer = BUF_INIT(LIMIT_BUS_MESSAGE);
	/* A variant: the length of "s", "s", its end. */
	size_t at = 3;
	const char *text;
	int rc;

	bus_put_str(&args, interface);
	bus_put_str(&args, name);
	rc = bus_call(b, &get, &args, &answer, e);
	if (rc < 0)
		return rc;
	text = answer.len > at && memcmp(answer.p, "\1s", at) == 0 ? bus_get_str(&answer, &at)
								   : NULL;
	if (!text)
		return err_set(e, -EPROTO, "systemd does not say what %s is", name);
	*ret = xstrdup(text);
	return 0;
}

/* The group that the manager itself is the root of: "" for the system's on the host. */
static int manager_group(char **ret, struct err *e)
{
	auto_bus b = BUS_INIT;
	int rc = bus_open(is_user(), &b, e);

	if (rc == 0)
		rc = get_property(&b, OBJECT, MANAGER, "ControlGroup", ret, e);
	if (*ret && strcmp(*ret, "/") == 0)
		**ret = 0;
	return rc;
}

int systemd_find(const char *cgroups_path, char **ret_unit, char **ret_path, struct err *e)
{
	/* The slice of users' programs, as for runc, where none is named. */
	auto_free char *text = xasprintf(
		"%s%s", is_user() && cgroups_path[0] == ':' ? "user.slice" : "", cgroups_path);
	auto_free char *below = NULL, *above = NULL;
	const char *unit;
	int rc = cgroup_path_clean(text, &below, e);

	if (rc == 0)
		rc = manager_group(&above, e);
	if (rc < 0)
		return rc;
	unit = strrchr(below, '/') + 1;
	if (strlen(unit) < 7 || strcmp(unit + strlen(unit) - 6, ".scope") != 0)
		return err_set(e, -ENOSYS,
			       "config.json: linux.cgroupsPath: %.128s is no scope of systemd, and "
			       "a container cannot be another unit",
			       unit);
	*ret_unit = xstrdup(unit);
	*ret_path = xasprintf("%s%s", above, below);
	return 0;
}

/* The slice that a scope lies in: the last but one name of its path. */
static char *slice_of(const char *path)
{
	const char *end = strrchr(path, '/'), *begin = end;

	while (begin > path && begin[-1] != '/')
		begin--;
	return end > begin && end - begin > 6 && memcmp(end - 6, ".slice", 6) == 0
		       ? xstrndup(begin, (size_t)(end - begin))
		       : xstrdup("-.slice");
}

/* It ends with its parent, and has nothing of it but the group that it is moved to. */
_Noreturn static void hold(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)setsid();
	(void)syscall(SYS_close_range, 0, ~0U, 0);
	while (getppid() == parent)
		(void)pause();
	_exit(0);
}

static int start_holder(struct systemd_scope *s, struct err *e)
{
	pid_t parent = getpid();

	s->holder = fork();
	if (s->holder == 0)
		hold(parent);
	if (s->holder < 0) {
		s->holder = 0;
		return err_sys(e, "cannot make a process for the scope of systemd");
	}
	return 0;
}

void systemd_scope_done(struct systemd_scope *s)
{
	if (s->holder > 0)
		(void)kill(s->holder, SIGKILL);
	while (s->holder > 0 && waitpid(s->holder, NULL, 0) < 0 && errno == EINTR)
		;
	*s = SYSTEMD_SCOPE_INIT;
}

/* A call that ends with a job on `unit`: waits for the job's end as well. */
static int call_job(struct bus *b, const char *unit, const struct bus_method *m,
		    const struct buf *args, struct err *e)
{
	static const struct bus_method match = {"org.freedesktop.DBus", "/org/freedesktop/DBus",
						"org.freedesktop.DBus", "AddMatch", "s"};
	const struct bus_method subscribe = METHOD("Subscribe", "");
	auto_buf rule = BUF_INIT(LIMIT_BUS_MESSAGE), answer = BUF_INIT(LIMIT_BUS_MESSAGE);
	const char *job = NULL;
	size_t at = 0;
	int rc;

	b->unit = unit;
	bus_put_str(&rule, "type='signal',sender='" NAME "',interface='" MANAGER
			   "',member='JobRemoved',path='" OBJECT "'");
	rc = bus_call(b, &match, &rule, NULL, e);
	if (rc == 0)
		rc = bus_call(b, &subscribe, NULL, NULL, e);
	if (rc == 0)
		rc = bus_call(b, m, args, &answer, e);
	if (rc < 0)
		return rc;
	job = bus_get_str(&answer, &at);
	return job ? bus_await_job(b, job, e)
		   : err_set(e, -EPROTO, "%s of systemd names no job", m->member);
}

static void put_scope(struct buf *args, const char *unit, const char *path, const char *description,
		      pid_t holder, const struct spec_resources *r)
{
	auto_free char *slice = slice_of(path);
	struct bus_array props, aux;

	bus_put_str(args, unit);
	bus_put_str(args, "fail");
	props = bus_array_begin(args, 8);
	systemd_put_str(args, "Description", description);
	systemd_put_str(args, "Slice", slice);
	systemd_put_bool(args, "Delegate", true);
	systemd_put_bool(args, "DefaultDependencies", false);
	systemd_put_str(args, "CollectMode", "inactive-or-failed");
	systemd_put_bool(args, "CPUAccounting", true);
	systemd_put_bool(args, "MemoryAccounting", true);
	systemd_put_bool(args, "IOAccounting", true);
	systemd_put_bool(args, "TasksAccounting", true);
	systemd_put_u32s(args, "PIDs", (uint32_t)holder);
	systemd_put_resources(args, r);
	bus_array_end(args, props);
	aux = bus_array_begin(args, 8);
	bus_array_end(args, aux);
}

int systemd_scope_begin(const char *unit, const char *path, const char *description,
			const struct spec_resources *r, struct systemd_scope *ret, struct err *e)
{
	const struct bus_method start = METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))");
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE);
	struct systemd_scope s = SYSTEMD_SCOPE_INIT;
	auto_bus b = BUS_INIT;
	int rc = start_holder(&s, e);

	if (rc == 0)
		rc = bus_open(is_user(), &b, e);
	if (rc == 0) {
		put_scope(&args, unit, path, description, s.holder, r);
		rc = call_job(&b, unit, &start, &args, e);
	}
	if (rc < 0) {
		systemd_scope_done(&s);
		return rc;
	}
	*ret = s;
	return 0;
}

bool systemd_places(void)
{
	return is_user() || access(CGROUP_ROOT "/cgroup.controllers", F_OK) < 0;
}

int systemd_scope_attach(const char *unit, pid_t pid, struct err *e)
{
	const struct bus_method attach = METHOD("AttachProcessesToUnit", "ssau");
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE);
	struct bus_array pids;
	auto_bus b = BUS_INIT;
	int rc = bus_open(is_user(), &b, e);

	bus_put_str(&args, unit);
	bus_put_str(&args, "");
	pids = bus_array_begin(&args, sizeof(uint32_t));
	bus_put_u32(&args, (uint32_t)pid);
	bus_array_end(&args, pids);
	return rc < 0 ? rc : bus_call(&b, &attach, &args, NULL, e);
}

int systemd_update(const char *unit, const struct spec_resources *r, struct err *e)
{
	const struct bus_method set = METHOD("SetUnitProperties", "sba(sv)");
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE);
	struct bus_array props;
	auto_bus b = BUS_INIT;
	size_t before;
	int rc;

	bus_put_str(&args, unit);
	bus_put_u32(&args, true); /* for this boot alone */
	props = bus_array_begin(&args, 8);
	before = args.len;
	systemd_put_resources(&args, r);
	bus_array_end(&args, props);
	if (args.len == before)
		return 0;
	rc = bus_open(is_user(), &b, e);
	return rc < 0 ? rc : bus_call(&b, &set, &args, NULL, e);
}

/* 1: it is there, and ours; 0: it is not. */
static int is_ours(struct bus *b, const char *unit, const char *description, struct err *e)
{
	const struct bus_method find = METHOD("GetUnit", "s");
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE), answer = BUF_INIT(LIMIT_BUS_MESSAGE);
	auto_free char *text = NULL;
	struct err why = ERR_INIT;
	const char *object;
	size_t at = 0;
	int rc;

	bus_put_str(&args, unit);
	rc = bus_call(b, &find, &args, &answer, &why);
	object = rc == 0 ? bus_get_str(&answer, &at) : NULL;
	if (object)
		rc = get_property(b, object, NAME ".Unit", "Description", &text, &why);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_set(e, rc, "%s", err_text(&why));
	return text && strcmp(text, description) == 0;
}

int systemd_stop(const char *unit, const char *description, struct err *e)
{
	const struct bus_method stop = METHOD("StopUnit", "ss");
	const struct bus_method reset = METHOD("ResetFailedUnit", "s");
	auto_buf args = BUF_INIT(LIMIT_BUS_MESSAGE), name = BUF_INIT(LIMIT_BUS_MESSAGE);
	struct err why = ERR_INIT;
	auto_bus b = BUS_INIT;
	int rc = bus_open(is_user(), &b, e);

	if (rc == 0)
		rc = is_ours(&b, unit, description, e);
	if (rc <= 0)
		return rc;
	bus_put_str(&args, unit);
	bus_put_str(&args, "replace");
	rc = call_job(&b, unit, &stop, &args, &why);
	if (rc < 0 && rc != -ENOENT)
		return err_set(e, rc, "%s", err_text(&why));
	/* One that has failed would stay, and its name with it; most have not. */
	bus_put_str(&name, unit);
	(void)bus_call(&b, &reset, &name, NULL, NULL);
	return 0;
}
