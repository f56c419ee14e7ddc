/*
 * Reading command lines. See flags.h.
 */
#include "cli/flags.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/text.h"

/* "-n, --last" or "--replicas", as messages call a flag. */
static void flag_title(const struct flag *d, char *ret, size_t n)
{
	if (d->letter)
		(void)snprintf(ret, n, "-%c, --%s", d->letter, d->name);
	else
		(void)snprintf(ret, n, "--%s", d->name);
}

static int value_bool(const char *text, int64_t *ret)
{
	static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True"};
	static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*ret = strcmp(text, yes[i]) == 0;
			return 0;
		}
	return -EINVAL;
}

static int value_number(const char *text, bool negative, int64_t *ret)
{
	char *end;

	if (!*text || (*text == '-' && !negative) || strchr(" \t\n", *text))
		return -EINVAL;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *end ? -EINVAL : -errno;
}

static int value_real(const char *text, double *ret)
{
	char *end;

	if (!*text || strchr(" \t\n", *text))
		return -EINVAL;
	*ret = strtod(text, &end);
	return *end ? -EINVAL : 0;
}

static const char *type_hint(enum flag_type type)
{
	switch (type) {
	case FLAG_BOOL:
		return "it must be true or false";
	case FLAG_UINT:
		return "it must be a whole number from 0 on";
	case FLAG_DURATION:
		return "it must be a duration like 10s, 500ms or 1m30s";
	case FLAG_BYTES:
		return "it must be a size like 512m or 2g";
	case FLAG_CPUS:
		return "it must be a number of CPUs like 0.5";
	default:
		return "it must be a number";
	}
}

static int value_take(const struct flag *d, const char *text, struct flag_value *v, struct err *e)
{
	char title[64];
	int rc = 0;

	switch (d->type) {
	case FLAG_BOOL:
		rc = value_bool(text, &v->number);
		break;
	case FLAG_STRING:
		break;
	case FLAG_LIST:
		strs_add(&v->list, text);
		break;
	case FLAG_INT:
	case FLAG_UINT:
		rc = value_number(text, d->type == FLAG_INT, &v->number);
		break;
	case FLAG_FLOAT:
		rc = value_real(text, &v->real);
		break;
	case FLAG_DURATION:
		rc = duration_parse(text, &v->number);
		break;
	case FLAG_BYTES:
		rc = size_parse(text, &v->number);
		break;
	case FLAG_CPUS:
		rc = cpus_parse(text, &v->number);
		break;
	}
	v->set = true;
	v->text = text;
	if (rc == 0)
		return 0;
	flag_title(d, title, sizeof title);
	return err_set(e, -EINVAL, "invalid argument \"%s\" for \"%s\" flag: %s", text, title,
		       type_hint(d->type));
}

struct reader {
	struct flags *f;
	char **argv;
	int argc;
	int at; /* the next word */
};

static int find_name(const struct flags *f, const char *name, size_t len)
{
	for (size_t i = 0; i < f->n; i++)
		if (strncmp(f->defs[i].name, name, len) == 0 && !f->defs[i].name[len])
			return (int)i;
	return -1;
}

static int find_letter(const struct flags *f, char letter)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->defs[i].letter == letter)
			return (int)i;
	return -1;
}

static int read_long(struct reader *r, char *word, struct err *e)
{
	char *name = word + 2;
	size_t len = strcspn(name, "=");
	int i = find_name(r->f, name, len);

	if (i < 0 && strcmp(name, "help") == 0) {
		r->f->help = true;
		return 0;
	}
	if (i < 0)
		return err_set(e, -EINVAL, "unknown flag: --%.*s", (int)len, name);
	if (name[len] == '=')
		return value_take(&r->f->defs[i], name + len + 1, &r->f->values[i], e);
	if (r->f->defs[i].type == FLAG_BOOL)
		return value_take(&r->f->defs[i], "true", &r->f->values[i], e);
	if (r->at >= r->argc)
		return err_set(e, -EINVAL, "flag needs an argument: --%s", name);
	return value_take(&r->f->defs[i], r->argv[r->at++], &r->f->values[i], e);
}

static int read_short(struct reader *r, char *word, struct err *e)
{
	for (char *p = word + 1; *p; p++) {
		int i = find_letter(r->f, *p);
		const struct flag *d;

		if (i < 0 && *p == 'h') {
			r->f->help = true;
			return 0;
		}
		if (i < 0)
			return err_set(e, -EINVAL, "unknown shorthand flag: '%c' in %s", *p, word);
		d = &r->f->defs[i];
		if (p[1] == '=')
			return value_take(d, p + 2, &r->f->values[i], e);
		if (d->type != FLAG_BOOL && p[1])
			return value_take(d, p + 1, &r->f->values[i], e);
		if (d->type != FLAG_BOOL && r->at >= r->argc)
			return err_set(e, -EINVAL, "flag needs an argument: '%c' in %s", *p, word);
		if (d->type != FLAG_BOOL)
			return value_take(d, r->argv[r->at++], &r->f->values[i], e);
		if (value_take(d, "true", &r->f->values[i], e) < 0)
			return e->code;
	}
	return 0;
}

static int read_words(struct reader *r, bool stop, struct err *e)
{
	int rc = 0;

	while (rc == 0 && r->at < r->argc && !r->f->help) {
		char *word = r->argv[r->at++];

		if (strcmp(word, "--") == 0)
			break;
		if (word[0] == '-' && word[1] == '-') {
			rc = read_long(r, word, e);
		} else if (word[0] == '-' && word[1]) {
			rc = read_short(r, word, e);
		} else {
			r->f->args[r->f->n_args++] = word;
			if (stop)
				break;
		}
	}
	while (rc == 0 && r->at < r->argc)
		r->f->args[r->f->n_args++] = r->argv[r->at++];
	return rc;
}

int flags_parse(const struct flag *defs, size_t n, bool stop, int argc, char **argv,
		struct flags *ret, struct err *e)
{
	struct reader r = {.f = ret, .argv = argv, .argc = argc};

	*ret = (struct flags){.defs = defs, .n = n};
	ret->values = xcalloc(n + 1, sizeof *ret->values);
	ret->args = xcalloc((size_t)argc + 1, sizeof *ret->args);
	if (read_words(&r, stop, e) == 0)
		return 0;
	flags_done(ret);
	return -EINVAL;
}

void flags_done(struct flags *f)
{
	for (size_t i = 0; i < f->n; i++)
		strs_done(&f->values[i].list);
	free(f->values);
	free(f->args);
	*f = (struct flags){0};
}

const struct flag_value *flag_get(const struct flags *f, const char *name)
{
	int i = find_name(f, name, strlen(name));

	assert(i >= 0);
	return &f->values[i];
}

bool flag_is_set(const struct flags *f, const char *name)
{
	return flag_get(f, name)->set;
}

bool flag_true(const struct flags *f, const char *name)
{
	return flag_get(f, name)->number != 0;
}

const char *flag_text(const struct flags *f, const char *name)
{
	return flag_get(f, name)->text;
}

const struct strs *flag_list(const struct flags *f, const char *name)
{
	return &flag_get(f, name)->list;
}
