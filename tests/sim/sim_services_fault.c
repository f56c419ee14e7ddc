/*
 * The fault of an allocator that forgets: the simulation's build has core_allocator_new() led
 * through here (the linker's --wrap), so that nothing of it is in the product. It tells the real
 * allocator after each reset that the tasks which hold addresses are gone.
 */
#include "manager/core.h"
#include "sim/sim_services_impl.h"

#include "base/mem.h"

struct core *__real_core_allocator_new(void);
struct core *__wrap_core_allocator_new(void);

struct forgetful {
	struct core core;
	struct core *real;
};

static bool forgets;

void allocator_forgets(bool yes)
{
	forgets = yes;
}

static struct core *real_of(struct core *core)
{
	return container_of(core, struct forgetful, core)->real;
}

static void forgetful_reset(struct core *core, const struct store *s)
{
	struct core *real = real_of(core);
	const struct task *t;
	struct store_walk w;

	real->class->reset(real, s);
	for (store_walk_kind(&w, s, KIND_TASK); (t = store_walk_next(&w));)
		if (t->networks.n)
			real->class->event(real, s, &t->o, NULL);
}

static void forgetful_event(struct core *core, const struct store *s, const struct object *old,
			    const struct object *new)
{
	struct core *real = real_of(core);

	real->class->event(real, s, old, new);
}

static int64_t forgetful_step(struct core *core, struct core_step *step)
{
	struct core *real = real_of(core);

	return real->class->step(real, step);
}

static void forgetful_free(struct core *core)
{
	struct core *real = real_of(core);

	real->class->free(real);
	free(container_of(core, struct forgetful, core));
}

static const struct core_class forgetful_class = {
	.name = "allocator that forgets",
	.reset = forgetful_reset,
	.event = forgetful_event,
	.step = forgetful_step,
	.free = forgetful_free,
};

struct core *__wrap_core_allocator_new(void)
{
	struct core *real = __real_core_allocator_new();
	struct forgetful *f;

	if (!forgets)
		return real;
	f = xcalloc(1, sizeof *f);
	f->core.class = &forgetful_class;
	f->real = real;
	return &f->core;
}
