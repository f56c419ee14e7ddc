/*
 * service ls.
 */
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/stack.h"
#include "cli/text.h"
#include "cli/views.h"

static const struct column columns[] = {
	{"ID", "ID", true},       {"Name", "NAME", true},
	{"Mode", "MODE", true},   {"Replicas", "REPLICAS", true},
	{"Image", "IMAGE", true}, {"Ports", "PORTS", true},
};

static const char *mode_of(const struct service_spec *s)
{
	return s->mode.global           ? "global"
	       : s->mode.replicated_job ? "replicated job"
	       : s->mode.global_job     ? "global job"
					: "replicated";
}

static char *ports_text(const struct endpoint *e)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);

	LIST_EACH (p, &e->ports)
		if (p->mode == PUBLISH_INGRESS)
			buf_addf(&b, "%s*:%u->%u/%s", b.len ? ", " : "", p->published, p->target,
				 port_protocol_name(p->protocol));
	return buf_take(&b);
}

/* "running/desired", and how much of a job is done. */
static void count_add(const struct service_spec *s, const struct service_count *n, struct buf *b)
{
	uint64_t total = s->mode.global_job ? n->desired + n->completed : job_completions(s);

	buf_addf(b, "%" PRIu64 "/%" PRIu64, n->running, n->desired);
	if (service_is_job(s))
		buf_addf(b, " (%" PRIu64 "/%" PRIu64 " completed)", n->completed, total);
}

static void row_fill(json_t *row, const struct service_view *v)
{
	const struct service_spec *s = &v->s.spec;
	const char *image =
		s->task.container && s->task.container->image ? s->task.container->image : "";
	uint64_t max = s->task.placement ? s->task.placement->max_replicas : 0;
	auto_buf replicas = BUF_INIT(200);

	if (v->count)
		count_add(s, v->count, &replicas);
	if (v->count && max)
		buf_addf(&replicas, " (max %" PRIu64 " per node)", max);
	cell_take(row, "ID", id_short(v->s.o.id, false));
	cell_text(row, "Name", s->name);
	cell_text(row, "Mode", mode_of(s));
	cell_text(row, "Replicas", buf_text(&replicas));
	cell_take(row, "Image", xstrndup(image, strcspn(image, "@")));
	cell_take(row, "Ports", ports_text(&v->s.endpoint));
}

static int by_name(const void *a, const void *b)
{
	const struct service_view *x = a;
	const struct service_view *y = b;

	return strverscmp(x->s.spec.name ? x->s.spec.name : "",
			  y->s.spec.name ? y->s.spec.name : "");
}

int service_list(struct cli *c, const struct flags *f, const char *label)
{
	auto_buf path = CALL_PATH;
	struct list_service_view all = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	path_add(&path, "/services");
	path_query(&path, "status", "true");
	if (path_filters(&path, flag_list(f, "filter"), label ? "label" : NULL, label, &e) < 0 ||
	    call_get(c, buf_text(&path), &list_service_view_table, &all, &e) < 0)
		return cli_fail(c, &e);
	if (all.list.n)
		qsort(all.list.v, all.list.n, sizeof *all.list.v, by_name);
	listing_init(&l, columns, ARRAY_LEN(columns), "ID");
	LIST_EACH (v, &all.list)
		row_fill(listing_row(&l), v);
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_service_view_table, &all);
	return status;
}

int cli_service_ls(struct cli *c, const struct flags *f)
{
	return service_list(c, f, NULL);
}
