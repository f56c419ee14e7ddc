/*
 * The listener of a seccomp filter on its way to whoever answers its questions: see
 * seccomp_filter.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/hooks.h"
#include "runtime/container/jtable.h"
#include "runtime/container/seccomp_filter.h"

struct process_state {
	char *version;
	struct spec_strs fds;
	int64_t pid;
	char *metadata;
};

static const struct jt_type process_state_type = {
	sizeof(struct process_state), (const struct jt_field[]){
					      JT_STR_(struct process_state, version, "ociVersion"),
					      JT_STRS_(struct process_state, fds, "fds"),
					      JT_I64_(struct process_state, pid, "pid"),
					      JT_STR_(struct process_state, metadata, "metadata"),
					      JT_END,
				      }};

/* {"ociVersion": ..., "fds": ["seccompFd"], "pid": ..., "metadata": ..., "state": {...}} */
static int write_state(const struct hook_state *s, struct buf *ret)
{
	char *name = (char *)"seccompFd";
	struct process_state p = {
		.version = (char *)SPEC_OCI_VERSION,
		.fds = {.v = &name, .n = 1},
		.pid = s->pid,
		.metadata = s->spec->linux_.seccomp.listener_metadata,
	};

	jt_write(&process_state_type, &p, ret);
	if (ret->len)
		ret->p[ret->len - 1] = ','; /* the closing brace comes after the state */
	buf_adds(ret, "\"state\":");
	hook_state_write(s, ret);
	return buf_addc(ret, '}');
}

static int send_all(int fd, const struct buf *b, int listener)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {b->p, b->len};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)b->len ? 0 : -1;
}

int seccomp_listener_send(const struct hook_state *state, int listener, struct err *e)
{
	const char *path = state->spec->linux_.seccomp.listener_path;
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON * 2);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "config.json: linux.seccomp.listenerPath is longer than a socket's "
			       "address");
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (write_state(state, &text) < 0)
		return err_set(e, -EMSGSIZE, "the state for the seccomp listener is too large");
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    send_all(fd, &text, listener) < 0)
		return err_sys(e, "cannot pass the seccomp filter's listener to %s", path);
	return 0;
}
