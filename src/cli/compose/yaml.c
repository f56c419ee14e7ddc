/*
 * YAML into nodes. See yaml.h.
 */
#include "cli/compose/yaml.h"

#include <string.h>

#include <yaml.h>

#include "base/limits.h"
#include "base/mem.h"

struct anchor {
	char *name;
	struct compose_node *node; /* a copy: what carries the anchor may be merged away */
};

struct reader {
	yaml_parser_t parser;
	const char *file;
	size_t *budget;
	struct anchor *anchors;
	size_t n_anchors;
	struct err *e;
};

static int node_read(struct reader *r, const yaml_event_t *ev, size_t depth,
		     struct compose_node **ret);

static struct compose_node place(const struct reader *r, const yaml_mark_t *mark)
{
	return (struct compose_node){
		.file = r->file, .line = mark->line + 1, .column = mark->column + 1};
}

static int too_many(struct reader *r, const struct compose_node *at)
{
	return compose_err(r->e, at, "the files have more than %u values, aliases counted in full",
			   LIMIT_COMPOSE_NODES);
}

static int next(struct reader *r, yaml_event_t *ev)
{
	struct compose_node at;

	if (yaml_parser_parse(&r->parser, ev))
		return 0;
	at = place(r, &r->parser.problem_mark);
	return compose_err(r->e, &at, "this is no YAML: %s%s%s",
			   r->parser.problem ? r->parser.problem : "unreadable",
			   r->parser.context ? " " : "",
			   r->parser.context ? r->parser.context : "");
}

static int anchor_keep(struct reader *r, const yaml_char_t *name, const struct compose_node *n)
{
	struct compose_node *copy;

	if (!name)
		return 0;
	copy = compose_copy(n, r->budget);
	if (!copy)
		return too_many(r, n);
	r->anchors = xreallocarray(r->anchors, r->n_anchors + 1, sizeof *r->anchors);
	r->anchors[r->n_anchors++] = (struct anchor){xstrdup((const char *)name), copy};
	return 0;
}

static int alias_read(struct reader *r, const char *name, const struct compose_node *at,
		      struct compose_node **ret)
{
	for (size_t i = r->n_anchors; i > 0; i--) {
		if (strcmp(r->anchors[i - 1].name, name) != 0)
			continue;
		*ret = compose_copy(r->anchors[i - 1].node, r->budget);
		return *ret ? 0 : too_many(r, at);
	}
	return compose_err(r->e, at, "the alias *%s has no anchor before it", name);
}

static bool is_null(const char *text)
{
	return !text || !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
	       strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static int scalar_read(struct reader *r, const yaml_event_t *ev, struct compose_node *n)
{
	const char *text = (const char *)ev->data.scalar.value;
	const char *tag = (const char *)ev->data.scalar.tag;

	if (strlen(text) != ev->data.scalar.length)
		return compose_err(r->e, n, "a text has a byte of zero in it");
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
		    (tag && strcmp(tag, YAML_STR_TAG) == 0);
	n->type = !n->quoted && is_null(text) ? COMPOSE_NULL : COMPOSE_TEXT;
	n->text = n->type == COMPOSE_TEXT ? xstrdup(text) : NULL;
	return 0;
}

static int child_check(struct reader *r, const struct compose_node *n)
{
	if (n->n >= LIMIT_COMPOSE_LIST)
		return compose_err(r->e, n, "a list or map has more than %u entries",
				   LIMIT_COMPOSE_LIST);
	return 0;
}

static int list_read(struct reader *r, struct compose_node *n, size_t depth)
{
	for (;;) {
		struct compose_node *child = NULL;
		yaml_event_t ev;
		int rc = next(r, &ev);

		if (rc < 0)
			return rc;
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&ev);
			return 0;
		}
		rc = child_check(r, n);
		if (rc == 0)
			rc = node_read(r, &ev, depth + 1, &child);
		yaml_event_delete(&ev);
		if (rc < 0)
			return rc;
		compose_add(n, child);
	}
}

/* The keys of `from` that the map lacks. */
static int merge_one(struct reader *r, struct compose_node *map, const struct compose_node *from)
{
	if (from->type != COMPOSE_MAP)
		return compose_err(r->e, from, "<< takes a map or a list of maps");
	for (size_t i = 0; i < from->n; i++) {
		struct compose_node *copy;

		if (compose_get(map, from->v[i]->key))
			continue;
		if (child_check(r, map) < 0)
			return r->e ? r->e->code : -EINVAL;
		copy = compose_copy(from->v[i], r->budget);
		if (!copy)
			return too_many(r, map);
		compose_add(map, copy);
	}
	return 0;
}

static int merge_keys(struct reader *r, struct compose_node *map, const struct compose_node *from)
{
	int rc = 0;

	if (from->type != COMPOSE_LIST)
		return merge_one(r, map, from);
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = merge_one(r, map, from->v[i]);
	return rc;
}

/* The pair that begins with the event of its key; "<<" goes to *merged. */
static int pair_read(struct reader *r, struct compose_node *map, const yaml_event_t *ev,
		     size_t depth, struct compose_node **merged)
{
	struct compose_node at = place(r, &ev->start_mark);
	auto_free char *key = NULL;
	struct compose_node *child = NULL;
	yaml_event_t value;
	int rc;

	if (ev->type != YAML_SCALAR_EVENT)
		return compose_err(r->e, &at, "a key is to be a text");
	key = xstrdup((const char *)ev->data.scalar.value);
	if (strlen(key) != ev->data.scalar.length)
		return compose_err(r->e, &at, "a key has a byte of zero in it");
	if (compose_get(map, key) || (*merged && strcmp(key, "<<") == 0))
		return compose_err(r->e, &at, "the key %s stands here twice", key);
	rc = child_check(r, map);
	if (rc == 0)
		rc = next(r, &value);
	if (rc < 0)
		return rc;
	rc = node_read(r, &value, depth + 1, &child);
	yaml_event_delete(&value);
	if (rc < 0)
		return rc;
	if (strcmp(key, "<<") == 0 && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		*merged = child;
		return 0;
	}
	if (child && child->type != COMPOSE_TEXT) { /* a map is best pointed at by its key */
		child->line = at.line;
		child->column = at.column;
	}
	compose_put(map, key, child);
	return 0;
}

static int map_read(struct reader *r, struct compose_node *n, size_t depth)
{
	auto_node *merged = NULL;

	for (;;) {
		yaml_event_t ev;
		int rc = next(r, &ev);

		if (rc < 0)
			return rc;
		if (ev.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&ev);
			return merged ? merge_keys(r, n, merged) : 0;
		}
		rc = pair_read(r, n, &ev, depth, &merged);
		yaml_event_delete(&ev);
		if (rc < 0)
			return rc;
	}
}

static enum compose_tag tag_of(const yaml_char_t *tag)
{
	if (tag && strcmp((const char *)tag, "!reset") == 0)
		return COMPOSE_RESET;
	return tag && strcmp((const char *)tag, "!override") == 0 ? COMPOSE_OVERRIDE
								  : COMPOSE_MERGE;
}

static int value_read(struct reader *r, const yaml_event_t *ev, size_t depth,
		      struct compose_node *n)
{
	const yaml_char_t *anchor;
	const yaml_char_t *tag;
	int rc;

	if (ev->type == YAML_SCALAR_EVENT) {
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		rc = scalar_read(r, ev, n);
	} else if (ev->type == YAML_SEQUENCE_START_EVENT) {
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		n->type = COMPOSE_LIST;
		rc = list_read(r, n, depth);
	} else {
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		n->type = COMPOSE_MAP;
		rc = map_read(r, n, depth);
	}
	n->tag = tag_of(tag);
	return rc < 0 ? rc : anchor_keep(r, anchor, n);
}

static int node_read(struct reader *r, const yaml_event_t *ev, size_t depth,
		     struct compose_node **ret)
{
	struct compose_node at = place(r, &ev->start_mark);
	struct compose_node *n;
	int rc;

	if (depth > LIMIT_COMPOSE_DEPTH)
		return compose_err(r->e, &at, "values are nested deeper than %u",
				   LIMIT_COMPOSE_DEPTH);
	if (ev->type == YAML_ALIAS_EVENT)
		return alias_read(r, (const char *)ev->data.alias.anchor, &at, ret);
	if (*r->budget == 0)
		return too_many(r, &at);
	--*r->budget;
	n = compose_new(COMPOSE_NULL, &at);
	rc = value_read(r, ev, depth, n);
	if (rc < 0)
		compose_free(n);
	else
		*ret = n;
	return rc;
}

/* The document's only value; the events before and after it are of the stream. */
static int document_read(struct reader *r, struct compose_node **ret)
{
	struct compose_node top = {.file = r->file, .line = 1, .column = 1};
	int rc = 0;

	for (bool end = false; rc == 0 && !end;) {
		yaml_event_t ev;

		rc = next(r, &ev);
		if (rc < 0)
			break;
		end = ev.type == YAML_STREAM_END_EVENT;
		if (ev.type == YAML_DOCUMENT_START_EVENT && *ret)
			rc = compose_err(r->e, *ret, "the file has more than one document");
		else if (ev.type == YAML_SCALAR_EVENT || ev.type == YAML_ALIAS_EVENT ||
			 ev.type == YAML_SEQUENCE_START_EVENT ||
			 ev.type == YAML_MAPPING_START_EVENT)
			rc = node_read(r, &ev, 0, ret);
		yaml_event_delete(&ev);
	}
	return rc == 0 && !*ret ? compose_err(r->e, &top, "the file is empty") : rc;
}

int compose_yaml_read(const char *file, const char *text, size_t n, size_t *budget,
		      struct compose_node **ret, struct err *e)
{
	struct reader r = {.file = file, .budget = budget, .e = e};
	struct compose_node *root = NULL;
	int rc;

	if (!yaml_parser_initialize(&r.parser))
		abort(); /* memory is gone */
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	rc = document_read(&r, &root);
	yaml_parser_delete(&r.parser);
	for (size_t i = 0; i < r.n_anchors; i++) {
		free(r.anchors[i].name);
		compose_free(r.anchors[i].node);
	}
	free(r.anchors);
	if (rc < 0)
		compose_free(root);
	else
		*ret = root;
	return rc;
}

/* Writing */

static int emit_text(yaml_emitter_t *out, const char *text, bool plain)
{
	yaml_event_t ev;

	return yaml_scalar_event_initialize(
		       &ev, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), plain, 1,
		       plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE) &&
	       yaml_emitter_emit(out, &ev);
}

static int emit(yaml_emitter_t *out, const struct compose_node *n)
{
	yaml_event_t ev;
	bool map = n->type == COMPOSE_MAP;
	int ok;

	if (n->type == COMPOSE_NULL || n->type == COMPOSE_TEXT)
		return emit_text(out, n->text ? n->text : "null",
				 n->type == COMPOSE_NULL || (!n->quoted && !is_null(n->text)));
	ok = map ? yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1,
						       n->n ? YAML_BLOCK_MAPPING_STYLE
							    : YAML_FLOW_MAPPING_STYLE)
		 : yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
							n->n ? YAML_BLOCK_SEQUENCE_STYLE
							     : YAML_FLOW_SEQUENCE_STYLE);
	ok = ok && yaml_emitter_emit(out, &ev);
	for (size_t i = 0; ok && i < n->n; i++)
		ok = (!map ||
		      emit_text(out, n->v[i]->key,
				!is_null(n->v[i]->key) && strcmp(n->v[i]->key, "<<") != 0)) &&
		     emit(out, n->v[i]);
	ok = ok && (map ? yaml_mapping_end_event_initialize(&ev)
			: yaml_sequence_end_event_initialize(&ev));
	return ok && yaml_emitter_emit(out, &ev);
}

static int sink(void *data, unsigned char *p, size_t n)
{
	return buf_add(data, p, n) == 0;
}

int compose_yaml_write(const struct compose_node *n, struct buf *ret)
{
	yaml_emitter_t out;
	yaml_event_t ev;
	int ok;

	if (!yaml_emitter_initialize(&out))
		abort(); /* memory is gone */
	yaml_emitter_set_output(&out, sink, ret);
	yaml_emitter_set_unicode(&out, 1);
	yaml_emitter_set_width(&out, -1);
	ok = yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING) &&
	     yaml_emitter_emit(&out, &ev) &&
	     yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1) &&
	     yaml_emitter_emit(&out, &ev) && emit(&out, n) &&
	     yaml_document_end_event_initialize(&ev, 1) && yaml_emitter_emit(&out, &ev) &&
	     yaml_stream_end_event_initialize(&ev) && yaml_emitter_emit(&out, &ev);
	yaml_emitter_delete(&out);
	return ok ? buf_status(ret) : -EMSGSIZE;
}
