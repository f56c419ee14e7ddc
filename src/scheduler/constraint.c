/*
 * See constraint.h.
 */
#include "scheduler/constraint.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const struct {
	const char *name;
	enum constraint_key key;
} keys[] = {
	{"node.id", CONSTRAINT_NODE_ID},     {"node.hostname", CONSTRAINT_HOSTNAME},
	{"node.ip", CONSTRAINT_IP},          {"node.role", CONSTRAINT_ROLE},
	{"node.platform.os", CONSTRAINT_OS}, {"node.platform.arch", CONSTRAINT_ARCH},
};

#define NODE_LABELS "node.labels."
#define ENGINE_LABELS "engine.labels."

/* [p, end) without the white space around it. */
static char *trimmed(const char *p, const char *end)
{
	while (p < end && isspace((unsigned char)*p))
		p++;
	while (end > p && isspace((unsigned char)end[-1]))
		end--;
	return xstrndup(p, (size_t)(end - p));
}

static bool key_is_sound(const char *s)
{
	if (!isalpha((unsigned char)s[0]) && s[0] != '_')
		return false;
	for (const char *p = s + 1; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-_.", *p))
			return false;
	return s[1] != '\0';
}

static bool value_is_sound(const char *s)
{
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !isspace((unsigned char)*p) &&
		    !strchr(":-_.*()?+[]\\^$|/", *p))
			return false;
	return *s != '\0';
}

/* Sets key and label from the text of the key. */
static void key_read(const char *text, struct constraint *c)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcasecmp(text, keys[i].name) == 0)
			c->key = keys[i].key;
	if (strncasecmp(text, NODE_LABELS, strlen(NODE_LABELS)) == 0 &&
	    text[strlen(NODE_LABELS)] != '\0') {
		c->key = CONSTRAINT_NODE_LABEL;
		c->label = xstrdup(text + strlen(NODE_LABELS));
	} else if (strncasecmp(text, ENGINE_LABELS, strlen(ENGINE_LABELS)) == 0 &&
		   text[strlen(ENGINE_LABELS)] != '\0') {
		c->key = CONSTRAINT_ENGINE_LABEL;
		c->label = xstrdup(text + strlen(ENGINE_LABELS));
	}
}

/* An address is a subnet of one. */
static void ip_read(struct constraint *c)
{
	if (net_prefix_parse(c->value, &c->ip) == 0)
		return;
	c->ip = (struct net_prefix){0};
	if (net_ip_parse(c->value, &c->ip.ip) == 0)
		c->ip.len = (uint8_t)(net_ip_size(c->ip.ip.family) * 8);
}

static int constraint_parse(const char *text, struct constraint *ret, struct err *e)
{
	const char *is = strstr(text, "=="), *not = strstr(text, "!=");
	const char *op = is && (!not || is < not ) ? is : not ;
	auto_free char *key = NULL;

	if (!op)
		return err_set(e, -EINVAL,
			       "constraint \"%.200s\": expected one operator from ==, !=", text);
	key = trimmed(text, op);
	ret->value = trimmed(op + 2, op + strlen(op));
	ret->negate = op == not ;
	if (!key_is_sound(key))
		return err_set(e, -EINVAL, "constraint \"%.200s\": key '%.100s' is invalid", text,
			       key);
	if (!value_is_sound(ret->value))
		return err_set(e, -EINVAL, "constraint \"%.200s\": value '%.100s' is invalid", text,
			       ret->value);
	key_read(key, ret);
	if (ret->key == CONSTRAINT_IP)
		ip_read(ret);
	return 0;
}

int spread_key_parse(const char *text, struct constraint *ret, struct err *e)
{
	*ret = (struct constraint){0};
	if (text && key_is_sound(text))
		key_read(text, ret);
	if (ret->key != CONSTRAINT_UNKNOWN && ret->key != CONSTRAINT_IP)
		return 0;
	return err_set(e, -EINVAL,
		       "placement preference: \"%.100s\" cannot be spread over: it must be "
		       "node.labels.NAME, engine.labels.NAME, or another key of constraints than "
		       "node.ip",
		       text ? text : "");
}

int constraints_parse(const struct strs *texts, struct constraints *ret, struct err *e)
{
	struct constraints c = {.n = texts->n};

	if (texts->n)
		c.v = xcalloc(texts->n, sizeof *c.v);
	for (size_t i = 0; i < texts->n; i++) {
		int rc = constraint_parse(texts->v[i], &c.v[i], e);

		if (rc < 0) {
			constraints_done(&c);
			*ret = (struct constraints){0};
			return rc;
		}
	}
	*ret = c;
	return 0;
}

void constraints_done(struct constraints *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].label);
		free(c->v[i].value);
	}
	free(c->v);
	*c = (struct constraints){0};
}

static bool ip_match(const struct constraint *c, const struct node *n)
{
	struct net_ip ip;

	if (!c->ip.ip.family || !n->status.addr || net_ip_parse(n->status.addr, &ip) < 0)
		return false;
	return net_prefix_contains(&c->ip, &ip) != c->negate;
}

/* What the node has for the key; NULL is the empty value. */
static const char *node_value(const struct constraint *c, const struct node *n)
{
	switch (c->key) {
	case CONSTRAINT_NODE_ID:
		return n->o.id;
	case CONSTRAINT_HOSTNAME:
		return n->description.hostname;
	case CONSTRAINT_ROLE:
		return n->spec.role == ROLE_MANAGER ? "manager" : "worker";
	case CONSTRAINT_OS:
		return n->description.platform.os;
	case CONSTRAINT_ARCH:
		return n->description.platform.architecture;
	case CONSTRAINT_NODE_LABEL:
		return strmap_get(&n->spec.labels, c->label);
	case CONSTRAINT_ENGINE_LABEL:
		return strmap_get(&n->description.engine.labels, c->label);
	default:
		return NULL;
	}
}

const char *constraint_value(const struct constraint *c, const struct node *n)
{
	const char *value = node_value(c, n);

	return value ? value : "";
}

static bool constraint_match(const struct constraint *c, const struct node *n)
{
	if (c->key == CONSTRAINT_UNKNOWN)
		return false;
	if (c->key == CONSTRAINT_IP)
		return ip_match(c, n);
	return (strcasecmp(constraint_value(c, n), c->value) == 0) != c->negate;
}

bool constraints_match(const struct constraints *c, const struct node *n)
{
	for (size_t i = 0; i < c->n; i++)
		if (!constraint_match(&c->v[i], n))
			return false;
	return true;
}
