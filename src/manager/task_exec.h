/*
 * Processes executed in tasks, whichever node they are on: made and remembered here as the engine
 * remembers its own, started through a data stream that the task's node dials (model/data.h). Knows
 * neither HTTP nor how a process is executed. Called by api, on the loop thread.
 *
 * One that is attached belongs to a client; when the client leaves, or this manager does, the
 * process runs on, as one does whose local client leaves, and how it ends is not heard of here.
 */
#pragma once

#include "base/limits.h"
#include "model/exec.h"

struct manager;
struct store;
struct task;
struct task_execs;

enum task_exec_state {
	TASK_EXEC_CREATED,
	TASK_EXEC_STARTING, /* its node is waited for */
	TASK_EXEC_RUNNING,
	TASK_EXEC_ENDED,
};

/* From the loop, never from within the calls. */
struct task_exec_ops {
	/* It is about to run (detached: it runs), or why not; nothing follows the latter. */
	void (*opened)(void *arg, int status, const struct err *e);
	/* 1 or 2 as `stream`. false: it cannot be taken now, until task_exec_resume(). */
	bool (*output)(void *arg, int stream, const void *p, size_t n);
	/* Input may be given again. */
	void (*drain)(void *arg);
	/* It has ended and all of its output was given; x->error says if it was lost instead. */
	void (*end)(void *arg);
};

struct task_exec {
	char id[ID_HOST_LEN + 1];
	char *task, *node, *container; /* ids */
	struct exec_config config;
	enum task_exec_state state;
	bool has_code; /* it ended as exit_code says */
	int32_t exit_code;
	char *error; /* why nothing more is known of it; NULL */
};

struct task_execs *task_execs_new(struct manager *m);
/* Ends all of it: the manager stops. */
void task_execs_free(struct task_execs *all);

/*
 * Makes one (`config` is moved). `task`: a task's id or a prefix of it, "SERVICE.SLOT", for a
 * global service "SERVICE.NODE" (node by name or id), or a container's name (either of these and
 * ".ID"). -ENOENT; -ESRCH: the task is not running, or its node is down; -EINVAL; -EPERM for
 * privileges; -EMSGSIZE; -EBUSY beyond LIMIT_TASK_EXECS.
 */
int task_exec_create(struct manager *m, const char *task, struct exec_config *config,
		     struct task_exec **ret, struct err *e);
/* NULL: not made here, or forgotten LIMIT_EXEC_KEPT_MS after its end. Until the loop's next turn.
 */
struct task_exec *task_exec_find(struct manager *m, const char *id);
/*
 * Starts it; rows and cols are 0 for what its config says. -EBUSY: it was started before. With
 * `detach` of the callbacks only `opened` comes. Output waits for the first task_exec_resume().
 */
int task_exec_start(struct task_exec *x, bool detach, uint32_t rows, uint32_t cols,
		    const struct task_exec_ops *ops, void *arg, struct err *e);
/* 0; 1: taken, but wait for `drain` before more. */
int task_exec_write(struct task_exec *x, const void *p, size_t n);
void task_exec_close_stdin(struct task_exec *x);
void task_exec_resume(struct task_exec *x);
/* Its client has gone: no callback follows. */
void task_exec_leave(struct task_exec *x);
/* -ESRCH when it has ended. */
int task_exec_resize(struct task_exec *x, uint32_t rows, uint32_t cols, struct err *e);

/* The task that `ref` means, as for task_exec_create(). */
int task_exec_target(const struct store *store, const char *ref, const struct task **ret,
		     struct err *e);
