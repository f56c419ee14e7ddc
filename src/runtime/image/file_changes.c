/*
 * See file_changes.h. One folder is open at a time, in each layer that has it: every step opens it
 * again by its path from the layer's root, below which no link is followed.
 */
#include "runtime/image/file_changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/limits.h"
#include "runtime/image/snapshot.h"
#include "runtime/image/tree_impl.h"

/* Folders of layers, top-most first. */
struct layers {
	int fd[LIMIT_IMAGE_LAYERS];
	size_t n;
};

struct changes {
	const struct strs *lowers;
	const char *upper;
	const char *const *made;
	struct layers roots;
	int root;
	struct buf path; /* of the folder that is looked at, "" for the root */
	size_t n_seen, files_max;
	struct buf *ret;
};

/* Which of the roots have a part in what is seen at some path; ends where a layer hides the rest.
 */
struct view {
	unsigned char layer[LIMIT_IMAGE_LAYERS];
	size_t n;
};

/* What is known of a name once its folder is closed again. */
struct entry {
	const char *name;
	enum { NOTHING, GONE, FILE_HERE, FOLDER } now;
	bool had;           /* the image has something there */
	bool same;          /* of the same kind, mode and owner */
	struct view *below; /* a folder's */
};

static void layers_done(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->fd[i]);
	l->n = 0;
}

static bool is_gone(int rc)
{
	return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP;
}

static bool is_opaque(int fd)
{
	char c;

	return fgetxattr(fd, "trusted.overlay.opaque", &c, 1) == 1 && c == 'y';
}

static bool is_opaque_at(int dir, const char *name)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && is_opaque(fd);
}

static int record(struct changes *c, enum file_change_kind kind, struct err *e)
{
	(void)buf_addf(c->ret, "%d/%s", (int)kind, buf_text(&c->path));
	if (buf_add(c->ret, "", 1) < 0)
		return err_set(e, -E2BIG, "the changed files' names have more than %zu bytes",
			       c->ret->max);
	return 0;
}

bool file_changes_next(const struct buf *b, size_t *at, struct file_change *ret)
{
	if (*at >= b->len)
		return false;
	ret->kind = (enum file_change_kind)(b->p[*at] - '0');
	ret->path = b->p + *at + 1;
	*at += 1 + strlen(ret->path) + 1;
	return true;
}

/* Adds the names in a folder; `fd` stays open. */
static int read_names(struct changes *c, int fd, struct strs *names, struct err *e)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	int rc = 0;

	if (!dir) {
		rc = err_sys(e, "cannot read the folder /%s", buf_text(&c->path));
		if (own >= 0)
			close(own);
		return rc;
	}
	for (struct dirent *d; rc == 0 && (d = readdir(dir));) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (++c->n_seen > c->files_max)
			rc = err_set(e, -E2BIG, "the container has changed more than %zu files",
				     c->files_max);
		else
			strs_add(names, d->d_name);
	}
	closedir(dir);
	return rc;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_lowers(const struct changes *c, const struct view *v, struct layers *ret,
		       struct err *e)
{
	for (size_t i = 0; i < v->n; i++) {
		int fd = tree_open_below(c->roots.fd[v->layer[i]], buf_text(&c->path),
					 O_RDONLY | O_DIRECTORY);

		if (fd < 0)
			return err_code(e, fd, "cannot open /%s in the layer %s",
					buf_text(&c->path), c->lowers->v[v->layer[i]]);
		ret->fd[ret->n++] = fd;
	}
	return 0;
}

/* What the image shows at `name`: 1 and its stat and view, 0 when nothing. */
static int look_below(const struct view *v, const struct layers *l, const char *name,
		      struct stat *ret, struct view *below)
{
	int found = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct stat st;

		if (fstatat(l->fd[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (tree_is_whiteout(&st))
			break;
		if (!found)
			*ret = st;
		found = 1;
		if (!S_ISDIR(st.st_mode))
			break;
		below->layer[below->n++] = v->layer[i];
		if (is_opaque_at(l->fd[i], name))
			break;
	}
	return found;
}

static int path_push(struct changes *c, const char *name, struct err *e)
{
	(void)buf_addf(&c->path, "%s%s", c->path.len ? "/" : "", name);
	if (buf_status(&c->path) < 0)
		return err_set(e, -ENAMETOOLONG,
			       "the path of a changed file is longer than %d bytes", PATH_MAX - 2);
	return 0;
}

static void path_pop(struct changes *c, size_t len)
{
	buf_cut(&c->path, len);
}

static bool is_made(const struct changes *c, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode) && !(S_ISREG(st->st_mode) && st->st_size == 0))
		return false;
	for (const char *const *m = c->made; *m; m++)
		if (strcmp(*m, buf_text(&c->path)) == 0)
			return true;
	return false;
}

/* c->path is the entry's. `now` is NULL for what the writable layer does not have. */
static void judge(const struct changes *c, const struct stat *now, const struct stat *was,
		  const struct view *below, struct entry *ret)
{
	ret->had = was != NULL;
	if (!now || tree_is_whiteout(now)) {
		ret->now = was ? GONE : NOTHING;
		return;
	}
	if (!was && is_made(c, now)) {
		ret->had = true;
		was = now;
	}
	ret->now = S_ISDIR(now->st_mode) ? FOLDER : was == now ? NOTHING : FILE_HERE;
	ret->same = was && now->st_mode == was->st_mode && now->st_uid == was->st_uid &&
		    now->st_gid == was->st_gid;
	if (ret->now == FOLDER)
		ret->below = xmemdup(below, sizeof *below);
}

/* Fills an entry for each of the sorted names. */
static int judge_each(struct changes *c, const struct view *v, int upper, const struct layers *l,
		      const struct strs *names, bool hidden, struct entry *ret, struct err *e)
{
	size_t len = c->path.len;

	for (size_t i = 0; i < names->n; i++) {
		struct view below = {.n = 0};
		struct stat now, was;
		bool is, had;
		int rc;

		ret[i].name = names->v[i];
		if (i && strcmp(names->v[i], names->v[i - 1]) == 0)
			continue;
		is = fstatat(upper, names->v[i], &now, AT_SYMLINK_NOFOLLOW) == 0;
		if (!is && !hidden)
			continue; /* removed while we look: the container runs */
		had = look_below(v, l, names->v[i], &was, &below);
		rc = path_push(c, names->v[i], e);
		if (rc < 0)
			return rc;
		judge(c, is ? &now : NULL, had ? &was : NULL, &below, &ret[i]);
		path_pop(c, len);
	}
	return 0;
}

static int walk(struct changes *c, const struct view *v, int depth, bool hidden, struct err *e);

static int tell(struct changes *c, const struct entry *n, int depth, bool hidden, struct err *e)
{
	size_t start = c->ret->len, own;
	int rc;

	if (n->now == NOTHING)
		return 0;
	if (n->now == GONE)
		return record(c, FILE_DELETED, e);
	rc = record(c, n->had ? FILE_MODIFIED : FILE_ADDED, e);
	if (rc < 0 || n->now != FOLDER)
		return rc;
	own = c->ret->len;
	rc = walk(c, n->below, depth + 1, hidden, e);
	/* Its being there means nothing by itself: something in it may have come and gone. */
	if (rc == 0 && n->same && c->ret->len == own)
		buf_cut(c->ret, start);
	return rc;
}

static int tell_each(struct changes *c, const struct entry *entries, size_t n, int depth,
		     bool hidden, struct err *e)
{
	size_t len = c->path.len;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = path_push(c, entries[i].name, e);
		if (rc == 0)
			rc = tell(c, &entries[i], depth, hidden, e);
		path_pop(c, len);
	}
	return rc;
}

/* Opens the folder c->path wherever it is, and reads all that there is to know in it. */
static int read_folder(struct changes *c, const struct view *v, bool *hidden, struct strs *names,
		       struct entry **ret, struct err *e)
{
	struct layers l = {.n = 0};
	auto_close int fd = tree_open_below(c->root, buf_text(&c->path), O_RDONLY | O_DIRECTORY);
	int rc;

	if (is_gone(fd))
		return 0;
	if (fd < 0)
		return err_code(e, fd, "cannot open the folder /%s", buf_text(&c->path));
	*hidden = *hidden || is_opaque(fd);
	rc = read_names(c, fd, names, e);
	if (rc == 0)
		rc = open_lowers(c, v, &l, e);
	for (size_t i = 0; rc == 0 && *hidden && i < l.n; i++)
		rc = read_names(c, l.fd[i], names, e);
	if (rc == 0 && names->n) {
		qsort(names->v, names->n, sizeof *names->v, by_name);
		*ret = xcalloc(names->n, sizeof **ret);
		rc = judge_each(c, v, fd, &l, names, *hidden, *ret, e);
	}
	layers_done(&l);
	return rc;
}

/*
 * The folder c->path of the writable layer. `hidden`: nothing of the layers below shows through, so
 * what they have and it has not is deleted.
 */
static int walk(struct changes *c, const struct view *v, int depth, bool hidden, struct err *e)
{
	struct strs names = {0};
	struct entry *entries = NULL;
	int rc;

	if (depth > LIMIT_CHANGES_DEPTH)
		return err_set(e, -ENAMETOOLONG, "a changed file is more than %d folders deep",
			       LIMIT_CHANGES_DEPTH);
	rc = read_folder(c, v, &hidden, &names, &entries, e);
	if (rc == 0 && entries)
		rc = tell_each(c, entries, names.n, depth, hidden, e);
	for (size_t i = 0; entries && i < names.n; i++)
		free(entries[i].below);
	free(entries);
	strs_done(&names);
	return rc;
}

static int changes_open(struct changes *c, struct view *v, struct err *e)
{
	c->root = open(c->upper, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->root < 0)
		return err_sys(e, "cannot open the container's writable layer %s", c->upper);
	STRS_EACH (lower, c->lowers) {
		int fd = -1;

		if (v->n == LIMIT_IMAGE_LAYERS)
			return err_set(e, -E2BIG, "the image has more than %d layers",
				       LIMIT_IMAGE_LAYERS);
		fd = open(lower, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "cannot open the image's layer %s", lower);
		c->roots.fd[c->roots.n++] = fd;
		v->layer[v->n] = (unsigned char)v->n;
		v->n++;
	}
	return 0;
}

int snapshot_changes(struct image_store *store, const char *container_id, const char *const *made,
		     size_t files_max, struct buf *ret, struct err *e)
{
	struct snapshot s;
	struct view v = {.n = 0};
	int rc = snapshot_get(store, container_id, &s, e);
	struct changes c = {.lowers = &s.lowers,
			    .made = made,
			    .root = -1,
			    .files_max = files_max,
			    .path = BUF_INIT(PATH_MAX - 2),
			    .ret = ret};

	if (rc < 0)
		return rc;
	c.upper = s.upper;
	rc = changes_open(&c, &v, e);
	if (rc == 0)
		rc = walk(&c, &v, 0, false, e);
	if (c.root >= 0)
		close(c.root);
	layers_done(&c.roots);
	buf_done(&c.path);
	table_done(&snapshot_table, &s);
	return rc;
}
