/*
 * What the kinds of objects share, and the one list of kinds. See model/object.h.
 */
#include "model/object.h"

#include <assert.h>

#include "base/mem.h"
#include "model/cluster.h"
#include "model/network.h"
#include "model/node.h"
#include "model/secret.h"
#include "model/service.h"
#include "model/task.h"

static const struct field version_fields[] = {
	FIELD_U64(struct version, 0, index, "Index", FIELD_OMIT),
};
TABLE_DEFINE(version, version_fields);

struct opaque {
	struct object o;
	struct table_rest *rest;
};
#define T struct opaque
static const struct field opaque_fields[] = {OBJECT_FIELDS(T)};
#undef T
static TABLE_DEFINE(opaque, opaque_fields, TABLE_REST(opaque));

static const struct kind {
	const char *name;
	const struct table *table;
} kinds[KIND_MAX] = {
	[KIND_CLUSTER] = {"cluster", &cluster_table},
	[KIND_NODE] = {"node", &node_table},
	[KIND_SERVICE] = {"service", &service_table},
	[KIND_TEMPLATE] = {"template", &template_table},
	[KIND_TASK] = {"task", &task_table},
	[KIND_NETWORK] = {"network", &network_table},
	[KIND_SECRET] = {"secret", &secret_table},
	[KIND_CONFIG] = {"config", &config_table},
};

const struct table *object_table(enum object_kind kind)
{
	assert(kind > KIND_NONE && kind < KIND_LIMIT);
	return kind < KIND_MAX ? kinds[kind].table : &opaque_table;
}

const char *object_kind_name(enum object_kind kind)
{
	return (unsigned)kind < KIND_MAX && kinds[kind].name ? kinds[kind].name : "object";
}

const char *object_name(const struct object *o)
{
	switch (o->kind) {
	case KIND_CLUSTER:
		return ((const struct cluster *)o)->spec.name;
	case KIND_SERVICE:
		return ((const struct service *)o)->spec.name;
	case KIND_NETWORK:
		return ((const struct network *)o)->spec.name;
	case KIND_SECRET:
	case KIND_CONFIG:
		return ((const struct secret *)o)->spec.name;
	default:
		return NULL;
	}
}

void *object_new(enum object_kind kind, const char *id, int64_t now_ns)
{
	struct object *o = xcalloc(1, object_table(kind)->size);

	o->kind = kind;
	o->refs = 1;
	o->id = xstrdup(id);
	o->created = o->updated = now_ns;
	return o;
}

void *object_clone(const struct object *src)
{
	struct object *o = table_dup(object_table(src->kind), src);

	o->kind = src->kind;
	o->refs = 1;
	return o;
}

const struct object *object_ref(const struct object *o)
{
	if (o)
		((struct object *)(uintptr_t)o)->refs++;
	return o;
}

void object_unref(const struct object *o)
{
	struct object *own = (struct object *)(uintptr_t)o;

	if (own && --own->refs == 0)
		object_free(own);
}

void object_free(struct object *o)
{
	if (o)
		table_free(object_table(o->kind), o);
}
