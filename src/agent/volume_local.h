/*
 * A volume of the driver local as a folder: what its maker said beside it (volume.json), and with
 * options the mount over its content, while a container uses it. All of it blocks: on the pool.
 * Called by volumes.c and the containers' part.
 */
#pragma once

#include "agent/engine.h"

#define VOLUME_ABOUT "volume.json"

/* What the maker of the volume in folder `dir` said; zero where it said nothing. -errno. */
int volume_read(const char *dir, struct volume *ret);
/* Makes it (name, labels, options, time) below `root` unless it is there. */
int volume_make(const char *root, const struct volume *v, struct err *e);
/* Mounts what its options say over its content; 0 too without options, or when it is there. */
int volume_mount(const char *dir, struct err *e);
/* Whether it has options: volume_mount() would mount something. */
bool volume_has_options(const char *dir);
/* Takes it away, however often it was mounted. */
int volume_unmount(const char *dir, struct err *e);
/*
 * The same unless `needed` says so, which is asked while nobody can mount it: whoever asks for it
 * after that has it mounted again. 1: it was needed.
 */
int volume_unmount_unless(const char *dir, bool (*needed)(void *arg), void *arg, struct err *e);
