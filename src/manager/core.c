/*
 * See core.h: what all cores have in common. What one of them is about is its own.
 */
#include "manager/core.h"

#include <assert.h>
#include <string.h>

struct core *(*const core_makers[CORE_COUNT])(void) = {
	[CORE_REPLICATED] = core_replicated_new,
	[CORE_GLOBAL] = core_global_new,
	[CORE_JOB] = core_job_new,
	[CORE_CRON] = core_cron_new,
	[CORE_UPDATE] = core_update_new,
	[CORE_REBALANCE] = core_rebalance_new,
	[CORE_RESTART] = core_restart_new,
	[CORE_ENFORCER] = core_enforcer_new,
	[CORE_REAPER] = core_reaper_new,
	[CORE_DEPENDS] = core_depends_new,
	[CORE_ALLOCATOR] = core_allocator_new,
	[CORE_SCHEDULER] = core_scheduler_new,
	[CORE_AUTOSCALE] = core_autoscale_new,
};

struct core *core_new(const struct core_class *class)
{
	struct core *c = xcalloc(1, class->size);

	c->class = class;
	if (class->init)
		class->init(c);
	return c;
}

void core_free(struct core *c)
{
	c->class->done(c);
	free(c);
}

void core_event(struct core *c, const struct store *s, const struct object *old,
		const struct object *new)
{
	const struct core_class *class = c->class;

	assert(old || new);
	switch ((new ? new : old)->kind) {
#define TELL(kind, type)                                                                       \
	case kind:                                                                             \
		if (class->type)                                                               \
			class->type(c, s, (const struct type *)old, (const struct type *)new); \
		break
		TELL(KIND_CLUSTER, cluster);
		TELL(KIND_NODE, node);
		TELL(KIND_SERVICE, service);
		TELL(KIND_TEMPLATE, template);
		TELL(KIND_TASK, task);
		TELL(KIND_NETWORK, network);
#undef TELL
	default:
		break;
	}
}

static void forget(struct core *c)
{
	const struct core_class *class = c->class;

	class->done(c);
	memset((char *)c + sizeof *c, 0, class->size - sizeof *c);
	if (class->init)
		class->init(c);
}

/* One object for one core, or the step from one kind or core to the next. */
static void derive_one(struct core *c, const struct store *s, struct core_derive *at)
{
	const struct core_class *class = c->class;
	const struct object *o;

	if (!at->walking && at->kind == 0)
		forget(c);
	if (at->kind == CORE_DERIVES_MAX || class->derives[at->kind] == KIND_NONE) {
		if (class->derived)
			class->derived(c, s);
		at->core++;
		at->kind = 0;
		return;
	}
	if (!at->walking)
		store_walk_kind(&at->walk, s, class->derives[at->kind]);
	o = store_walk_next(&at->walk);
	at->walking = o != NULL;
	at->kind += !o;
	if (o)
		core_event(c, s, NULL, o);
}

bool core_derive(struct core *const *cores, size_t n, const struct store *s, struct core_derive *at)
{
	for (size_t i = 0; i < CORE_DERIVE_OBJECTS && at->core < n; i++)
		derive_one(cores[at->core], s, at);
	return at->core < n;
}

void core_reset(struct core *c, const struct store *s)
{
	struct core_derive at = {0};

	while (core_derive(&c, 1, s, &at))
		;
}
