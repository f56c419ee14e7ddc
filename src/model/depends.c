/*
 * See depends.h.
 */
#include "model/depends.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

static const char *const conditions[] = {
	[DEPEND_STARTED] = "service_started",
	[DEPEND_HEALTHY] = "service_healthy",
	[DEPEND_COMPLETED] = "service_completed_successfully",
};

const char *depend_condition_name(enum depend_condition c)
{
	return conditions[c];
}

int depend_condition_parse(const char *text, enum depend_condition *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (strcmp(conditions[i], text) == 0) {
			*ret = (enum depend_condition)i;
			return 0;
		}
	return -EINVAL;
}

bool depends_is_set(const struct service_spec *spec)
{
	const char *text = strmap_get(&spec->labels, DEPENDS_LABEL);

	return text && *text;
}

void depends_done(struct depends *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].service);
	free(d->v);
	*d = (struct depends){0};
}

static int depend_read(char *text, struct depends *d, struct err *e)
{
	char *condition = strchr(text, ':');
	char *option = condition ? strchr(condition + 1, ':') : NULL;
	struct depend new = {0};

	if (condition)
		*condition++ = 0;
	if (option)
		*option++ = 0;
	new.optional = option != NULL;
	if (!*text || strlen(text) > NAME_MAX_LEN || !condition ||
	    (option && strcmp(option, "optional") != 0) ||
	    depend_condition_parse(condition, &new.condition) < 0)
		return err_set(e, -EINVAL,
			       "label " DEPENDS_LABEL
			       ": \"%.80s\" is to be followed by :service_started, "
			       ":service_healthy or :service_completed_successfully, and then by "
			       "nothing or :optional",
			       text);
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->v[i].service, text) == 0)
			return err_set(e, -EINVAL, "label " DEPENDS_LABEL ": %s stands there twice",
				       text);
	if (d->n == LIMIT_DEPENDS)
		return err_set(e, -EINVAL, "label " DEPENDS_LABEL ": at most %u services",
			       LIMIT_DEPENDS);
	new.service = xstrdup(text);
	d->v = xreallocarray(d->v, d->n + 1, sizeof *d->v);
	d->v[d->n++] = new;
	return 0;
}

int depends_read(const struct service_spec *spec, struct depends *ret, struct err *e)
{
	const char *label = strmap_get(&spec->labels, DEPENDS_LABEL);
	auto_free char *text = xstrdup(label ? label : "");
	struct depends d = {0};
	char *next = *text ? text : NULL;
	int rc = 0;

	while (rc == 0 && next) {
		char *one = strsep(&next, ",");

		rc = depend_read(one, &d, e);
	}
	if (rc < 0)
		depends_done(&d);
	else
		*ret = d;
	return rc;
}
