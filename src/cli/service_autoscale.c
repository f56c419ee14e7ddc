/*
 * Services scaled by their load: the flag --autoscale, which writes the labels, and the command
 * that shows how it stands.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/service_spec.h"
#include "cli/text.h"
#include "model/autoscale.h"

/* Up to the next comma that is neither in braces nor in quotes. */
static size_t setting_length(const char *text)
{
	bool braces = false, quotes = false;
	size_t i;

	for (i = 0; text[i] && (text[i] != ',' || braces || quotes); i++) {
		if (text[i] == '\\' && quotes && text[i + 1])
			i++;
		else if (text[i] == '"')
			quotes = !quotes;
		else if (!quotes && (text[i] == '{' || text[i] == '}'))
			braces = text[i] == '{';
	}
	return i;
}

static void labels_drop(struct strmap *labels)
{
	static const char prefix[] = AUTOSCALE_LABEL ".";

	for (size_t i = labels->n; i-- > 0;)
		if (strncmp(labels->v[i].key, prefix, sizeof prefix - 1) == 0)
			strmap_remove(labels, labels->v[i].key);
}

int service_autoscale(struct strmap *labels, const struct flags *f, struct err *e)
{
	const char *text = flag_text(f, "autoscale");

	if (!text)
		return 0;
	if (strcmp(text, "off") == 0) {
		labels_drop(labels);
		return 0;
	}
	while (*text) {
		size_t n = setting_length(text);
		auto_free char *setting = xstrndup(text, n), *name = NULL;
		char *value = strchr(setting, '=');

		if (!value || value == setting)
			return err_set(e, -EINVAL,
				       "invalid autoscale setting \"%s\": it must be of the form "
				       "NAME=VALUE, as in max=5,cpu=70; or off",
				       setting);
		*value++ = '\0';
		name = xasprintf(AUTOSCALE_LABEL ".%s", setting);
		strmap_set(labels, name, value);
		text += n;
		text += *text == ',';
	}
	return 0;
}

static void last_show(struct cli *c, const struct autoscale_status *last)
{
	char ago[TEXT_SHORT];

	if (!last)
		return;
	duration_human(clock_wall_ns() - last->decided, ago);
	(void)fprintf(c->out, "Last:      %" PRIu64 " to %" PRIu64 ", %s ago: %s\n", last->from,
		      last->to, ago, last->reason ? last->reason : "");
}

static void view_show(struct cli *c, const struct autoscale_view *v)
{
	(void)fprintf(c->out, "Replicas:  %" PRIu64 " (%" PRIu64 " to %" PRIu64 ")\n", v->replicas,
		      v->min, v->max);
	LIST_EACH (g, &v->gauges)
		(void)fprintf(c->out, "Target:    %s: %s of %s, %" PRIu64 " task%s\n", g->name,
			      g->value, g->target, g->tasks, g->tasks == 1 ? "" : "s");
	if (v->coming || v->missing)
		(void)fprintf(c->out, "Tasks:     %" PRIu64 " coming, %" PRIu64 " unknown\n",
			      v->coming, v->missing);
	(void)fprintf(c->out, "State:     %s\n", v->state ? v->state : "");
	if (v->next) {
		char at[TEXT_SHORT];

		time_local(v->next, at);
		(void)fprintf(c->out, "Next:      not before %s\n", at);
	}
	last_show(c, v->last);
}

int cli_service_autoscale(struct cli *c, const struct flags *f)
{
	struct autoscale_view v = {0};
	auto_buf path = CALL_PATH;
	struct err e = ERR_INIT;

	path_add(&path, "/services/%/autoscale", f->args[0]);
	if (call_get(c, buf_text(&path), &autoscale_view_table, &v, &e) < 0)
		return cli_fail(c, &e);
	view_show(c, &v);
	table_done(&autoscale_view_table, &v);
	return 0;
}
