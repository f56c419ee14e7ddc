/*
 * What tree.c and tree_file.c share.
 */
#pragma once

#include <sys/stat.h>

#include "runtime/image/tree.h"

/* openat2() below `dirfd` that follows no link and crosses no mount. A descriptor or -errno. */
int tree_open_below(int dirfd, const char *path, int flags);
/* Whether it is what hides a file of the layers below. */
bool tree_is_whiteout(const struct stat *st);

/* Makes the folder `path` (its first `n` bytes) t->parent, with all that is missing of it. */
int tree_enter(struct tree *t, const char *path, size_t n, struct err *e);
/* Makes the folder of `path` t->parent; `ret_name` points at its last part. */
int tree_parent(struct tree *t, const char *path, const char **ret_name, struct err *e);
/* To be called when a folder has gone. */
void tree_forget_parent(struct tree *t);

enum tree_claimed { TREE_FREE, TREE_IS_DIR, TREE_WAS_HIDDEN };
/* Clears `name` of t->parent for a new member; a folder stays for a folder. */
int tree_claim(struct tree *t, const char *name, const char *path, bool dir, struct err *e);

int tree_set_opaque(int fd, const char *path, struct err *e);
