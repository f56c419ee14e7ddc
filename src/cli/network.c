/*
 * network ls and create.
 */
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/listing.h"
#include "cli/service_spec.h"
#include "cli/text.h"
#include "cli/views.h"

static const struct column columns[] = {
	{"ID", "NETWORK ID", true},
	{"Name", "NAME", true},
	{"Driver", "DRIVER", true},
	{"Scope", "SCOPE", true},
	{"CreatedAt", "CREATED AT", false},
	{"IPv4", "IPV4", false},
	{"IPv6", "IPV6", false},
	{"Internal", "INTERNAL", false},
	{"Labels", "LABELS", false},
};

static void row_fill(json_t *row, const struct network_view *n, bool whole)
{
	auto_buf labels = BUF_INIT(LIMIT_HTTP_ANSWER);
	char created[TEXT_SHORT];

	LIST_EACH (l, &n->labels)
		buf_addf(&labels, "%s%s=%s", labels.len ? "," : "", l->key, l->value);
	time_local(n->created, created);
	cell_take(row, "ID", id_short(n->id, whole));
	cell_text(row, "Name", n->name);
	cell_text(row, "Driver", n->driver);
	cell_text(row, "Scope", n->scope);
	cell_text(row, "CreatedAt", created);
	cell_text(row, "IPv4", n->ipv4 ? "true" : "false");
	cell_text(row, "IPv6", n->ipv6 ? "true" : "false");
	cell_text(row, "Internal", n->internal ? "true" : "false");
	cell_text(row, "Labels", buf_text(&labels));
}

static int by_name(const void *a, const void *b)
{
	const struct network_view *x = a;
	const struct network_view *y = b;

	return strverscmp(x->name ? x->name : "", y->name ? y->name : "");
}

int cli_network_ls(struct cli *c, const struct flags *f)
{
	auto_buf path = CALL_PATH;
	struct list_network_view all = {0};
	struct err e = ERR_INIT;
	struct listing l;
	int status;

	path_add(&path, "/networks");
	if (path_filters(&path, flag_list(f, "filter"), NULL, NULL, &e) < 0 ||
	    call_get(c, buf_text(&path), &list_network_view_table, &all, &e) < 0)
		return cli_fail(c, &e);
	if (all.list.n)
		qsort(all.list.v, all.list.n, sizeof *all.list.v, by_name);
	listing_init(&l, columns, ARRAY_LEN(columns), "ID");
	LIST_EACH (n, &all.list)
		row_fill(listing_row(&l), n, flag_true(f, "no-trunc"));
	status = listing_print(c, &l, f);
	listing_done(&l);
	table_done(&list_network_view_table, &all);
	return status;
}

/* Each --subnet with the range and the gateway at the same place in their lists. */
static void ipam_fill(const struct flags *f, struct ipam *ret)
{
	const struct strs *subnets = flag_list(f, "subnet");
	const struct strs *ranges = flag_list(f, "ip-range");
	const struct strs *gateways = flag_list(f, "gateway");

	ret->driver = xstrdup("default");
	for (size_t i = 0; i < subnets->n; i++) {
		struct ipam_pool *pool = LIST_ADD(&ret->config);

		pool->subnet = xstrdup(subnets->v[i]);
		pool->range = i < ranges->n ? xstrdup(ranges->v[i]) : NULL;
		pool->gateway = i < gateways->n ? xstrdup(gateways->v[i]) : NULL;
	}
}

static void spec_fill(const struct flags *f, struct network_spec *s)
{
	const char *driver = flag_text(f, "driver");

	s->name = xstrdup(f->args[0]);
	s->driver = xstrdup(driver ? driver : "bridge");
	s->scope = xstrdup(flag_text(f, "scope"));
	s->internal = flag_true(f, "internal");
	s->attachable = flag_true(f, "attachable");
	s->ingress = flag_true(f, "ingress");
	s->enable_ipv6 = flag_true(f, "ipv6");
	STRS_EACH (item, flag_list(f, "label"))
		label_put(&s->labels, item);
	STRS_EACH (item, flag_list(f, "opt"))
		label_put(&s->options, item);
	ipam_fill(f, &s->ipam);
}

int cli_network_create(struct cli *c, const struct flags *f)
{
	struct network_spec spec = {0};
	struct id_view created = {0};
	auto_buf path = CALL_PATH;
	auto_buf body = BUF_INIT(0);
	struct err e = ERR_INIT;
	int rc;

	if (flag_list(f, "subnet")->n < flag_list(f, "ip-range")->n ||
	    flag_list(f, "subnet")->n < flag_list(f, "gateway")->n) {
		(void)fprintf(c->err,
			      "every ip-range or gateway must have a corresponding subnet\n");
		return 1;
	}
	spec_fill(f, &spec);
	path_add(&path, "/networks/create");
	rc = call_body(&network_spec_table, &spec, &body, &e);
	if (rc == 0)
		rc = call_read(c, "POST", buf_text(&path), &body, &id_view_table, &created, &e);
	if (rc == 0)
		(void)fprintf(c->out, "%s\n", created.id ? created.id : "");
	table_done(&network_spec_table, &spec);
	table_done(&id_view_table, &created);
	return rc < 0 ? cli_fail(c, &e) : 0;
}
