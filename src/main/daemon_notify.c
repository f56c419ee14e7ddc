/*
 * What the daemon tells those who started it: its state to systemd (sd_notify(3)) and its process
 * id in a file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "main/daemon.h"

#define PID_TEXT_MAX 32
#define STAT_TEXT_MAX 4096

void daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	auto_close int fd = -1;
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&a,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

/* A number may have been given to another program since, or be a dead one's, not yet reaped. */
static bool is_daemon(long pid)
{
	auto_free char *path = xasprintf("/proc/%ld/stat", pid);
	auto_buf text = BUF_INIT(STAT_TEXT_MAX);
	const char *name, *state;

	if (pid <= 0 || pid == getpid() || file_read_at(AT_FDCWD, path, &text) < 0)
		return false;
	name = strchr(buf_text(&text), '(');
	state = strrchr(buf_text(&text), ')');
	return name && state && strncmp(name, "(shoald)", strlen("(shoald)")) == 0 &&
	       state[1] == ' ' && !strchr("ZX", state[2]);
}

int daemon_pidfile_write(const char *path, struct err *e)
{
	auto_free char *dir = xstrdup(path);
	auto_buf text = BUF_INIT(PID_TEXT_MAX);
	char *slash = strrchr(dir, '/');
	int rc = file_read_at(AT_FDCWD, path, &text);

	if (rc == 0 && is_daemon(strtol(buf_text(&text), NULL, 10)))
		return err_set(
			e, -EBUSY,
			"%s names process %ld, which is a shoald that runs: stop it first, or "
			"give this one another --pidfile",
			path, strtol(buf_text(&text), NULL, 10));
	if (slash && slash != dir) {
		*slash = '\0';
		rc = dir_make(dir, 0711, e);
		if (rc < 0)
			return rc;
	}
	buf_reset(&text);
	(void)buf_addf(&text, "%d\n", (int)getpid());
	rc = file_write_passing(AT_FDCWD, path, text.p, text.len, 0644);
	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}
