/*
 * The allocator: what of the cluster may be given only once. See core_allocator.h; this file keeps
 * what is in use and runs the steps: networks, then services, then tasks.
 */
#include "manager/core_allocator.h"

#include <string.h>

#include "base/clock.h"

/* Tasks that wait are tried again at most so often, in ns. */
#define RETRY_NS (100 * NS_PER_MS)

struct alloc_number *alloc_number_find(struct alloc_number *numbers, uint32_t key)
{
	struct alloc_number *n;

	HASH_FIND(hh, numbers, &key, sizeof key, n);
	return n;
}

/* The first owner keeps it, should the store ever have two. */
void alloc_number_take(struct alloc_number **numbers, uint32_t key, const char *owner)
{
	struct alloc_number *n = alloc_number_find(*numbers, key);

	if (n)
		return;
	n = xcalloc(1, sizeof *n);
	n->key = key;
	n->owner = xstrdup(owner);
	HASH_ADD(hh, *numbers, key, sizeof n->key, n);
}

void alloc_number_drop(struct alloc_number **numbers, uint32_t key, const char *owner)
{
	struct alloc_number *n = alloc_number_find(*numbers, key);

	if (!n || (owner && strcmp(n->owner, owner) != 0))
		return;
	HASH_DEL(*numbers, n);
	free(n->owner);
	free(n);
}

/* Marks */

static void mark_add(struct core_allocator *c, const struct alloc_mark *mark)
{
	if (c->n_marks == c->cap_marks) {
		c->cap_marks = c->cap_marks ? c->cap_marks * 2 : 64;
		c->marks = xreallocarray(c->marks, c->cap_marks, sizeof *c->marks);
	}
	c->marks[c->n_marks++] = *mark;
}

void alloc_mark_number(struct core_allocator *c, struct alloc_number **numbers, uint32_t key,
		       const char *owner)
{
	alloc_number_take(numbers, key, owner);
	mark_add(c, &(struct alloc_mark){.numbers = numbers, .key = key});
}

bool alloc_address(struct core_allocator *c, struct alloc_network *n, uint8_t family,
		   char ret[NET_PREFIX_TEXT])
{
	for (size_t i = 0; i < n->n_pools; i++) {
		const struct net_prefix *subnet = addr_pool_subnet(n->pools[i]);
		struct net_prefix p = {.len = subnet->len};

		if (subnet->ip.family != family || !addr_pool_next(n->pools[i], &p.ip))
			continue;
		mark_add(c, &(struct alloc_mark){.pool = n->pools[i], .ip = p.ip});
		(void)net_prefix_format(&p, ret);
		return true;
	}
	return false;
}

void alloc_unmark(struct core_allocator *c, size_t from)
{
	while (c->n_marks > from) {
		const struct alloc_mark *mark = &c->marks[--c->n_marks];

		if (mark->pool)
			(void)addr_pool_drop(mark->pool, &mark->ip);
		else
			alloc_number_drop(mark->numbers, mark->key, NULL);
	}
}

/* What cannot be allocated */

static struct alloc_blocked *blocked_find(const struct core_allocator *c, const char *id)
{
	struct alloc_blocked *b;

	HASH_FIND(hh, c->blocked, id, strlen(id), b);
	return b;
}

void alloc_block(struct core_allocator *c, const char *id, const char *why)
{
	struct alloc_blocked *b = blocked_find(c, id);

	if (!b) {
		b = xcalloc(1, sizeof *b);
		b->id = xstrdup(id);
		HASH_ADD_KEYPTR(hh, c->blocked, b->id, strlen(b->id), b);
	}
	if (!b->why || strcmp(b->why, why) != 0)
		c->freed = true; /* those who wait say the new reason */
	str_set(&b->why, why);
}

void alloc_unblock(struct core_allocator *c, const char *id)
{
	struct alloc_blocked *b = blocked_find(c, id);

	if (!b)
		return;
	c->freed = true;
	HASH_DEL(c->blocked, b);
	free(b->id);
	free(b->why);
	free(b);
}

const char *alloc_why(const struct core_allocator *c, const char *id)
{
	const struct alloc_blocked *b = blocked_find(c, id);

	return b ? b->why : NULL;
}

/* Steps */

/* True when all of the set was looked at; what needed no change has left it. */
static bool set_step(struct core_allocator *c, struct core_step *step, struct idset *set,
		     bool (*fn)(struct core_allocator *c, struct core_step *step, const char *id),
		     size_t start, size_t *looks)
{
	IDSET_EACH(entry, set)
	{
		size_t before = step->out->n;

		if (!core_fits(step, start) || ++*looks > CORE_LOOKS)
			return false;
		if (!fn(c, step, entry->id) && core_is_clean(step, before))
			(void)idset_remove(set, entry->id);
	}
	return true;
}

static void waiting_wake(struct core_allocator *c, int64_t now_ns)
{
	if (!c->freed || now_ns < c->retry_ns)
		return;
	c->freed = false;
	c->retry_ns = now_ns + RETRY_NS;
	for (struct alloc_blocked *b = c->blocked; b; b = b->hh.next)
		(void)idset_add(&c->dirty_services, b->id);
	IDSET_EACH(entry, &c->waiting)
	{
		(void)idset_add(&c->tasks, entry->id);
		(void)idset_remove(&c->waiting, entry->id);
	}
}

static int64_t allocator_step(struct core *core, struct core_step *step)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);
	size_t start = step->out->n, looks = 0;

	waiting_wake(c, step->now_ns);
	if (set_step(c, step, &c->dirty_networks, alloc_network_step, start, &looks) &&
	    set_step(c, step, &c->dirty_services, alloc_service_step, start, &looks))
		(void)set_step(c, step, &c->tasks, alloc_task_step, start, &looks);
	alloc_unmark(c, 0);
	c->n_new_subnets = 0;
	if (idset_count(&c->dirty_networks) || idset_count(&c->dirty_services) ||
	    idset_count(&c->tasks))
		return step->now_ns;
	return c->freed && (idset_count(&c->waiting) || c->blocked) ? c->retry_ns : CORE_IDLE;
}

/* From beginning to end */

static void numbers_clear(struct alloc_number **numbers)
{
	struct alloc_number *n, *next;

	HASH_ITER (hh, *numbers, n, next)
		alloc_number_drop(numbers, n->key, NULL);
}

static void allocator_begin(struct core *core)
{
	container_of(core, struct core_allocator, core)->next_vni = VNI_FIRST;
}

static void allocator_end(struct core *core)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);
	struct alloc_network *n, *next;
	struct alloc_blocked *b, *next_b;

	HASH_ITER (hh, c->networks, n, next)
		alloc_network_free(c, n);
	HASH_ITER (hh, c->blocked, b, next_b)
		alloc_unblock(c, b->id);
	numbers_clear(&c->vnis);
	numbers_clear(&c->ports);
	idset_done(&c->dirty_networks);
	idset_done(&c->dirty_services);
	idset_done(&c->tasks);
	idset_done(&c->waiting);
	free(c->ingress);
	free(c->marks);
	free(c->new_subnets);
}

/* The turn goes on after the newest network's number and subnet, and the highest address and port.
 */
static void turns_find(struct core *core, const struct store *s)
{
	struct core_allocator *c = container_of(core, struct core_allocator, core);
	const struct network *n, *newest = NULL;
	struct store_walk w;

	store_walk_kind(&w, s, KIND_NETWORK);
	while ((n = store_walk_next(&w)))
		if (n->vni && (!newest || n->o.created >= newest->o.created))
			newest = n;
	if (newest)
		c->next_vni = newest->vni + 1;
	if (newest && newest->ipam.config.n && newest->ipam.config.v[0].subnet)
		(void)net_prefix_parse(newest->ipam.config.v[0].subnet, &c->last_subnet);
	for (struct alloc_network *net = c->networks; net; net = net->hh.next)
		for (size_t i = 0; i < net->n_pools; i++)
			addr_pool_rewind(net->pools[i]);
	for (struct alloc_number *p = c->ports; p; p = p->hh.next)
		if ((p->key & 0xffff) >= PORT_FIRST && (p->key & 0xffff) <= PORT_LAST)
			c->next_port[p->key >> 16] =
				MAX_OF(c->next_port[p->key >> 16], (p->key & 0xffff) + 1);
}

static const struct core_class allocator_class = {
	.name = "allocator",
	.size = sizeof(struct core_allocator),
	.init = allocator_begin,
	.done = allocator_end,
	.derives = {KIND_NETWORK, KIND_SERVICE, KIND_TASK},
	.derived = turns_find,
	.network = alloc_network_event,
	.service = alloc_service_event,
	.task = alloc_task_event,
	.step = allocator_step,
};

struct core *core_allocator_new(void)
{
	return core_new(&allocator_class);
}
