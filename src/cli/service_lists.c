/*
 * Lists of a container's specification that flags add to and take from: capabilities, resolver and
 * hosts, groups, ulimits. `service create` fills them from nothing. See service_spec.h.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "cli/service_spec.h"
#include "cli/spec_flags.h"

void service_texts(struct strs *list, const struct flags *f, const char *add, const char *remove)
{
	if (remove)
		STRS_EACH (item, flag_list(f, remove))
			spec_remove(list, item, 0);
	STRS_EACH (item, flag_list(f, add))
		if (!strs_has(list, item))
			strs_add(list, item);
}

/* Capabilities. Their names come with or without CAP_, in any case of letters. */

#define CAPS_ALL "ALL"
#define CAPS_RESET "RESET" /* of an update: forget what the list had before */

static char *cap_name(const char *text)
{
	bool word = strcasecmp(text, CAPS_ALL) == 0 || strcasecmp(text, CAPS_RESET) == 0;
	char *name = word || strncasecmp(text, "CAP_", 4) == 0 ? xstrdup(text)
							       : xasprintf("CAP_%s", text);

	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return name;
}

static void caps_add(struct strs *set, const struct strs *names)
{
	STRS_EACH (text, names) {
		auto_free char *name = cap_name(text);

		if (!strs_has(set, name))
			strs_add(set, name);
	}
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In order, so that the same set is the same specification; "ALL" has all others in it. */
static void caps_tidy(struct strs *set)
{
	if (strs_has(set, CAPS_ALL)) {
		strs_done(set);
		strs_add(set, CAPS_ALL);
	}
	if (set->n)
		qsort(set->v, set->n, sizeof *set->v, text_order);
}

/* Moves `wish` towards `to`: what stands in `from` is only taken away there. */
static void caps_move(struct strs *to, struct strs *from, const struct strs *wish,
		      const struct strs *except)
{
	STRS_EACH (name, wish) {
		if (except && strs_has(except, name))
			continue;
		if (strs_has(from, name))
			spec_remove(from, name, 0);
		else if (!strs_has(to, name))
			strs_add(to, name);
	}
}

/* The wish of one flag; `had` is what the specification has already. */
static void caps_wish(struct strs *wish, struct strs *had, const struct strs *given)
{
	struct strs before = *had;

	*had = (struct strs){0};
	caps_add(had, &before);
	strs_done(&before);
	caps_add(wish, given);
	if (strs_has(wish, CAPS_RESET)) {
		strs_done(had);
		spec_remove(wish, CAPS_RESET, 0);
	}
}

/*
 * Adding goes before dropping. Adding what was dropped puts it back to the default, and so does
 * dropping what was added; a second time it is added, or dropped.
 */
void service_caps(struct container_spec *c, const struct flags *f, bool create)
{
	struct strs add = {0}, drop = {0};

	if (!flag_is_set(f, "cap-add") && !flag_is_set(f, "cap-drop"))
		return;
	caps_wish(&add, &c->cap_add, flag_list(f, "cap-add"));
	caps_wish(&drop, &c->cap_drop, flag_list(f, "cap-drop"));
	if (create)
		caps_tidy(&drop);
	caps_move(&c->cap_drop, &c->cap_add, &drop, &add);
	caps_move(&c->cap_add, &c->cap_drop, &add, NULL);
	caps_tidy(&c->cap_add);
	caps_tidy(&c->cap_drop);
	strs_done(&add);
	strs_done(&drop);
}

/* The resolver */

void service_dns(struct container_spec *c, const struct flags *f, const char *const names[6])
{
	bool any = false;

	for (size_t i = 0; i < 6; i++)
		any |= names[i] && flag_is_set(f, names[i]);
	if (!any)
		return;
	if (!c->dns)
		c->dns = xcalloc(1, sizeof *c->dns);
	service_texts(&c->dns->nameservers, f, names[0], names[1]);
	service_texts(&c->dns->search, f, names[2], names[3]);
	service_texts(&c->dns->options, f, names[4], names[5]);
}

/* Hosts. A flag says "name:address", a specification the line "address name [name…]". */

/* The line without the name; NULL where no name is left. */
static char *host_without(const char *line, const char *name, const char *address)
{
	auto_free char *copy = xstrdup(line);
	char *at = copy, *ip = strsep(&at, " \t"), *word;
	char *ret = NULL;

	if (*address && strcmp(ip, address) != 0)
		return xstrdup(line);
	while ((word = strsep(&at, " \t"))) {
		auto_free char *had = ret;

		if (!*word || strcmp(word, name) == 0)
			ret = TAKE_PTR(had);
		else
			ret = xasprintf("%s %s", had ? had : ip, word);
	}
	return ret;
}

static void host_remove(struct strs *hosts, const char *text)
{
	const char *sign = text + strcspn(text, ":=");
	auto_free char *name = xstrndup(text, (size_t)(sign - text));
	struct strs kept = {0};

	STRS_EACH (line, hosts) {
		auto_free char *left = host_without(line, name, *sign ? sign + 1 : "");

		if (left)
			strs_add(&kept, left);
	}
	strs_done(hosts);
	*hosts = kept;
}

void service_hosts(struct container_spec *c, const struct flags *f, const char *add,
		   const char *remove)
{
	if (remove)
		STRS_EACH (text, flag_list(f, remove))
			host_remove(&c->hosts, text);
	STRS_EACH (item, flag_list(f, add)) {
		const char *sign = item + strcspn(item, ":=");
		auto_free char *line =
			*sign ? xasprintf("%s %.*s", sign + 1, (int)(sign - item), item)
			      : xstrdup(item);

		if (!strs_has(&c->hosts, line))
			strs_add(&c->hosts, line);
	}
}

/* Limits, known by their names; one that is added replaces the one before. */

static void ulimit_remove(struct container_spec *c, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->ulimits.n; i++) {
		if (c->ulimits.v[i].name && strcmp(c->ulimits.v[i].name, name) == 0)
			table_done(&ulimit_table, &c->ulimits.v[i]);
		else
			c->ulimits.v[kept++] = c->ulimits.v[i];
	}
	c->ulimits.n = kept;
}

int service_ulimits(struct container_spec *c, const struct flags *f, const char *add,
		    const char *remove, struct err *e)
{
	if (remove)
		STRS_EACH (name, flag_list(f, remove))
			ulimit_remove(c, name);
	STRS_EACH (text, flag_list(f, add)) {
		struct ulimit u = {0};

		if (ulimit_parse(text, &u, e) < 0)
			return e->code;
		ulimit_remove(c, u.name);
		*LIST_ADD(&c->ulimits) = u;
	}
	return 0;
}

/*
 * A driver comes with all its options: those of the one before would make no sense. Options alone
 * are laid over what there is.
 */
void service_log_driver(struct task_spec *t, const struct flags *f)
{
	const char *name = flag_text(f, "log-driver");

	if (name && *name) {
		table_free(&driver_table, t->log_driver);
		t->log_driver = xcalloc(1, sizeof *t->log_driver);
		t->log_driver->name = xstrdup(name);
	}
	if (flag_list(f, "log-opt")->n && !t->log_driver)
		t->log_driver = xcalloc(1, sizeof *t->log_driver);
	if (t->log_driver)
		spec_labels(&t->log_driver->options, f, "log-opt");
}

/* Where Windows' account comes from. Nothing here has one: the daemon refuses it by its name. */
int service_credentials(struct container_spec *c, const struct flags *f, struct err *e)
{
	static const char *const kinds[] = {"config://", "file://", "registry://"};
	const char *text = flag_text(f, "credential-spec");
	struct credential_spec *s;
	size_t i = 0;

	if (!text)
		return 0;
	while (i < ARRAY_LEN(kinds) && strncmp(text, kinds[i], strlen(kinds[i])) != 0)
		i++;
	if (i == ARRAY_LEN(kinds))
		return err_set(e, -EINVAL,
			       "invalid credential spec: value must be prefixed with "
			       "\"config://\", \"file://\", or \"registry://\"");
	if (!c->privileges)
		c->privileges = xcalloc(1, sizeof *c->privileges);
	table_free(&credential_spec_table, c->privileges->credential_spec);
	s = xcalloc(1, sizeof *s);
	c->privileges->credential_spec = s;
	str_set(i == 0 ? &s->config : i == 1 ? &s->file : &s->registry, text + strlen(kinds[i]));
	return 0;
}
