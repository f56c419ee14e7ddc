/*
 * The place of a group in the one tree of v2: controllers down the path, whether processes may be
 * in it, and why the kernel will not have it, in a sentence that names the group at fault. See
 * cgroup_internal.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"

#define NAME_LEN_MAX 32
#define GROUP_TEXT_MAX 128 /* bytes of a group's path in a sentence */

/* The path of an open group, as this process sees it. */
static void group_text(int dir, char ret[GROUP_TEXT_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, ret, GROUP_TEXT_MAX - 1);
	snprintf(ret + MAX_OF(n, 0), GROUP_TEXT_MAX - (size_t)MAX_OF(n, 0), "%s",
		 n < 0 ? "(unknown)" : "");
}

/* Whether a file of words has this one. */
static bool has_word(int dir, const char *file, const char *word)
{
	char text[CGROUP_VALUE_MAX];
	size_t len = strlen(word);

	if (cgroup_read(dir, file, text, sizeof(text)) < 0)
		return false;
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " \n");

		if (n == len && memcmp(p, word, n) == 0)
			return true;
		p += n + (p[n] != 0);
	}
	return false;
}

void cgroup_v2_enable_controllers(int dir)
{
	char text[CGROUP_VALUE_MAX], all[CGROUP_VALUE_MAX] = "";
	char *save = NULL;
	size_t n = 0;
	int rc;

	if (cgroup_read(dir, "cgroup.controllers", text, sizeof(text)) <= 0)
		return;
	for (char *p = text; (p = strtok_r(p, " \n", &save)) && n < sizeof(all) - NAME_LEN_MAX;
	     p = NULL)
		n += (size_t)snprintf(all + n, NAME_LEN_MAX, "%s+%.28s", n ? " " : "", p);
	rc = cgroup_write(dir, "cgroup.subtree_control", all, NULL);
	/*
	 * -EBUSY: there are processes in it. Of some controllers the kernel would have it all the
	 * same, and make the group one for threads, whose groups below no process may be in.
	 */
	if (rc == 0 || rc == -EBUSY)
		return;
	/* What can be had: of some the kernel has conditions of its own. */
	for (char *p = all; (p = strtok_r(p, " ", &save)); p = NULL)
		(void)cgroup_write(dir, "cgroup.subtree_control", p, NULL);
}

/* The group from which `controller` is not passed on, at `dir` or above; -1 if there is none. */
static int find_gap(int dir, const char *controller)
{
	int at = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0 && !has_word(at, "cgroup.controllers", controller)) {
		int up = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(at);
		at = up;
		if (at >= 0 && faccessat(at, "cgroup.controllers", F_OK, 0) < 0) {
			close(at);
			return -1;
		}
	}
	return at;
}

int cgroup_v2_missing(int dir, const char *file, struct err *e)
{
	char controller[NAME_LEN_MAX], group[GROUP_TEXT_MAX], own[GROUP_TEXT_MAX], text[16];
	auto_close int gap = -1;

	snprintf(controller, sizeof(controller), "%.*s", (int)strcspn(file, "."), file);
	group_text(dir, own);
	if (faccessat(dir, "cgroup.controllers", F_OK, 0) < 0 ||
	    strcmp(controller, "cgroup") == 0 || has_word(dir, "cgroup.controllers", controller))
		return err_set(e, -ENOENT, "this kernel has no %s for the control group %s", file,
			       own);
	gap = find_gap(dir, controller);
	if (gap < 0)
		return err_set(e, -ENOENT,
			       "cannot set %s: the controller %s is not there; cgroup.controllers "
			       "in the uppermost control group names those that are",
			       file, controller);
	group_text(gap, group);
	if (cgroup_read(gap, "cgroup.procs", text, sizeof(text)) > 0)
		return err_set(e, -ENOENT,
			       "cannot set %s: the control group %s has processes of its own, so "
			       "the controller %s cannot be given to groups below it; move them to "
			       "a group below it, or choose another linux.cgroupsPath",
			       file, group, controller);
	return err_set(e, -ENOENT,
		       "cannot set %s: the controller %s is not given to the groups below %s (its "
		       "cgroup.subtree_control), and could not be switched on there",
		       file, controller, group);
}

int cgroup_v2_not_made(int parent, const char *name, int code, struct err *e)
{
	char group[GROUP_TEXT_MAX];

	group_text(parent, group);
	/* The kernel's word for a bound of this group, or of one above. */
	if (code == -EAGAIN)
		return err_set(e, code,
			       "cannot make the control group %.64s in %s: there, or further up, "
			       "cgroup.max.descendants or cgroup.max.depth is reached",
			       name, group);
	return err_code(e, code, "cannot make the control group %.64s in %s", name, group);
}

int cgroup_v2_check_place(int dir, struct err *e)
{
	char group[GROUP_TEXT_MAX], text[64];

	group_text(dir, group);
	if (cgroup_read(dir, "cgroup.type", text, sizeof(text)) > 0 &&
	    (strcmp(text, "threaded\n") == 0 || strcmp(text, "domain invalid\n") == 0))
		return err_set(e, -EOPNOTSUPP,
			       "the control group %s is \"%.*s\": it, or one above it, is for "
			       "single threads (cgroup.type); choose another linux.cgroupsPath",
			       group, (int)strcspn(text, "\n"), text);
	if (cgroup_read_key(dir, "cgroup.events", "frozen", 0) != 0)
		return err_set(e, -EBUSY,
			       "the control group %s is frozen, by itself or by one above it "
			       "(cgroup.freeze): no process could run in it",
			       group);
	/* No processes in inner groups. One that was just made has none below. */
	if (cgroup_read(dir, "cgroup.subtree_control", text, sizeof(text)) > 1)
		return err_set(e, -EBUSY,
			       "the control group %s gives controllers to groups below it (its "
			       "cgroup.subtree_control is not empty), so no process may be in it; "
			       "name one below it in linux.cgroupsPath",
			       group);
	return 0;
}

int cgroup_give(const struct cgroup *c, uid_t owner, struct err *e)
{
	int dir = c->dir[CGROUP_UNIFIED];
	char text[CGROUP_VALUE_MAX] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
	auto_close int fd = open("/sys/kernel/cgroup/delegate", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *save = NULL;

	if (n >= 0)
		text[n] = 0;
	if (fchown(dir, owner, (gid_t)-1) < 0)
		return err_sys(e, "cannot give the control group %s to user %u", c->path, owner);
	for (char *p = text; (p = strtok_r(p, "\n", &save)); p = NULL)
		if (fchownat(dir, p, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return err_sys(e, "cannot give the control group's %s to user %u", p,
				       owner);
	return 0;
}

int cgroup_open_of(pid_t pid, const struct cgroup *below, struct cgroup *ret, struct err *e)
{
	char file[64], text[CGROUP_VALUE_MAX];
	size_t n = strlen(below->path);
	const char *path;

	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	if (cgroup_read(AT_FDCWD, file, text, sizeof(text)) < 0)
		return err_set(e, -ESRCH, "the container's init is gone");
	text[strcspn(text, "\n")] = 0;
	path = strncmp(text, "0::", 3) == 0 ? text + 3 : "";
	if (strncmp(path, below->path, n) != 0 || path[n] != '/')
		return err_set(e, -EBUSY,
			       "the control group %s may hold no processes, and the container's "
			       "init is in none below it",
			       below->path);
	return cgroup_open(CGROUP_ROOT, path, ret, e);
}
