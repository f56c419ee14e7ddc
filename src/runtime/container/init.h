/*
 * The child's half of launch.c: from a fresh clone to the container's program. And the messages
 * between the two on a SOCK_SEQPACKET pair.
 */
#pragma once

#include <stdint.h>

#include "runtime/container/launch.h"

enum sync_type {
	SYNC_READY = 1,    /* from the init, with the descriptors of `fds` */
	SYNC_FAILED = 2,   /* from the init: `code`, `exit_code`, `text` */
	SYNC_START = 3,    /* to the init */
	SYNC_GO = 4,       /* to the init: it has its id maps; hooks are done; its parent may go */
	SYNC_MOUNTED = 5,  /* from the init, when hooks of the runtime or its own come next */
	SYNC_BRIDGE = 6,   /* from who joins a user namespace first: the init's pidfd */
	SYNC_LISTENER = 7, /* from the init, with the descriptor of its seccomp filter */
};

enum sync_fds {
	SYNC_FD_CONSOLE = 1,
	SYNC_FD_DNS_UDP = 2,
	SYNC_FD_DNS_TCP = 4,
	SYNC_FD_PIDFD = 8,
	SYNC_FD_LISTENER = 16,
};

struct sync_message {
	uint32_t type;
	int32_t code;
	int32_t exit_code;
	uint32_t fds;
	char text[ERR_MSG_MAX];
};

int sync_send(int fd, const struct sync_message *m, const int *fds, size_t n_fds);
/* 1 and a message with up to `max` descriptors, 0 at the end, or -errno. */
int sync_recv(int fd, struct sync_message *ret, int *ret_fds, size_t max, size_t *ret_n);

/* A namespace to join. */
struct joined {
	int fd; /* -1 ends a list */
	unsigned int flag;
	const char *path;
};

/* Joins all of a list, in the order that the caller's rights want (launch_ns.c). */
int namespaces_join(const struct joined *list, struct err *e);

struct rootfs;

struct init_args {
	const struct launch *launch;
	const struct cgroup *cgroup; /* NULL: none wanted */
	bool in_cgroup;              /* joined already */
	const struct buf *filter;
	unsigned int filter_flags;
	const struct joined *join; /* namespaces to join; NULL: done already */
	const struct rootfs *root; /* as rootfs_sources() has left it, or NULL */
	int sync;
	unsigned int unshared; /* CLONE_NEW* flags that the clone had */
	bool new_cgroupns;
	bool own_userns; /* made or joined */
	bool new_timens;
	const struct exec *exec; /* init_exec() alone */
};

/* Whether the runtime has something to do between the init's mounts and its change of root. */
bool init_stops_mounted(const struct spec *s);
/* Waits until the caller has been put into its group by launch->place, if there is that. */
int init_await_place(const struct init_args *a, struct err *e);
/* Never returns. */
_Noreturn void init_run(const struct init_args *a);
/* The same for a process that joins a running container. */
_Noreturn void init_exec(const struct init_args *a);

/* Brings up `lo` and binds 127.0.0.11 in the network namespace of the caller (init_net.c). */
int init_net(const struct shim_dns_config *dns, bool own_net, int *ret_udp, int *ret_tcp,
	     struct err *e);
