/*
 * Users and groups of an image: see user.h. Lines that are not whole are passed over, never read
 * as 0.
 */
#include "runtime/container/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/path.h"

#define ID_MAX 2147483647u
#define LINE_FIELDS 7

/* A piece of one of the files; never NUL-terminated. */
struct piece {
	const char *p;
	size_t n;
};

void user_info_done(struct user_info *u)
{
	free(u->additional_gids.v);
	free(u->home);
	free(u->name);
	*u = (struct user_info){0};
}

static bool piece_is(struct piece a, const char *text)
{
	return strlen(text) == a.n && memcmp(a.p, text, a.n) == 0;
}

/* 0, -ENOENT when it is not a number at all, -ERANGE. */
static int piece_id(struct piece a, uint32_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if (a.n && (a.p[0] == '-' || a.p[0] == '+'))
		i = 1;
	if (i == a.n)
		return -ENOENT;
	for (size_t j = i; j < a.n; j++)
		if (a.p[j] < '0' || a.p[j] > '9')
			return -ENOENT;
	for (; i < a.n; i++) {
		v = v * 10 + (uint64_t)(a.p[i] - '0');
		if (v > ID_MAX)
			return -ERANGE;
	}
	if (a.p[0] == '-' && v)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

/* Takes the next line of `text` apart at its colons; false at the end. */
static bool next_line(struct piece *text, struct piece fields[LINE_FIELDS], size_t *ret_n)
{
	const char *end;
	struct piece line;
	size_t n = 0;

	if (text->n == 0)
		return false;
	end = memchr(text->p, '\n', text->n);
	line = (struct piece){text->p, end ? (size_t)(end - text->p) : text->n};
	text->n -= end ? line.n + 1 : line.n;
	text->p += end ? line.n + 1 : line.n;
	while (n < LINE_FIELDS) {
		const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
		size_t k = colon ? (size_t)(colon - line.p) : line.n;

		fields[n++] = (struct piece){line.p, k};
		if (!colon)
			break;
		line.p += k + 1;
		line.n -= k + 1;
	}
	*ret_n = n;
	return true;
}

/* The first line of passwd for a name (by_id false) or a number. */
static bool find_user(struct piece passwd, bool by_id, uint32_t id, const char *name,
		      struct user_info *u)
{
	struct piece f[LINE_FIELDS];
	uint32_t uid, gid;
	size_t n;

	while (next_line(&passwd, f, &n)) {
		if (n < 4 || f[0].n == 0 || piece_id(f[2], &uid) < 0 || piece_id(f[3], &gid) < 0)
			continue;
		if (by_id ? uid != id : !piece_is(f[0], name))
			continue;
		u->uid = uid;
		u->gid = gid;
		u->name = xstrndup(f[0].p, f[0].n);
		if (n > 5 && f[5].n)
			u->home = xstrndup(f[5].p, f[5].n);
		return true;
	}
	return false;
}

static bool find_group(struct piece group, const char *name, uint32_t *ret)
{
	struct piece f[LINE_FIELDS];
	uint32_t gid;
	size_t n;

	while (next_line(&group, f, &n)) {
		if (n < 3 || piece_id(f[2], &gid) < 0 || !piece_is(f[0], name))
			continue;
		*ret = gid;
		return true;
	}
	return false;
}

static void gids_add(struct spec_u32s *l, uint32_t gid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == gid)
			return;
	if (l->n < LIMIT_GROUPS)
		spec_u32s_add(l, gid);
}

static bool list_has(struct piece list, const char *name)
{
	while (list.n) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t k = comma ? (size_t)(comma - list.p) : list.n;

		if (piece_is((struct piece){list.p, k}, name))
			return true;
		k += comma != NULL;
		list.p += k;
		list.n -= k;
	}
	return false;
}

static void add_member_groups(struct piece group, const char *name, struct spec_u32s *ret)
{
	struct piece f[LINE_FIELDS];
	uint32_t gid;
	size_t n;

	while (next_line(&group, f, &n))
		if (n >= 4 && piece_id(f[2], &gid) == 0 && list_has(f[3], name))
			gids_add(ret, gid);
}

static int range_error(const char *text, struct err *e)
{
	return err_set(e, -EINVAL, "uids and gids must be in range 0-%u, and %.64s is not", ID_MAX,
		       text);
}

static int resolve_name(struct piece passwd, const char *name, struct user_info *u, struct err *e)
{
	uint32_t id = 0;
	int rc = *name ? piece_id((struct piece){name, strlen(name)}, &id) : 0;

	if (rc == -ERANGE)
		return range_error(name, e);
	if (!find_user(passwd, rc == 0, id, name, u)) {
		if (rc < 0)
			return err_set(e, -ENOENT,
				       "unable to find user %.128s: no matching entries "
				       "in passwd file",
				       name);
		u->uid = id;
	}
	return 0;
}

static int resolve_group(struct piece group, const char *name, uint32_t *ret, struct err *e)
{
	int rc = piece_id((struct piece){name, strlen(name)}, ret);

	if (rc == -ERANGE)
		return range_error(name, e);
	if (rc < 0 && !find_group(group, name, ret))
		return err_set(e, -ENOENT,
			       "unable to find group %.128s: no matching entries in "
			       "group file",
			       name);
	return 0;
}

static int resolve(struct piece passwd, struct piece group, const char *user,
		   const char *const *groups, struct user_info *u, struct err *e)
{
	size_t n = strcspn(user, ":");
	auto_free char *name = xstrndup(user, n);
	const char *group_name = user[n] ? user + n + 1 : "";
	int rc;

	if (strchr(group_name, ':'))
		return err_set(e, -EINVAL,
			       "%.128s is not a user, or a user and a group with one "
			       "colon between them",
			       user);
	rc = resolve_name(passwd, name, u, e);
	if (rc == 0 && *group_name)
		rc = resolve_group(group, group_name, &u->gid, e);
	if (rc < 0)
		return rc;
	/* The primary group is among the additional ones as well (CVE-2022-36109). */
	gids_add(&u->additional_gids, u->gid);
	if (!*group_name && u->name)
		add_member_groups(group, u->name, &u->additional_gids);
	for (; groups && *groups; groups++) {
		uint32_t gid;

		rc = resolve_group(group, *groups, &gid, e);
		if (rc < 0)
			return rc;
		gids_add(&u->additional_gids, gid);
	}
	if (!u->home)
		u->home = xstrdup("/");
	return 0;
}

int user_resolve_text(const char *passwd, size_t passwd_len, const char *group, size_t group_len,
		      const char *user, const char *const *groups, struct user_info *ret,
		      struct err *e)
{
	struct user_info u = {0};
	int rc = resolve((struct piece){passwd, passwd_len}, (struct piece){group, group_len},
			 user ? user : "", groups, &u, e);

	if (rc < 0) {
		user_info_done(&u);
		return rc;
	}
	*ret = u;
	return 0;
}

/* A missing file is empty; anything but a plain file of bounded size is refused. */
static int read_file(int root_fd, const char *path, struct buf *ret, struct err *e)
{
	auto_close int fd = path_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	int rc;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_code(e, fd, "cannot open the image's %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the image's %s is not a plain file", path);
	rc = file_read_fd(fd, ret);
	return rc < 0 ? err_code(e, rc, "cannot read the image's %s", path) : 0;
}

int user_resolve(int root_fd, const char *user, const char *const *groups, struct user_info *ret,
		 struct err *e)
{
	auto_buf passwd = BUF_INIT(LIMIT_PASSWD);
	auto_buf group = BUF_INIT(LIMIT_PASSWD);
	int rc = read_file(root_fd, "/etc/passwd", &passwd, e);

	if (rc == 0)
		rc = read_file(root_fd, "/etc/group", &group, e);
	if (rc < 0)
		return rc;
	return user_resolve_text(passwd.p, passwd.len, group.p, group.len, user, groups, ret, e);
}
