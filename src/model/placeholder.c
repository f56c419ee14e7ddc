/*
 * See placeholder.h.
 */
#include "model/placeholder.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define VALUES_MAX (64u << 10) /* bytes that the values may add to the text */

int placeholders_expand(const char *text, placeholder_value value, const void *arg, char **ret,
			struct err *e)
{
	auto_buf out = BUF_INIT(strlen(text) + VALUES_MAX);
	const char *at = text, *open;

	while ((open = strstr(at, "{{"))) {
		const char *name = open + 2 + strspn(open + 2, " ");
		const char *close = strstr(name, "}}");
		size_t n;

		if (!close)
			return err_set(e, -EINVAL, "\"%.80s\" has \"{{\" without \"}}\"", text);
		for (n = (size_t)(close - name); n > 0 && name[n - 1] == ' '; n--)
			;
		(void)buf_add(&out, at, (size_t)(open - at));
		if (value(arg, name, n, &out) == -EINVAL)
			return err_set(e, -EINVAL,
				       "\"{{%.*s}}\" in \"%.80s\" is not known: there are "
				       ".Service, .Node and .Task",
				       (int)MIN_OF(n, (size_t)60), name, text);
		at = close + 2;
	}
	(void)buf_adds(&out, at);
	if (buf_status(&out) < 0)
		return err_set(e, -EINVAL, "\"%.80s\" becomes too long when it is expanded", text);
	*ret = buf_take(&out);
	return 0;
}

const char *placeholder_label(char *key)
{
	static const char dotted[] = ".Service.Labels.", index[] = "index .Service.Labels \"";
	size_t n = strlen(key);

	if (strncmp(key, dotted, sizeof dotted - 1) == 0 && n > sizeof dotted - 1)
		return key + sizeof dotted - 1;
	if (strncmp(key, index, sizeof index - 1) != 0 || n <= sizeof index || key[n - 1] != '"' ||
	    strcspn(key + sizeof index - 1, "\"\\") != n - sizeof index)
		return NULL;
	key[n - 1] = '\0';
	return key + sizeof index - 1;
}

static int value_known(const void *arg, const char *name, size_t n, struct buf *ret)
{
	static const char *const names[] = {".Service.ID",     ".Service.Name",
					    ".Service.Labels", ".Node.ID",
					    ".Node.Hostname",  ".Node.Platform.OS",
					    ".Task.ID",        ".Node.Platform.Architecture",
					    ".Task.Name",      ".Task.Slot"};
	auto_free char *key = xstrndup(name, n);

	(void)arg;
	(void)ret;
	if (placeholder_label(key))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], key) == 0)
			return 0;
	return -EINVAL;
}

int placeholders_check(const char *text, struct err *e)
{
	auto_free char *out = NULL;

	return placeholders_expand(text, value_known, NULL, &out, e);
}
