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

/* The real one's class, but for what follows a reset. */
static struct core_class forgetful_class;
static void (*real_derived)(struct core *c, const struct store *s);

static bool forgets;

void allocator_forgets(bool yes)
{
	forgets = yes;
}

static void forgetful_derived(struct core *c, const struct store *s)
{
	const struct task *t;
	struct store_walk w;

	real_derived(c, s);
	for (store_walk_kind(&w, s, KIND_TASK); (t = store_walk_next(&w));)
		if (t->networks.n)
			core_event(c, s, &t->o, NULL);
}

struct core *__wrap_core_allocator_new(void)
{
	struct core *ret = __real_core_allocator_new();

	if (!forgets)
		return ret;
	forgetful_class = *ret->class;
	real_derived = ret->class->derived;
	forgetful_class.derived = forgetful_derived;
	ret->class = &forgetful_class;
	return ret;
}
