/*
 * What the files of the engine share: the engine itself and the live side of a container. The loop
 * thread's alone. Included by agent/engine*.c, container_*.c, image_async.c, events.c and the
 * networks' part, which owns `networks` and otherwise only reads.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "agent/engine.h"
#include "agent/job.h"
#include "base/db.h"
#include "base/hash.h"
#include "base/signal.h"
#include "runtime/container/shim_client.h"
#include "runtime/container/shim_config.h"
#include "runtime/image/snapshot.h"

struct networks; /* the networks' part's own */
struct networks *engine_networks_of(struct engine *e);
void engine_networks_set(struct engine *e, struct networks *nets);
const struct engine_config *engine_config_of(struct engine *e);

/* Called once, on the loop, never from within engine_defer(). */
struct deferred {
	void (*run)(struct deferred *d);
	struct deferred *next;
};

/* An event that is kept, and its copies of the strings. */
struct kept_event {
	struct engine_event event;
	struct strmap attributes;
};

struct engine {
	struct engine_config config; /* its strings are the engine's own copies */
	struct strs labels;
	struct strs warnings;
	char *id;
	int cgroup_version;
	struct networks *networks;

	int lock;        /* on the data root */
	int shim_binary; /* see shim_binary_open() */
	struct db *db;
	bool checkpointing;
	struct image_store *images;

	struct exec_live *execs;        /* by id */
	struct container_live *by_id;   /* those that are created */
	struct container_live *by_name; /* also those that are being created */

	uv_async_t wake;
	struct deferred *deferred, **deferred_end;

	struct kept_event events[LIMIT_EVENTS];
	size_t events_at, n_events;                /* oldest, number */
	_Atomic uint64_t starts;                   /* of containers that have begun */
	struct walk *walks;                        /* the first one has its turn */
	struct engine_watch *watches, *watch_next; /* the next one of a walk under way */

	unsigned holds; /* jobs, handles and operations that engine_close() waits for */
	bool closing, let_go;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* Everything that comes back to the engine later holds it; the last one lets it close. */
void engine_hold(struct engine *e);
void engine_release(struct engine *e);
/* Runs `d` soon, from the loop. */
void engine_defer(struct engine *e, struct deferred *d);

void events_done(struct engine *e); /* events.c */

/* What a crash left, removed on the pool after the start. */
#define SWEEP_MS 5000 /* milliseconds for processes of nobody's container to end */
struct sweep_job {
	struct job job;
	struct engine *engine;
	struct strs strangers; /* runtime directories */
};

/*
 * A walk through containers' files, which takes as long as there are files: one has its turn at a
 * time, so that the pool stays with others (container_walk.c).
 */
struct walk {
	struct job job;
	struct deferred deferred;
	struct engine *engine;
	struct walk *next;
	void (*turn)(struct walk *w);
	void (*refused)(struct walk *w); /* instead of its turn, with job.err: too many wait */
};

/* Holds the engine; turn() or refused() come later, and both end in walk_end(). */
void walk_queue(struct engine *e, struct walk *w);
/* The next one's turn. The memory is the caller's again, and is not looked at any more. */
void walk_end(struct walk *w);

/* ---- One container's live side ---- */

struct op;
struct link;
struct exec_live;

/* Who is attached to one shim, or will be once there is one. */
struct attaches {
	struct engine *engine;
	struct engine_attach *first;
	char *(*dir)(const struct engine *e, const char *id); /* the shim's */
	const char *id;
	bool until_exit; /* each ends at attaches_exited(), not with the output alone */
};

struct container_live {
	struct engine *engine;
	struct container *c;
	UT_hash_handle hh_id, hh_name;
	bool creating, removed;
	bool removing; /* a removal has begun while it runs */

	struct op *ops, **ops_end; /* the first one runs */
	struct link *link;         /* to its shim, while there is one */
	bool dirty;                /* has a runtime directory or endpoints to be given back */
	struct op *exit_op;        /* the operation that waits for its end */
	void (*exit_then)(struct op *op);
	bool killing;           /* SIGKILL was sent */
	bool freezing, thawing; /* a job of container_pause.c is under way */
	bool thaw_after;        /* the freezing was overtaken by a signal that ends it */
	bool restoring;         /* its shim is looked for, after a start of the daemon */
	bool lost; /* the shim is gone; what became of the container is being found out */

	uv_timer_t timer; /* grace of a stop, or the delay until a restart */
	bool timer_open;
	bool restarting; /* the timer is the delay of a restart */
	int64_t restart_delay_ms;

	struct engine_wait *waits;
	struct attaches attaches;
	struct engine_logs *logs;

	int pidfd;               /* of its init while it runs, else -1 */
	struct exec_live *execs; /* processes executed in it, oldest first */
	size_t n_execs;
	struct monitor *monitor; /* of its health, while it runs; container_health.c's own */
	struct sampler *sampler; /* while somebody follows its figures */
};

#define CONTAINERS_EACH(l, e)                                                                \
	for (struct container_live *l = (e)->by_id, *l##_next = l ? l->hh_id.next : NULL; l; \
	     l = l##_next, l##_next = l ? l->hh_id.next : NULL)

/* container_table.c */
bool container_is_running(const struct container *c); /* running, or waits for its restart */
/* 0, -ESRCH when it does not run, -EBUSY when it waits for its restart. */
int container_check_runs(const struct container *c, struct err *e);
int container_stop_signal(const struct container *c);

/* container_model.c */
struct container_live *live_new(struct engine *e, struct container *c);
/* Out of the tables; memory and handles go when nothing refers to it any more. */
void live_free(struct container_live *l);
/* Into the index by id; out of both, marked as removed. */
void live_show(struct container_live *l);
void live_hide(struct container_live *l);
void live_timer_start(struct container_live *l, uv_timer_cb cb, uint64_t ms);
void live_timer_stop(struct container_live *l);
void live_timer_close(struct container_live *l);
int container_store(struct container_live *l, struct err *err);
void container_forget(struct container_live *l);
/* Runtime directories that belong to no container. */
void run_dirs_of_nobody(struct engine *e, struct strs *ret);
/* Keeps it in the database; a failure is logged. */
void container_save(struct container_live *l);
int containers_load(struct engine *e, struct err *err);
/* "DIR/containers/ID"; free() them. */
char *container_data_dir(const struct engine *e, const char *id);
char *container_run_dir(const struct engine *e, const char *id);
/* Tells the watchers; `extra` (may be NULL) is one more attribute. */
void container_event(struct container_live *l, const char *action, const char *extra,
		     const char *value);
/* The same with any number of them, and NULL for none. */
void container_event_with(struct container_live *l, const char *action, const struct strmap *extra);
/* A name that is free now. */
char *container_name_choose(struct engine *e);
int container_name_check(struct engine *e, const char *name, struct err *err);

/* ---- Operations: one after the other for each container ---- */

struct op {
	struct container_live *live;
	void (*run)(struct op *op);
	void (*free)(struct op *op); /* its own members; may be NULL */
	engine_done done;            /* may be NULL */
	void *arg;
	struct op *next;
	bool stays; /* engine_close() waits for it even when it waits for the container's end */
	struct deferred deferred;
};

/* Queues it; `op` comes from malloc. It ends by op_end(), which frees it and runs the next. */
void op_queue(struct container_live *l, struct op *op, engine_done done, void *arg);
void op_end(struct op *op, int status, const struct err *err);

/* container_end.c: what an end brings, however it came about. */
struct container_end {
	int exit_code;
	bool oom_killed;
	int64_t finished_ns;
	const char *error;
};
void container_ended(struct container_live *l, const struct container_end *end);
/* Gives the runtime directory and endpoints back, then `done` (not from within). */
void container_cleanup(struct container_live *l, void (*done)(void *arg), void *arg);
/* The same as an operation of its own. */
void container_queue_cleanup(struct container_live *l);

/* container_stop.c */
/*
 * Ends a container that runs: the signal now, SIGKILL after the grace, `then` at its end. When it
 * does not run, `then` is called at once. op_end() with the reason when it cannot be ended.
 */
void container_end_by(struct op *op, int signal, int64_t grace_ms, void (*then)(struct op *op));

/* container_pause.c */
/* A signal that ends it was sent: a frozen one would never take it. Soon, on the pool. */
void container_thaw(struct container_live *l);

/* container_restart.c */
bool restart_wanted(const struct container *c, int exit_code);
/* Sets the timer that starts it again; `ran_ns` is how long it has run. */
void restart_schedule(struct container_live *l, int64_t ran_ns);
bool restart_cancel(struct container_live *l); /* whether one was waiting */
/* At the daemon's start: whether a container that does not run is to be started. */
bool restart_wanted_at_boot(const struct container *c);

/* container_wait.c, container_attach.c, container_logs.c: what happens to those who look on. */
void waits_wake(struct container_live *l, enum engine_wait_for what);
void waits_drop(struct container_live *l);
/* Connects those who attached before the start; `done` when each is or has failed. */
void attaches_connect(struct attaches *l, void (*done)(void *arg), void *arg);
void attaches_end(struct attaches *l);
/* With until_exit: what is not yet said is said first. */
void attaches_exited(struct attaches *l);
struct engine_attach *attaches_add(struct attaches *l, unsigned streams,
				   const struct engine_attach_ops *ops, void *arg, struct err *err);
void logs_ended(struct container_live *l);
void logs_detach_all(struct container_live *l); /* it is removed */
void logs_close_all(struct container_live *l);  /* the daemon stops */

/*
 * container_health.c: probing. A new run begins as "starting"; after a restart of the daemon what
 * is known stays. Nothing is done for a container without a health check.
 */
void health_start(struct container_live *l, bool new_run);
/* It has ended, is paused, or the daemon stops: a probe under way counts for nothing. */
void health_stop(struct container_live *l);
void health_probe_ended(struct exec_live *x);

/* container_stats.c */
void stats_end(struct container_live *l); /* it is removed, or the daemon stops */

/* container_start.c */
void container_queue_start(struct container_live *l);
/* container_restore.c: what became of it while no daemon ran. */
void container_restore(struct container_live *l);
/* Calls `done` once that is known, not from within; with a reason when it does not come to that. */
void container_restored(struct container_live *l, engine_done done, void *arg);
/* container_link.c: its shim's events, from now on. -errno leaves `client` as it is. */
int container_adopt(struct container_live *l, struct shim_client *client);
/* Asks the shim for a signal, to the first process or all; the answer does not matter. */
void container_signal(struct container_live *l, int signal, bool all);

/* ---- Processes executed in a container: exec*.c ---- */

struct exec_live {
	struct engine_exec x;
	struct engine *engine;
	struct container_live *live; /* NULL once it is gone */
	UT_hash_handle hh;
	struct exec_live *next; /* of the same container */
	struct link *link;      /* to its shim, while there is one */
	struct attaches attaches;
	uint32_t rows, cols;     /* of its terminal */
	unsigned busy;           /* what is under way and comes back to it */
	struct monitor *monitor; /* of a probe: who waits for it; NULL: nobody does any more */
};

char *exec_run_dir(const struct engine *e, const char *id); /* "DIR/execs/ID"; free() it */
/* Both are moved; the first tells that it was made. */
struct exec_live *exec_make(struct container_live *l, struct exec_config *config, bool probe);
struct exec_live *exec_new(struct container_live *l, struct engine_exec *x);
/* Now, or, of a busy one, once it is not any more. */
void exec_forget(struct exec_live *x);
/* Nothing that was busy with it is any more: frees it if it was forgotten meanwhile. */
void exec_unbusy(struct exec_live *x);
void exec_ended(struct exec_live *x, int exit_code, int64_t finished_ns);
void exec_event(struct exec_live *x, const char *action);
/* Docker's form, with what is executed: "exec_start: sh -c ls". */
void exec_command_event(struct exec_live *x, const char *action);
/* Its shim's events, from now on. -errno leaves `client` as it is. */
int exec_adopt(struct exec_live *x, struct shim_client *client);
void exec_drop_link(struct exec_live *x);
void execs_drop(struct container_live *l);   /* the container is removed */
void execs_let_go(struct container_live *l); /* the daemon stops */
void execs_free(struct container_live *l);   /* memory alone: they live on */
void execs_restore(struct engine *e);

/* container_volumes.c: on the pool, but for the last two. */
int container_volumes_make(const struct container *c, const char *root, struct err *e);
/*
 * Copies what the image has where a volume that is empty still will stand, as docker does; not on
 * kernels before 6.5.
 */
int container_volumes_fill(const struct container *c, const struct snapshot *s, struct err *e);
/* What its volumes' options say, and parts of volumes below the runtime directory `dir`. */
int container_volumes_mount(const struct container *c, const char *dir, struct err *e);
/* Where the part for the mount of this index is; free() it. */
char *run_dir_volume(const char *dir, size_t index);
/* Takes those of the first `n` mounts away. */
int run_dir_volumes_unmount(const char *dir, size_t n, struct err *e);
/* It has given its runtime directory back: what it alone has mounted goes. */
void container_volumes_release(struct container_live *l);
/* Its entry in HostConfig.Mounts, NULL: it has none; and the part of the volume, NULL: all. */
const struct mount *container_mount_asked(const struct container *c, const char *destination);
const char *container_mount_subpath(const struct container *c, const struct container_mount *m);

/* run_dir.c: config.json and shim.json of a runtime directory, which is made. On the pool. */
int run_dir_write(const char *dir, const struct spec *spec, const struct shim_config *shim,
		  struct err *e);
/* Puts the files into memory mounted below the directory; container_spec.c names them. */
int run_dir_files(const char *dir, const struct engine_files *files, struct err *e);
/* Where the one of this index is; free() it. */
char *run_dir_file(const char *dir, size_t index);
/* Unmounts and removes the directory. */
int run_dir_remove(const char *dir, struct err *e);
/* Both are to be freed after 0 alone. */
int run_dir_read(const char *dir, struct spec *spec, struct shim_config *shim, struct err *e);

/* container_remove.c */
void container_queue_remove(struct container_live *l, bool volumes);
