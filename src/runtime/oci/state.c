/*
 * The states of containers on disk: see state.h.
 */
#include "runtime/oci/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/jtable.h"

static const struct jt_type record_type = {
	sizeof(struct oci_record),
	(const struct jt_field[]){
		JT_STR_(struct oci_record, id, "id"),
		JT_STR_(struct oci_record, bundle, "bundle"),
		JT_STR_(struct oci_record, rootfs, "rootfs"),
		JT_STR_(struct oci_record, created, "created"),
		JT_STR_(struct oci_record, cgroup, "cgroup"),
		JT_STR_(struct oci_record, unit, "unit"),
		JT_I64_(struct oci_record, pid, "pid"),
		JT_I64_(struct oci_record, start_time, "startTime"),
		JT_BOOL_(struct oci_record, no_new_keyring, "noNewKeyring"),
		JT_PAIRS_(struct oci_record, annotations, "annotations"),
		JT_END,
	}};

/* What a damaged file could otherwise lead to: somebody else's group, or pid 1 for 2^32 + 1. */
static int record_check(const struct oci_record *r, struct err *e)
{
	auto_free char *clean = NULL;

	if (!r->id || !r->bundle || !r->created)
		return err_set(e, -EINVAL, "state.json: id, bundle or created is missing");
	if (r->pid != SPEC_UNSET && (r->pid < 0 || r->pid > INT32_MAX))
		return err_set(e, -EINVAL, "state.json: pid is out of range");
	if (r->cgroup &&
	    (cgroup_path_clean(r->cgroup, &clean, NULL) < 0 || strcmp(clean, r->cgroup) != 0))
		return err_set(e, -EINVAL,
			       "state.json: cgroup %.128s is not the clean path of a group",
			       r->cgroup);
	return 0;
}

int oci_record_parse(const char *json, size_t n, struct oci_record *ret, struct err *e)
{
	int rc = jt_parse(&record_type, json, n, true, "state.json", ret, e);

	if (rc == 0)
		rc = record_check(ret, e);
	if (rc < 0)
		oci_record_done(ret);
	return rc;
}

int oci_record_write(const struct oci_record *r, struct buf *ret)
{
	return jt_write(&record_type, r, ret);
}

void oci_record_done(struct oci_record *r)
{
	jt_done(&record_type, r);
}

void oci_container_done(struct oci_container *c)
{
	oci_record_done(&c->record);
	free(c->id);
	/* By hand: a container's init that was cloned meanwhile has the same open folder. */
	if (c->dir >= 0)
		oci_state_unlock(c);
	fd_close_at(&c->pidfd);
	fd_close_at(&c->dir);
	fd_close_at(&c->parent);
	*c = OCI_CONTAINER_INIT;
}

int oci_check_id(const char *id, struct err *e)
{
	size_t n = id ? strlen(id) : 0;

	for (const char *p = id; n && *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+-.", *p))
			n = 0;
	if (n == 0 || n > LIMIT_OCI_ID || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return err_set(e, -EINVAL,
			       "invalid container ID format: %.64s (1 to %d of the characters "
			       "a-z A-Z 0-9 _ + - .)",
			       id ? id : "", LIMIT_OCI_ID);
	return 0;
}

int64_t oci_start_time(pid_t pid)
{
	char path[64], text[1024];
	auto_close int fd = -1;
	const char *p;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = 0;
	/* The name may have blanks and parentheses; the last one ends it. Then state is field 3. */
	p = strrchr(text, ')');
	if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
		return 0;
	for (int field = 2; field < 22 && p; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoll(p + 1, NULL, 10) : 0;
}

int oci_state_make(const struct oci *o, const char *id, struct oci_container *ret, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	int rc = oci_check_id(id, e);

	if (rc == 0)
		rc = dir_make(o->root, 0711, e);
	if (rc < 0)
		return rc;
	jt_init(&record_type, &c.record);
	c.id = xstrdup(id);
	c.owner = geteuid();
	c.parent = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.parent < 0)
		return err_sys(e, "cannot open the state directory %s", o->root);
	if (mkdirat(c.parent, id, 0711) < 0)
		return errno == EEXIST
			       ? err_set(e, -EEXIST, "container with id exists: %s", id)
			       : err_sys(e, "cannot make the state directory %s/%s", o->root, id);
	c.dir = openat(c.parent, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	/* Root of a user namespace must be able to pass through, whatever the umask is. */
	if (c.dir < 0 || fchmod(c.dir, 0711) < 0 || flock(c.dir, LOCK_EX) < 0) {
		rc = err_sys(e, "cannot lock the state directory %s/%s", o->root, id);
		(void)unlinkat(c.parent, id, AT_REMOVEDIR);
		return rc;
	}
	c.record.id = xstrdup(id);
	*ret = c;
	c = OCI_CONTAINER_INIT;
	return 0;
}

static bool has_end(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

/* What can be known without state.json: the group, from the configuration that was kept. */
static int salvage_record(struct oci_container *c, struct err *e)
{
	struct spec spec;
	int rc = oci_state_spec(c, &spec, e);

	oci_record_done(&c->record);
	jt_init(&record_type, &c->record);
	if (rc < 0)
		return rc;
	if (spec.linux_.cgroups_path)
		rc = cgroup_path_clean(spec.linux_.cgroups_path, &c->record.cgroup, e);
	/* systemd says whose it is, before anything is done to it. */
	if (rc == 0 && c->record.cgroup && has_end(c->record.cgroup, ".scope"))
		c->record.unit = xstrdup(strrchr(c->record.cgroup, '/') + 1);
	spec_done(&spec);
	return rc;
}

static int read_record(struct oci_container *c, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_OCI_STATE);
	int rc = file_read_at(c->dir, "state.json", &text);

	jt_init(&record_type, &c->record);
	if (rc == -ENOENT) { /* half-made; its group is made after the configuration is kept */
		(void)salvage_record(c, NULL);
		return 0;
	}
	if (rc < 0)
		return err_code(e, rc, "cannot read the state of container %s", c->id);
	return oci_record_parse(buf_text(&text), text.len, &c->record, e);
}

/* The descriptor first, then the start time: so that it is this process and no later one. */
static void find_process(struct oci_container *c)
{
	pid_t pid = (pid_t)c->record.pid;

	if (c->record.pid == SPEC_UNSET || pid <= 0)
		return;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->pidfd >= 0 && oci_start_time(pid) != c->record.start_time)
		close(TAKE_FD(c->pidfd));
}

int oci_state_open(const struct oci *o, const char *id, enum oci_lock lock,
		   struct oci_container *ret, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	struct stat st;
	int rc = oci_check_id(id, e);

	if (rc < 0)
		return rc;
	c.id = xstrdup(id);
	c.parent = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c.parent >= 0)
		c.dir = openat(c.parent, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c.dir < 0)
		return errno == ENOENT
			       ? err_set(e, -ENOENT, "container does not exist: %s", id)
			       : err_sys(e, "cannot open the state directory %s/%s", o->root, id);
	if (lock != OCI_UNLOCKED && flock(c.dir, LOCK_EX) < 0)
		return err_sys(e, "cannot lock the state of container %s", id);
	/* Whoever had the lock may have deleted it meanwhile. */
	if (fstat(c.dir, &st) < 0 || st.st_nlink == 0)
		return err_set(e, -ENOENT, "container does not exist: %s", id);
	c.owner = st.st_uid;
	rc = read_record(&c, e);
	if (rc == -EINVAL && lock == OCI_SALVAGED) {
		*e = ERR_INIT;
		if (salvage_record(&c, NULL) < 0)
			return err_set(
				e, -EINVAL,
				"neither state.json nor config.json of container %s can be "
				"read, so what belongs to it is not known: see that nothing of "
				"it runs, then remove %s/%s",
				id, o->root, id);
		rc = 0;
	}
	if (rc < 0)
		return rc;
	find_process(&c);
	*ret = c;
	c = OCI_CONTAINER_INIT;
	return 0;
}

/*
 * Without fsync: after a power cut there is no container that the file could tell of, and who
 * reads sees the old text or the new.
 */
int oci_state_put(const struct oci_container *c, const char *name, const struct buf *text,
		  struct err *e)
{
	auto_free char *temporary = xasprintf(".%s", name);
	auto_close int fd = openat(c->dir, temporary,
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : file_write_fd(fd, text->p, text->len);

	if (rc == 0 && renameat(c->dir, temporary, c->dir, name) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(c->dir, temporary, 0);
	return rc < 0 ? err_code(e, rc, "cannot write %s of container %s", name, c->id) : 0;
}

int oci_state_write(const struct oci_container *c, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_OCI_STATE);
	int rc = oci_record_write(&c->record, &text);

	if (rc < 0)
		return err_set(e, rc, "the annotations of container %s take more than %u bytes",
			       c->id, LIMIT_OCI_STATE);
	return oci_state_put(c, "state.json", &text, e);
}

void oci_state_unlock(const struct oci_container *c)
{
	(void)flock(c->dir, LOCK_UN);
}

/* Without a new descriptor: what is there has few names. */
static int remove_by_name(const struct oci_container *c)
{
	static const char *const names[] = {"state.json",        "config.json",  OCI_SOCKET,
					    ".state.json",       ".config.json", OCI_SOCKET_EARLY,
					    "notify/notify.sock"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlinkat(c->dir, names[i], 0);
	(void)unlinkat(c->dir, "notify", AT_REMOVEDIR);
	return unlinkat(c->parent, c->id, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int oci_state_remove(struct oci_container *c, struct err *e)
{
	struct err tried = ERR_INIT;
	int rc = dir_remove(c->parent, c->id, &tried);

	if ((rc == -EMFILE || rc == -ENFILE) && remove_by_name(c) == 0)
		return 0;
	if (rc < 0 && e)
		*e = tried;
	return rc;
}

static bool is_there(const struct oci_container *c, const char *name)
{
	struct stat st;

	return fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether somebody else holds the lock: its creator, as long as there is no pid. */
static bool is_locked(const struct oci_container *c)
{
	auto_close int again = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return again >= 0 && flock(again, LOCK_SH | LOCK_NB) < 0;
}

enum oci_status oci_status_of_process(const struct oci_container *c)
{
	if (!c->record.id || c->record.pid == SPEC_UNSET)
		return is_locked(c) ? OCI_CREATING : OCI_STOPPED;
	if (c->pidfd < 0)
		return OCI_STOPPED;
	if (is_there(c, OCI_SOCKET_EARLY))
		return OCI_CREATING;
	return is_there(c, OCI_SOCKET) ? OCI_CREATED : OCI_RUNNING;
}

char *oci_state_description(const struct oci *o, const char *id)
{
	return xasprintf("container %s (%s)", id, o->root);
}

enum oci_status oci_status(const struct oci_container *c)
{
	enum oci_status s = oci_status_of_process(c);
	struct cgroup g;
	bool frozen;

	if (s != OCI_RUNNING || oci_state_cgroup(c, &g, NULL) < 0)
		return s;
	frozen = cgroup_is_frozen(&g);
	cgroup_done(&g);
	return frozen ? OCI_PAUSED : OCI_RUNNING;
}

const char *oci_status_name(enum oci_status s)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

	return names[s];
}

int oci_signal(const struct oci_container *c, int signal)
{
	if (c->pidfd < 0)
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, c->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int oci_state_spec(const struct oci_container *c, struct spec *ret, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	int rc = file_read_at(c->dir, "config.json", &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read the configuration of container %s", c->id);
	return spec_parse(buf_text(&text), text.len, SPEC_STRICT, ret, e);
}

int oci_state_cgroup(const struct oci_container *c, struct cgroup *ret, struct err *e)
{
	if (!c->record.cgroup)
		return err_set(e, -ENOENT, "container %s has no control group", c->id);
	return cgroup_open(CGROUP_ROOT, c->record.cgroup, ret, e);
}
