/*
 * Nodes, secrets and configs for people. See pretty.h.
 */
#include "cli/pretty.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/text.h"

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

/* "2006-01-02 15:04:05.999 +0000 utc": as Go prints a time, in docker's small letters. */
static void time_add(struct buf *b, int64_t ns)
{
	time_t s = (time_t)(ns / NS_PER_SEC);
	int64_t rest = ns % NS_PER_SEC;
	char text[TEXT_SHORT], digits[16];
	struct tm tm;
	size_t n;

	(void)gmtime_r(&s, &tm);
	(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	n = (size_t)snprintf(digits, sizeof digits, ".%09" PRId64, rest);
	while (n && (digits[n - 1] == '0' || digits[n - 1] == '.'))
		n--;
	buf_addf(b, "%s%.*s +0000 utc", text, (int)n, digits);
}

static void labels(struct buf *b, const struct strmap *all, const char *title)
{
	if (all->n)
		buf_addf(b, "\n%s:", title);
	LIST_EACH (v, all)
		buf_addf(b, "\n - %s%s%s", v->key, *v->value ? "=" : "", v->value);
}

void pretty_secret(const struct secret *s, const struct bytes *data, struct buf *ret)
{
	bool config = data != NULL;
	const char *tab = config ? "\t" : "";

	buf_addf(ret,
		 config ? "ID:\t\t\t%s\nName:\t\t\t%s"
			: "ID:              %s\nName:              %s",
		 s->o.id, text_or_empty(s->spec.name));
	labels(ret, &s->spec.labels, "Labels");
	if (!config)
		buf_addf(ret, "\nDriver:            %s",
			 s->spec.driver ? text_or_empty(s->spec.driver->name) : "");
	buf_addf(ret, "\nCreated at:        %s%s", config ? "    " : "", tab);
	time_add(ret, s->o.created);
	buf_addf(ret, "\nUpdated at:        %s%s", config ? "    " : "", tab);
	time_add(ret, s->o.updated);
	if (config) {
		buf_adds(ret, "\nData:\n");
		buf_add(ret, data->n ? data->p : (const void *)"", data->n);
	}
	buf_addc(ret, '\n');
}

/* Plugins by their kind: "Network:\t\tbridge, overlay". */
static void plugins(struct buf *b, const struct engine_description *e)
{
	struct strs kinds = {0};

	LIST_EACH (p, &e->plugins)
		if (p->type && !strs_has(&kinds, p->type))
			strs_add(&kinds, p->type);
	if (kinds.n) {
		qsort(kinds.v, kinds.n, sizeof *kinds.v, text_order);
		buf_adds(b, "\nPlugins:");
	}
	STRS_EACH (kind, &kinds) {
		const char *sep = "\t\t";

		buf_addf(b, "\n %s:", kind);
		LIST_EACH (p, &e->plugins)
			if (p->type && strcmp(p->type, kind) == 0) {
				buf_addf(b, "%s%s", sep, text_or_empty(p->name));
				sep = ", ";
			}
	}
	strs_done(&kinds);
}

static void base64_add(struct buf *b, const struct bytes *bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = bytes->p;

	for (size_t i = 0; i < bytes->n; i += 3) {
		size_t n = MIN_OF(bytes->n - i, (size_t)3);
		uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
			     (n > 2 ? p[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			buf_addc(b, k <= n ? digits[v >> (18 - 6 * k) & 63] : '=');
	}
}

static void manager(struct buf *b, const struct manager_status *m)
{
	static const char *const reached[] = {"Unknown", "Unreachable", "Reachable"};

	if (!m)
		return;
	buf_addf(b, "\nManager Status:\n Address:\t\t%s\n Raft Status:\t\t%s\n Leader:\t\t%s",
		 text_or_empty(m->addr), reached[m->reachability], m->leader ? "Yes" : "No");
}

static void status(struct buf *b, const struct node *n)
{
	static const char *const states[] = {"Unknown", "Down", "Ready", "Disconnected"};
	static const char *const availabilities[] = {"Active", "Pause", "Drain"};

	buf_addf(b, "\nStatus:\n State:\t\t\t%s", states[n->status.state]);
	if (n->status.message && *n->status.message)
		buf_addf(b, "\n Message:              \t%s", n->status.message);
	buf_addf(b, "\n Availability:         \t%s", availabilities[n->spec.availability]);
	if (n->status.addr && *n->status.addr)
		buf_addf(b, "\n Address:\t\t%s", n->status.addr);
}

static void machine(struct buf *b, const struct node_description *d)
{
	char memory[TEXT_SHORT];

	size_binary((double)d->resources.memory, memory);
	buf_addf(b, "\nPlatform:\n Operating System:\t%s\n Architecture:\t\t%s",
		 text_or_empty(d->platform.os), text_or_empty(d->platform.architecture));
	buf_addf(b, "\nResources:\n CPUs:\t\t\t%" PRId64 "\n Memory:\t\t%s",
		 d->resources.nano_cpus / 1000000000, memory);
	plugins(b, &d->engine);
	buf_addf(b, "\nEngine Version:\t\t%s", text_or_empty(d->engine.version));
	labels(b, &d->engine.labels, "Engine Labels");
	if (!d->tls.trust_root || !*d->tls.trust_root)
		return;
	buf_addf(b, "\nTLS Info:\n TrustRoot:\n%s\n Issuer Subject:\t", d->tls.trust_root);
	base64_add(b, &d->tls.issuer_subject);
	buf_adds(b, "\n Issuer Public Key:\t");
	base64_add(b, &d->tls.issuer_public_key);
}

void pretty_node(const struct node *n, struct buf *ret)
{
	buf_addf(ret, "ID:\t\t\t%s", n->o.id);
	if (n->spec.name && *n->spec.name)
		buf_addf(ret, "\nName:\t\t\t%s", n->spec.name);
	labels(ret, &n->spec.labels, "Labels");
	buf_addf(ret, "\nHostname:              \t%s\nJoined at:             \t",
		 text_or_empty(n->description.hostname));
	time_add(ret, n->o.created);
	status(ret, n);
	manager(ret, n->manager);
	machine(ret, &n->description);
	buf_addc(ret, '\n');
}
