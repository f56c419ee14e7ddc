/*
 * Visits to network namespaces: a pool thread steps into one for as long as it opens a socket or
 * writes a sysctl, and back. Namespaces kept by a bind mount. Internal to net.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

struct netns_visit {
	int home; /* where to go back to; -1: not away */
};

#define NETNS_VISIT_INIT ((struct netns_visit){-1})
#define auto_visit CLEANUP(netns_leave) struct netns_visit

/* Steps into the namespace (-1: stays). The calling thread alone is moved. */
int netns_enter(struct netns_visit *v, int netns_fd, struct err *e);
/* Back home. Ends the process if that fails: the thread would serve in a foreign namespace. */
void netns_leave(struct netns_visit *v);

/* The calling thread's own namespace; close it. */
int netns_self(struct err *e);

/* Makes a namespace and steps into it; netns_leave() goes back and, unless kept, ends it. */
int netns_enter_new(struct netns_visit *v, struct err *e);

/*
 * A namespace kept at `path` by a bind mount: opens it, or makes it first. `ret_made` says which.
 * A plain file at the path (what a crash leaves) is used as the mount point.
 */
int netns_keep(const char *path, int *ret_fd, bool *ret_made, struct err *e);
/* Opens it. -ENOENT: there is none, or only the plain file. */
int netns_open(const char *path, int *ret_fd, struct err *e);
/* Unmounts and removes it. 0 when there is none. */
int netns_drop(const char *path, struct err *e);

/*
 * Writes a sysctl of the calling thread's namespace. `path` stands below /proc/sys/net. A missing
 * one is -ENOENT (no IPv6 in the kernel, say) and tells nothing in `e`.
 */
int sysctl_write(const char *path, const char *value, struct err *e);
/* The number in it, or -errno. */
int sysctl_read(const char *path);
