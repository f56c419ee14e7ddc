/*
 * Values of flags copied into specifications. See spec_flags.h.
 */
#include "cli/spec_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "cli/service_spec.h"

void spec_opt_i64(int64_t **dst, const struct flags *f, const char *name)
{
	if (!flag_is_set(f, name))
		return;
	free(*dst);
	*dst = xmemdup(&flag_get(f, name)->number, sizeof **dst);
}

void spec_opt_u64(uint64_t **dst, const struct flags *f, const char *name)
{
	spec_opt_i64((int64_t **)dst, f, name);
}

void spec_opt_bool(bool **dst, const struct flags *f, const char *name)
{
	bool value = flag_true(f, name);

	if (!flag_is_set(f, name))
		return;
	free(*dst);
	*dst = xmemdup(&value, sizeof value);
}

void spec_bool(bool *dst, const struct flags *f, const char *name)
{
	if (flag_is_set(f, name))
		*dst = flag_true(f, name);
}

void spec_text(char **dst, const struct flags *f, const char *name)
{
	if (flag_is_set(f, name))
		str_set(dst, flag_text(f, name));
}

void spec_number(int64_t *dst, const struct flags *f, const char *name)
{
	if (flag_is_set(f, name))
		*dst = flag_get(f, name)->number;
}

void spec_list(struct strs *dst, const struct flags *f, const char *name)
{
	STRS_EACH (item, flag_list(f, name))
		strs_add(dst, item);
}

void spec_labels(struct strmap *dst, const struct flags *f, const char *name)
{
	STRS_EACH (item, flag_list(f, name))
		label_put(dst, item);
}

void spec_remove(struct strs *list, const char *key, char sign)
{
	size_t len = strlen(key), kept = 0;

	for (size_t i = 0; i < list->n; i++) {
		const char *item = list->v[i];

		if (strncmp(item, key, len) == 0 && (!item[len] || item[len] == sign))
			free(list->v[i]);
		else
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
}

static void env_put(struct strs *env, const char *text)
{
	auto_free char *key = xstrndup(text, strcspn(text, "="));

	spec_remove(env, key, '=');
	env_add(env, text);
}

/* Lines "KEY=value", or "KEY" for one that this process has; empty ones and those with # are left
 * out.
 */
static int env_file(struct strs *env, const char *path, struct err *e)
{
	auto_buf b = BUF_INIT(LIMIT_JSON_BODY);
	char *save = NULL;
	int rc = file_read_at(AT_FDCWD, path, &b);

	if (rc < 0)
		return err_code(e, rc, "open %s", path);
	for (char *line = b.len ? strtok_r(b.p, "\r\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		line += strspn(line, " \t");
		if (*line && *line != '#' && (strchr(line, '=') || getenv(line)))
			env_put(env, line);
	}
	return 0;
}

int spec_env(struct strs *env, const struct flags *f, const char *file, const char *name,
	     struct err *e)
{
	if (file)
		STRS_EACH (path, flag_list(f, file))
			if (env_file(env, path, e) < 0)
				return e->code;
	STRS_EACH (item, flag_list(f, name))
		env_put(env, item);
	return 0;
}

static void words_split(struct strs *dst, const char *text)
{
	auto_buf word = BUF_INIT(LIMIT_JSON_BODY);
	char quote = 0;
	bool any = false;

	for (; *text; text++) {
		if (quote ? *text == quote : *text == '"' || *text == '\'') {
			quote = quote ? 0 : *text;
			any = true;
		} else if (!quote && (*text == ' ' || *text == '\t')) {
			if (any)
				strs_add(dst, buf_text(&word));
			buf_reset(&word);
			any = false;
		} else {
			buf_addc(&word, *text);
			any = true;
		}
	}
	if (any)
		strs_add(dst, buf_text(&word));
}

void spec_words(struct strs *dst, const struct flags *f, const char *name)
{
	if (!flag_is_set(f, name))
		return;
	strs_done(dst);
	words_split(dst, flag_text(f, name));
}

int spec_health(struct healthcheck **h, const struct flags *f, struct err *e)
{
	static const char *const names[] = {"health-cmd",          "health-interval",
					    "health-retries",      "health-start-interval",
					    "health-start-period", "health-timeout"};
	bool none = flag_true(f, "no-healthcheck"), any = none;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (none && flag_is_set(f, names[i]))
			return err_set(e, -EINVAL,
				       "--no-healthcheck conflicts with --health-* options");
		any = any || flag_is_set(f, names[i]);
	}
	if (!any)
		return 0;
	if (!*h)
		*h = xcalloc(1, sizeof **h);
	if (none) /* nothing else may stand beside it */
		table_done(&healthcheck_table, *h);
	else if (flag_is_set(f, "health-cmd"))
		strs_done(&(*h)->test);
	if (none)
		strs_add(&(*h)->test, "NONE");
	if (flag_is_set(f, "health-cmd") && *flag_text(f, "health-cmd")) {
		strs_add(&(*h)->test, "CMD-SHELL");
		strs_add(&(*h)->test, flag_text(f, "health-cmd"));
	}
	spec_number(&(*h)->interval, f, "health-interval");
	spec_number(&(*h)->retries, f, "health-retries");
	spec_number(&(*h)->start_interval, f, "health-start-interval");
	spec_number(&(*h)->start_period, f, "health-start-period");
	spec_number(&(*h)->timeout, f, "health-timeout");
	return 0;
}
