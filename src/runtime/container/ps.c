/*
 * See ps.h.
 */
#include "runtime/container/ps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define PS_PATH "/usr/bin/ps"
#define COMPLAINT_MAX 512 /* bytes of what ps says of a mistake */
#define BLANKS " \t\v\f\r"

/* ---- Running it ---- */

static int spawn(char *const *argv, const int out[2], const int err[2], pid_t *ret, struct err *e)
{
	char *envp[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(ret, PS_PATH, &actions, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return rc ? err_code(e, -rc, "cannot execute the host's " PS_PATH) : 0;
}

/* One read: 1, 0 at the end, or -errno. What is too much for a complaint is dropped. */
static int take(int fd, struct buf *b, bool drop)
{
	char piece[8192];
	ssize_t n = read(fd, piece, sizeof(piece));

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	if (n == 0)
		return 0;
	if (drop && b->len + (size_t)n > COMPLAINT_MAX)
		return 1;
	return buf_add(b, piece, (size_t)n) < 0 ? -EMSGSIZE : 1;
}

static int collect(int out, int err, int timeout_ms, struct buf *ret, struct buf *complaint)
{
	uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
	struct pollfd pf[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};

	while (pf[0].fd >= 0 || pf[1].fd >= 0) {
		uint64_t now = clock_mono_ms();

		if (now >= end)
			return -ETIMEDOUT;
		if (poll(pf, 2, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < 2; i++) {
			int rc = 1;

			if (pf[i].fd >= 0 && pf[i].revents)
				rc = take(pf[i].fd, i ? complaint : ret, i);
			if (rc < 0)
				return rc;
			if (rc == 0)
				pf[i].fd = -1;
		}
	}
	return 0;
}

static int judge(int rc, int status, struct buf *complaint, struct err *e)
{
	char *line = complaint->len ? complaint->p : NULL;

	if (rc == -ETIMEDOUT)
		return err_set(e, rc, "the host's ps does not end: it was killed");
	if (rc == -EMSGSIZE)
		return err_set(e, rc, "the host's ps says more than is taken: ask for less");
	if (rc < 0)
		return err_code(e, rc, "cannot read the output of ps");
	if (status == 0)
		return 0;
	(void)buf_text(complaint);
	if (line)
		line[strcspn(line, "\n")] = 0;
	return err_set(e, -EINVAL, "%s", line && *line ? line : "ps: it failed without a word");
}

int ps_run(char *const *argv, int timeout_ms, struct buf *ret, struct err *e)
{
	auto_buf complaint = BUF_INIT(COMPLAINT_MAX + 1);
	int out[2] = {-1, -1}, err[2] = {-1, -1};
	int status = 0;
	pid_t pid = -1;
	int rc = pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0
			 ? err_sys(e, "cannot make a pipe")
			 : spawn(argv, out, err, &pid, e);

	fd_close_at(&out[1]);
	fd_close_at(&err[1]);
	if (rc == 0) {
		rc = collect(out[0], err[0], timeout_ms, ret, &complaint);
		if (rc < 0)
			(void)kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		rc = judge(rc, status, &complaint, e);
	}
	fd_close_at(&out[0]);
	fd_close_at(&err[0]);
	return rc;
}

/* ---- Its table ---- */

bool ps_has_pid(const struct buf *pids, long pid)
{
	const pid_t *v = (const pid_t *)pids->p;

	for (size_t i = 0; i < pids->len / sizeof(*v); i++)
		if (v[i] == pid)
			return true;
	return false;
}

/* The words of a line, at most `max`; the last one is the rest of the line. */
static void split(const char *line, size_t len, size_t max, struct ps_row *ret)
{
	const char *end = line + len;

	*ret = (struct ps_row){.line = line, .len = len};
	while (ret->n < max) {
		struct ps_cell *cell = &ret->cells[ret->n];

		while (line < end && strchr(BLANKS, *line))
			line++;
		if (line == end)
			return;
		cell->p = line;
		while (line < end && (ret->n + 1 == max || !strchr(BLANKS, *line)))
			line++;
		cell->len = (size_t)(line - cell->p);
		ret->n++;
	}
}

static bool cell_is(const struct ps_cell *c, const char *text)
{
	return c->len == strlen(text) && memcmp(c->p, text, c->len) == 0;
}

int ps_table(const char *table, const struct buf *pids,
	     void (*row)(void *arg, const struct ps_row *r), void *arg, struct err *e)
{
	struct ps_row r;
	size_t len = strcspn(table, "\n"), columns, at = 0;
	bool before = false; /* the process of the line before was one of ours */

	split(table, len, PS_COLUMNS_MAX, &r);
	columns = r.n;
	while (at < columns && !cell_is(&r.cells[at], "PID"))
		at++;
	if (at == columns)
		return err_set(e, -EINVAL, "Couldn't find PID field in ps output");
	row(arg, &r);
	for (table += len; *table; table += len) {
		table++;
		len = strcspn(table, "\n");
		split(table, len, columns, &r);
		if (r.n <= at)
			continue;
		if (!cell_is(&r.cells[at], "-"))
			before = ps_has_pid(pids, strtol(r.cells[at].p, NULL, 10));
		if (before)
			row(arg, &r);
	}
	return 0;
}

int ps_args_check(const char *args, struct err *e)
{
	for (const char *p = args; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, -EINVAL,
				       "the arguments of ps must not have control "
				       "characters");
	for (const char *p = strchr(args, '='); p; p = strchr(p + 1, '=')) {
		const char *key = p, *title = p + 1 + strspn(p + 1, BLANKS);

		while (key > args && key[-1] != ' ')
			key--;
		if (strncmp(title, "PID", 3) == 0 && (p - key != 3 || strncmp(key, "pid", 3) != 0))
			return err_set(e, -EINVAL, "specifying \"%.*s=%.*s\" is not allowed",
				       (int)MIN_OF(p - key, 64L), key,
				       (int)MIN_OF(strcspn(title, " "), (size_t)64), title);
	}
	return 0;
}
