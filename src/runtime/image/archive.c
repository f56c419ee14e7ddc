/*
 * See archive.h.
 */
#include "runtime/image/archive.h"

#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/image/blob.h"
#include "runtime/image/digest.h"

#define ARCHIVE_BLOCK (256u << 10)
#define ARCHIVE_LINKS 8          /* links to links that are followed */
#define ARCHIVE_REST (16u << 20) /* bytes after the archive's end that are taken and dropped */
#define BLOBS "blobs/sha256/"

struct reading {
	int fd;
	int dir;
	int rc;
	char *block;
	struct archive *a;
	struct digest *digest;
	struct image_archive *ret;
	struct err *e;
	size_t room; /* members that there is memory for */
};

static la_ssize_t reading_block(struct archive *a, void *arg, const void **ret)
{
	struct reading *r = arg;
	ssize_t n;

	do
		n = read(r->fd, r->block, ARCHIVE_BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		r->rc = err_sys(r->e, "cannot read the archive");
	*ret = r->block;
	return n;
}

static int reading_failed(struct reading *r)
{
	const char *text = archive_error_string(r->a);

	if (r->rc < 0)
		return r->rc;
	return err_set(r->e, -EBADMSG, "the archive is damaged or not a tar: %s",
		       text ? text : "unknown");
}

/*
 * A name inside the archive in its plain form: `name` taken from the folder of `base` (NULL: from
 * the top). Only text: such names never become paths.
 */
static char *member_name(const char *base, const char *name)
{
	auto_free char *whole = NULL;
	const char *slash = base && *name != '/' ? strrchr(base, '/') : NULL;
	char *ret, *end;

	whole = slash ? xasprintf("%.*s/%s", (int)(slash - base), base, name) : xstrdup(name);
	ret = end = xmalloc(strlen(whole) + 1);
	for (const char *at = whole; *at;) {
		size_t n = strcspn(at, "/");

		if (n == 2 && memcmp(at, "..", 2) == 0) {
			while (end > ret && *--end != '/')
				;
		} else if (n > 0 && !(n == 1 && *at == '.')) {
			if (end > ret)
				*end++ = '/';
			memcpy(end, at, n);
			end += n;
		}
		at += n;
		at += *at == '/';
	}
	*end = '\0';
	return ret;
}

static int member_store(struct reading *r, struct archive_member *m)
{
	auto_close int fd = openat(r->dir, m->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const void *p;
	la_int64_t at;
	size_t n;
	int rc;

	if (fd < 0)
		return err_sys(r->e, "cannot store a member of the archive");
	while ((rc = archive_read_data_block(r->a, &p, &n, &at)) == ARCHIVE_OK) {
		if (n == 0)
			continue;
		/* A sparse member would be another one on the disk than in the digest. */
		if ((uint64_t)at != m->size)
			return err_set(r->e, -EINVAL, "the archive's member %.200s is sparse",
				       m->name);
		rc = file_write_fd(fd, p, n);
		if (rc < 0)
			return err_code(r->e, rc, "cannot store the archive's member %.200s",
					m->name);
		digest_add(r->digest, p, n);
		m->size += n;
	}
	digest_end(r->digest, m->digest);
	return rc == ARCHIVE_EOF ? 0 : reading_failed(r);
}

/* A member that is named after its digest must have it. */
static int member_verify(const struct archive_member *m, struct err *e)
{
	size_t n = strlen(BLOBS);

	if (strncmp(m->name, BLOBS, n) != 0 || strlen(m->name + n) != ID_HOST_LEN ||
	    strcmp(m->name + n, m->digest + strlen("sha256:")) == 0)
		return 0;
	return err_set(e, -EBADMSG, "the archive's member %s is damaged: its content is %s",
		       m->name, m->digest);
}

/* Zeroed. The memory doubles: there may be as many as the bound says. */
static struct archive_member *member_add(struct reading *r)
{
	struct archive_member *m;

	if (r->ret->members.n == r->room) {
		r->room = MAX_OF(r->room * 2, (size_t)16);
		r->ret->members.v =
			xreallocarray(r->ret->members.v, r->room, sizeof *r->ret->members.v);
	}
	m = &r->ret->members.v[r->ret->members.n++];
	memset(m, 0, sizeof *m);
	return m;
}

static int reading_member(struct reading *r, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry), *link = archive_entry_hardlink(entry);
	mode_t type = archive_entry_filetype(entry);
	struct archive_member *m;
	int rc;

	if (!name || strlen(name) >= PATH_MAX)
		return err_set(r->e, -EINVAL, "a member of the archive has no usable name");
	if (!link && type != AE_IFREG && type != AE_IFLNK)
		return 0;
	if (r->ret->members.n >= LIMIT_ARCHIVE_MEMBERS)
		return err_set(r->e, -EMSGSIZE, "the archive has more than %d members",
			       LIMIT_ARCHIVE_MEMBERS);
	m = member_add(r);
	m->name = member_name(NULL, name);
	snprintf(m->file, sizeof m->file, "%zu", r->ret->members.n);
	if (link) {
		m->link = member_name(NULL, link);
	} else if (type == AE_IFLNK) {
		link = archive_entry_symlink(entry);
		m->link = member_name(m->name, link && strlen(link) < PATH_MAX ? link : "");
	} else {
		rc = member_store(r, m);
		return rc < 0 ? rc : member_verify(m, r->e);
	}
	return 0;
}

/* By name; of several with one name the last comes first, as it is the one that counts. */
static int member_order(const void *a, const void *b)
{
	const struct archive_member *ma = a, *mb = b;
	int order = strcmp(ma->name, mb->name);

	if (order != 0)
		return order;
	return (int)strtol(mb->file, NULL, 10) - (int)strtol(ma->file, NULL, 10);
}

static int reading_run(struct reading *r)
{
	struct archive_entry *entry;
	const void *ignored;
	size_t rest = 0;
	ssize_t n;
	int rc;

	if (archive_read_open(r->a, r, NULL, reading_block, NULL) != ARCHIVE_OK)
		return reading_failed(r);
	while ((rc = archive_read_next_header(r->a, &entry)) != ARCHIVE_EOF) {
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return reading_failed(r);
		rc = reading_member(r, entry);
		if (rc < 0)
			return rc;
	}
	/* Whoever sends the archive would see a broken pipe if its padding were left unread. */
	while (rest < ARCHIVE_REST && (n = reading_block(r->a, r, &ignored)) > 0)
		rest += (size_t)n;
	if (r->ret->members.n > 0)
		qsort(r->ret->members.v, r->ret->members.n, sizeof *r->ret->members.v,
		      member_order);
	return 0;
}

int image_archive_read(int fd, int dirfd, struct image_archive *ret, struct err *e)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;
	auto_digest *digest = digest_new();
	auto_free char *block = xmalloc(ARCHIVE_BLOCK);
	struct reading r = {
		.fd = fd, .dir = dirfd, .block = block, .digest = digest, .ret = ret, .e = e};
	int rc;

	*ret = (struct image_archive){.dir = dirfd};
	if (utf8)
		before = uselocale(utf8);
	r.a = archive_read_new();
	if (!r.a)
		abort();
	blob_filters(r.a);
	(void)archive_read_support_format_tar(r.a);
	rc = reading_run(&r);
	(void)archive_read_free(r.a);
	if (utf8) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	if (rc < 0)
		image_archive_done(ret);
	return rc;
}

void image_archive_done(struct image_archive *a)
{
	LIST_EACH (m, &a->members) {
		free(m->name);
		free(m->link);
	}
	free(a->members.v);
	*a = (struct image_archive){.dir = -1};
}

static const struct archive_member *member_find(const struct image_archive *a, const char *name)
{
	size_t lo = 0, hi = a->members.n;

	while (lo < hi) { /* the first of its name */
		size_t mid = (lo + hi) / 2;

		if (strcmp(a->members.v[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < a->members.n && strcmp(a->members.v[lo].name, name) == 0 ? &a->members.v[lo]
									     : NULL;
}

const struct archive_member *image_archive_find(const struct image_archive *a, const char *name)
{
	auto_free char *plain = member_name(NULL, name);
	const struct archive_member *m = member_find(a, plain);

	for (int i = 0; m && m->link; i++)
		m = i < ARCHIVE_LINKS ? member_find(a, m->link) : NULL;
	return m;
}

const struct archive_member *image_archive_blob(const struct image_archive *a, const char *digest)
{
	auto_free char *name = NULL;
	const struct archive_member *m;

	if (!digest || !digest_valid(digest))
		return NULL;
	name = xasprintf(BLOBS "%s", digest + strlen("sha256:"));
	m = image_archive_find(a, name);
	/* Through a link it could be another one. */
	return m && strcmp(m->digest, digest) == 0 ? m : NULL;
}

int image_archive_text(const struct image_archive *a, const struct archive_member *m,
		       struct buf *ret, struct err *e)
{
	int rc = m->size > ret->max ? -EMSGSIZE : file_read_at(a->dir, m->file, ret);

	if (rc == -EMSGSIZE)
		return err_set(e, rc, "the archive's member %.200s is larger than %zu bytes",
			       m->name, ret->max);
	return rc < 0 ? err_code(e, rc, "cannot read the archive's member %.200s", m->name) : 0;
}
