/*
 * shoal stats: what containers use, as a table that is made anew each second. Each reading is asked
 * for alone; shares of the processors are the difference from the one before.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/text.h"

#define CLEAR "\033[H\033[2J" /* the cursor home, the screen empty */

static const struct column columns[] = {
	{"ID", "CONTAINER ID", true},      {"Name", "NAME", true},
	{"CPUPerc", "CPU %", true},        {"MemUsage", "MEM USAGE / LIMIT", true},
	{"MemPerc", "MEM %", true},        {"NetIO", "NET I/O", true},
	{"BlockIO", "BLOCK I/O", true},    {"PIDs", "PIDS", true},
	{"Container", "CONTAINER", false},
};

/* The processors' times of the reading before, by container. */
struct before {
	char *id;
	double used, system;
};

struct stats {
	struct cli *c;
	const struct flags *f;
	LIST_OF(struct before) before;
};

static double number(const json_t *v, const char *a, const char *b)
{
	const json_t *at = json_object_get(v, a);

	return json_number_value(b ? json_object_get(at, b) : at);
}

static struct before *before_of(struct stats *s, const char *id)
{
	struct before *b;

	LIST_EACH (known, &s->before)
		if (strcmp(known->id, id) == 0)
			return known;
	b = LIST_ADD(&s->before);
	b->id = xstrdup(id);
	return b;
}

/* Docker's: the container's part of what all processors did meanwhile, 100 for each of them. */
static double cpu_percent(struct stats *s, const char *id, const json_t *v)
{
	const json_t *cpu = json_object_get(v, "cpu_stats");
	double used = number(cpu, "cpu_usage", "total_usage");
	double system = number(cpu, "system_cpu_usage", NULL);
	struct before *b = before_of(s, id);
	double ret = 0;

	if (b->system > 0 && system > b->system && used > b->used)
		ret = (used - b->used) / (system - b->system) * number(cpu, "online_cpus", NULL) *
		      100;
	b->used = used;
	b->system = system;
	return ret;
}

/* Without the pages of files that nothing has used of late, as docker has it. */
static double memory_used(const json_t *memory)
{
	const json_t *raw = json_object_get(memory, "stats");
	const json_t *v1 = json_object_get(raw, "total_inactive_file");
	double idle = json_number_value(v1 ? v1 : json_object_get(raw, "inactive_file"));
	double usage = number(memory, "usage", NULL);

	return idle < usage ? usage - idle : usage;
}

static void put_pair(json_t *row, const char *name, double in, double out)
{
	char a[TEXT_SHORT], b[TEXT_SHORT];

	size_human(in, 3, a);
	size_human(out, 3, b);
	cell_format(row, name, "%s / %s", a, b);
}

static void put_network(json_t *row, const json_t *v)
{
	double rx = 0, tx = 0;
	const char *key;
	json_t *net;

	json_object_foreach(json_object_get(v, "networks"), key, net)
	{
		rx += number(net, "rx_bytes", NULL);
		tx += number(net, "tx_bytes", NULL);
	}
	put_pair(row, "NetIO", rx, tx);
}

static void put_blocks(json_t *row, const json_t *v)
{
	const json_t *all =
		json_object_get(json_object_get(v, "blkio_stats"), "io_service_bytes_recursive");
	double in = 0, out = 0;
	json_t *entry;
	size_t i;

	json_array_foreach(all, i, entry)
	{
		const char *op = json_string_value(json_object_get(entry, "op"));

		if (op && strcasecmp(op, "read") == 0)
			in += number(entry, "value", NULL);
		else if (op && strcasecmp(op, "write") == 0)
			out += number(entry, "value", NULL);
	}
	put_pair(row, "BlockIO", in, out);
}

static void row_fill(struct stats *s, json_t *row, const char *asked, const json_t *v)
{
	const char *id = json_string_value(json_object_get(v, "id"));
	const char *name = json_string_value(json_object_get(v, "name"));
	const json_t *memory = json_object_get(v, "memory_stats");
	double used = memory_used(memory), limit = number(memory, "limit", NULL);
	char a[TEXT_SHORT], b[TEXT_SHORT];

	id = id ? id : "";
	cell_text(row, "Container", asked);
	cell_take(row, "ID", id_short(id, flag_true(s->f, "no-trunc")));
	cell_text(row, "Name", name && *name == '/' ? name + 1 : name);
	cell_format(row, "CPUPerc", "%.2f%%", cpu_percent(s, id, v));
	size_binary(used, a);
	size_binary(limit, b);
	cell_format(row, "MemUsage", "%s / %s", a, b);
	cell_format(row, "MemPerc", "%.2f%%", limit > 0 ? used / limit * 100 : 0);
	put_network(row, v);
	put_blocks(row, v);
	cell_format(row, "PIDs", "%.0f", number(json_object_get(v, "pids_stats"), "current", NULL));
}

/* Who is asked about: the arguments, or all that run (or exist). */
static int names_get(const struct stats *s, struct strs *ret, struct err *e)
{
	auto_buf path = CALL_PATH;
	json_t *all = NULL, *one;
	size_t i;
	int rc;

	for (i = 0; i < s->f->n_args; i++)
		strs_add(ret, s->f->args[i]);
	if (ret->n)
		return 0;
	path_add(&path, "/containers/json");
	if (flag_true(s->f, "all"))
		path_query(&path, "all", "1");
	rc = call_json(s->c, buf_text(&path), 0, &all, e);
	json_array_foreach(all, i, one)
	{
		const char *id = json_string_value(json_object_get(one, "Id"));

		if (id)
			strs_add(ret, id);
	}
	json_decref(all);
	return rc;
}

static int one_get(struct stats *s, struct listing *l, const char *name, struct err *e)
{
	auto_buf path = CALL_PATH;
	json_t *v = NULL;
	int rc;

	path_add(&path, "/containers/%/stats", name);
	path_query(&path, "stream", "0");
	path_query(&path, "one-shot", "1");
	/* "No limit" is more than jansson's integers hold. */
	rc = call_json(s->c, buf_text(&path), JSON_DECODE_INT_AS_REAL, &v, e);
	if (rc == 0)
		row_fill(s, listing_row(l), name, v);
	json_decref(v);
	/* One that was removed since it was listed is left out; one that was named is missed. */
	return rc == -ENOENT && !s->f->n_args ? 0 : rc;
}

/* One reading of all; printed, unless it is the one that the first is compared with. */
static int round_run(struct stats *s, bool print)
{
	struct strs names = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int rc, status = 0;

	listing_init(&l, columns, ARRAY_LEN(columns), "ID");
	rc = names_get(s, &names, &e);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = one_get(s, &l, names.v[i], &e);
	if (rc < 0) {
		status = cli_fail(s->c, &e);
	} else if (print) {
		if (!flag_true(s->f, "no-stream") && isatty(fileno(s->c->out)))
			(void)fputs(CLEAR, s->c->out);
		status = listing_print(s->c, &l, s->f);
		(void)fflush(s->c->out);
	}
	listing_done(&l);
	strs_done(&names);
	return status;
}

int cli_stats(struct cli *c, const struct flags *f)
{
	const struct timespec second = {.tv_sec = 1};
	struct stats s = {.c = c, .f = f};
	int status = round_run(&s, false);

	while (status == 0) {
		(void)nanosleep(&second, NULL); /* what is shown is the use of one second */
		status = round_run(&s, true);
		if (flag_true(f, "no-stream"))
			break;
	}
	LIST_EACH (b, &s.before)
		free(b->id);
	free(s.before.v);
	return status;
}
