/*
 * The container's standard streams as the shim holds them: pipes or a terminal, out to the log
 * and the attached clients, in from them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "runtime/container/shim.h"

static int make_pipe(int *ret_ours, int *ret_theirs, bool we_write, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	*ret_ours = p[we_write];
	*ret_theirs = p[!we_write];
	if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set up a pipe");
	return 0;
}

int stdio_open(struct shim *s, const struct spec *spec, bool open_stdin, int ret_container[3],
	       struct err *e)
{
	int rc = 0;

	buf_init(&s->in_buf, LIMIT_SHIM_STDIN + LIMIT_SHIM_FRAME);
	s->terminal = spec->process.terminal;
	if (s->terminal)
		return 0;
	if (open_stdin) {
		rc = make_pipe(&s->in, &ret_container[0], true, e);
	} else {
		ret_container[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (ret_container[0] < 0)
			rc = err_sys(e, "cannot open /dev/null");
	}
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = make_pipe(&s->out[i].fd, &ret_container[i + 1], false, e);
	return rc;
}

void stdio_take_console(struct shim *s)
{
	if (!s->terminal)
		return;
	s->out[0].fd = s->container.console;
	s->in = s->container.console;
	(void)fcntl(s->container.console, F_SETFL, O_NONBLOCK);
}

bool stdio_ended(const struct shim *s)
{
	return s->out[0].fd < 0 && s->out[1].fd < 0;
}

static void end_output(struct shim *s, struct output *o)
{
	json_log_end(&s->log, &o->log, clock_wall_ns());
	if (s->terminal) {
		s->container.console = -1;
		s->in = -1;
	}
	fd_close_at(&o->fd);
	o->fd = -1;
}

void stdio_read(struct shim *s, struct output *o)
{
	static char data[LIMIT_SHIM_READ];
	ssize_t n = read(o->fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A terminal whose last process is gone says EIO. */
	if (n <= 0) {
		end_output(s, o);
		return;
	}
	json_log_add(&s->log, &o->log, data, (size_t)n, clock_wall_ns());
	peers_output(s, o, data, (size_t)n);
}

static void close_in(struct shim *s)
{
	buf_done(&s->in_buf);
	if (s->in >= 0 && !s->terminal)
		close(s->in);
	s->in = -1;
}

void stdio_write(struct shim *s)
{
	while (s->in >= 0 && s->in_buf.len) {
		ssize_t n = write(s->in, s->in_buf.p, s->in_buf.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) { /* nobody reads it any more */
			close_in(s);
			return;
		}
		buf_shift(&s->in_buf, (size_t)n);
	}
	if (s->in_closing && s->in >= 0 && !s->terminal)
		close_in(s);
}

void stdio_feed(struct shim *s, const void *data, size_t n)
{
	if (s->in < 0 || s->in_closing)
		return;
	(void)buf_add(&s->in_buf, data, n);
	stdio_write(s);
}

/* A terminal has no end of input but the character that its user types. */
void stdio_close_stdin(struct shim *s)
{
	if (s->terminal)
		return;
	s->in_closing = true;
	stdio_write(s);
}
