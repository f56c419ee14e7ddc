/*
 * See dial.h.
 */
#include "net/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/netns.h"

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int net_dial_socket(pid_t pid, bool host, int *ret_fd, struct err *e)
{
	auto_free char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	auto_close int netns = open(path, O_RDONLY | O_CLOEXEC), own = -1, fd = -1;
	auto_visit visit = NETNS_VISIT_INIT;
	int rc;

	if (netns < 0 && (errno == ENOENT || errno == ESRCH))
		return err_set(e, -ESRCH, "the container has ended");
	if (netns < 0)
		return err_sys(e, "cannot open the network namespace of process %d", (int)pid);
	own = netns_self(e);
	if (own < 0)
		return own;
	if (is_same_file(netns, own) != host)
		return err_set(e, -ESRCH, "the container has ended");
	rc = netns_enter(&visit, netns, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "cannot open a socket in the container's network");
	*ret_fd = TAKE_FD(fd);
	return 0;
}
