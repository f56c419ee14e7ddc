/*
 * Paths inside a container's root. Whatever the container could have changed is opened here and
 * nowhere else: through openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) from a descriptor of the
 * root, so that no link leads out of it. Called by the runtime and by the engine (cp, users).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum path_flags {
	PATH_NO_LINKS = 1, /* no symbolic link at all on the way, the last component included */
};

/* openat2() below `root_fd`; `flags` are open()'s, O_CLOEXEC is added. Descriptor or -errno. */
int path_open(int root_fd, const char *path, int flags, unsigned int path_flags);
/* An O_PATH descriptor of the folder `path`, with missing folders made (mode 0755). Or -errno. */
int path_make_dir(int root_fd, const char *path, unsigned int path_flags);
/*
 * An O_PATH descriptor of the file `path`; a missing one is made empty (0644), with its folders.
 */
int path_make_file(int root_fd, const char *path, unsigned int path_flags);
/*
 * The folder that holds `path`, made if missing, and the last component in `ret_name` (256 bytes).
 * -EINVAL when there is none, or it is "." or "..".
 */
int path_open_parent(int root_fd, const char *path, unsigned int path_flags, char *ret_name);
/* A path opened on /proc/self/fd/N of it; `ret` holds 64 bytes. */
char *path_fd_text(int fd, char ret[64]);
