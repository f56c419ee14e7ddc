/*
 * Keeping the runtime's program out of reach: see self.h.
 */
#include "runtime/container/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/mount.h"

/* The command line and behind it the environment, as the kernel has laid them out. */
static struct {
	char *at;
	size_t n;
	char *kept; /* a copy, while the original is blank */
} words;

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Whether nobody can write to it: its mount is read-only, or it is sealed. */
static int is_safe(bool *ret, struct err *e)
{
	auto_close int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct statfs st;

	if (exe < 0 || fstatfs(exe, &st) < 0)
		return err_sys(e, "cannot look at the runtime's own binary");
	*ret = (st.f_flags & ST_RDONLY) || fcntl(exe, F_GET_SEALS) == SEALS;
	return 0;
}

/* For a user who may not mount. */
static int sealed_copy(struct err *e)
{
	auto_close int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	auto_close int copy = memfd_create("runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat st;
	off_t at = 0;

	if (exe < 0 || copy < 0 || fstat(exe, &st) < 0)
		return err_sys(e, "cannot copy the runtime's own binary");
	while (at < st.st_size)
		if (sendfile(copy, exe, &at, (size_t)(st.st_size - at)) <= 0)
			return err_sys(e, "cannot copy the runtime's own binary");
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return err_sys(e, "cannot seal the copy of the runtime's own binary");
	return TAKE_FD(copy);
}

int self_protect(char **argv, struct err *e)
{
	auto_close int copy = -1;
	bool safe = false;
	int rc = is_safe(&safe, e);

	if (rc < 0 || safe)
		return rc;
	copy = mount_clone_path("/proc/self/exe", false, NULL);
	if (copy < 0)
		copy = sealed_copy(e);
	else
		rc = mount_set(copy, MOUNT_ATTR_RDONLY, 0, 0, false);
	if (copy < 0)
		return copy;
	if (rc < 0)
		return err_code(e, rc, "cannot protect the runtime's own binary");
	syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(e, "cannot execute the runtime's own binary");
}

/* The end of what lies in one piece from `end` on. */
static char *follow(char **v, char *end)
{
	for (; *v && *v == end; v++)
		end += strlen(end) + 1;
	return end;
}

void self_words(char **argv)
{
	if (!argv[0])
		return;
	words.at = argv[0];
	words.n = (size_t)(follow(environ, follow(argv, argv[0])) - argv[0]);
}

bool self_hide(void)
{
	if (!words.n || words.kept)
		return false;
	words.kept = xmalloc(words.n);
	memcpy(words.kept, words.at, words.n);
	memset(words.at, 0, words.n);
	return true;
}

void self_show(void)
{
	memcpy(words.at, words.kept, words.n);
	free(TAKE_PTR(words.kept));
}

/* Descriptors */

#define FILES_NAME "SHOAL_SOFT_NOFILE"

static struct {
	bool raised;
	rlim_t soft; /* as it was set for us */
} files;

void self_files_raise(void)
{
	struct rlimit limit;

	if (files.raised || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    limit.rlim_cur == limit.rlim_max)
		return;
	files.soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	files.raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

void self_files_given(char ret[SELF_FILES_TEXT])
{
	ret[0] = '\0';
	if (files.raised)
		(void)snprintf(ret, SELF_FILES_TEXT, FILES_NAME "=%llu",
			       (unsigned long long)files.soft);
}

void self_files_restore(void)
{
	const char *text = getenv(FILES_NAME);
	unsigned long long soft;
	struct rlimit limit;
	char *end;

	if (!text || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	errno = 0;
	soft = strtoull(text, &end, 10);
	if (errno || end == text || *end || soft > limit.rlim_max)
		return;
	limit.rlim_cur = soft;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
