/*
 * See service_autoscale.h.
 */
#include "manager/service_autoscale.h"

#include <inttypes.h>

#include "base/mem.h"

/* Whether the specification is scaled; if not, nothing is noted of it any more. */
static bool scaled(struct service *s, const struct service_spec *spec, struct autoscale *ret)
{
	if (spec->mode.replicated && autoscale_is_set(&spec->labels) &&
	    autoscale_read(&spec->labels, ret, NULL) == 0)
		return true;
	table_free(&autoscale_status_table, TAKE_PTR(s->autoscale));
	return false;
}

static void replicas_set(struct service_spec *spec, uint64_t n)
{
	struct replicated_mode *m = spec->mode.replicated;

	if (!m->replicas)
		m->replicas = xcalloc(1, sizeof *m->replicas);
	*m->replicas = n;
}

static void note_asked(struct service *s, uint64_t asked)
{
	if (!s->autoscale)
		s->autoscale = xcalloc(1, sizeof *s->autoscale);
	s->autoscale->asked = asked;
}

static void warn(struct strs *warnings, char *text)
{
	strs_add(warnings, text);
	free(text);
}

void service_autoscale_fit(struct service *s, bool is_new, struct service_spec *spec,
			   struct strs *warnings)
{
	uint64_t asked = service_replicas(spec), now = is_new ? asked : service_replicas(&s->spec);
	uint64_t n = asked;
	struct autoscale a;

	if (!scaled(s, spec, &a))
		return;
	if (s->autoscale && asked != now && asked && now && asked == s->autoscale->asked) {
		n = now;
		warn(warnings, xasprintf("service %s keeps its %" PRIu64 " replicas, to which it "
					 "was scaled by its load since %" PRIu64 " were asked for",
					 spec->name, now, asked));
	} else if (!s->autoscale || asked != now) {
		note_asked(s, asked);
	}
	if (autoscale_clamp(&a, n) != n)
		warn(warnings, xasprintf("service %s gets %" PRIu64 " replicas, not %" PRIu64
					 ": " AUTOSCALE_LABEL ".min and .max keep it from %" PRIu64
					 " to %" PRIu64,
					 spec->name, autoscale_clamp(&a, n), n, a.min, a.max));
	replicas_set(spec, autoscale_clamp(&a, n));
}

void service_autoscale_keep(struct service *s, struct service_spec *to)
{
	uint64_t n = service_replicas(to);
	struct autoscale a;

	if (!scaled(s, to, &a))
		return;
	if (!s->autoscale)
		note_asked(s, n); /* what comes back was scaled, what is was not */
	else
		n = service_replicas(&s->spec);
	replicas_set(to, autoscale_clamp(&a, n));
}
