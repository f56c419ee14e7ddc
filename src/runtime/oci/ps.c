/*
 * ps, pause and resume: a container's processes as one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/oci/state.h"

#define PIDS_MAX (4u << 20)       /* bytes of pids */
#define PS_OUTPUT_MAX (64u << 20) /* bytes that the host's ps may write */
#define FREEZE_MS 10000

static int open_group(const struct oci_container *c, struct cgroup *ret, struct err *e)
{
	enum oci_status s = oci_status(c);

	if (s == OCI_STOPPED || s == OCI_CREATING)
		return err_set(e, -ESRCH, "container not running: %s", c->id);
	return oci_state_cgroup(c, ret, e);
}

static int set_frozen(struct oci *o, const char *id, bool frozen, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	struct cgroup g;
	int rc = oci_state_open(o, id, OCI_LOCKED, &c, e);

	if (rc == 0 && !frozen && oci_status(&c) != OCI_PAUSED)
		rc = err_set(e, -EINVAL, "container not paused: %s", c.id);
	if (rc == 0)
		rc = open_group(&c, &g, e);
	if (rc < 0)
		return rc;
	rc = cgroup_pause(&g, frozen, FREEZE_MS, e);
	if (rc < 0)
		err_wrap(e, "cannot %s container %s", frozen ? "pause" : "resume", c.id);
	cgroup_done(&g);
	return rc;
}

int oci_pause(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return set_frozen(o, argv[0], true, e);
}

int oci_resume(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	return set_frozen(o, argv[0], false, e);
}

static bool has_pid(const struct buf *pids, long pid)
{
	const pid_t *v = (const pid_t *)pids->p;

	for (size_t i = 0; i < pids->len / sizeof(*v); i++)
		if (v[i] == pid)
			return true;
	return false;
}

static void put_json(const struct buf *pids, struct buf *ret)
{
	const pid_t *v = (const pid_t *)pids->p;

	buf_addc(ret, '[');
	for (size_t i = 0; i < pids->len / sizeof(*v); i++)
		buf_addf(ret, "%s%d", i ? "," : "", (int)v[i]);
	buf_adds(ret, "]\n");
}

/* The host's ps, with the words of the user or "-ef". */
static int run_ps(char **words, struct buf *ret, struct err *e)
{
	static char *const usual[] = {(char *)"ps", (char *)"-ef", NULL};
	auto_close int out = memfd_create("ps", MFD_CLOEXEC);
	int status = 0, rc;
	pid_t pid;

	if (out < 0)
		return err_sys(e, "cannot run ps");
	pid = fork();
	if (pid == 0) {
		char **argv = words[1] ? words : (char **)usual;

		words[0] = (char *)"ps";
		if (dup2(out, 1) >= 0)
			execvp("ps", argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return err_set(e, -ECHILD, "the host's ps %s",
			       WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "is missing"
									       : "failed");
	if (lseek(out, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read the output of ps");
	rc = file_read_fd(out, ret);
	return rc < 0 ? err_code(e, rc, "cannot read the output of ps") : 0;
}

/* The n-th word of a line. */
static const char *word(const char *line, int n)
{
	line += strspn(line, " ");
	for (; n > 0; n--) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return line;
}

static int pid_column(const char *head)
{
	for (int i = 0; *word(head, i); i++)
		if (strncmp(word(head, i), "PID", 3) == 0 && strchr(" ", word(head, i)[3]))
			return i;
	return -1;
}

/* The lines of the table that are about our processes, and its head. */
static int pick_lines(char *table, const struct buf *pids, struct buf *ret, struct err *e)
{
	char *save = NULL, *head = strtok_r(table, "\n", &save);
	int column = head ? pid_column(head) : -1;

	if (column < 0)
		return err_set(e, -EINVAL, "couldn't find PID field in ps output");
	buf_addf(ret, "%s\n", head);
	for (char *l = strtok_r(NULL, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (has_pid(pids, strtol(word(l, column), NULL, 10)))
			buf_addf(ret, "%s\n", l);
	return 0;
}

int oci_ps(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	auto_buf pids = BUF_INIT(PIDS_MAX), table = BUF_INIT(PS_OUTPUT_MAX);
	auto_buf out = BUF_INIT(PS_OUTPUT_MAX);
	struct cgroup g;
	int rc = oci_state_open(o, argv[0], OCI_UNLOCKED, &c, e);

	if (rc == 0)
		rc = open_group(&c, &g, e);
	if (rc < 0)
		return rc;
	rc = cgroup_pids(&g, &pids);
	cgroup_done(&g);
	if (rc < 0)
		return err_code(e, rc, "cannot read the processes of container %s", c.id);
	if (f->format && strcmp(f->format, "json") == 0) {
		put_json(&pids, &out);
		return oci_print(&out, e);
	}
	if (f->format && strcmp(f->format, "table") != 0)
		return err_set(e, -EINVAL, "invalid format option: %.32s", f->format);
	rc = run_ps(argv, &table, e);
	if (rc == 0 && table.len)
		rc = pick_lines(table.p, &pids, &out, e);
	return rc < 0 ? rc : oci_print(&out, e);
}
