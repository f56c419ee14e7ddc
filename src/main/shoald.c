/*
 * shoald: the daemon of one node. Flags, the process's own settings, and the loop; what it is made
 * of is in main/daemon.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/secret_memory.h"
#include "main/daemon.h"
#include "runtime/container/self.h"

#define POOL_THREADS "32" /* blocking work: untar, mounts, shims being made */
#define HELP_MAX 16384

static void on_loose(int why)
{
	log_warn("memory for secrets and keys cannot be locked (%s) and may be written to swap: "
		 "raise "
		 "RLIMIT_MEMLOCK (LimitMEMLOCK=infinity in a unit of systemd) or permit "
		 "CAP_IPC_LOCK",
		 strerror(-why));
}

static void settle_process(const struct daemon_options *o)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	static const int ignored[] = {SIGPIPE, SIGHUP};
	enum log_level level;

	if (log_level_parse(o->debug ? "debug" : o->log_level, &level) == 0)
		log_set_level(level);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)sigaction(ignored[i], &ignore, NULL);
	umask(022);
	self_files_raise();
	secret_loose_tell(on_loose);
	crypto_init();
	/* Before the first job: the pool is made then. */
	(void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0);
}

/* No descriptor of ours may be taken for a standard stream. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int run(struct daemon *d)
{
	struct err e = ERR_INIT;

	if (uv_loop_init(&d->loop) < 0)
		return 1;
	if (daemon_start(d, &e) < 0) {
		log_error("cannot start: %s", err_text(&e));
		d->exit_code = 1;
		daemon_stop(d);
	}
	while (uv_run(&d->loop, UV_RUN_DEFAULT))
		;
	(void)uv_loop_close(&d->loop);
	if (d->router)
		api_router_free(d->router);
	free(d->shim);
	free(d->init);
	generics_done(&d->generic);
	table_done(&daemon_options_table, &d->options);
	return d->exit_code;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	auto_buf help = BUF_INIT(HELP_MAX);
	struct err e = ERR_INIT;
	enum daemon_ask ask;

	open_standard_streams();
	if (daemon_options_read(argc, argv, &d.options, &ask, &e) < 0) {
		(void)fprintf(stderr, "shoald: %s\n", err_text(&e));
		return 1;
	}
	if (ask == DAEMON_RUN) {
		settle_process(&d.options);
		return run(&d);
	}
	if (ask == DAEMON_VERSION) {
		printf("shoald %s\n", SHOAL_VERSION);
	} else {
		daemon_options_help(&help);
		fputs(buf_text(&help), stdout);
	}
	table_done(&daemon_options_table, &d.options);
	return 0;
}
