/*
 * A terminal or pipes joined to the streams of a container or of a process executed in one: stdin
 * goes there, output comes back, signals are passed on, until the container has ended. Owns its
 * descriptors; knows no flags.
 */
#pragma once

#include "cli/cli.h"
#include "cli/demux.h"

enum attached_end { ATTACHED_ENDED, ATTACHED_DETACHED };

struct attached {
	struct cli *c;
	const char *id;    /* of a container, or of what is executed in one */
	bool exec;         /* it is the latter */
	bool input;        /* stdin is passed on */
	bool tty;          /* the container has a terminal */
	bool proxy;        /* signals are passed on (of a terminal its size alone otherwise) */
	int fd;            /* the streams; -1 once they ended */
	int wait_fd;       /* the answer of `wait`; -1 once it came */
	int64_t code;      /* the container's exit status */
	struct buf answer; /* what of `wait` came so far */
	struct buf input_left;
	struct demux demux;
	bool ctrl_p; /* the first of the keys that detach was typed */
};

/*
 * Asks for the streams and, with `condition` ("next-exit", "removed"), to be told of the end; both
 * before the container is started, so that nothing is missed. Close with attached_close().
 */
int attached_open(struct attached *a, const char *condition, struct err *e);
/* The same for a process that is executed in a container: starts it; `body` is sent with that. */
int attached_open_exec(struct attached *a, const struct buf *body, struct err *e);
/*
 * Passes on until the container has ended and its output has come, or ^P^Q was typed. 0 and how it
 * ended, with `code` set (a container's alone); or an error.
 */
int attached_run(struct attached *a, enum attached_end *ret, struct err *e);
void attached_close(struct attached *a);
