/*
 * A terminal or pipes joined to a container's streams: stdin goes there, output comes back, signals
 * are passed on, until the container has ended. Owns its descriptors; knows no flags.
 */
#pragma once

#include "cli/cli.h"
#include "cli/demux.h"

enum attached_end { ATTACHED_ENDED, ATTACHED_DETACHED };

struct attached {
	struct cli *c;
	const char *id;
	bool input;        /* stdin is passed on */
	bool tty;          /* the container has a terminal */
	bool proxy;        /* signals are passed on */
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
/*
 * Passes on until the container has ended and its output has come, or ^P^Q was typed. 0 and how it
 * ended, with `code` set; or an error.
 */
int attached_run(struct attached *a, enum attached_end *ret, struct err *e);
void attached_close(struct attached *a);
