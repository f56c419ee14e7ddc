/*
 * images and load.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/text.h"
#include "cli/views.h"

static const struct column columns[] = {
	{"Repository", "REPOSITORY", true},   {"Tag", "TAG", true},
	{"Digest", "DIGEST", false},          {"ID", "IMAGE ID", true},
	{"CreatedSince", "CREATED", true},    {"Size", "SIZE", true},
	{"CreatedAt", "CREATED AT", false},   {"Containers", "CONTAINERS", false},
	{"SharedSize", "SHARED SIZE", false}, {"UniqueSize", "UNIQUE SIZE", false},
};

/* "name:tag" in two; the name's registry may have a port. */
static void reference_split(const char *ref, char **ret_name, char **ret_tag)
{
	const char *colon = strrchr(ref, ':');

	if (colon && strchr(colon, '/'))
		colon = NULL;
	*ret_name = colon ? xstrndup(ref, (size_t)(colon - ref)) : xstrdup(ref);
	*ret_tag = xstrdup(colon ? colon + 1 : "<none>");
}

static const char *digest_of(const struct image_view *v, const char *name)
{
	size_t n = strlen(name);

	STRS_EACH (d, &v->digests)
		if (strncmp(d, name, n) == 0 && d[n] == '@')
			return d + n + 1;
	return "<none>";
}

static void row_fill(json_t *row, const struct image_view *v, const char *ref, bool whole)
{
	auto_free char *name = NULL;
	auto_free char *tag = NULL;
	char text[TEXT_SHORT];

	reference_split(ref, &name, &tag);
	cell_text(row, "Repository", name);
	cell_text(row, "Tag", tag);
	cell_text(row, "Digest", digest_of(v, name));
	cell_take(row, "ID", id_short(v->id, whole));
	duration_human(clock_wall_ns() - v->created * NS_PER_SEC, text);
	cell_format(row, "CreatedSince", "%s ago", text);
	time_local(v->created * NS_PER_SEC, text);
	cell_text(row, "CreatedAt", text);
	size_human((double)v->size, 3, text);
	cell_text(row, "Size", text);
	cell_text(row, "UniqueSize", "N/A");
	cell_text(row, "SharedSize", "N/A");
	if (v->containers >= 0)
		cell_format(row, "Containers", "%" PRId64, v->containers);
	else
		cell_text(row, "Containers", "N/A");
}

static int images_get(struct cli *c, const struct flags *f, struct list_image_view *ret,
		      struct err *e)
{
	auto_buf path = CALL_PATH;
	const char *ref = f->n_args ? f->args[0] : NULL;
	int rc;

	path_add(&path, "/images/json");
	if (flag_true(f, "all"))
		path_query(&path, "all", "1");
	rc = path_filters(&path, flag_list(f, "filter"), ref ? "reference" : NULL, ref, e);
	return rc < 0 ? rc : call_get(c, buf_text(&path), &list_image_view_table, ret, e);
}

int cli_images(struct cli *c, const struct flags *f)
{
	struct column shown[ARRAY_LEN(columns)];
	struct list_image_view all = {0};
	struct err e = ERR_INIT;
	struct listing l;
	bool whole = flag_true(f, "no-trunc");
	int status;

	if (images_get(c, f, &all, &e) < 0)
		return cli_fail(c, &e);
	memcpy(shown, columns, sizeof shown);
	shown[2].shown = flag_true(f, "digests");
	listing_init(&l, shown, ARRAY_LEN(shown), "ID");
	LIST_EACH (v, &all.list) {
		STRS_EACH (tag, &v->tags)
			row_fill(listing_row(&l), v, tag, whole);
		if (v->tags.n == 0)
			row_fill(listing_row(&l), v, "<none>", whole);
	}
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_image_view_table, &all);
	return status;
}

/* load */

static ssize_t load_source(void *p, size_t len, void *data)
{
	ssize_t n = read(*(int *)data, p, len);

	return n < 0 ? -errno : n;
}

struct load_line {
	char *stream;
	char *error;
};
#define T struct load_line
static const struct field load_line_fields[] = {
	FIELD_STR(T, 0, stream, "stream", 0),
	FIELD_STR(T, 0, error, "error", 0),
};
#undef T
static TABLE_DEFINE(load_line, load_line_fields);

/* The answer is a JSON object a line; after the first byte errors are in it. */
static int load_lines(struct cli *c, struct buf *body, struct err *e)
{
	char *save = NULL;
	int rc = 0;

	for (char *text = strtok_r(body->p, "\r\n", &save); text && rc == 0;
	     text = strtok_r(NULL, "\r\n", &save)) {
		struct load_line line = {0};

		rc = json_read(&load_line_table, text, strlen(text), &line, e);
		if (rc == 0 && line.error)
			rc = err_set(e, -EREMOTEIO, "%s", line.error);
		else if (rc == 0 && line.stream)
			(void)fputs(line.stream, c->out);
		table_done(&load_line_table, &line);
	}
	return rc;
}

static int load_open(const char *input, int *ret_fd, struct err *e)
{
	if (!input && isatty(STDIN_FILENO))
		return err_set(e, -EINVAL,
			       "requested load from stdin, but stdin is empty; name a file with "
			       "--input");
	*ret_fd = input ? open(input, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	return *ret_fd < 0 ? err_sys(e, "open %s", input ? input : "stdin") : 0;
}

int cli_load(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	auto_close int fd = -1;
	struct http_call call = {.method = "POST", .source = load_source, .data = &fd};
	struct http_client *http;
	struct http_answer answer;
	struct err e = ERR_INIT;
	int rc;

	path_add(&path, "/images/load");
	path_query(&path, "quiet", "1");
	call.path = buf_text(&path);
	if (load_open(flag_text(f, "input"), &fd, &e) < 0 || call_client(c, &http, &e) < 0 ||
	    http_client_call(http, &call, &answer, &e) < 0)
		return cli_fail(c, &e);
	rc = call_refusal(&answer, &e);
	if (rc == 0 && answer.body.len)
		rc = load_lines(c, &answer.body, &e);
	http_answer_done(&answer);
	return rc < 0 ? cli_fail(c, &e) : 0;
}
