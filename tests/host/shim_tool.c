/*
 * shim-tool: the daemon's side of a shim (runtime/container/shim_client.h) from a command line,
 * for the host tests and for measuring.
 *
 *   shim-tool lost DIR                       end what a lost shim left
 *   shim-tool seccomp CACHE                  the default filter's file, made if missing
 *   shim-tool run SHIM DIR ROOTFS CMD...     a container with Docker's defaults, its output shown
 *   shim-tool bench SHIM DIR ROOTFS COUNT CMD...   the same COUNT times: "name value unit" lines
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/mem.h"
#include "runtime/container/caps.h"
#include "runtime/container/defaults.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/shim_client.h"
#include "runtime/container/shim_config.h"

#define TIMEOUT_MS 20000
#define COUNT_MAX 100000

struct times {
	int64_t create, start, exit;
};

static int die(const struct err *e)
{
	fprintf(stderr, "shim-tool: %s\n", err_text(e));
	return 1;
}

static int write_document(const char *dir, const char *name, const struct buf *b, struct err *e)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || file_write_fd(fd, buf_text(b), b->len) < 0)
		return err_sys(e, "cannot write %s", path);
	return 0;
}

static int write_spec(const char *dir, const char *id, const char *rootfs, char **args,
		      struct err *e)
{
	auto_spec s;
	auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);

	spec_set_defaults(&s);
	s.root.path = xstrdup(rootfs);
	s.hostname = xstrndup(id, 12);
	s.linux_.cgroups_path = xasprintf("/shoal-tool/%s", id);
	spec_strs_add(&s.process.env, container_defaults.path_env);
	for (; *args; args++)
		spec_strs_add(&s.process.args, *args);
	if (spec_write(&s, &b) < 0)
		return err_set(e, -EMSGSIZE, "the configuration is too large");
	return write_document(dir, "config.json", &b, e);
}

static int write_config(const char *dir, const char *filter, struct err *e)
{
	auto_shim_config c;
	auto_buf b = BUF_INIT(LIMIT_SPEC_JSON);

	shim_config_init(&c);
	c.log.path = xasprintf("%s/json.log", dir);
	c.seccomp_filter = xstrdup(filter);
	c.dns.port = 53;
	(void)shim_config_write(&c, &b);
	return write_document(dir, "shim.json", &b, e);
}

/* Shows output until the end; the exit code comes with the event. */
static int follow(struct shim_client *c, bool show, struct shim_state *ret, struct err *e)
{
	struct shim_frame f;
	int rc;

	for (;;) {
		while ((rc = shim_client_next(c, &f)) > 0) {
			if (show && f.type == SHIM_STDOUT)
				fwrite(f.body, 1, f.len, stdout);
			if (show && f.type == SHIM_STDERR)
				fwrite(f.body, 1, f.len, stderr);
			if (f.type == SHIM_EXITED)
				return shim_get_state(&f, ret, NULL);
		}
		if (rc == 0)
			rc = shim_client_read(c);
		if (rc < 0)
			return err_code(e, rc, "the shim is gone");
		if (rc == 0) {
			struct pollfd pf = {.fd = c->fd, .events = POLLIN};

			(void)poll(&pf, 1, -1);
		}
	}
}

static int run_one(int binary, const char *dir, const char *rootfs, const char *filter, char **args,
		   bool show, struct times *ret, int *ret_code, struct err *e)
{
	char id[ID_HOST_LEN + 1];
	auto_free char *own = NULL;
	struct shim_fds fds = SHIM_FDS_INIT;
	struct shim_client c;
	struct shim_state state;
	int64_t t[4];
	int rc, code;

	id_host(id);
	own = xasprintf("%s/%s", dir, id);
	rc = dir_make(own, 0700, e);
	if (rc == 0)
		rc = write_spec(own, id, rootfs, args, e);
	if (rc == 0)
		rc = write_config(own, filter, e);
	if (rc < 0)
		return rc;
	t[0] = clock_mono_ns();
	rc = shim_spawn(binary, own, TIMEOUT_MS, &c, &state, &fds, e);
	if (rc < 0)
		return rc;
	t[1] = clock_mono_ns();
	if (show)
		rc = shim_attach(&c, SHIM_STREAM_STDOUT | SHIM_STREAM_STDERR, TIMEOUT_MS, e);
	if (rc == 0)
		rc = shim_start(&c, TIMEOUT_MS, &code, e);
	t[2] = clock_mono_ns();
	if (rc == 0)
		rc = follow(&c, show, &state, e);
	t[3] = clock_mono_ns();
	*ret = (struct times){t[1] - t[0], t[2] - t[1], t[3] - t[2]};
	*ret_code = (int)state.exit_code;
	shim_client_done(&c);
	shim_fds_done(&fds);
	(void)dir_remove(AT_FDCWD, own, NULL);
	return rc;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_median(const char *name, int64_t *v, int n)
{
	const int half = n / 2;

	qsort(v, (size_t)n, sizeof(*v), by_value);
	printf("%s %.3f ms\n", name, (double)v[half] / NS_PER_MS);
}

static int bench(int binary, char **argv, const char *filter, struct err *e)
{
	int n = (int)strtol(argv[5], NULL, 10);
	auto_free int64_t *v = NULL;
	int rc = 0, code;

	if (n < 1 || n > COUNT_MAX)
		return err_set(e, -EINVAL, "COUNT is out of range");
	v = xcalloc((size_t)n * 4, sizeof(*v));
	for (int i = 0; rc == 0 && i < n; i++) {
		struct times t;

		rc = run_one(binary, argv[3], argv[4], filter, argv + 6, false, &t, &code, e);
		v[i] = t.create;
		v[n + i] = t.start;
		v[2 * n + i] = t.exit;
		v[3 * n + i] = t.create + t.start + t.exit;
	}
	if (rc < 0)
		return rc;
	print_median("shim_create", v, n);
	print_median("shim_start", v + n, n);
	print_median("shim_exit", v + 2 * n, n);
	print_median("shim_run", v + 3 * n, n);
	return 0;
}

static int run(int argc, char **argv, struct err *e)
{
	bool many = strcmp(argv[1], "bench") == 0;
	auto_free char *cache = xasprintf("%s/seccomp", argv[3]);
	auto_free char *filter = NULL;
	auto_close int binary = shim_binary_open(argv[2], e);
	struct times t;
	uint64_t caps = 0;
	int rc = binary < 0 ? binary : 0;
	int code = 0;

	for (const char *const *p = container_defaults.capabilities; *p; p++)
		caps |= CAP_BIT(cap_number(*p));
	if (rc == 0)
		rc = seccomp_filter_ensure(cache, caps, &filter, e);
	if (rc == 0 && many)
		rc = bench(binary, argv, filter, e);
	else if (rc == 0)
		rc = run_one(binary, argv[3], argv[4], filter, argv + 5, true, &t, &code, e);
	return rc < 0 ? rc : code;
}

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	int rc = -EINVAL;

	if (argc == 3 && strcmp(argv[1], "lost") == 0) {
		rc = shim_lost_cleanup(argv[2], TIMEOUT_MS, &e);
	} else if (argc == 3 && strcmp(argv[1], "seccomp") == 0) {
		auto_free char *path = NULL;
		uint64_t caps = 0;

		for (const char *const *p = container_defaults.capabilities; *p; p++)
			caps |= CAP_BIT(cap_number(*p));
		rc = seccomp_filter_ensure(argv[2], caps, &path, &e);
		if (rc == 0)
			puts(path);
	} else if ((argc > 5 && strcmp(argv[1], "run") == 0) ||
		   (argc > 6 && strcmp(argv[1], "bench") == 0)) {
		rc = run(argc, argv, &e);
	} else {
		err_set(&e, -EINVAL, "usage: shim-tool lost|seccomp|run|bench ...");
	}
	return rc < 0 ? die(&e) : rc;
}
