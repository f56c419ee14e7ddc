/*
 * The list program's state machine, see sim_lists_impl.h. A batch whose expectations do not hold is
 * rejected whole, as the store does; the builders look at the applied state only, so that two
 * appends to one list in one batch are such a conflict.
 */
#include "sim/sim_lists_impl.h"

#include <string.h>

#include "base/frame.h"
#include "base/mem.h"

#define STEP_EVERY 7

static void list_push(struct list *l, uint32_t value)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->values = xreallocarray(l->values, l->cap, sizeof(*l->values));
	}
	l->values[l->count++] = value;
}

uint64_t list_digest(const struct list *l, size_t count)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < count; i++)
		h = (h ^ l->values[i]) * 0x100000001b3ull;
	return h;
}

void lists_change(struct proposal *p, unsigned list, uint32_t value, size_t expect)
{
	uint8_t change[CHANGE_LEN] = {(uint8_t)list};

	le32_put(change + 4, value);
	le32_put(change + 8, (uint32_t)expect);
	(void)buf_add(&p->bytes, change, sizeof(change));
	p->changes++;
}

static int check(const struct lists *s, const uint8_t *p, size_t n)
{
	size_t added[LISTS] = {0};

	for (; n >= CHANGE_LEN; p += CHANGE_LEN, n -= CHANGE_LEN) {
		unsigned list = p[0] % LISTS;

		if (le32_get(p + 8) != s->list[list].count + added[list])
			return -ESTALE;
		added[list]++;
	}
	return 0;
}

static int lists_apply(void *arg, uint64_t index, const void *p, size_t n, bool own,
		       uint64_t *ret_version)
{
	struct lists *s = arg;
	const uint8_t *change = p;

	(void)index;
	(void)own;
	if (check(s, p, n) < 0)
		return -ESTALE;
	for (; n >= CHANGE_LEN; change += CHANGE_LEN, n -= CHANGE_LEN) {
		list_push(&s->list[change[0] % LISTS], le32_get(change + 4));
		s->version++;
	}
	*ret_version = s->version;
	return 0;
}

static struct lists *lists_copy(const struct lists *from)
{
	struct lists *s = xcalloc(1, sizeof(*s));

	s->version = from->version;
	for (unsigned i = 0; i < LISTS; i++) {
		for (size_t j = 0; j < from->list[i].count; j++)
			list_push(&s->list[i], from->list[i].values[j]);
	}
	return s;
}

static void lists_clear(struct lists *s)
{
	for (unsigned i = 0; i < LISTS; i++)
		free(s->list[i].values);
	memset(s->list, 0, sizeof(s->list));
}

static void *lists_pin(void *arg)
{
	return lists_copy(arg);
}

static void add_u32(struct buf *out, uint32_t v)
{
	uint8_t p[4];

	le32_put(p, v);
	(void)buf_add(out, p, sizeof(p));
}

static int lists_encode(void *arg, void *pin, struct buf *out)
{
	struct lists *s = pin;

	(void)arg;
	add_u32(out, (uint32_t)s->version);
	for (unsigned i = 0; i < LISTS; i++) {
		add_u32(out, (uint32_t)s->list[i].count);
		for (size_t j = 0; j < s->list[i].count; j++)
			add_u32(out, s->list[i].values[j]);
	}
	return buf_status(out);
}

static void lists_drop(void *arg, void *pin)
{
	(void)arg;
	lists_clear(pin);
	free(pin);
}

static int lists_prepare(void *arg, const void *p, size_t n, void **ret, struct err *e)
{
	struct lists *s = xcalloc(1, sizeof(*s));
	const uint8_t *at = p, *end = at + n;

	(void)arg;
	s->version = le32_get(at);
	at += 4;
	for (unsigned i = 0; i < LISTS; i++) {
		uint32_t count = le32_get(at);

		at += 4;
		if (count > (size_t)(end - at) / 4) {
			lists_drop(NULL, s);
			return err_set(e, -EBADMSG, "a list of %u is cut short", count);
		}
		for (; count > 0; count--, at += 4)
			list_push(&s->list[i], le32_get(at));
	}
	*ret = s;
	return 0;
}

static void lists_restore(void *arg, void *prepared, uint64_t index)
{
	struct lists *s = arg, *fresh = prepared;

	(void)index;
	lists_clear(s);
	memcpy(s->list, fresh->list, sizeof(s->list));
	s->version = fresh->version;
	free(fresh);
}

/* The step function: one entry in its own list for each few of the users'. */
static uint64_t lists_step(void *arg, struct proposal *p, uint64_t term)
{
	struct lists *s = arg;
	size_t users = 0;
	const struct list *own = &s->list[LIST_STEPS];

	for (unsigned i = 0; i < LIST_STEPS; i++)
		users += s->list[i].count;
	if (users / STEP_EVERY > own->count)
		lists_change(p, LIST_STEPS, (uint32_t)(own->count + 1), own->count);
	(void)term;
	return 50;
}

static void *lists_begin(struct sim_node *n, struct raft_state_ops *state, struct proposer_ops *ops)
{
	struct lists *s = xcalloc(1, sizeof(*s));

	s->node = n;
	*state = (struct raft_state_ops){
		.arg = s,
		.apply = lists_apply,
		.snapshot_pin = lists_pin,
		.snapshot_encode = lists_encode,
		.snapshot_unpin = lists_drop,
		.restore_prepare = lists_prepare,
		.restore_commit = lists_restore,
		.restore_discard = lists_drop,
	};
	*ops = (struct proposer_ops){.arg = s, .step = lists_step};
	return s;
}

static void lists_end(void *self)
{
	lists_clear(self);
	free(self);
}

const struct sim_program lists_program = {.start = lists_begin, .stop = lists_end};
