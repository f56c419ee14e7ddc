/*
 * What the worker asks of the engine, and nothing more: get a task's container ready, start, stop
 * and remove it. The engine implements it (agent/runner_engine.c), tests bring their own. One
 * operation a task at a time; every one is answered exactly once, from the loop, never from within
 * the call.
 */
#pragma once

#include "model/service.h"
#include "model/task.h"

struct vault;

/* What is known of a task's container. Strings live during the call that brings it. */
struct runner_state {
	bool exists;
	bool running;
	bool started;  /* it has been at some time */
	bool starting; /* its health check has not found it healthy yet */
	bool unhealthy;
	const char *container; /* its id */
	int64_t pid;
	int exit_code;                   /* once it has run and ended */
	const char *error;               /* why it ended, where that says more than the code */
	int64_t finished_ns;             /* wall clock */
	const struct port_status *ports; /* published on this node; NULL: none */
};

/*
 * status 0, or: -EAGAIN for what may pass by itself (tried again), any other -errno with the
 * reason. For start, -ENOEXEC says that the program could not be executed: `state` has 126 or 127.
 */
typedef void (*runner_done)(void *arg, int status, const struct runner_state *state,
			    const struct err *e);

/* The container has ended, however that came about; or it runs, and its health has changed. */
typedef void (*runner_changed)(void *arg, const char *task, const struct runner_state *state);

struct runner_ops {
	/*
	 * Makes networks, root and container. Done already is 0. The structs live until `done`.
	 */
	void (*prepare)(void *arg, const struct task *t, const struct template *tpl,
			runner_done done, void *done_arg);
	/*
	 * With the files of its secrets and configs. -ENOKEY: one of them has not come from a
	 * manager yet; tried again when it has.
	 */
	void (*start)(void *arg, const struct task *t, const struct template *tpl,
		      const struct vault *vault, runner_done done, void *done_arg);
	/* The stop signal, then SIGKILL after the grace; 0 also when it does not run. */
	void (*stop)(void *arg, const char *task, int64_t grace_ns, runner_done done,
		     void *done_arg);
	/* Removes what there is of it, killing what still runs. A missing one is 0. */
	void (*remove)(void *arg, const char *task, runner_done done, void *done_arg);
	/* What there is now, after a restart of the daemon. */
	void (*inspect)(void *arg, const char *task, struct runner_state *ret);
	/* Who hears of such changes from now on. */
	void (*watch)(void *arg, runner_changed changed, void *changed_arg);
	/* Ids of the tasks that have containers here, whether the worker knows them or not. */
	void (*list)(void *arg, struct strs *ret);
};

struct runner {
	const struct runner_ops *ops;
	void *arg;
};
