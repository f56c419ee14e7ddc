/*
 * Tables, JSON lines and templates of lists. See listing.h.
 */
#include "cli/listing.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/template.h"
#include "cli/text.h"

#define CELL_WIDTH_MIN 10
#define CELL_PADDING 3

void listing_init(struct listing *l, const struct column *columns, size_t n, const char *id)
{
	*l = (struct listing){columns, n, id, json_array()};
}

void listing_done(struct listing *l)
{
	json_decref(l->rows);
	*l = (struct listing){0};
}

json_t *listing_row(struct listing *l)
{
	json_t *row = json_object();

	for (size_t i = 0; i < l->n_columns; i++)
		cell_text(row, l->columns[i].name, "");
	json_array_append_new(l->rows, row);
	return row;
}

void cell_text(json_t *row, const char *name, const char *text)
{
	json_t *v = json_string(text ? text : "");

	/* What is not UTF-8 cannot be shown as JSON. */
	json_object_set_new(row, name, v ? v : json_string("?"));
}

void cell_format(json_t *row, const char *name, const char *fmt, ...)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	va_list args;

	va_start(args, fmt);
	(void)buf_vaddf(&b, fmt, args);
	va_end(args);
	cell_text(row, name, buf_text(&b));
}

void cell_take(json_t *row, const char *name, char *text)
{
	cell_text(row, name, text);
	free(text);
}

/* Columns */

static size_t cell_end(const char *line)
{
	return strcspn(line, "\t\n");
}

static void widths_of(const char *text, size_t *widths, size_t n)
{
	for (const char *p = text; *p; p += *p == '\n') {
		for (size_t i = 0;; i++) {
			size_t len = cell_end(p);
			auto_free char *cell = xstrndup(p, len);

			p += len;
			if (*p != '\t') /* the last cell of a line is not padded */
				break;
			if (i < n)
				widths[i] = MAX_OF(widths[i], text_width(cell) + CELL_PADDING);
			p++;
		}
	}
}

static size_t most_tabs(const char *text)
{
	size_t most = 0;
	size_t now = 0;

	for (; *text; text++) {
		now = *text == '\n' ? 0 : now + (*text == '\t');
		most = MAX_OF(most, now);
	}
	return most;
}

void columns_print(FILE *out, const char *text)
{
	size_t n = most_tabs(text);
	auto_free size_t *widths = xcalloc(n + 1, sizeof *widths);

	for (size_t i = 0; i < n; i++)
		widths[i] = CELL_WIDTH_MIN;
	widths_of(text, widths, n);
	for (const char *p = text; *p; p++) {
		for (size_t i = 0;; i++) {
			size_t len = cell_end(p);
			auto_free char *cell = xstrndup(p, len);

			(void)fputs(cell, out);
			p += len;
			if (*p != '\t')
				break;
			(void)fprintf(out, "%*s", (int)(widths[i] - text_width(cell)), "");
			p++;
		}
		(void)fputc('\n', out);
		if (!*p)
			break;
	}
}

/* The forms */

static const char *cell_of(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	return text ? text : "";
}

static void print_table(struct cli *c, const struct listing *l)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	const json_t *row;
	size_t at;
	const char *tab = "";

	for (size_t i = 0; i < l->n_columns; i++)
		if (l->columns[i].shown) {
			buf_addf(&b, "%s%s", tab, l->columns[i].header);
			tab = "\t";
		}
	buf_addc(&b, '\n');
	json_array_foreach(l->rows, at, row)
	{
		tab = "";
		for (size_t i = 0; i < l->n_columns; i++)
			if (l->columns[i].shown) {
				buf_addf(&b, "%s%s", tab, cell_of(row, l->columns[i].name));
				tab = "\t";
			}
		buf_addc(&b, '\n');
	}
	columns_print(c->out, buf_text(&b));
}

static void print_ids(struct cli *c, const struct listing *l)
{
	const json_t *row;
	size_t at;

	json_array_foreach(l->rows, at, row)(void) fprintf(c->out, "%s\n", cell_of(row, l->id));
}

static void print_json(struct cli *c, const struct listing *l)
{
	const json_t *row;
	size_t at;

	json_array_foreach(l->rows, at, row)
	{
		json_t *shown = json_object();
		char *text;
		const char *key;
		json_t *v;

		json_object_foreach((json_t *)(uintptr_t)row, key, v) if (*key != '.')
			json_object_set(shown, key, v);
		text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);
		(void)fprintf(c->out, "%s\n", text ? text : "{}");
		free(text);
		json_decref(shown);
	}
}

struct header {
	const struct listing *l;
	struct buf *ret;
};

static int header_literal(const char *text, size_t n, void *data, struct err *e)
{
	struct header *h = data;

	(void)e;
	return buf_add(h->ret, text, n);
}

static int header_field(const char *path, bool json, void *data, struct err *e)
{
	struct header *h = data;

	(void)json;
	(void)e;
	for (size_t i = 0; i < h->l->n_columns; i++)
		if (strcmp(h->l->columns[i].name, path) == 0)
			return buf_adds(h->ret, h->l->columns[i].header);
	return buf_adds(h->ret, "<no value>");
}

static int print_template(struct cli *c, const struct listing *l, const char *format)
{
	bool table = strncmp(format, "table ", 6) == 0;
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct header h = {l, &b};
	struct template_parts parts = {header_literal, header_field, &h};
	struct err e = ERR_INIT;
	const json_t *row;
	size_t at;

	if (table) {
		format += 6;
		if (template_walk(format, &parts, &e) < 0)
			return cli_fail(c, &e);
		buf_addc(&b, '\n');
	}
	json_array_foreach(l->rows, at, row)
	{
		if (template_run(format, row, &b, &e) < 0)
			return cli_fail(c, &e);
		buf_addc(&b, '\n');
	}
	if (table)
		columns_print(c->out, buf_text(&b));
	else
		(void)fputs(buf_text(&b), c->out);
	return 0;
}

int listing_print(struct cli *c, const struct listing *l, const struct flags *f)
{
	const char *format = flag_text(f, "format");

	if (flag_true(f, "quiet"))
		print_ids(c, l);
	else if (!format || !*format || strcmp(format, "table") == 0)
		print_table(c, l);
	else if (strcmp(format, "json") == 0)
		print_json(c, l);
	else
		return print_template(c, l, format);
	return 0;
}
