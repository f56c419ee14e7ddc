/*
 * A container's ports as one text, in docker's order: runs of ports of one kind first, then those
 * that are published under another number.
 */
#include "cli/ports.h"

#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static int compare(const void *a, const void *b)
{
	const struct port_view *x = a;
	const struct port_view *y = b;
	int rc = (x->private_port > y->private_port) - (x->private_port < y->private_port);

	if (rc == 0)
		rc = strcmp(x->ip ? x->ip : "", y->ip ? y->ip : "");
	if (rc == 0)
		rc = (x->public_port > y->public_port) - (x->public_port < y->public_port);
	return rc ? rc : strcmp(x->type ? x->type : "", y->type ? y->type : "");
}

static void address_add(struct buf *b, const char *ip)
{
	bool v6 = strchr(ip, ':') != NULL;

	buf_addf(b, "%s%s%s:", v6 ? "[" : "", ip, v6 ? "]" : "");
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Published under another number. */
static bool is_mapped(const struct port_view *p)
{
	return p->ip && *p->ip && p->public_port != p->private_port;
}

/* The port that follows on `p` in its run; NULL at the run's end. */
static const struct port_view *next_of(const struct port_view *p, const struct port_view *v,
				       size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_mapped(&v[i]) && same(p->ip, v[i].ip) && same(p->type, v[i].type) &&
		    v[i].private_port == p->private_port + 1)
			return &v[i];
	return NULL;
}

static bool begins_run(const struct port_view *p, const struct port_view *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_mapped(&v[i]) && same(p->ip, v[i].ip) && same(p->type, v[i].type) &&
		    v[i].private_port + 1 == p->private_port)
			return false;
	return true;
}

static void run_add(struct buf *b, const struct port_view *first, const struct port_view *v,
		    size_t n)
{
	const struct port_view *last = first;
	auto_free char *range = NULL;

	for (const struct port_view *p = first; p; p = next_of(p, v, n))
		last = p;
	range = first == last ? xasprintf("%u", first->private_port)
			      : xasprintf("%u-%u", first->private_port, last->private_port);
	buf_adds(b, b->len ? ", " : "");
	if (first->ip && *first->ip) {
		address_add(b, first->ip);
		buf_addf(b, "%s->", range);
	}
	buf_addf(b, "%s/%s", range, first->type ? first->type : "tcp");
}

char *ports_text(const struct port_view *ports, size_t n)
{
	struct buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	auto_free struct port_view *v = n ? xmemdup(ports, n * sizeof *v) : NULL; /* lent texts */

	if (n)
		qsort(v, n, sizeof *v, compare);
	for (size_t i = 0; i < n; i++)
		if (!is_mapped(&v[i]) && begins_run(&v[i], v, n))
			run_add(&b, &v[i], v, n);
	for (size_t i = 0; i < n; i++) {
		if (!is_mapped(&v[i]))
			continue;
		buf_adds(&b, b.len ? ", " : "");
		address_add(&b, v[i].ip);
		buf_addf(&b, "%u->%u/%s", v[i].public_port, v[i].private_port,
			 v[i].type ? v[i].type : "tcp");
	}
	return buf_take(&b);
}
