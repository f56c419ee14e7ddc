/*
 * The terminal of whoever called `run` or `exec` joined to the container's: bytes both ways, the
 * size, raw mode while it lasts. Called by process.c.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "base/err.h"

#define TTY_POLL 3

/* Bytes on the way from one descriptor to another. */
struct tty_pipe {
	int from, to;
	bool end;
	size_t start, n;
	char bytes[8192];
};

struct tty {
	bool active;
	bool raw; /* stdin is a terminal, and `before` is how it was */
	struct termios before;
	int master;
	struct tty_pipe in, out;
};

#define TTY_INIT ((struct tty){.master = -1})

/* Takes part in the terminal `master`, which stays the caller's. */
int tty_open(struct tty *t, int master, struct err *e);
/* Carries over what is left and gives the caller's terminal back as it was. */
void tty_close(struct tty *t);
/* The container's terminal gets the size of the caller's. */
void tty_resize(struct tty *t);
/* Fills TTY_POLL entries, and takes their answers. */
void tty_poll(const struct tty *t, struct pollfd *ret);
void tty_move(struct tty *t, const struct pollfd *pf);
