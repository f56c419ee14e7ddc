/*
 * The runtime's own program against what it starts. Called first of all by the shim and by those
 * commands of shoal-oci that make processes in a container.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

/*
 * A container could execute /proc/self/exe and later write to the file behind it (CVE-2019-5736).
 * On a read-only mount of its own, which nobody can reach to change, it cannot: unless that is so
 * already, the caller is executed again from such a mount, or where it may not mount from a sealed
 * copy in memory, and this does not return.
 */
int self_protect(char **argv, struct err *e);

/*
 * A new process in a container has its maker's command line and environment until it executes its
 * program, and /proc shows the first to everyone in its pid namespace: paths of the host, and what
 * exec was given with --env. So they are blanked around the clone. self_words() is told of them
 * once; self_hide() is false when there is nothing to hide (any more), else self_show() undoes it.
 */
void self_words(char **argv);
bool self_hide(void);
void self_show(void);

/*
 * A daemon of thousands of connections takes as many descriptors as it may have; what it starts
 * gets the soft limit that was set for it, as programs that know select() alone depend on it, and
 * those that close every descriptor up to the limit. self_files_raise() remembers what was set, and
 * self_files_given() writes it as a line of the environment ("" when nothing was raised) by which
 * the program that is spawned sets it back first of all, by self_files_restore().
 */
#define SELF_FILES_TEXT 48
void self_files_raise(void);
void self_files_given(char ret[SELF_FILES_TEXT]);
void self_files_restore(void);
