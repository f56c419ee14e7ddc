/*
 * delete and kill.
 */
#include "runtime/oci/delete.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/hooks.h"
#include "runtime/oci/systemd.h"

#define END_MS 10000 /* for a killed container to be gone */

/* An end that nobody has to help with: the init is gone, and its group is empty. */
static bool is_over(const struct oci_container *c, const struct cgroup *g)
{
	struct pollfd pf = {.fd = c->pidfd, .events = POLLIN};

	return (c->pidfd < 0 || poll(&pf, 1, 0) > 0) && cgroup_remove(g, NULL) == 0;
}

/* SIGKILL to all of it: by the group, and by the pid where the group has none. */
static int kill_all(const struct oci_container *c, struct err *e)
{
	struct cgroup g;
	int rc = oci_state_cgroup(c, &g, NULL);

	if (rc == 0 && is_over(c, &g)) {
		cgroup_done(&g);
		return 0;
	}
	(void)oci_signal(c, SIGKILL);
	if (rc < 0)
		return 0;
	(void)cgroup_kill(&g, SIGKILL, NULL);
	if (cgroup_wait_empty(&g, END_MS) < 0) {
		/* Something forked away from the first blow. */
		(void)cgroup_kill(&g, SIGKILL, NULL);
		rc = cgroup_wait_empty(&g, END_MS);
	}
	if (rc == 0)
		rc = cgroup_remove(&g, e);
	else
		rc = err_set(e, -EBUSY, "processes of container %s do not end", c->id);
	cgroup_done(&g);
	return rc;
}

static int wait_gone(const struct oci_container *c, struct err *e)
{
	struct pollfd pf = {.fd = c->pidfd, .events = POLLIN};

	if (c->pidfd >= 0 && poll(&pf, 1, END_MS) == 0)
		return err_set(e, -EBUSY, "the init of container %s does not end", c->id);
	return 0;
}

int oci_delete_container(const struct oci *o, struct oci_container *c, const struct spec *spec,
			 struct err *e)
{
	auto_free char *text = oci_state_description(o, c->id);
	struct hook_state s = {
		.id = c->id, .bundle = c->record.bundle, .status = "stopped", .spec = spec};
	int rc = kill_all(c, e);

	if (rc == 0)
		rc = wait_gone(c, e);
	/* Also one that systemd has taken away itself: its name is free once that is done. */
	if (rc == 0 && c->record.unit && systemd_runs())
		rc = systemd_stop(c->record.unit, text, e);
	if (rc == 0)
		rc = oci_state_remove(c, e);
	if (rc == 0 && spec)
		rc = hooks_run(&spec->hooks.poststop, "poststop", &s, e);
	return rc;
}

static int kill_group(const struct oci_container *c, int number, struct err *e)
{
	struct cgroup g;
	int rc = oci_state_cgroup(c, &g, e);

	if (rc < 0)
		return rc;
	rc = cgroup_kill(&g, number, e);
	cgroup_done(&g);
	return rc;
}

/*
 * Of a container whose state is lost the configuration alone says which group was its own, and
 * another may have been given the same one since.
 */
static void leave_others_group(const struct oci *o, struct oci_container *c, bool warns)
{
	auto_free char *other = NULL, *text = NULL;

	if (!c->record.cgroup || !oci_state_group_is_others(o, c->id, c->record.cgroup, &other))
		return;
	text = xasprintf("the control group %s of container %s is that of container %s by now, and "
			 "is left alone",
			 c->record.cgroup, c->id, other);
	if (warns)
		oci_warn(o, text);
	str_set(&c->record.cgroup, NULL);
	str_set(&c->record.unit, NULL);
}

/*
 * A creator that is at work holds the lock, and so does the init of one that was killed before it
 * had unlocked. Both end with the init, whose pid is written early.
 */
static void kill_holder(const struct oci *o, const char *id)
{
	auto_container c = OCI_CONTAINER_INIT;

	if (oci_state_find(o, id, OCI_UNLOCKED, &c, NULL) < 0)
		return;
	if (!c.damage) {
		(void)oci_signal(&c, SIGKILL);
		return;
	}
	leave_others_group(o, &c, false);
	(void)kill_group(&c, SIGKILL, NULL);
}

static void warn_of_damage(const struct oci *o, const struct oci_container *c,
			   const struct spec *spec)
{
	auto_free char *text = NULL;

	if (!c->damage)
		return;
	text = xasprintf("the state of container %s is damaged: %s: %s%s%s", c->id, c->damage,
			 c->record.cgroup
				 ? "it is removed with all processes of its control group "
				 : "it is removed, but processes of it may be left: its control "
				   "group is not known",
			 c->record.cgroup ? c->record.cgroup : "",
			 spec && spec->hooks.poststop.n ? "; its poststop hooks are not run" : "");
	oci_warn(o, text);
}

/* What the record does not tell, the group does. */
static enum oci_status status_for_delete(const struct oci_container *c)
{
	struct cgroup g;
	bool lives;

	/* Half-made, and we have the lock: its creator is dead. */
	if (c->record.id)
		return c->record.pid == SPEC_UNSET ? OCI_STOPPED : oci_status(c);
	if (oci_state_cgroup(c, &g, NULL) < 0)
		return OCI_STOPPED;
	lives = cgroup_populated(&g);
	cgroup_done(&g);
	return lives ? OCI_RUNNING : OCI_STOPPED;
}

static int end_container(const struct oci *o, struct oci_container *c, bool force, struct err *e)
{
	enum oci_status status;
	struct spec spec;
	bool has_spec;
	int rc;

	if (!c->record.id)
		leave_others_group(o, c, true);
	status = status_for_delete(c);
	if (!force && (status == OCI_RUNNING || status == OCI_PAUSED))
		return err_set(e, -EBUSY,
			       "cannot delete container %s that is not stopped: %s (use --force)",
			       c->id, oci_status_name(status));
	has_spec = oci_state_spec(c, &spec, NULL) == 0;
	warn_of_damage(o, c, has_spec ? &spec : NULL);
	rc = oci_delete_container(o, c, has_spec && c->record.pid != SPEC_UNSET ? &spec : NULL, e);
	if (has_spec)
		spec_done(&spec);
	return rc;
}

int oci_delete(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	int rc;

	if (f->force)
		kill_holder(o, argv[0]);
	rc = f->force ? oci_state_find(o, argv[0], OCI_LOCKED, &c, e)
		      : oci_state_open(o, argv[0], OCI_LOCKED, &c, e);
	if (rc == -ENOENT && f->force) {
		*e = ERR_INIT;
		return 0;
	}
	return rc < 0 ? rc : end_container(o, &c, f->force, e);
}

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},
	{"TRAP", SIGTRAP}, {"ABRT", SIGABRT},   {"IOT", SIGIOT},   {"BUS", SIGBUS},
	{"FPE", SIGFPE},   {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
	{"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
	{"STKFLT", 16},    {"CHLD", SIGCHLD},   {"CLD", SIGCHLD},  {"CONT", SIGCONT},
	{"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
	{"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"POLL", SIGPOLL},
	{"PWR", SIGPWR},   {"SYS", SIGSYS},
};

/* A number, "TERM", "SIGTERM", "RTMIN+3", "RTMAX-1". The kernel's numbers: libc hides two. */
static int signal_parse(const char *text, int *ret, struct err *e)
{
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	char *end;
	long n = strtol(text, &end, 10);

	if (*text && !*end && n >= 0 && n <= 64) {
		*ret = (int)n;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		if (strcasecmp(signals[i].name, name) == 0) {
			*ret = signals[i].number;
			return 0;
		}
	}
	if (strncasecmp(name, "RTMIN", 5) == 0 || strncasecmp(name, "RTMAX", 5) == 0) {
		long base = strncasecmp(name, "RTMIN", 5) == 0 ? 34 : 64;

		n = name[5] ? strtol(name + 5, &end, 10) : 0;
		if ((!name[5] || !*end) && base + n >= 34 && base + n <= 64) {
			*ret = (int)(base + n);
			return 0;
		}
	}
	return err_set(e, -EINVAL, "unknown signal %.32s", text);
}

/* Without a pid namespace the init's death ends nothing but itself. */
static bool shares_pids(const struct oci_container *c)
{
	struct spec spec;
	bool own;

	if (oci_state_spec(c, &spec, NULL) < 0)
		return false;
	own = spec_has_namespace(&spec, "pid");
	spec_done(&spec);
	return !own;
}

int oci_kill(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	enum oci_status status;
	int number = SIGTERM;
	int rc = argv[1] ? signal_parse(argv[1], &number, e) : 0;

	if (rc == 0)
		rc = oci_state_open(o, argv[0], OCI_UNLOCKED, &c, e);
	if (rc < 0)
		return rc;
	status = oci_status(&c);
	/* Without a pid namespace others may live on after the init. */
	if (f->all && c.record.pid != SPEC_UNSET &&
	    (status != OCI_STOPPED || kill_group(&c, 0, NULL) == 0))
		return kill_group(&c, number, e);
	if (status == OCI_STOPPED)
		return err_set(e, -ESRCH, "container not running: %s", c.id);
	if (number == SIGKILL && (status == OCI_PAUSED || shares_pids(&c)))
		return kill_group(&c, number, e);
	rc = oci_signal(&c, number);
	if (rc == -ESRCH)
		return err_set(e, rc, "container not running: %s", c.id);
	return rc < 0 ? err_code(e, rc, "cannot send the signal to container %s", c.id) : 0;
}
