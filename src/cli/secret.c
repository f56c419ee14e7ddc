/*
 * secret and config: ls and create. The two differ by their names and by what ls shows.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/service_spec.h"
#include "cli/text.h"
#include "cli/views.h"

static const struct column secret_columns[] = {
	{"ID", "ID", true},
	{"Name", "NAME", true},
	{"Driver", "DRIVER", true},
	{"CreatedAt", "CREATED", true},
	{"UpdatedAt", "UPDATED", true},
	{"Labels", "LABELS", false},
};
static const struct column config_columns[] = {
	{"ID", "ID", true},
	{"Name", "NAME", true},
	{"CreatedAt", "CREATED", true},
	{"UpdatedAt", "UPDATED", true},
	{"Labels", "LABELS", false},
};

static void ago_cell(json_t *row, const char *name, int64_t then_ns)
{
	char text[TEXT_SHORT];
	auto_free char *ago = NULL;

	duration_human(clock_wall_ns() - then_ns, text);
	ago = xasprintf("%s ago", text);
	cell_text(row, name, ago);
}

static void row_fill(json_t *row, const struct secret *s)
{
	auto_buf labels = BUF_INIT(LIMIT_HTTP_ANSWER);

	LIST_EACH (l, &s->spec.labels)
		buf_addf(&labels, "%s%s=%s", labels.len ? "," : "", l->key, l->value);
	cell_text(row, "ID", s->o.id);
	cell_text(row, "Name", s->spec.name);
	cell_text(row, "Driver", s->spec.driver ? s->spec.driver->name : "");
	ago_cell(row, "CreatedAt", s->o.created);
	ago_cell(row, "UpdatedAt", s->o.updated);
	cell_text(row, "Labels", buf_text(&labels));
}

static int by_name(const void *a, const void *b)
{
	const struct secret *x = a, *y = b;

	return strverscmp(x->spec.name ? x->spec.name : "", y->spec.name ? y->spec.name : "");
}

static int ls(struct cli *c, const struct flags *f, const char *route, const struct column *columns,
	      size_t n_columns)
{
	auto_buf path = CALL_PATH;
	struct list_secret all = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	path_add(&path, route);
	if (path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e) < 0 ||
	    call_get(c, buf_text(&path), &list_secret_table, &all, &e) < 0)
		return cli_fail(c, &e);
	if (all.list.n)
		qsort(all.list.v, all.list.n, sizeof *all.list.v, by_name);
	listing_init(&l, columns, n_columns, "ID");
	LIST_EACH (s, &all.list)
		row_fill(listing_row(&l), s);
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_secret_table, &all);
	return status;
}

int cli_secret_ls(struct cli *c, const struct flags *f)
{
	return ls(c, f, "/secrets", secret_columns, ARRAY_LEN(secret_columns));
}

int cli_config_ls(struct cli *c, const struct flags *f)
{
	return ls(c, f, "/configs", config_columns, ARRAY_LEN(config_columns));
}

/* The stored table has no JSON for the bytes: this one is for the way to the daemon alone. */
#define T struct secret_spec
static const struct field upload_fields[] = {
	FIELD_STR(T, 0, name, "Name", 0),
	FIELD_STRMAP(T, 0, labels, "Labels", 0),
	FIELD_BYTES(T, 0, data, "Data", 0),
	FIELD_PTR(T, 0, driver, "Driver", FIELD_OMIT, driver),
	FIELD_PTR(T, 0, templating, "Templating", FIELD_OMIT, driver),
};
#undef T
static const struct table upload_table = {.name = "upload",
					  .fields = upload_fields,
					  .n_fields = ARRAY_LEN(upload_fields),
					  .size = sizeof(struct secret_spec)};

/* From a file, or from the standard input for "-". One byte too many is the daemon's to refuse. */
static int data_read(const char *path, struct bytes *ret, struct err *e)
{
	struct buf b = BUF_INIT(LIMIT_CONFIG_DATA + 1);
	auto_close int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
						   : open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : file_read_fd(fd, &b);

	if (rc < 0) {
		buf_done(&b);
		return err_code(e, rc, "cannot read %s", path);
	}
	ret->n = b.len;
	ret->p = (uint8_t *)buf_take(&b);
	return 0;
}

static void driver_set(struct driver **ret, const char *name)
{
	if (!name || !*name)
		return;
	*ret = xcalloc(1, sizeof **ret);
	(*ret)->name = xstrdup(name);
}

static int create(struct cli *c, const struct flags *f, const char *route, bool drivers)
{
	struct secret_spec spec = {.name = xstrdup(f->args[0])};
	struct id_view created = {0};
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct err e = ERR_INIT;
	int rc = 0;

	STRS_EACH (item, flag_list(f, "label"))
		label_put(&spec.labels, item);
	driver_set(&spec.templating, flag_text(f, "template-driver"));
	if (drivers)
		driver_set(&spec.driver, flag_text(f, "driver"));
	if (f->n_args > 1)
		rc = data_read(f->args[1], &spec.data, &e);
	else if (!spec.driver)
		rc = err_set(&e, -EINVAL, "a file to read from is missing (\"-\": standard input)");
	path_add(&path, route);
	if (rc == 0)
		rc = call_body(&upload_table, &spec, &body, &e);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, &created, &e);
	if (rc == 0)
		(void)fprintf(c->out, "%s\n", created.id ? created.id : "");
	if (body.p)
		explicit_bzero(body.p, body.len);
	table_done(&secret_spec_table, &spec);
	table_done(&id_view_table, &created);
	return rc < 0 ? cli_fail(c, &e) : 0;
}

int cli_secret_create(struct cli *c, const struct flags *f)
{
	return create(c, f, "/secrets/create", true);
}

int cli_config_create(struct cli *c, const struct flags *f)
{
	return create(c, f, "/configs/create", false);
}
