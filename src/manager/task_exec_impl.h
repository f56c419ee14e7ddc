/*
 * What the files of processes in tasks share. Included by task_exec*.c alone.
 */
#pragma once

#include "manager/data.h"
#include "manager/manager.h"
#include "manager/task_exec.h"

struct live {
	struct task_exec v; /* what others see of it */
	struct task_execs *all;
	struct buf request; /* its config as JSON, until its node has it */
	uint32_t rows, cols;
	bool detach;
	struct data_ask ask;
	struct stream *stream;
	const struct task_exec_ops *ops; /* NULL: nobody listens */
	void *arg;
	struct buf out; /* output that waits for the client: one piece */
	int out_stream;
	struct buf in; /* input that waits for the node */
	size_t under_way;
	bool in_over, in_full, paused;
	bool left;         /* the client has: what it said is still passed on */
	bool told;         /* the client has heard of the end */
	uint64_t since_ms; /* of the state */
	struct world_timer limit, soon;
	struct live *next;
};

struct task_execs {
	struct manager *manager;
	struct live *first; /* oldest first */
	size_t n;
	struct store_watch watch;
};

static inline struct live *live_of(struct task_exec *v)
{
	return container_of(v, struct live, v);
}

static inline const struct world *world_of(const struct task_execs *all)
{
	return manager_world(all->manager);
}

/* task_exec_stream.c; `x->all` is set, the rest is zero. */
void live_init(struct live *x);
void live_state_set(struct live *x, enum task_exec_state state);
/* Its node has dialled. */
void live_taken(struct data_ask *a, struct stream *s);
/* It has ended in another way than by itself. */
void live_broken(struct live *x, int code, const char *why);
void live_stream_drop(struct live *x, int code, const char *why);
