/*
 * Who a container runs as: the image's USER (or --user) looked up in the image's own /etc/passwd
 * and /etc/group, read by a bounded parser through openat2 below the root. Called by the
 * container's init (shim.json's "user", so that no root need be mounted on the host) and by exec.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "runtime/container/spec.h"

struct user_info {
	uint32_t uid;
	uint32_t gid;
	struct spec_u32s additional_gids;
	char *home; /* "/" when the user is not known */
	char *name; /* as in passwd, NULL when the user is not known */
};

void user_info_done(struct user_info *u);

/*
 * `user` is "", "name", "uid", "name:group", "uid:gid" and so on, as Docker takes it; `groups`
 * are names or numbers to add (--group-add), NULL-terminated, or NULL. Text that is a whole
 * number is an id, never a name (CVE-2016-3697). `root_fd` is the root file system; missing files
 * are empty ones. 0; -ENOENT when a name is not in the files; -EINVAL for numbers above 2^31-1
 * (Docker's bound) or bad text. The sentence is Docker's: "unable to find user x: no matching
 * entries in passwd file".
 */
int user_resolve(int root_fd, const char *user, const char *const *groups, struct user_info *ret,
		 struct err *e);
/* The same with the files' text instead of a root (overlay not mounted on the host). */
int user_resolve_text(const char *passwd, size_t passwd_len, const char *group, size_t group_len,
		      const char *user, const char *const *groups, struct user_info *ret,
		      struct err *e);
