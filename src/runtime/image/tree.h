/*
 * Making a layer's files below one directory, as a hostile tar asks for them: every path is
 * resolved by the kernel below the root without following any link, and nothing is ever opened,
 * changed or removed through a link. Whiteouts become what overlayfs understands. Used by the
 * unpacking of layers only; the directory must be nobody else's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"

struct tree {
	int root;                  /* borrowed */
	const struct strs *lowers; /* directories of the layers below, top-most first; borrowed */
	int parent;                /* the directory opened last, -1 none */
	struct buf parent_path;    /* its path, "" for the root */
	struct buf dir_times;      /* times of folders, set when all is in place */
	bool replaced;             /* a file of this layer has given way to a later one */
};

/* What all kinds of files have. */
struct tree_meta {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* permissions with setuid, setgid and sticky */
	struct timespec mtime;
};

/* Gives the root the metadata of the layer below's, or root's and 0755. */
int tree_init(struct tree *t, int root, const struct strs *lowers, struct err *e);
void tree_done(struct tree *t);

/*
 * Brings a member's name into the form that all others here take: no leading "/" or "./", no empty
 * part. -EINVAL for one with "..", too deep or too long; "" is the root itself.
 */
int tree_path(const char *name, struct buf *ret, struct err *e);

/* Each replaces what an earlier member put there, except that a folder stays a folder. */
int tree_dir(struct tree *t, const char *path, const struct tree_meta *meta, struct err *e);
int tree_symlink(struct tree *t, const char *path, const char *target, const struct tree_meta *meta,
		 struct err *e);
int tree_hardlink(struct tree *t, const char *path, const char *target, struct err *e);
/* `type` is S_IFCHR, S_IFBLK or S_IFIFO. */
int tree_node(struct tree *t, const char *path, mode_t type, dev_t device,
	      const struct tree_meta *meta, struct err *e);
/*
 * A new empty file, opened for writing. Once it is written tree_file_own() gives it its owner and
 * mode, then come its attributes (a change of owner would drop capabilities), and tree_file_end()
 * sets its times and closes it.
 */
int tree_file(struct tree *t, const char *path, int *ret_fd, struct err *e);
int tree_file_own(const char *path, int fd, const struct tree_meta *meta, struct err *e);
int tree_file_end(const char *path, int fd, const struct tree_meta *meta, struct err *e);

/* Hides what lower layers have at `path`; what this layer has there stays. */
int tree_whiteout(struct tree *t, const char *path, struct err *e);
/* Hides all that lower layers have in the folder `path`. */
int tree_opaque(struct tree *t, const char *path, struct err *e);

/*
 * Sets an extended attribute of a file or folder, if it is one that an image may set: user.*,
 * security.capability, system.posix_acl_*; others (trusted.*: overlayfs trusts those) are ignored.
 */
int tree_xattr_fd(int fd, const char *path, const char *name, const void *value, size_t n,
		  struct err *e);
/* Opens a folder made by tree_dir(), for its attributes. */
int tree_dir_open(struct tree *t, const char *path, int *ret_fd, struct err *e);

/* Sets the times of the folders, now that nothing changes them any more. */
int tree_finish(struct tree *t, struct err *e);
