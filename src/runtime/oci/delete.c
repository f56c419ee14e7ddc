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

#include "base/clock.h"
#include "base/mem.h"
#include "base/signal.h"
#include "runtime/container/hooks.h"
#include "runtime/oci/systemd.h"

#define END_MS 10000 /* for a killed container to be gone */

/* An end that nobody has to help with: the init is gone, and its group is empty. */
static bool is_over(const struct oci_container *c, const struct cgroup *g)
{
	struct pollfd pf = {.fd = c->pidfd, .events = POLLIN};

	return (c->pidfd < 0 || poll(&pf, 1, 0) > 0) && cgroup_remove(g, NULL) == 0;
}

/*
 * On v1 the init of a killed creator may be on its way through the hierarchies: in some it is seen,
 * in others not yet. It dies of its parent's death.
 */
static int remove_group(const struct cgroup *g, struct err *e)
{
	uint64_t end = clock_mono_ms() + END_MS;
	int rc;

	while ((rc = cgroup_remove(g, NULL)) == -EBUSY && clock_mono_ms() < end) {
		(void)cgroup_kill(g, SIGKILL, NULL);
		(void)poll(NULL, 0, 1);
	}
	return rc < 0 ? cgroup_remove(g, e) : 0;
}

/* SIGKILL to all of it, and the group's end. */
static int kill_group_of(const struct oci_container *c, const struct cgroup *g, struct err *e)
{
	int rc;

	if (is_over(c, g))
		return 0;
	(void)oci_signal(c, SIGKILL);
	(void)cgroup_kill(g, SIGKILL, NULL);
	rc = cgroup_wait_empty(g, END_MS);
	if (rc < 0) {
		/* Something forked away from the first blow. */
		(void)cgroup_kill(g, SIGKILL, NULL);
		rc = cgroup_wait_empty(g, END_MS);
	}
	if (rc < 0)
		return err_set(e, -EBUSY, "processes of container %s do not end", c->id);
	return remove_group(g, e);
}

/* By the group, and by the pid where there is none. */
static int kill_all(const struct oci_container *c, const struct cgroup *open, struct err *e)
{
	struct cgroup g;
	int rc;

	if (open)
		return kill_group_of(c, open, e);
	if (oci_state_cgroup(c, &g, NULL) < 0) {
		(void)oci_signal(c, SIGKILL);
		return 0;
	}
	rc = kill_group_of(c, &g, e);
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
			 const struct cgroup *group, struct err *e)
{
	auto_free char *text = oci_state_description(o, c->id);
	struct hook_state s = {
		.id = c->id, .bundle = c->record.bundle, .status = "stopped", .spec = spec};
	int rc = kill_all(c, group, e);

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

/*
 * A creator that is at work holds the lock, and so does the init of one that was killed before it
 * had unlocked. Both end with the init, whose pid is written early.
 */
static void kill_holder(const struct oci *o, const char *id)
{
	auto_container c = OCI_CONTAINER_INIT;

	if (oci_state_open(o, id, OCI_UNLOCKED, &c, NULL) == 0)
		(void)oci_signal(&c, SIGKILL);
}

int oci_delete(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	struct spec spec;
	enum oci_status status;
	bool has_spec;
	int rc;

	if (f->force)
		kill_holder(o, argv[0]);
	rc = oci_state_open(o, argv[0], f->force ? OCI_SALVAGED : OCI_LOCKED, &c, e);
	if (rc == -ENOENT && f->force) {
		*e = ERR_INIT;
		return 0;
	}
	if (rc < 0)
		return rc;
	/* Half-made, and we have the lock: its creator is dead. */
	status = c.record.pid == SPEC_UNSET ? OCI_STOPPED : oci_status(&c);
	if (!f->force && (status == OCI_RUNNING || status == OCI_PAUSED))
		return err_set(e, -EBUSY,
			       "cannot delete container %s that is not stopped: %s (use --force)",
			       c.id, oci_status_name(status));
	has_spec = oci_state_spec(&c, &spec, NULL) == 0;
	rc = oci_delete_container(o, &c, has_spec && c.record.pid != SPEC_UNSET ? &spec : NULL,
				  NULL, e);
	if (has_spec)
		spec_done(&spec);
	return rc;
}

/* Signal 0 asks whether there is anybody. */
static int signal_read(const char *text, int *ret, struct err *e)
{
	*ret = 0;
	if (strcmp(text, "0") == 0 || (*text && signal_parse(text, ret) == 0))
		return 0;
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

int oci_kill(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	enum oci_status status;
	int number = SIGTERM;
	int rc = argv[1] ? signal_read(argv[1], &number, e) : 0;

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
