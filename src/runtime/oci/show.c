/*
 * state and list: what is known of containers, in runc's words.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/jtable.h"
#include "runtime/container/user.h"
#include "runtime/oci/state.h"

#define LIST_MAX (64u << 20) /* bytes of the whole list as JSON */
#define COLUMNS 6

static void put_member(struct buf *b, const char *name, const char *value, bool pretty)
{
	buf_addf(b, pretty ? ",\n  \"%s\": " : ",\"%s\":", name);
	jt_write_text(b, value ? value : "");
}

static void put_annotations(struct buf *b, const struct spec_pairs *l, bool pretty)
{
	if (!l->n)
		return;
	buf_adds(b, pretty ? ",\n  \"annotations\": {" : ",\"annotations\":{");
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(b, i ? "," : "");
		buf_adds(b, pretty ? "\n    " : "");
		jt_write_text(b, l->v[i].key);
		buf_adds(b, pretty ? ": " : ":");
		jt_write_text(b, l->v[i].value);
	}
	buf_adds(b, pretty ? "\n  }" : "}");
}

/* The pid of a container that has stopped is 0, as runc shows it. */
static int shown_pid(const struct oci_container *c, enum oci_status s)
{
	return s == OCI_STOPPED || c->record.pid == SPEC_UNSET ? 0 : (int)c->record.pid;
}

/* A user who is in no passwd file is shown as "#1000". */
static char *owner_of(const struct oci_container *c)
{
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct user_info u = {0};
	char number[24];
	char *ret;

	snprintf(number, sizeof(number), "%u", c->owner);
	if (root < 0 || user_resolve(root, number, NULL, &u, NULL) < 0 || !u.name)
		ret = xasprintf("#%s", number);
	else
		ret = xstrdup(u.name);
	user_info_done(&u);
	return ret;
}

static void put_state(struct buf *b, const struct oci_container *c, const char *owner, bool pretty)
{
	const struct oci_record *r = &c->record;
	enum oci_status s = oci_status(c);

	buf_addf(b, pretty ? "{\n  \"ociVersion\": \"%s\"" : "{\"ociVersion\":\"%s\"",
		 SPEC_OCI_VERSION);
	put_member(b, "id", c->id, pretty);
	buf_addf(b, pretty ? ",\n  \"pid\": %d" : ",\"pid\":%d", shown_pid(c, s));
	put_member(b, "status", oci_status_name(s), pretty);
	put_member(b, "bundle", r->bundle, pretty);
	put_member(b, "rootfs", r->rootfs, pretty);
	put_member(b, "created", r->created ? r->created : "0001-01-01T00:00:00Z", pretty);
	put_annotations(b, &r->annotations, pretty);
	put_member(b, "owner", owner, pretty);
	buf_adds(b, pretty ? "\n}" : "}");
}

int oci_state(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_container c = OCI_CONTAINER_INIT;
	auto_buf b = BUF_INIT(LIMIT_OCI_STATE * 2);
	int rc = oci_state_open(o, argv[0], OCI_UNLOCKED, &c, e);

	if (rc < 0)
		return rc;
	put_state(&b, &c, "", true);
	return oci_print(&b, e);
}

struct row {
	char *cell[COLUMNS];
};

struct listing {
	struct buf json;
	struct row *rows;
	size_t n;
};

static void add_row(struct listing *l, const struct oci_container *c, const char *owner)
{
	enum oci_status s = oci_status(c);
	struct row *r;

	l->rows = xreallocarray(l->rows, l->n + 1, sizeof(*l->rows));
	r = &l->rows[l->n++];
	r->cell[0] = xstrdup(c->id);
	r->cell[1] = xasprintf("%d", shown_pid(c, s));
	r->cell[2] = xstrdup(oci_status_name(s));
	r->cell[3] = xstrdup(c->record.bundle ? c->record.bundle : "");
	r->cell[4] = xstrdup(c->record.created ? c->record.created : "");
	r->cell[5] = xstrdup(owner);
}

/* As Go's tabwriter does it for runc: columns of at least 12, three blanks between them. */
static void print_table(const struct listing *l, struct buf *b)
{
	static const char *const titles[COLUMNS] = {"ID",     "PID",     "STATUS",
						    "BUNDLE", "CREATED", "OWNER"};
	size_t width[COLUMNS];

	for (int k = 0; k < COLUMNS; k++) {
		width[k] = MAX_OF(strlen(titles[k]) + 3, 12);
		for (size_t i = 0; i < l->n; i++)
			width[k] = MAX_OF(width[k], strlen(l->rows[i].cell[k]) + 3);
	}
	for (size_t i = 0; i <= l->n; i++) {
		for (int k = 0; k < COLUMNS; k++) {
			const char *text = i ? l->rows[i - 1].cell[k] : titles[k];

			buf_addf(b, "%-*s", k + 1 < COLUMNS ? (int)width[k] : 0, text);
		}
		buf_addc(b, '\n');
	}
}

static void list_one(struct oci *o, const char *id, struct listing *l)
{
	auto_container c = OCI_CONTAINER_INIT;
	auto_free char *owner = NULL;
	struct err why = ERR_INIT;
	int rc = oci_state_open(o, id, OCI_UNLOCKED, &c, &why);

	/* One that is deleted meanwhile is none, and one whose state is lost hides no other. */
	if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
		oci_warn(o, err_text(&why));
	if (rc < 0)
		return;
	owner = owner_of(&c);
	buf_adds(&l->json, l->n ? "," : "[");
	put_state(&l->json, &c, owner, false);
	add_row(l, &c, owner);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int print_list(const struct oci_flags *f, struct listing *l, struct err *e)
{
	auto_buf text = BUF_INIT(LIST_MAX);

	if (f->quiet) {
		for (size_t i = 0; i < l->n; i++)
			buf_addf(&text, "%s\n", l->rows[i].cell[0]);
		return oci_print(&text, e);
	}
	if (!f->format || strcmp(f->format, "table") == 0) {
		print_table(l, &text);
		return oci_print(&text, e);
	}
	if (strcmp(f->format, "json") != 0)
		return err_set(e, -EINVAL, "invalid format option: %.32s", f->format);
	buf_adds(&l->json, l->n ? "]" : "null");
	return oci_print(&l->json, e);
}

int oci_list(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	struct listing l = {.json = BUF_INIT(LIST_MAX)};
	struct dirent **names = NULL;
	int n = scandir(o->root, &names, oci_state_is_entry, by_name), rc;

	if (n < 0 && errno != ENOENT)
		return err_sys(e, "cannot read the state directory %s", o->root);
	for (int i = 0; i < n; i++) {
		list_one(o, names[i]->d_name, &l);
		free(names[i]);
	}
	free(names);
	rc = print_list(f, &l, e);
	for (size_t i = 0; i < l.n; i++)
		for (int k = 0; k < COLUMNS; k++)
			free(l.rows[i].cell[k]);
	free(l.rows);
	buf_done(&l.json);
	return rc;
}
