/*
 * The daemon's side of a shim. The functions block (within their timeout) and belong on the thread
 * pool; `fd` and `parser` of a client may be handed to the loop afterwards for events and
 * streams. Safe in a multi-threaded daemon: nothing here forks but posix_spawn().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/container/shim_proto.h"

struct shim_client {
	int fd; /* a non-blocking, close-on-exec stream socket */
	uint32_t last_id;
	struct shim_parser parser;
	struct buf held; /* events and stream frames that came while an answer was awaited */
	size_t held_used;
	struct buf out;        /* frames still to be sent by shim_client_flush() */
	int fds[SHIM_FDS_MAX]; /* received, not yet taken */
	size_t n_fds;
};

/* What a shim has given; -1 where it has none. The descriptors belong to the holder. */
struct shim_fds {
	int pid;
	int netns;
	int dns_udp;
	int dns_tcp;
};

#define SHIM_FDS_INIT ((struct shim_fds){-1, -1, -1, -1})
void shim_fds_done(struct shim_fds *fds);

void shim_client_init(struct shim_client *c);
void shim_client_done(struct shim_client *c);

/*
 * Once per daemon: a descriptor of the shim's binary on a detached read-only mount, so that no
 * container can write to it (CVE-2019-5736). Give it to shim_spawn(). The descriptor or -errno.
 */
int shim_binary_open(const char *path, struct err *e);

/*
 * Starts a shim for the runtime directory `dir` (which holds config.json and shim.json) and waits
 * until the container is created. `c` is connected and subscribed after 0. On failure nothing of
 * the container is left, and `e` has the shim's own sentence.
 */
int shim_spawn(int binary_fd, const char *dir, int timeout_ms, struct shim_client *c,
	       struct shim_state *ret_state, struct shim_fds *ret_fds, struct err *e);

/*
 * The same for a further process in the container whose init is `target` (a pidfd): `dir` is the
 * process's own (config.json: the process, the container's control group and filter; shim.json).
 * When the program is not there, *ret_exit_code is 126 or 127, else 0.
 */
int shim_spawn_exec(int binary_fd, const char *dir, int target, int timeout_ms,
		    struct shim_client *c, struct shim_state *ret_state, int *ret_exit_code,
		    struct err *e);

/*
 * The second half of both: waits for the first word of a shim just executed. `ret_exit_code` may
 * be NULL.
 */
int shim_client_await_ready(struct shim_client *c, int timeout_ms, struct shim_state *ret_state,
			    struct shim_fds *ret_fds, int *ret_exit_code, struct err *e);

/* Connects to `dir`/shim.sock. -ENOENT or -ECONNREFUSED: there is no shim. */
int shim_connect(const char *dir, int timeout_ms, struct shim_client *c,
		 struct shim_state *ret_state, struct err *e);

/*
 * The same after a restart of the daemon, for a shim that may be on its way still: waits until it
 * answers, or it is certain that there is none (-ENOENT). -ETIMEDOUT: it hung, and was killed.
 */
int shim_find(const char *dir, int timeout_ms, struct shim_client *c, struct shim_state *ret_state,
	      struct err *e);
/* Waits until no shim has the runtime directory any more. 0 or -ETIMEDOUT. */
int shim_await_gone(const char *dir, int timeout_ms);

/* Asks for the descriptors again (after a restart of the daemon). */
int shim_get_fds(struct shim_client *c, int timeout_ms, struct shim_fds *ret, struct err *e);
int shim_get_status(struct shim_client *c, int timeout_ms, struct shim_state *ret, struct err *e);
/*
 * Executes the container's program. When it cannot be executed, *ret_exit_code is 126 or 127, the
 * result -errno, and the container stops with that code; else *ret_exit_code is 0.
 */
int shim_start(struct shim_client *c, int timeout_ms, int *ret_exit_code, struct err *e);
/* signal 0 is the stop signal. -ESRCH: it has stopped already. */
int shim_kill(struct shim_client *c, int signal, bool all, int timeout_ms, struct err *e);
/* Ends what was created and not started. -EALREADY: it was started. */
int shim_abort(struct shim_client *c, int timeout_ms, struct err *e);
int shim_resize(struct shim_client *c, int rows, int cols, int timeout_ms, struct err *e);
int shim_close_stdin(struct shim_client *c, int timeout_ms, struct err *e);
int shim_attach(struct shim_client *c, unsigned int streams, int timeout_ms, struct err *e);
int shim_subscribe(struct shim_client *c, int timeout_ms, struct err *e);

/*
 * For the loop. Reads what is there, without blocking: 1 when something came, 0 when nothing is
 * there now, -ECONNRESET at the end, or -errno. Call shim_client_next() until 0 after each, and
 * once right after handing a client to the loop (for what was held).
 */
int shim_client_read(struct shim_client *c);
int shim_client_next(struct shim_client *c, struct shim_frame *ret);
/*
 * Sends frames made with shim_put*(&c->out, ...) as far as the socket takes them: 0 when all is
 * sent, 1 when the loop must wait for writability, or -errno.
 */
int shim_client_flush(struct shim_client *c);
/*
 * The descriptors that came with a SHIM_FDS or SHIM_READY frame, by its mask (see
 * shim_get_u32s(), shim_get_state()). 0, or -EPROTO when their number is another.
 */
int shim_client_take_fds(struct shim_client *c, uint32_t mask, struct shim_fds *ret);
/* An id for a request that the loop sends itself. */
uint32_t shim_client_id(struct shim_client *c);

/* What exit.json of a runtime directory says. */
struct shim_exit {
	int exit_code;
	bool oom_killed;
	int64_t started_ns; /* 0: its program was not, or that is not known */
	int64_t finished_ns;
	char error[512]; /* why the program could not be executed, or "" */
};

/* 0, or -ENOENT when the shim has not written one: it lives, or it was lost. */
int shim_exit_read(const char *dir, struct shim_exit *ret, struct err *e);

/*
 * For "shim lost": kills whatever is left of the container of `dir` through its cgroup, waits for
 * its end and removes the cgroup. Reads config.json of `dir`. 0 also when nothing is left.
 */
int shim_lost_cleanup(const char *dir, int timeout_ms, struct err *e);
