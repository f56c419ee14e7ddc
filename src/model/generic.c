/*
 * See generic.h.
 */
#include "model/generic.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define T struct generic_named
static const struct field generic_named_fields[] = {
	FIELD_STR(T, 1, kind, "Kind", FIELD_OMIT),
	FIELD_STR(T, 2, value, "Value", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(generic_named, generic_named_fields, TABLE_REST(generic_named));

#define T struct generic_discrete
static const struct field generic_discrete_fields[] = {
	FIELD_STR(T, 1, kind, "Kind", FIELD_OMIT),
	FIELD_I64(T, 2, value, "Value", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(generic_discrete, generic_discrete_fields, TABLE_REST(generic_discrete));

#define T struct generic_resource
static const struct field generic_resource_fields[] = {
	FIELD_PTR(T, 1, named, "NamedResourceSpec", FIELD_OMIT, generic_named),
	FIELD_PTR(T, 2, discrete, "DiscreteResourceSpec", FIELD_OMIT, generic_discrete),
};
#undef T
TABLE_DEFINE(generic_resource, generic_resource_fields, TABLE_REST(generic_resource));

static const char *text(const char *s)
{
	return s ? s : "";
}

static const char *kind_of(const struct generic_resource *r)
{
	return r->named ? text(r->named->kind) : r->discrete ? text(r->discrete->kind) : "";
}

static int64_t count_of(const struct generics *g, const char *kind)
{
	int64_t n = 0;

	LIST_EACH (r, g)
		if (strcmp(kind_of(r), kind) == 0)
			n += r->named ? 1 : r->discrete ? r->discrete->value : 0;
	return n;
}

static void drop(struct generics *g, size_t i)
{
	table_done(&generic_resource_table, &g->v[i]);
	g->n--;
	memmove(&g->v[i], &g->v[i + 1], (g->n - i) * sizeof *g->v);
}

void generics_done(struct generics *g)
{
	LIST_EACH (r, g)
		table_done(&generic_resource_table, r);
	free(g->v);
	*g = (struct generics){0};
}

static void named_add(struct generics *g, const char *kind, const char *value)
{
	struct generic_resource *r = LIST_ADD(g);

	r->named = xcalloc(1, sizeof *r->named);
	r->named->kind = xstrdup(kind);
	r->named->value = xstrdup(value);
}

/* Numbers of a kind are one entry. */
static void number_add(struct generics *g, const char *kind, int64_t value)
{
	struct generic_resource *r;

	LIST_EACH (have, g)
		if (have->discrete && strcmp(text(have->discrete->kind), kind) == 0) {
			have->discrete->value += value;
			return;
		}
	r = LIST_ADD(g);
	r->discrete = xcalloc(1, sizeof *r->discrete);
	r->discrete->kind = xstrdup(kind);
	r->discrete->value = value;
}

static bool is_word(const char *s, const char *more)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
			return false;
	return n > 0 && n <= LIMIT_GENERIC_NAME;
}

static bool has_name(const struct generics *g, const char *kind, const char *value)
{
	LIST_EACH (r, g)
		if (r->named && strcmp(text(r->named->kind), kind) == 0 &&
		    strcmp(text(r->named->value), value) == 0)
			return true;
	return false;
}

static bool has_kind(const struct generics *g, const char *kind, bool named)
{
	LIST_EACH (r, g)
		if (!!r->named == named && strcmp(kind_of(r), kind) == 0)
			return true;
	return false;
}

/* Names are of letters, digits and these. */
#define KIND_MORE "_-."
#define VALUE_MORE "_-.:/"

static int one_parse(const char *term, struct generics *ret, struct err *e)
{
	const char *value = strchr(term, '=');
	auto_free char *kind = value ? xstrndup(term, (size_t)(value - term)) : NULL;
	char *end = NULL;
	int64_t n;
	bool number;

	if (!value || !is_word(kind, KIND_MORE) || !is_word(value + 1, VALUE_MORE))
		return err_set(e, -EINVAL,
			       "the generic resource \"%.128s\" is not KIND=VALUE in letters, "
			       "digits and _-.",
			       term);
	value++;
	errno = 0;
	n = strtoll(value, &end, 10);
	number = *end == '\0';
	if (number && (errno || n < 0 || n > LIMIT_GENERIC_NUMBER))
		return err_set(e, -EINVAL, "the generic resource %s: %s is not between 0 and %lld",
			       kind, value, (long long)LIMIT_GENERIC_NUMBER);
	if (has_kind(ret, kind, number))
		return err_set(e, -EINVAL, "the generic resource %s has names as well as a number",
			       kind);
	if (number ? has_kind(ret, kind, false) : has_name(ret, kind, value))
		return err_set(e, -EINVAL, "the generic resource %s is given twice", term);
	if (number)
		number_add(ret, kind, n);
	else
		named_add(ret, kind, value);
	return 0;
}

int generics_parse(const struct strs *texts, struct generics *ret, struct err *e)
{
	STRS_EACH (term, texts) {
		int rc = ret->n < LIMIT_GENERICS
				 ? one_parse(term, ret, e)
				 : err_set(e, -EINVAL, "more than %u generic resources",
					   LIMIT_GENERICS);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool may_be_added(const struct generics *to, const struct generic_resource *r)
{
	const char *kind = kind_of(r), *name = r->named ? text(r->named->value) : NULL;

	if (!r->named == !r->discrete || !is_word(kind, KIND_MORE) || has_kind(to, kind, !name))
		return false;
	if (name)
		return is_word(name, VALUE_MORE) && !has_name(to, kind, name);
	return r->discrete->value >= 0 && r->discrete->value <= LIMIT_GENERIC_NUMBER &&
	       !has_kind(to, kind, false);
}

void generics_believe(const struct generics *said, struct generics *ret)
{
	for (size_t i = 0; i < said->n && ret->n < LIMIT_GENERICS; i++) {
		const struct generic_resource *r = &said->v[i];

		if (!may_be_added(ret, r))
			continue;
		if (r->named)
			named_add(ret, kind_of(r), r->named->value);
		else
			number_add(ret, kind_of(r), r->discrete->value);
	}
}

int generics_wish_check(const struct generics *wants, struct err *e)
{
	if (wants->n > LIMIT_GENERICS)
		return err_set(e, -EINVAL, "more than %u generic resources", LIMIT_GENERICS);
	LIST_EACH (r, wants) {
		const struct generic_discrete *d = r->discrete;

		if (!d || r->named)
			return err_set(e, -EINVAL,
				       "invalid argument for resource %.64s: a service asks for a "
				       "number of a kind, not for one by name",
				       kind_of(r));
		if (!is_word(text(d->kind), KIND_MORE) || d->value < 1 ||
		    d->value > LIMIT_GENERIC_NUMBER)
			return err_set(e, -EINVAL,
				       "invalid generic resource \"%.64s\"=%" PRId64
				       ": 1 to %lld of a kind",
				       text(d->kind), d->value, (long long)LIMIT_GENERIC_NUMBER);
		for (const struct generic_resource *other = wants->v; other < r; other++)
			if (strcmp(kind_of(other), d->kind) == 0)
				return err_set(e, -EINVAL, "generic resource %s is asked for twice",
					       d->kind);
	}
	return 0;
}

bool generics_enough(const struct generics *has, const struct generics *wants)
{
	LIST_EACH (w, wants)
		if (w->discrete && count_of(has, kind_of(w)) < w->discrete->value)
			return false;
	return true;
}

void generics_choose(const struct generics *has, const struct generics *wants, struct generics *ret)
{
	LIST_EACH (w, wants) {
		int64_t left = w->discrete ? w->discrete->value : 0;

		for (size_t i = 0; i < has->n && left > 0; i++) {
			const struct generic_resource *r = &has->v[i];

			if (strcmp(kind_of(r), kind_of(w)) != 0)
				continue;
			if (r->named) {
				named_add(ret, text(r->named->kind), text(r->named->value));
				left--;
			} else if (r->discrete) {
				int64_t n = MIN_OF(left, r->discrete->value);

				number_add(ret, kind_of(w), n);
				left -= n;
			}
		}
	}
}

void generics_add(struct generics *to, const struct generics *what)
{
	LIST_EACH (r, what) {
		if (r->named)
			named_add(to, text(r->named->kind), text(r->named->value));
		else if (r->discrete)
			number_add(to, kind_of(r), r->discrete->value);
	}
}

static bool take_one(struct generics *from, const struct generic_resource *what)
{
	for (size_t i = 0; i < from->n; i++) {
		struct generic_resource *r = &from->v[i];

		if (!r->named != !what->named || strcmp(kind_of(r), kind_of(what)) != 0)
			continue;
		if (r->named) {
			if (strcmp(text(r->named->value), text(what->named->value)) != 0)
				continue;
			drop(from, i);
			return true;
		}
		if (r->discrete && what->discrete) {
			bool enough = r->discrete->value >= what->discrete->value;

			r->discrete->value -= what->discrete->value;
			if (r->discrete->value <= 0)
				drop(from, i);
			return enough;
		}
	}
	return !what->named && (!what->discrete || what->discrete->value == 0);
}

bool generics_take(struct generics *from, const struct generics *what)
{
	bool all = true;

	LIST_EACH (r, what)
		all &= take_one(from, r);
	return all;
}

void generics_env(const struct generics *given, struct strs *env)
{
	LIST_EACH (r, given) {
		auto_buf line = BUF_INIT(LIMIT_GENERICS * (LIMIT_GENERIC_NAME + 1ul) + 512);
		bool first = true;

		for (const struct generic_resource *before = given->v; before < r; before++)
			first = first && strcmp(kind_of(before), kind_of(r)) != 0;
		if (!first)
			continue;
		buf_adds(&line, "DOCKER_RESOURCE_");
		for (const char *p = kind_of(r); *p; p++)
			buf_addc(&line, (char)toupper((unsigned char)*p));
		for (const struct generic_resource *one = r; one < given->v + given->n; one++) {
			if (strcmp(kind_of(one), kind_of(r)) != 0)
				continue;
			buf_addc(&line, one == r ? '=' : ',');
			if (one->named)
				buf_adds(&line, text(one->named->value));
			else if (one->discrete)
				buf_addf(&line, "%" PRId64, one->discrete->value);
		}
		strs_add(env, buf_text(&line));
	}
}
