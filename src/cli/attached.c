/*
 * Streams of a container, passed on. See attached.h.
 */
#include "cli/attached.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"

#define KEY_CTRL_P 0x10
#define KEY_CTRL_Q 0x11
#define CHUNK 16384

/* What docker passes on, and the terminal's size. */
static const int proxied[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
			      SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static int hijack(struct attached *a, const char *path, const struct buf *body, int *ret_fd,
		  struct buf *early, struct err *e)
{
	struct http_call call = {.method = "POST",
				 .path = path,
				 .body = body ? body->p : NULL,
				 .body_len = body ? body->len : 0};
	struct http_answer answer;
	struct http_client *http;
	int rc = call_client(a->c, &http, e);

	if (rc == 0)
		rc = http_client_hijack(http, &call, &answer, ret_fd, e);
	if (rc < 0)
		return rc;
	rc = call_refusal(&answer, e);
	if (rc == 0 && *ret_fd < 0)
		rc = err_set(e, -EPROTO, "the daemon answered %s with status %d", path,
			     answer.status);
	if (rc == 0)
		buf_add(early, buf_text(&answer.body), answer.body.len);
	http_answer_done(&answer);
	return rc;
}

static void prepare(struct attached *a)
{
	a->fd = a->wait_fd = -1;
	a->answer = BUF_INIT(LIMIT_HTTP_ANSWER);
	a->input_left = BUF_INIT(CHUNK);
	a->demux = (struct demux){.out = a->c->out, .err = a->c->err, .raw = a->tty};
}

/* What came with the answer is output already. */
static int streams_begin(struct attached *a, const struct buf *early, struct err *e)
{
	int rc = demux_take(&a->demux, buf_text(early), early->len, e);

	if (rc == 0 && fcntl(a->fd, F_SETFL, O_NONBLOCK) < 0)
		rc = err_sys(e, "cannot prepare the connection");
	return rc;
}

int attached_open_exec(struct attached *a, const struct buf *body, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf early = BUF_INIT(LIMIT_HTTP_ANSWER);
	int rc;

	prepare(a);
	path_add(&path, "/exec/%/start", a->id);
	rc = hijack(a, buf_text(&path), body, &a->fd, &early, e);
	return rc == 0 ? streams_begin(a, &early, e) : rc;
}

int attached_open(struct attached *a, const char *condition, struct err *e)
{
	auto_buf path = CALL_PATH;
	auto_buf wait_path = CALL_PATH;
	auto_buf early = BUF_INIT(LIMIT_HTTP_ANSWER);
	int rc;

	prepare(a);
	path_add(&path, "/containers/%/attach?stream=1&stdout=1&stderr=1", a->id);
	if (a->input)
		path_query(&path, "stdin", "1");
	path_add(&wait_path, "/containers/%/wait", a->id);
	path_query(&wait_path, "condition", condition);
	rc = hijack(a, buf_text(&path), NULL, &a->fd, &early, e);
	if (rc == 0)
		rc = hijack(a, buf_text(&wait_path), NULL, &a->wait_fd, &a->answer, e);
	return rc == 0 ? streams_begin(a, &early, e) : rc;
}

void attached_close(struct attached *a)
{
	if (a->fd >= 0)
		close(TAKE_FD(a->fd));
	if (a->wait_fd >= 0)
		close(TAKE_FD(a->wait_fd));
	buf_done(&a->answer);
	buf_done(&a->input_left);
}

/* Output */

static int output_take(struct attached *a, struct err *e)
{
	char bytes[CHUNK];
	ssize_t n = read(a->fd, bytes, sizeof bytes);

	if (n > 0)
		return demux_take(&a->demux, bytes, (size_t)n, e);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close(TAKE_FD(a->fd)); /* the end, or a daemon that is gone: `wait` tells which */
	return 0;
}

/* {"StatusCode":N,"Error":{"Message":...}}, in a body of chunks whose borders do not matter. */
static int answer_read(struct attached *a, bool *ret_whole, struct err *e)
{
	const char *text = buf_text(&a->answer);
	const char *begin = strchr(text, '{');
	json_t *v = begin ? json_loads(begin, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	const char *why =
		json_string_value(json_object_get(json_object_get(v, "Error"), "Message"));
	int rc = 0;

	*ret_whole = v != NULL;
	a->code = json_integer_value(json_object_get(v, "StatusCode"));
	if (why && *why)
		rc = err_set(e, -EREMOTEIO, "Error waiting for container: %s", why);
	json_decref(v);
	return rc;
}

static int wait_take(struct attached *a, struct err *e)
{
	char bytes[1024];
	ssize_t n = read(a->wait_fd, bytes, sizeof bytes);
	bool whole = false;

	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return err_set(e, -ECONNRESET,
			       "the connection to the daemon is lost; the container %.12s may run "
			       "on: see \"shoal ps -a\"",
			       a->id);
	if (buf_add(&a->answer, bytes, (size_t)n) < 0)
		return err_set(e, -EMSGSIZE, "the daemon's answer to wait is too large");
	if (answer_read(a, &whole, e) < 0)
		return e->code;
	if (whole)
		close(TAKE_FD(a->wait_fd));
	return 0;
}

/* Input */

static void input_end(struct attached *a)
{
	a->input = false;
	if (a->fd >= 0)
		(void)shutdown(a->fd, SHUT_WR);
}

static void input_flush(struct attached *a)
{
	ssize_t n = a->fd < 0 ? -1 : write(a->fd, a->input_left.p, a->input_left.len);

	if (n > 0)
		buf_shift(&a->input_left, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		input_end(a);
}

/* Whether ^P^Q was among the keys; a ^P alone goes on with what follows it. */
static bool keys_take(struct attached *a, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a->ctrl_p && p[i] == KEY_CTRL_Q)
			return true;
		if (a->ctrl_p)
			buf_addc(&a->input_left, KEY_CTRL_P);
		a->ctrl_p = p[i] == KEY_CTRL_P;
		if (!a->ctrl_p)
			buf_addc(&a->input_left, p[i]);
	}
	return false;
}

static bool input_take(struct attached *a)
{
	char bytes[CHUNK / 2];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

	if (n < 0 && errno == EINTR)
		return false;
	if (n <= 0) {
		input_end(a);
		return false;
	}
	if (a->tty && keys_take(a, bytes, (size_t)n))
		return true;
	if (!a->tty)
		buf_add(&a->input_left, bytes, (size_t)n);
	input_flush(a);
	return false;
}

/* Signals and the terminal */

/* A daemon that cannot resize yet is no reason to end. */
static void resize(struct attached *a)
{
	auto_buf path = CALL_PATH;
	struct winsize w;
	char rows[16], columns[16];

	if (!a->tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_row)
		return;
	(void)snprintf(rows, sizeof rows, "%u", w.ws_row);
	(void)snprintf(columns, sizeof columns, "%u", w.ws_col);
	path_add(&path, a->exec ? "/exec/%/resize" : "/containers/%/resize", a->id);
	path_query(&path, "h", rows);
	path_query(&path, "w", columns);
	(void)call_do(a->c, "POST", buf_text(&path), NULL, NULL);
}

static void signal_take(struct attached *a, int signals)
{
	struct signalfd_siginfo info;
	auto_buf path = CALL_PATH;
	char number[16];
	struct err e = ERR_INIT;

	if (read(signals, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGWINCH) {
		resize(a);
		return;
	}
	(void)snprintf(number, sizeof number, "%u", info.ssi_signo);
	path_add(&path, "/containers/%/kill", a->id);
	path_query(&path, "signal", number);
	if (call_do(a->c, "POST", buf_text(&path), NULL, &e) < 0 && e.code != -ENOENT &&
	    e.code != -EEXIST)
		(void)cli_fail(a->c, &e);
}

static int signals_open(const struct attached *a, sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(proxied); i++)
		if (a->proxy || (a->tty && proxied[i] == SIGWINCH))
			sigaddset(&set, proxied[i]);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool terminal_raw(const struct attached *a, struct termios *before)
{
	struct termios raw;

	if (!a->tty || !a->input || tcgetattr(STDIN_FILENO, before) < 0)
		return false;
	raw = *before;
	cfmakeraw(&raw);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static int turn(struct attached *a, int signals, bool *detached, struct err *e)
{
	bool full = a->input_left.len > 0;
	struct pollfd fds[] = {
		{.fd = a->fd, .events = (short)(POLLIN | (full ? POLLOUT : 0))},
		{.fd = a->wait_fd, .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = a->input && !full && a->fd >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
	};

	if (poll(fds, ARRAY_LEN(fds), -1) < 0)
		return errno == EINTR ? 0 : err_sys(e, "cannot wait for the container's streams");
	if (fds[2].revents)
		signal_take(a, signals);
	if (fds[0].revents & POLLOUT)
		input_flush(a);
	if (fds[0].revents & (POLLIN | POLLHUP | POLLERR) && output_take(a, e) < 0)
		return e->code;
	if (fds[1].revents && wait_take(a, e) < 0)
		return e->code;
	*detached = fds[3].revents && input_take(a);
	return 0;
}

int attached_run(struct attached *a, enum attached_end *ret, struct err *e)
{
	struct termios terminal;
	sigset_t before;
	int signals = signals_open(a, &before);
	bool raw = terminal_raw(a, &terminal);
	bool detached = false;
	int rc = 0;

	resize(a);
	while (rc == 0 && !detached && (a->fd >= 0 || a->wait_fd >= 0))
		rc = turn(a, signals, &detached, e);
	if (raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	if (signals >= 0)
		close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
	*ret = detached ? ATTACHED_DETACHED : ATTACHED_ENDED;
	return rc;
}
