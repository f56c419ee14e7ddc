/*
 * Terminals joined: see tty.h.
 */
#include "runtime/oci/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"

void tty_resize(struct tty *t)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
		(void)ioctl(t->master, TIOCSWINSZ, &ws);
}

int tty_open(struct tty *t, int master, struct err *e)
{
	struct termios raw;

	*t = TTY_INIT;
	t->master = master;
	t->in.from = STDIN_FILENO;
	t->in.to = t->out.from = master;
	t->out.to = STDOUT_FILENO;
	if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set up the terminal");
	t->active = true;
	if (tcgetattr(STDIN_FILENO, &t->before) < 0)
		return 0; /* a pipe or a file: as it is */
	raw = t->before;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	tty_resize(t);
	return 0;
}

/* One step of a direction. The terminal's end is EIO; who takes nothing any more ends it too. */
static void step(struct tty_pipe *p, bool readable, bool writable)
{
	ssize_t n;

	if (readable && p->n == 0 && !p->end) {
		n = read(p->from, p->bytes, sizeof(p->bytes));
		p->start = 0;
		p->n = n > 0 ? (size_t)n : 0;
		p->end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
		writable = true;
	}
	if (writable && p->n) {
		n = write(p->to, p->bytes + p->start, p->n);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			p->end = true;
			p->n = 0;
		}
		if (n > 0) {
			p->start += (size_t)n;
			p->n -= (size_t)n;
		}
	}
}

void tty_poll(const struct tty *t, struct pollfd *ret)
{
	bool in = t->active && !t->in.end && !t->in.n, out = t->active && !t->out.end;
	short master = (short)((out && !t->out.n ? POLLIN : 0) | (t->in.n ? POLLOUT : 0));

	ret[0] = (struct pollfd){.fd = in ? t->in.from : -1, .events = POLLIN};
	ret[1] = (struct pollfd){.fd = t->active && master ? t->master : -1, .events = master};
	ret[2] = (struct pollfd){.fd = t->active && t->out.n ? t->out.to : -1, .events = POLLOUT};
}

void tty_move(struct tty *t, const struct pollfd *pf)
{
	if (!t->active)
		return;
	step(&t->in, pf[0].revents != 0, pf[1].revents & POLLOUT);
	step(&t->out, pf[1].revents & (POLLIN | POLLHUP | POLLERR), pf[2].revents != 0);
}

void tty_close(struct tty *t)
{
	if (!t->active)
		return;
	/* What the process wrote before its end is still in the terminal. */
	while (!t->out.end) {
		struct pollfd pf = {.fd = t->out.n ? t->out.to : t->out.from,
				    .events = t->out.n ? POLLOUT : POLLIN};

		if (poll(&pf, 1, t->out.n ? -1 : 0) <= 0)
			break;
		step(&t->out, !t->out.n, t->out.n != 0);
	}
	if (t->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	t->active = false;
}
