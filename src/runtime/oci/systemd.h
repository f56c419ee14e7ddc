/*
 * --systemd-cgroup where systemd runs: a container's group is a transient scope that systemd makes
 * and delegates, so that it leaves the group and its limits alone. Where systemd does not run there
 * is nothing to ask, and the groups are made as it would make them. Called by create.c, delete.c
 * and update.c.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "runtime/container/spec.h"

/* As sd_booted(3). */
bool systemd_runs(void);

/*
 * Where the unit of a cgroupsPath "slice:prefix:name" lies: *ret_unit its name, *ret_path its
 * group, below that of the systemd that is asked (the user's own for who is not root of the host).
 * Free both with free().
 */
int systemd_find(const char *cgroups_path, char **ret_unit, char **ret_path, struct err *e);

/* A scope lives as long as a process is in it: until the container's is there, one of ours. */
struct systemd_scope {
	pid_t holder; /* 0: none */
};
#define SYSTEMD_SCOPE_INIT ((struct systemd_scope){0})
/*
 * Makes the scope, with a process in it that does nothing, and waits until it is there. -EEXIST
 * when there is a unit of the name.
 */
int systemd_scope_begin(const char *unit, const char *path, const char *description,
			const struct spec_resources *r, struct systemd_scope *ret, struct err *e);
/*
 * Whether a container's process has to be moved by systemd: where it has a tree of its own besides
 * those of the controllers (v1), and where it alone has the right to (an ordinary user's program
 * may lie outside of what its systemd has been given).
 */
bool systemd_places(void);
/* Moves a process into the scope. On v1 this is to be before it joins any group itself. */
int systemd_scope_attach(const char *unit, pid_t pid, struct err *e);
/* Ends the holder. With no other process in the scope that is its end too. */
void systemd_scope_done(struct systemd_scope *s);

/* Tells systemd of other limits, so that it does not put back its own on the next occasion. */
int systemd_update(const char *unit, const struct spec_resources *r, struct err *e);
/*
 * Stops the unit and forgets it. One that is gone is no error; one of another description is
 * somebody else's by now, and left alone.
 */
int systemd_stop(const char *unit, const char *description, struct err *e);
