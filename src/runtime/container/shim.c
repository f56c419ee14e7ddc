/*
 * The shim's beginning: becoming a daemon, reading the two documents, creating the container,
 * telling whoever spawned it; then shim_loop().
 */
#include "runtime/container/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/self.h"
#include "runtime/container/shim_config.h"

#define BACKLOG 64

struct documents {
	struct spec spec;
	struct shim_config config;
};

/* What of whoever spawned the shim stays open; -1: it was not given. */
struct given {
	int channel, lock, target;
};

/* Closes all but 0, 1, 2 and what was given, which no program shall inherit. */
static void close_others(const struct given *g)
{
	const int keep[] = {g->channel, g->lock, g->target};
	int from = 3;

	for (;;) {
		int next = INT_MAX;

		for (size_t i = 0; i < ARRAY_LEN(keep); i++)
			if (keep[i] >= from)
				next = MIN_OF(next, keep[i]);
		if (next > from)
			syscall(SYS_close_range, from,
				next == INT_MAX ? ~0U : (unsigned int)next - 1, 0);
		if (next == INT_MAX)
			return;
		(void)fcntl(next, F_SETFD, FD_CLOEXEC);
		from = next + 1;
	}
}

static int become_daemon(const struct given *g, struct err *e)
{
	auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (null < 0)
		return err_sys(e, "cannot open /dev/null");
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid > 0)
		_exit(0);
	(void)setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return err_sys(e, "cannot leave the terminal");
	TAKE_FD(null);
	close_others(g);
	(void)prctl(PR_SET_NAME, "shoal-shim", 0, 0, 0);
	umask(077);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot become the reaper of the container's orphans");
	return 0;
}

static int read_documents(int dir, struct documents *d, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	int rc = file_read_at(dir, "config.json", &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read config.json");
	rc = spec_parse(buf_text(&text), text.len, SPEC_STRICT, &d->spec, e);
	if (rc < 0)
		return rc;
	buf_reset(&text);
	rc = file_read_at(dir, "shim.json", &text);
	if (rc == -ENOENT)
		rc = buf_adds(&text, "{}");
	if (rc < 0)
		return err_code(e, rc, "cannot read shim.json");
	return shim_config_parse(buf_text(&text), text.len, &d->config, e);
}

static int open_signals(struct shim *s, struct err *e)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, dfl = {.sa_handler = SIG_DFL};
	static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGUSR1, SIGUSR2};
	sigset_t set;

	/*
	 * SIGTERM (a host that shuts down) stops the container politely, and the shim with it;
	 * SIGKILL takes the container along at once.
	 */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)sigaction(ignored[i], &ignore, NULL);
	/* Were its end ignored, the container's status would be lost. */
	(void)sigaction(SIGCHLD, &dfl, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "cannot block signals");
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_sys(e, "cannot make a signal descriptor") : 0;
}

/* A relative name: the directory's own path may be longer than a socket's address takes. */
static int open_socket(struct shim *s, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};

	(void)unlinkat(s->dir, "shim.sock", 0);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->listener, BACKLOG) < 0)
		return err_sys(e, "cannot listen on shim.sock");
	return 0;
}

static int write_pid(struct shim *s, struct err *e)
{
	auto_close int fd =
		openat(s->dir, "shim.pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (fd < 0 || file_write_fd(fd, text, (size_t)n) < 0)
		return err_sys(e, "cannot write shim.pid");
	return 0;
}

/* A process in somebody else's container; its group is that one's, not ours to end or remove. */
static int create_exec(struct shim *s, const struct launch *l, int *ret_exit_code, struct err *e)
{
	const char *path = l->spec->linux_.cgroups_path;
	struct exec x = {
		.launch = l, .pid = launch_pid_of(s->target), .pidfd = s->target, .cgroup = NULL};
	struct cgroup group;
	int rc = 0;

	if (x.pid <= 0)
		return err_set(e, -ESRCH, "the container has stopped");
	if (path)
		rc = cgroup_open(CGROUP_ROOT, path, &group, e);
	if (rc < 0)
		return rc;
	x.cgroup = path ? &group : NULL;
	rc = launch_exec(&x, &s->container, ret_exit_code, e);
	if (path)
		cgroup_done(&group);
	return rc;
}

static int create(struct shim *s, struct documents *d, int *ret_exit_code, struct err *e)
{
	struct launch l = {.spec = &d->spec, .config = &d->config, .stdio = {-1, -1, -1}};
	const struct shim_log_config *log = &d->config.log;
	int rc = json_log_open(&s->log, log->path, log->max_size == SPEC_UNSET ? 0 : log->max_size,
			       log->max_file == SPEC_UNSET ? 1 : (int)MIN_OF(log->max_file, 1000),
			       e);

	if (rc == 0)
		rc = stdio_open(s, &d->spec, d->config.open_stdin, l.stdio, e);
	if (rc == 0)
		rc = s->target < 0 ? launch_create(&l, &s->container, e)
				   : create_exec(s, &l, ret_exit_code, e);
	for (int i = 0; i < 3; i++)
		fd_close_at(&l.stdio[i]);
	if (rc < 0)
		return rc;
	s->stdin_once = d->config.stdin_once;
	s->stop_signal = d->config.stop_signal == SPEC_UNSET ? SIGTERM : (int)d->config.stop_signal;
	stdio_take_console(s);
	s->state.version = SHIM_PROTO_VERSION;
	s->state.phase = SHIM_CREATED;
	s->state.pid = (uint32_t)s->container.pid;
	s->state.shim_pid = (uint32_t)getpid();
	return 0;
}

static int setup(struct shim *s, const char *dir, int *ret_exit_code, struct err *e)
{
	struct documents d;
	int rc;

	spec_init(&d.spec);
	shim_config_init(&d.config);
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0 || fchdir(s->dir) < 0)
		return err_sys(e, "cannot enter the runtime directory %s", dir);
	/* First, so that a shim which hangs can be found and ended. */
	rc = write_pid(s, e);
	(void)unlinkat(s->dir, "exit.json", 0);
	if (rc == 0)
		rc = read_documents(s->dir, &d, e);
	if (rc == 0)
		rc = open_signals(s, e);
	if (rc == 0)
		rc = create(s, &d, ret_exit_code, e);
	if (rc == 0) {
		rc = open_socket(s, e);
		if (rc < 0)
			launch_abort(&s->container);
	}
	if (rc < 0)
		(void)unlinkat(s->dir, "shim.pid", 0);
	shim_config_done(&d.config);
	spec_done(&d.spec);
	return rc;
}

/*
 * Gives back what only the creation needed: free heap, and the pages of the program's own code,
 * of which the loop soon has the few that it needs again.
 */
static int drop_code(struct dl_phdr_info *info, size_t size, void *data)
{
	long page = sysconf(_SC_PAGESIZE);

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + ph->p_vaddr;
		uintptr_t to = from + ph->p_memsz;

		from &= ~(uintptr_t)(page - 1);
		if (ph->p_type == PT_LOAD && !(ph->p_flags & PF_W))
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 1; /* the program itself is the first */
}

static void shrink(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_code, NULL);
}

static void shim_init(struct shim *s)
{
	*s = (struct shim){.dir = -1, .target = -1, .listener = -1, .signals = -1, .in = -1};
	s->container = CONTAINER_INIT;
	s->out[0].fd = s->out[1].fd = -1;
	s->out[0].frame = SHIM_STDOUT;
	s->out[0].stream = SHIM_STREAM_STDOUT;
	s->out[0].log.name = "stdout";
	s->out[1].frame = SHIM_STDERR;
	s->out[1].stream = SHIM_STREAM_STDERR;
	s->out[1].log.name = "stderr";
	s->log.fd = -1;
}

/* Tells why there is no container: to the channel, or to a person at a terminal. */
static int report_failure(int channel, int exit_code, const struct err *e)
{
	struct shim_error se = {.code = (uint32_t)-e->code, .exit_code = (uint32_t)exit_code};
	auto_buf b = BUF_INIT(LIMIT_SHIM_FRAME);

	snprintf(se.text, sizeof(se.text), "%s", err_text(e));
	if (channel >= 0 && shim_put_error(&b, 0, &se) == 0)
		(void)file_write_fd(channel, b.p, b.len);
	else
		dprintf(STDERR_FILENO, "shoal-shim: %s\n", err_text(e));
	return 1;
}

static void tell_ready(struct shim *s, int channel)
{
	(void)fcntl(channel, F_SETFL, O_NONBLOCK);
	s->spawner = peer_add(s, channel);
	s->spawner->subscribed = true;
	if (peer_put_fds(s, s->spawner, SHIM_READY, 0) < 0)
		s->spawner->gone = true;
	peer_flush(s->spawner);
}

static int read_args(int argc, char **argv, struct given *g)
{
	int *to[] = {&g->channel, &g->lock, &g->target};

	*g = (struct given){-1, -1, -1};
	if (argc < 2 || argc > 2 + (int)ARRAY_LEN(to) || argv[1][0] != '/')
		return -EINVAL;
	for (int i = 2; i < argc; i++) {
		*to[i - 2] = (int)strtol(argv[i], NULL, 10);
		if (*to[i - 2] < 3)
			return -EINVAL;
	}
	return 0;
}

int shim_main(int argc, char **argv)
{
	static struct shim s;
	struct err e = ERR_INIT;
	struct given given;
	int exit_code = 0;

	if (read_args(argc, argv, &given) < 0) {
		dprintf(STDERR_FILENO, "usage: shoal-shim RUNTIME-DIRECTORY [FD [LOCK [PIDFD]]]\n");
		return 2;
	}
	self_files_restore();
	shim_init(&s);
	self_words(argv);
	s.target = given.target;
	if (self_protect(argv, &e) < 0 || become_daemon(&given, &e) < 0 ||
	    setup(&s, argv[1], &exit_code, &e) < 0)
		return report_failure(given.channel, exit_code, &e);
	if (s.target >= 0)
		close(TAKE_FD(s.target));
	if (given.channel >= 0)
		tell_ready(&s, given.channel);
	shrink();
	return shim_loop(&s);
}
