/*
 * agent/engine.h with real containers: their whole life, what fails, what is streamed, and what a
 * restart of the daemon finds. As root only.
 */
#include "unit/agent/engine_rig.h"

#include <signal.h>

#define NONE "\"HostConfig\":{\"NetworkMode\":\"none\"}"

/* ---- Networks for as long as the library has none ---- */

__attribute__((weak)) int networks_open(struct engine *e, struct err *err)
{
	return 0;
}

__attribute__((weak)) void networks_close(struct engine *e, void (*done)(void *arg), void *arg)
{
	done(arg);
}

__attribute__((weak)) int network_container_check(struct engine *e, struct container *c,
						  const struct engine_endpoint *endpoints, size_t n,
						  struct err *err)
{
	return 0;
}

__attribute__((weak)) void network_container_prepare(struct engine *e, struct container *c,
						     engine_done done, void *arg)
{
	const char *const paths[] = {c->hosts_path, c->resolv_path, c->hostname_path};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		close(open(paths[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	done(arg, 0, NULL);
}

__attribute__((weak)) bool network_container_has_dns(struct engine *e, const struct container *c)
{
	return false;
}

__attribute__((weak)) void network_container_connect(struct engine *e, struct container *c,
						     int netns_fd, int dns_udp_fd, int dns_tcp_fd,
						     engine_done done, void *arg)
{
	close(netns_fd);
	done(arg, 0, NULL);
}

__attribute__((weak)) void network_container_release(struct engine *e, struct container *c,
						     engine_done done, void *arg)
{
	done(arg, 0, NULL);
}

__attribute__((weak)) void network_container_renamed(struct engine *e, struct container *c)
{
}

/* ---- Life ---- */

static void test_life(void **state)
{
	struct container *c;

	(void)state;
	assert_ok(rig_create("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"exit 7\"]," NONE "}",
			     "first"),
		  &rig.err);
	c = rig.c;
	assert_string_equal(c->name, "first");
	assert_int_equal(c->status, CONTAINER_CREATED);
	assert_int_equal(rig_create("{\"Image\":\"busybox\"," NONE "}", "first"), -EEXIST);
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 7);
	assert_int_equal(c->status, CONTAINER_EXITED);
	assert_int_equal(c->exit_code, 7);
	assert_true(c->finished_ns >= c->started_ns);
	assert_ok(rig_remove(c, false), &rig.err);
	assert_int_equal(engine_container_find(rig.engine, "first", &c, &rig.err), -ENOENT);
}

static struct container *make(const char *json)
{
	assert_ok(rig_create(json, NULL), &rig.err);
	return rig.c;
}

static void test_no_image(void **state)
{
	(void)state;
	assert_int_equal(rig_create("{\"Image\":\"nothere\"," NONE "}", NULL), -ENOENT);
	assert_non_null(strstr(rig.err.msg, "No such image"));
}

static void test_refused_by_name(void **state)
{
	(void)state;
	assert_int_equal(rig_create("{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":"
				    "\"none\",\"VolumesFrom\":[\"a\"]}}",
				    NULL),
			 -ENOSYS);
	assert_non_null(strstr(rig.err.msg, "VolumesFrom"));
	assert_int_equal(rig_create("{\"Image\":\"busybox\",\"HostConfig\":{\"NetworkMode\":"
				    "\"none\",\"Binds\":[\"a/b:/x\"]}}",
				    "bad-bind"),
			 -EINVAL);
	/* The name is free again. */
	assert_ok(rig_create("{\"Image\":\"busybox\"," NONE "}", "bad-bind"), &rig.err);
	assert_ok(rig_remove(rig.c, false), &rig.err);
}

static void test_program_missing(void **state)
{
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"nosuch\"]," NONE "}");

	(void)state;
	assert_int_equal(rig_start(c), -ENOEXEC);
	assert_non_null(strstr(rig.err.msg, "executable file not found in $PATH"));
	assert_int_equal(c->exit_code, 127);
	assert_int_equal(c->status, CONTAINER_CREATED);
	assert_ok(rig_remove(c, false), &rig.err);
	c = make("{\"Image\":\"busybox\",\"Cmd\":[\"/etc/passwd\"]," NONE "}");
	assert_int_equal(rig_start(c), -ENOEXEC);
	assert_int_equal(c->exit_code, 126);
	assert_ok(rig_remove(c, false), &rig.err);
}

/* ---- Streams ---- */

struct seen {
	char text[65536];
	size_t n;
	unsigned entries;
	bool ended, hold;
	struct engine_logs *logs;
	bool *some;
};

static bool on_entry(void *arg, int stream, int64_t time_ns, const char *p, size_t n)
{
	struct seen *s = arg;

	assert_true(time_ns > 0);
	assert_true(s->n + n + 2 < sizeof s->text);
	s->text[s->n++] = stream == ENGINE_STDERR ? 'e' : 'o';
	memcpy(s->text + s->n, p, n);
	s->n += n;
	s->text[s->n] = '\0';
	s->entries++;
	if (s->some)
		*s->some = true;
	return !s->hold;
}

static void on_end(void *arg, const struct err *e)
{
	struct seen *s = arg;

	assert_null(e);
	s->ended = true;
	engine_logs_close(s->logs);
}

static const struct engine_logs_ops logs_ops = {.entry = on_entry, .end = on_end};

static void read_logs(struct container *c, struct engine_logs_options options, struct seen *ret)
{
	*ret = (struct seen){0};
	ret->logs = engine_logs(rig.engine, c, &options, &logs_ops, ret, &rig.err);
	assert_non_null(ret->logs);
	rig_until(&ret->ended);
}

/* Until the program has written something: it is as far as the test wants it. */
static void await_output(struct container *c)
{
	static const struct engine_logs_options options = {.out = true, .tail = -1, .follow = true};
	static struct seen s;
	bool some = false;

	s = (struct seen){.some = &some};
	s.logs = engine_logs(rig.engine, c, &options, &logs_ops, &s, &rig.err);
	assert_non_null(s.logs);
	rig_until(&some);
	engine_logs_close(s.logs);
}

static void test_stop_and_kill(void **state)
{
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"trap 'exit 3' "
				   "TERM; echo ready; while :; do sleep 0.01; done\"]," NONE "}");

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(rig_start(c), -EALREADY);
	assert_true(c->pid > 0);
	assert_int_equal(rig_remove(c, false), -EBUSY);
	await_output(c);
	assert_ok(rig_stop(c, 10), &rig.err);
	assert_int_equal(c->exit_code, 3);
	assert_int_equal(rig_stop(c, 10), -EALREADY);
	assert_ok(rig_start(c), &rig.err);
	engine_container_kill(rig.engine, c, SIGKILL, rig_done, NULL);
	assert_ok(rig_answer(), &rig.err);
	assert_int_equal(c->status, CONTAINER_EXITED);
	assert_int_equal(c->exit_code, 137);
	engine_container_kill(rig.engine, c, SIGKILL, rig_done, NULL);
	assert_int_equal(rig_answer(), -ESRCH);
	assert_ok(rig_remove(c, false), &rig.err);
}

static void test_grace(void **state)
{
	struct container *c =
		make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"trap '' TERM; echo ready; "
		     "while :; do sleep 1; done\"]," NONE "}");

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	await_output(c);
	assert_ok(rig_stop(c, 1), &rig.err);
	assert_int_equal(c->exit_code, 137);
	assert_ok(rig_start(c), &rig.err);
	assert_ok(rig_remove(c, true), &rig.err);
}

static void test_logs(void **state)
{
	static struct seen s;
	struct container *c =
		make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"echo one; echo two "
		     ">&2; echo three\"]," NONE "}");

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 0);
	read_logs(c, (struct engine_logs_options){.out = true, .err = true, .tail = -1}, &s);
	assert_int_equal(s.entries, 3);
	assert_non_null(strstr(s.text, "oone\n"));
	assert_non_null(strstr(s.text, "etwo\n"));
	read_logs(c, (struct engine_logs_options){.out = true, .tail = -1}, &s);
	assert_string_equal(s.text, "oone\nothree\n");
	read_logs(c, (struct engine_logs_options){.out = true, .err = true, .tail = 1}, &s);
	assert_int_equal(s.entries, 1);
	read_logs(c, (struct engine_logs_options){.out = true, .err = true, .tail = 0}, &s);
	assert_int_equal(s.entries, 0);
	read_logs(c,
		  (struct engine_logs_options){
			  .out = true, .err = true, .tail = -1, .since_ns = clock_wall_ns()},
		  &s);
	assert_int_equal(s.entries, 0);
	assert_ok(rig_remove(c, false), &rig.err);
}

static void test_logs_follow(void **state)
{
	static struct seen s;
	struct engine_logs_options options = {.out = true, .tail = -1, .follow = true};
	struct container *c =
		make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"for i in $(seq "
		     "2000); do echo $i; done\"],\"HostConfig\":{\"NetworkMode\":\"none\","
		     "\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":"
		     "\"64k\",\"max-file\":\"4\"}}}}");

	(void)state;
	s = (struct seen){0};
	s.logs = engine_logs(rig.engine, c, &options, &logs_ops, &s, &rig.err);
	assert_non_null(s.logs);
	assert_ok(rig_start(c), &rig.err);
	rig_until(&s.ended);
	assert_int_equal(s.entries, 2000);
	/* Rotated by now; a later reader has them all, and the tail reaches over files. */
	read_logs(c, (struct engine_logs_options){.out = true, .tail = -1}, &s);
	assert_int_equal(s.entries, 2000);
	read_logs(c, (struct engine_logs_options){.out = true, .tail = 1500}, &s);
	assert_int_equal(s.entries, 1500);
	assert_non_null(strstr(s.text, "o501\n"));
	assert_memory_equal(s.text, "o501\n", 5);
	assert_ok(rig_remove(c, false), &rig.err);
}

struct stream {
	struct engine_attach *attach;
	char text[1024];
	size_t n;
	bool ended;
	unsigned refuse;
};

static bool on_output(void *arg, int stream, const void *p, size_t n)
{
	struct stream *s = arg;

	(void)stream;
	if (s->refuse) {
		s->refuse--;
		engine_attach_resume(s->attach);
		return false;
	}
	assert_true(s->n + n < sizeof s->text);
	memcpy(s->text + s->n, p, n);
	s->n += n;
	return true;
}

static void on_stream_end(void *arg)
{
	((struct stream *)arg)->ended = true;
}

static void on_drain(void *arg)
{
	(void)arg;
}

static void test_attach(void **state)
{
	static const struct engine_attach_ops ops = {
		.output = on_output, .end = on_stream_end, .drain = on_drain};
	struct stream s = {.refuse = 2};
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"cat\"],\"OpenStdin\":true,"
				   "\"StdinOnce\":true," NONE "}");

	(void)state;
	s.attach = engine_attach(rig.engine, c, ENGINE_STDIN | ENGINE_STDOUT | ENGINE_STDERR, &ops,
				 &s, &rig.err);
	assert_non_null(s.attach);
	assert_int_equal(engine_attach_write(s.attach, "before ", 7), 0);
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(engine_attach_write(s.attach, "after", 5), 0);
	engine_attach_close_stdin(s.attach);
	rig_until(&s.ended);
	engine_attach_close(s.attach);
	s.text[s.n] = '\0';
	assert_string_equal(s.text, "before after");
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 0);
	assert_ok(rig_remove(c, false), &rig.err);
}

/* ---- Policies ---- */

static void test_restart(void **state)
{
	struct container *c =
		make("{\"Image\":\"busybox\",\"Cmd\":[\"false\"],\"HostConfig\":{"
		     "\"NetworkMode\":\"none\",\"RestartPolicy\":{\"Name\":\"on-failure\","
		     "\"MaximumRetryCount\":2}}}");

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	while (c->status != CONTAINER_EXITED)
		assert_int_equal(rig_wait(c, WAIT_NEXT_EXIT), 1);
	assert_int_equal(c->restart_count, 2);
	assert_ok(rig_remove(c, false), &rig.err);
}

static void test_auto_remove(void **state)
{
	struct container *c =
		make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"exit 5\"],"
		     "\"HostConfig\":{\"NetworkMode\":\"none\",\"AutoRemove\":true}}");
	auto_free char *id = xstrdup(c->id);

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(rig_wait(c, WAIT_REMOVED), 5);
	assert_int_equal(engine_container_find(rig.engine, id, &c, &rig.err), -ENOENT);
}

/* ---- The daemon's and the shim's own ends ---- */

static struct container *again(const char *id)
{
	struct container *c = NULL;

	rig_close();
	rig_open();
	assert_ok(engine_container_find(rig.engine, id, &c, &rig.err), &rig.err);
	return c;
}

static void test_daemon_restart(void **state)
{
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"sh\",\"-c\",\"trap 'exit 4' "
				   "TERM; echo ready; while :; do sleep 0.01; done\"]," NONE "}");
	auto_free char *id = xstrdup(c->id);
	int64_t pid;

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	await_output(c);
	pid = c->pid;
	c = again(id);
	assert_int_equal(c->status, CONTAINER_RUNNING);
	assert_int_equal(c->pid, pid);
	assert_ok(rig_stop(c, 10), &rig.err);
	assert_int_equal(c->exit_code, 4);
	/* One that ends while no daemon runs. */
	assert_ok(rig_start(c), &rig.err);
	pid = c->pid;
	rig_close();
	assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
	rig_open();
	assert_ok(engine_container_find(rig.engine, id, &c, &rig.err), &rig.err);
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 137);
	assert_ok(rig_remove(c, false), &rig.err);
	rig_close();
	rig_open();
	assert_int_equal(engine_container_find(rig.engine, id, &c, &rig.err), -ENOENT);
}

static pid_t shim_of(const struct container *c)
{
	char path[256];
	auto_buf text = BUF_INIT(64);

	(void)snprintf(path, sizeof path, "%s/containers/%s/shim.pid", rig.exec, c->id);
	assert_int_equal(file_read_at(AT_FDCWD, path, &text), 0);
	return (pid_t)strtol(buf_text(&text), NULL, 10);
}

static void test_shim_lost(void **state)
{
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"sleep\",\"1000\"]," NONE "}");

	(void)state;
	assert_ok(rig_start(c), &rig.err);
	assert_int_equal(kill(shim_of(c), SIGKILL), 0);
	assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 255);
	assert_string_equal(rig.error, "shim lost");
	assert_int_equal(kill((pid_t)c->pid ? (pid_t)c->pid : 0x7ffffff, 0), -1);
	assert_ok(rig_start(c), &rig.err);
	assert_ok(rig_remove(c, true), &rig.err);
}

/* How long a container's whole life takes; printed, not judged. */
struct compared {
	unsigned answers, refusals;
	char words[ERR_MSG_MAX];
	bool all;
};

static void compared(void *arg, int status, struct buf *changes, const struct err *e)
{
	struct compared *c = arg;

	(void)changes;
	if (status == -EAGAIN) {
		c->refusals++;
		(void)snprintf(c->words, sizeof c->words, "%s", e->msg);
	} else {
		assert_ok(status, e);
	}
	c->all = ++c->answers == LIMIT_WALKS + 2;
}

/* Who asks for more walks than may wait is told so at once; those that wait are answered. */
static void test_walks_are_bounded(void **state)
{
	struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"true\"]," NONE "}");
	struct compared got = {0};

	(void)state;
	for (unsigned i = 0; i < LIMIT_WALKS + 2; i++)
		engine_container_changes(rig.engine, c, compared, &got);
	assert_int_equal(got.answers, 0);
	rig_until(&got.all);
	assert_int_equal(got.refusals, 2);
	assert_non_null(strstr(got.words, "16 requests"));
	/* There is room again. */
	got = (struct compared){.answers = LIMIT_WALKS + 1};
	engine_container_changes(rig.engine, c, compared, &got);
	rig_until(&got.all);
	assert_int_equal(got.refusals, 0);
	assert_ok(rig_remove(c, false), &rig.err);
}

static void test_pace(void **state)
{
	int64_t start = clock_mono_ns();
	const int n = 20;

	(void)state;
	for (int i = 0; i < n; i++) {
		struct container *c = make("{\"Image\":\"busybox\",\"Cmd\":[\"true\"]," NONE "}");

		assert_ok(rig_start(c), &rig.err);
		assert_int_equal(rig_wait(c, WAIT_NOT_RUNNING), 0);
		assert_ok(rig_remove(c, false), &rig.err);
	}
	printf("create+start+wait+remove %.1f ms\n",
	       (double)(clock_mono_ns() - start) / n / NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_no_image),
		TEST(test_refused_by_name),
		TEST(test_program_missing),
		TEST(test_stop_and_kill),
		TEST(test_grace),
		TEST(test_logs),
		TEST(test_logs_follow),
		TEST(test_attach),
		TEST(test_restart),
		TEST(test_auto_remove),
		TEST(test_daemon_restart),
		TEST(test_shim_lost),
		TEST(test_walks_are_bounded),
		TEST(test_pace),
	};

	if (geteuid() != 0) {
		puts("not root: skipped");
		return 0;
	}
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
