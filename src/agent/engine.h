/*
 * The engine of one host: its containers, images, networks and events. Everything here belongs to
 * the loop thread; what takes time is answered later by a callback, never from within the call.
 * Containers live in their shims, so that this daemon may stop, die or be replaced at any moment.
 * Called by the API's handlers and, through agent/runner.h, by the worker; knows no cluster beyond
 * the overlays that it is told of.
 */
#pragma once

#include <uv.h>

#include "base/limits.h"
#include "model/container.h"
#include "model/exec.h"
#include "model/network.h"
#include "model/session.h"
#include "runtime/container/cgroup_stats.h"
#include "runtime/image/file_changes.h"
#include "runtime/image/store.h"

struct engine;

struct engine_config {
	uv_loop_t *loop;
	const char *data_root;
	const char *exec_root;
	const char *shim_path;          /* of shoal-shim */
	const char *init_path;          /* of shoal-init, which is mounted into containers */
	bool init;                      /* containers that say nothing of it have one */
	const struct generics *generic; /* for info; may be NULL */
	const char *cgroup_parent;      /* "/shoal" */
	const char *bridge; /* device of the network "bridge"; "none": there is no such network */
	uint16_t data_port; /* UDP port of overlays; 0: 4789 */
	const struct strs *labels;
};

/* 0 or a negative errno with the reason. `e` is NULL on success. */
typedef void (*engine_done)(void *arg, int status, const struct err *e);

/*
 * Opens the databases, sweeps what a crash left, and finds its containers again. Blocks (at the
 * start of the daemon only). -EBUSY when another daemon has this data root.
 */
int engine_open(struct engine **ret, const struct engine_config *config, struct err *e);
/* Ends streams and waits for what is under way; containers live on. Then `done`. */
void engine_close(struct engine *e, void (*done)(void *arg), void *arg);

uv_loop_t *engine_loop(struct engine *e);

/* ---- Containers ---- */

enum container_status_kind {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_RESTARTING, /* waits for its restart policy's delay */
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD, /* could not be removed whole */
};
/* "created", "running", … as they are stored; what is shown is container_state_name(). */
extern const char *const container_status_names[CONTAINER_DEAD + 1];

struct container_mount {
	char *type; /* bind, volume, tmpfs */
	char *name; /* of a volume */
	char *source;
	char *destination;
	char *driver;
	char *mode;
	bool rw;
	char *propagation;
};
extern const struct table container_mount_table;

/* A container as it is stored and shown. The engine's; others only read it. */
struct container {
	char *id;   /* 64 hex */
	char *name; /* without the leading slash */
	int64_t created_ns;
	char *path; /* what it executes, and with what */
	struct strs args;
	char *image_id;                 /* "sha256:…" */
	struct container_config config; /* the image's settings laid under the user's */
	struct host_config host;
	struct networking_config networks;  /* by name: what was asked for and what it has */
	MAP_OF(struct port_bindings) ports; /* "80/tcp" and where it is published while it runs */
	LIST_OF(struct container_mount) mounts;
	char *log_path;
	char *hostname_path;
	char *hosts_path;
	char *resolv_path;
	char *platform;
	char *task; /* the cluster's task that it belongs to; NULL: a user's own */
	bool files; /* has secrets or configs of the swarm: the swarm alone starts it */

	enum container_status_kind status;
	bool oom_killed;
	int64_t pid;
	int32_t exit_code;
	char *error;
	int64_t started_ns;
	int64_t finished_ns;
	int64_t restart_count;
	struct health *health; /* NULL: it has no health check, or was never started */
	bool stopped_by_user;  /* its restart policy rests */
	bool paused;           /* runs, and is frozen; not stored: the freezer itself knows it */

	struct container_live *live; /* what is not stored; agent/container_*.c's own */
};
extern const struct table container_table;
/* "paused", or the name of its status. */
const char *container_state_name(const struct container *c);
/* "healthy", "unhealthy", "starting", or "none". */
const char *container_health_name(const struct container *c);

/* A secret or config of a task as a file in its container. */
struct engine_file {
	char *target; /* absolute path */
	uint32_t uid, gid, mode;
	void *data; /* secret_new() */
	size_t n;
};
struct engine_files {
	LIST_OF(struct engine_file) list;
};
/* NULL is allowed. */
void engine_files_free(struct engine_files *f);

/* An overlay endpoint that the managers have given a task. */
struct engine_endpoint {
	char *network;         /* id of an overlay that engine_overlay_set() brought */
	struct strs addresses; /* CIDR */
	struct strs aliases;
};

struct engine_create {
	struct container_create *spec; /* taken */
	const char *name;              /* NULL or "": chosen */
	const char *platform;          /* NULL: any */
	const char *task;              /* NULL: a user's own */
	bool files; /* it is started with files of the swarm, and never without */
	const struct engine_endpoint *endpoints; /* a task's; copied */
	size_t n_endpoints;
};

/* On success `c` is the container; `warnings` live during the call. */
typedef void (*engine_created)(void *arg, int status, const struct container *c,
			       const struct strs *warnings, const struct err *e);

/*
 * Makes a container: checks, image, writable layer, files; nothing runs. -ENOENT "No such image",
 * -EEXIST for a taken name, -EINVAL, -ENOSYS for what is not there (by its name).
 */
void engine_container_create(struct engine *e, const struct engine_create *create,
			     engine_created done, void *arg);
/* 0 also when it runs already: *then* status is -EALREADY. The container's exit code is set when
 * the program cannot be executed (-ENOEXEC). */
void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg);
/* The same for a task's container; `files` (NULL: none) are taken, and wiped once it has them. */
void engine_container_start_files(struct engine *e, struct container *c, struct engine_files *files,
				  engine_done done, void *arg);
/* signal 0: its stop signal; grace in seconds, negative: its own (10). Done once it has ended. */
void engine_container_stop(struct engine *e, struct container *c, int signal, int64_t grace_s,
			   engine_done done, void *arg);
/* -ESRCH (409) when it does not run. */
void engine_container_kill(struct engine *e, struct container *c, int signal, engine_done done,
			   void *arg);
/* -EBUSY while it runs, unless `force`. */
void engine_container_remove(struct engine *e, struct container *c, bool force, bool volumes,
			     engine_done done, void *arg);
void engine_container_resize(struct engine *e, struct container *c, int rows, int cols,
			     engine_done done, void *arg);
/*
 * Freezes all its processes, or lets them go on. -ESRCH when it does not run, -EBUSY when it is
 * restarting or is so already. A signal that ends a container lets a paused one go on by itself.
 */
void engine_container_pause(struct engine *e, struct container *c, bool frozen, engine_done done,
			    void *arg);
/*
 * Other limits and another restart policy, at once and for later starts, or nothing of it.
 * `changes` (copied): what is 0 or empty stays as it is. -EBUSY (409) for what does not go with
 * what is there, -EINVAL, and what the kernel says to a running container's.
 */
void engine_container_update(struct engine *e, struct container *c,
			     const struct host_config *changes, engine_done done, void *arg);
int engine_container_rename(struct engine *e, struct container *c, const char *name,
			    struct err *err);

/* What the host's ps says of a container's processes; each row has as many cells as titles, or
 * fewer. */
struct top_row {
	struct strs cells;
};
struct container_top {
	struct strs titles;
	LIST_OF(struct top_row) rows;
};
typedef void (*engine_topped)(void *arg, int status, const struct container_top *top,
			      const struct err *e);
/*
 * `args` (copied; NULL or "": "-ef") are ps's. -ESRCH when it does not run, -EBUSY when it is
 * restarting, -EINVAL for arguments that ps refuses or that hide whose processes are shown.
 */
void engine_container_top(struct engine *e, struct container *c, const char *args,
			  engine_topped done, void *arg);
/* By id, name (with or without "/"), or a prefix of the id. -ENOENT, -EINVAL: ambiguous. */
int engine_container_find(struct engine *e, const char *ref, struct container **ret,
			  struct err *err);
struct container *engine_container_of_task(struct engine *e, const char *task);
/* All, newest first, in one array (free it); the containers are the engine's. */
struct container **engine_containers(struct engine *e, size_t *ret_n);

enum engine_wait_for { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
/* Waits as POST /containers/{id}/wait. `done` comes once, with the exit code and its error. */
struct engine_wait;
typedef void (*engine_waited)(void *arg, int exit_code, const char *error);
struct engine_wait *engine_wait(struct engine *e, struct container *c, enum engine_wait_for what,
				engine_waited done, void *arg);
/* Before `done`: it does not come any more. */
void engine_wait_cancel(struct engine_wait *w);

/* ---- Streams of a container ---- */

/*
 * Attaching: output as it comes (frames are the API's part), input as it is given. The callbacks
 * come from the loop. `end` is the last: the container has ended, or the shim let go.
 */
struct engine_attach;
struct engine_attach_ops {
	/* false: it cannot be taken now; paused until engine_attach_resume(). */
	bool (*output)(void *arg, int stream, const void *p, size_t n);
	void (*end)(void *arg);
	/* Input has been taken below the bound again. */
	void (*drain)(void *arg);
};
#define ENGINE_STDIN 1
#define ENGINE_STDOUT 2
#define ENGINE_STDERR 4
/* For a container that is created or runs. The streams begin with the program's start. */
struct engine_attach *engine_attach(struct engine *e, struct container *c, unsigned streams,
				    const struct engine_attach_ops *ops, void *arg,
				    struct err *err);
/* 0; 1: taken, but wait for `drain` before more; -EPIPE. */
int engine_attach_write(struct engine_attach *a, const void *p, size_t n);
void engine_attach_close_stdin(struct engine_attach *a);
void engine_attach_resume(struct engine_attach *a);
/* No callback follows. */
void engine_attach_close(struct engine_attach *a);

/* ---- Processes executed in a container ---- */

enum exec_status { EXEC_CREATED, EXEC_RUNNING, EXEC_ENDED };

/* One of them; the engine's, others only read it. It is forgotten with its container, or when it
 * has ended and LIMIT_EXECS or LIMIT_EXEC_KEPT_MS asks for it. */
struct engine_exec {
	char *id;        /* 64 hex */
	char *container; /* its id */
	struct exec_config config;
	enum exec_status status;
	int64_t pid; /* as the host counts, 0 before; stays after the end */
	int32_t exit_code;
	int64_t finished_ns;
	bool probe; /* a health check's: not listed, and forgotten at its end */
};
extern const struct table engine_exec_table;

/*
 * `config` is moved. -EINVAL: nothing to execute; -ESRCH (409): the container does not run; -EBUSY:
 * LIMIT_EXECS of it run already.
 */
int engine_exec_create(struct engine *e, struct container *c, struct exec_config *config,
		       struct engine_exec **ret, struct err *err);
int engine_exec_find(struct engine *e, const char *id, struct engine_exec **ret, struct err *err);
/* Whether it can be started: 0, -EALREADY (it was already) or -ESRCH (its container stopped). */
int engine_exec_check(struct engine *e, const struct engine_exec *x, struct err *err);
/* Before its start; `end` comes when it has ended and all of its output was given. */
struct engine_attach *engine_exec_attach(struct engine *e, struct engine_exec *x, unsigned streams,
					 const struct engine_attach_ops *ops, void *arg,
					 struct err *err);
/*
 * Executes it; done when it runs. -ENOEXEC: it cannot be executed (exit_code is 126 or 127 then).
 * On failure `done` comes before the attached ones' `end`.
 */
void engine_exec_start(struct engine *e, struct engine_exec *x, engine_done done, void *arg);
/* Of its terminal; before the start the size is kept for it. -ESRCH when it has ended. */
void engine_exec_resize(struct engine *e, struct engine_exec *x, int rows, int cols,
			engine_done done, void *arg);
/* The ids of those of a container, oldest first, added to `ret`. */
void engine_exec_ids(const struct container *c, struct strs *ret);

struct engine_logs_options {
	bool follow, out, err;
	int64_t tail;     /* lines; negative: all */
	int64_t since_ns; /* 0: from the start */
	int64_t until_ns; /* 0: no end */
};
struct engine_logs;
struct engine_logs_ops {
	/* One entry; false: no more for now, until engine_logs_resume(). The entry was taken. */
	bool (*entry)(void *arg, int stream, int64_t time_ns, const char *p, size_t n);
	/* e is NULL at the proper end. The owner closes it, now or later. */
	void (*end)(void *arg, const struct err *e);
};
struct engine_logs *engine_logs(struct engine *e, struct container *c,
				const struct engine_logs_options *options,
				const struct engine_logs_ops *ops, void *arg, struct err *err);
void engine_logs_resume(struct engine_logs *l);
void engine_logs_close(struct engine_logs *l);

/* ---- What a container uses ---- */

struct container_size {
	char *id;
	int64_t rw;   /* bytes of the files that it wrote */
	int64_t root; /* and with those of its image */
};
struct container_sizes {
	LIST_OF(struct container_size) list; /* in the order of asking; what is gone is left out */
};
extern const struct table container_sizes_table;
typedef void (*engine_sized)(void *arg, int status, const struct container_sizes *sizes,
			     const struct err *e);
/*
 * Measures containers (full ids, copied), one after the other and one request after the other:
 * walking through files takes as long as there are files. -EAGAIN beyond LIMIT_WALKS requests.
 */
void engine_container_sizes(struct engine *e, const struct strs *ids, engine_sized done, void *arg);

/* The records are read by file_changes_next(), and `done` may take them. */
typedef void (*engine_compared)(void *arg, int status, struct buf *changes, const struct err *e);
/*
 * What it changed of its image's files, also while it runs. Waits for its turn among the sizes;
 * fails as they do, and as snapshot_changes().
 */
void engine_container_changes(struct engine *e, const struct container *c, engine_compared done,
			      void *arg);

struct engine_net_use {
	char name[16]; /* of the interface in the container */
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};
struct engine_sample {
	bool running; /* false: nothing else is set */
	bool v2;
	int64_t read_ns;
	uint64_t system_ns; /* what all processors of the host have done since its start */
	uint32_t cpus;
	uint64_t host_memory; /* bytes */
	struct cgroup_stats use;
	struct cgroup_io io;
	struct engine_net_use nets[LIMIT_STATS_NETS];
	size_t n_nets;
};
/*
 * A sample soon and then one a second, the same for all who follow a container. `end` comes once
 * it is removed or the daemon stops; close it then or before. -EAGAIN beyond LIMIT_STATS_CLIENTS.
 */
struct engine_stats;
struct engine_stats_ops {
	void (*sample)(void *arg, const struct engine_sample *s);
	void (*end)(void *arg);
};
struct engine_stats *engine_stats(struct engine *e, struct container *c,
				  const struct engine_stats_ops *ops, void *arg, struct err *err);
/* No callback follows; also from within one. */
void engine_stats_close(struct engine_stats *s);

/* A task's container since it was made; `known` is false when it ended before it was read. */
struct container_use {
	char *task, *container;
	bool known;
	int64_t mono_ns; /* when that was, by the monotonic clock */
	uint64_t cpu_ns;
	uint64_t memory; /* bytes, without the page cache that lies idle */
};
struct container_uses {
	struct container_use *v;
	size_t n;
};
typedef void (*engine_used)(void *arg, const struct container_uses *uses);
/* Reads those of the tasks (ids, copied) that run, all in one job; the answer lives in `done`. */
void engine_container_uses(struct engine *e, const struct strs *tasks, engine_used done, void *arg);

/* ---- Images: see runtime/image/store.h, here on the pool ---- */

struct image_store *engine_images(struct engine *e);
/* `loaded` lives during the call. `fd` is read to its end and closed. */
typedef void (*engine_loaded)(void *arg, int status, const struct image_loaded *loaded,
			      const struct err *e);
void engine_image_load(struct engine *e, int fd, const char *platform, engine_loaded done,
		       void *arg);
typedef void (*engine_images_listed)(void *arg, int status, const struct image_list *list,
				     const struct err *e);
/* `filters` is taken: its members are moved. */
void engine_image_list(struct engine *e, struct image_filters *filters, engine_images_listed done,
		       void *arg);
typedef void (*engine_image_got)(void *arg, int status, const struct image *image,
				 const struct err *e);
void engine_image_get(struct engine *e, const char *ref, engine_image_got done, void *arg);
void engine_image_tag(struct engine *e, const char *source, const char *target, engine_done done,
		      void *arg);
typedef void (*engine_image_removed)(void *arg, int status, const struct image_removed *removed,
				     const struct err *e);
void engine_image_remove(struct engine *e, const char *ref, bool force, engine_image_removed done,
			 void *arg);

/* ---- Networks ---- */

/* A network of this host (bridge, host, null), or an overlay that the managers have told of. */
struct engine_network {
	char *id;
	char *name;
	char *driver; /* bridge, host, null, overlay */
	char *scope;  /* local, swarm */
	int64_t created_ns;
	struct network_spec spec;
	struct ipam ipam; /* as in use */
	uint32_t vni;
	struct engine_network_live *live; /* agent/network*.c's own */
};
extern const struct table engine_network_table;

typedef void (*engine_network_done)(void *arg, int status, const struct engine_network *n,
				    const struct err *e);
/* A bridge network; `spec` is read during the call. */
void engine_network_create(struct engine *e, const struct network_spec *spec,
			   engine_network_done done, void *arg);
/* -EBUSY while containers are in it, -EPERM for the predefined ones. */
void engine_network_remove(struct engine *e, const char *ref, engine_done done, void *arg);
int engine_network_find(struct engine *e, const char *ref, const struct engine_network **ret,
			struct err *err);
const struct engine_network **engine_networks(struct engine *e, size_t *ret_n); /* free the array */

/*
 * The managers' word on overlays: a network that tasks of this node are in; its table, whole or a
 * difference; and that it is no more. `data_addr` is this node's end of the tunnels.
 */
void engine_overlay_node(struct engine *e, const char *data_addr, uint16_t data_port);
void engine_overlay_set(struct engine *e, const struct network *n);
void engine_overlay_gone(struct engine *e, const char *id);
/* 0; -ESTALE: a difference that does not fit, or a digest that does not: ask for the whole. */
int engine_overlay_peers(struct engine *e, const struct session_peers *p);
/* The version of a network's table here, 0: none. */
uint64_t engine_overlay_version(struct engine *e, const char *id);

/* ---- Volumes ---- */

#define VOLUME_ANONYMOUS "com.docker.volume.anonymous" /* label of one made without a name */

struct volume {
	char *name;
	int64_t created_ns;
	char *driver; /* local */
	char *scope;
	char *mountpoint;
	struct strmap labels, options;
};
extern const struct table volume_table;
struct volumes {
	struct volume *v;
	size_t n;
};
struct volumes_removed {
	struct strs names;
	int64_t bytes;
};

/* The list lives during the call. */
typedef void (*engine_volumes_got)(void *arg, int status, const struct volumes *found,
				   const struct err *e);
typedef void (*engine_volumes_gone)(void *arg, int status, const struct volumes_removed *removed,
				    const struct err *e);
/* All, by name. */
void engine_volumes(struct engine *e, engine_volumes_got done, void *arg);
/* One, or -ENOENT. */
void engine_volume_get(struct engine *e, const char *name, engine_volumes_got done, void *arg);
/* Of `spec` (copied) name and labels count; no name: one is chosen. One that exists is as well. */
void engine_volume_create(struct engine *e, const struct volume *spec, engine_volumes_got done,
			  void *arg);
/* Whether containers have it; their ids are added to `ret` (NULL: not wanted). */
bool engine_volume_users(struct engine *e, const char *name, struct strs *ret);
/* Those of `names` that no container has. */
void engine_volumes_remove(struct engine *e, const struct strs *names, engine_volumes_gone done,
			   void *arg);

/* ---- Events ---- */

struct engine_event {
	const char *type; /* container, image, network, service, node, … */
	const char *action;
	const char *id;
	const char *scope; /* local, swarm */
	int64_t time_ns;
	const struct strmap *attributes;
};
struct engine_watch {
	void (*event)(void *arg, const struct engine_event *ev);
	void *arg;
	struct engine_watch *prev, *next; /* the engine's */
};
void engine_watch_add(struct engine *e, struct engine_watch *w);
void engine_watch_remove(struct engine *e, struct engine_watch *w);
/* Tells the watchers and keeps it among the last LIMIT_EVENTS; `ev` is copied. */
void engine_event(struct engine *e, const struct engine_event *ev);
/* The kept ones, oldest first. */
void engine_events_each(struct engine *e, void (*cb)(void *arg, const struct engine_event *ev),
			void *arg);

/* ---- The host ---- */

struct engine_info {
	const char *data_root;
	const char *id; /* of this engine, made once */
	size_t running, paused, stopped, total;
	int cgroup_version; /* 1 or 2 */
	const struct strs *labels;
	const struct strs *warnings;
	const struct generics *generic; /* what tasks can reserve; NULL: nothing */
};
void engine_info(struct engine *e, struct engine_info *ret);
