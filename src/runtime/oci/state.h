/*
 * What is kept of a container between two commands: one folder ROOT/ID with state.json, a copy of
 * config.json and, while the container waits to be started, start.sock. Written atomically, and
 * locked by who changes it. A pid counts only together with its start time.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/spec.h"
#include "runtime/oci/oci.h"

/* On which the init of a created container waits; until it is created under the first name. */
#define OCI_SOCKET_EARLY "creating.sock"
#define OCI_SOCKET "start.sock"

enum oci_status {
	OCI_CREATING, /* its creator is at work, or has died */
	OCI_CREATED,
	OCI_RUNNING,
	OCI_PAUSED,
	OCI_STOPPED,
};

/* state.json. */
struct oci_record {
	char *id;
	char *bundle;
	char *rootfs;
	char *created;       /* RFC 3339 */
	char *cgroup;        /* a clean path; NULL: none */
	char *unit;          /* systemd's, whose group that is to be; NULL: none */
	int64_t pid;         /* 0: not there yet */
	int64_t start_time;  /* of the pid, in the kernel's ticks since the boot */
	bool no_new_keyring; /* also for what is executed in it */
	struct spec_pairs annotations;
};

/*
 * As spec_parse() with SPEC_STRICT; oci_record_done() after 0 alone. -EINVAL also for what no
 * container has: a group that is not below the root, a pid that is none.
 */
int oci_record_parse(const char *json, size_t n, struct oci_record *ret, struct err *e);
/* 0, or -EMSGSIZE past the buffer's bound. */
int oci_record_write(const struct oci_record *r, struct buf *ret);
void oci_record_done(struct oci_record *r);

struct oci_container {
	char *id;
	int parent; /* the folder of all states */
	int dir;    /* the container's own; the lock is on it */
	int pidfd;  /* -1: no such process any more */
	struct oci_record record;
	uid_t owner;
};

void oci_container_done(struct oci_container *c);
#define auto_container CLEANUP(oci_container_done) struct oci_container
#define OCI_CONTAINER_INIT ((struct oci_container){.parent = -1, .dir = -1, .pidfd = -1})

/* OCI_SALVAGED: locked; of one whose state.json is damaged the record has the group alone. */
enum oci_lock { OCI_UNLOCKED, OCI_LOCKED, OCI_SALVAGED };

/* Makes the folder of a new container, locked. -EEXIST when there is one of the id. */
int oci_state_make(const struct oci *o, const char *id, struct oci_container *ret, struct err *e);
/*
 * Opens an existing one and looks for its process. -ENOENT when there is none of the id. A
 * half-made one has a record of its group alone, if that.
 */
int oci_state_open(const struct oci *o, const char *id, enum oci_lock lock,
		   struct oci_container *ret, struct err *e);
/* Writes a file of the folder whole. 0 or -errno with the reason. */
int oci_state_put(const struct oci_container *c, const char *name, const struct buf *text,
		  struct err *e);
int oci_state_write(const struct oci_container *c, struct err *e);
void oci_state_unlock(const struct oci_container *c);
/* Removes the folder with all that is in it. */
int oci_state_remove(struct oci_container *c, struct err *e);

/* What systemd is told that the container's unit is, and no other's. Free with free(). */
char *oci_state_description(const struct oci *o, const char *id);

enum oci_status oci_status(const struct oci_container *c);
/* The same but for OCI_PAUSED, for who looks at the group anyway. */
enum oci_status oci_status_of_process(const struct oci_container *c);
const char *oci_status_name(enum oci_status s);
/* Sends a signal to the container's init, and to no other process. -ESRCH when it is gone. */
int oci_signal(const struct oci_container *c, int signal);
/* The configuration that the container was created with. */
int oci_state_spec(const struct oci_container *c, struct spec *ret, struct err *e);
/* Its control group; -ENOENT when it has none. */
int oci_state_cgroup(const struct oci_container *c, struct cgroup *ret, struct err *e);
/* The start time of a process, in ticks since the boot; 0 when it is gone or a zombie. */
int64_t oci_start_time(pid_t pid);
/* What an id may look like. 0 or -EINVAL. */
int oci_check_id(const char *id, struct err *e);
