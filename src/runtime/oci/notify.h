/*
 * NOTIFY_SOCKET as runc has it: where the caller has one (sd_notify(3)), the container gets a
 * socket of its own at /run/notify/notify.sock, and its READY=1 is passed on to the caller's with
 * the pid that counts on the host. Nothing else is passed on. A configuration that sets
 * NOTIFY_SOCKET itself is left as it is. Called by create.c and process.c.
 */
#pragma once

#include "runtime/container/spec.h"
#include "runtime/oci/state.h"

struct notify {
	int host;      /* connected to the caller's socket; -1: nothing is passed on (any more) */
	int container; /* the socket that the container writes to */
	pid_t main_pid;
};

#define NOTIFY_INIT ((struct notify){.host = -1, .container = -1})
void notify_done(struct notify *n);

/*
 * Makes the folder of the socket in the state directory, and adds mount and variable to the
 * configuration. Nothing without NOTIFY_SOCKET. `root` is the folder of all states.
 */
int notify_prepare(const struct oci_container *c, const char *root, struct spec *s, struct err *e);
/*
 * Opens both ends, before the program runs. Nothing without NOTIFY_SOCKET, or for a container that
 * was created without. The working directory becomes the state directory. `main_pid` is whom the
 * host is to watch.
 */
int notify_open(const struct oci_container *c, pid_t main_pid, struct notify *ret, struct err *e);
/* When `container` is readable: takes one message. 0 or -errno; READY=1 closes both ends. */
int notify_take(struct notify *n, struct err *e);
/*
 * Until READY=1 is passed on, and the host has taken it, or the process `pidfd` has ended: 0.
 * -ETIMEDOUT after `timeout_ms`.
 */
int notify_await(struct notify *n, int pidfd, int timeout_ms, struct err *e);
