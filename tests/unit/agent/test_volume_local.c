/*
 * agent/volume_local.h: a volume whose last user goes while another one comes.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "agent/volume_local.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#define TMPFS 0x01021994
#define LOOK_NS (200 * NS_PER_MS)

struct starting {
	char *dir;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t mounted_cond;
	bool mounted;
};

static bool is_tmpfs(const char *dir)
{
	auto_free char *data = xasprintf("%s/_data", dir);
	struct statfs st;

	return statfs(data, &st) == 0 && st.f_type == TMPFS;
}

/* A container that starts mounts its volumes. */
static void *start(void *arg)
{
	struct starting *s = arg;
	struct err e = ERR_INIT;
	int rc = volume_mount(s->dir, &e);

	pthread_mutex_lock(&s->lock);
	s->mounted = rc == 0;
	pthread_cond_signal(&s->mounted_cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Nobody needs it yet; and a container starts now, and gets as far as it can. */
static bool begins(void *arg)
{
	struct starting *s = arg;
	struct timespec until;
	int rc = 0;

	assert_int_equal(pthread_create(&s->thread, NULL, start, s), 0);
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += LOOK_NS;
	until.tv_sec += until.tv_nsec / NS_PER_SEC;
	until.tv_nsec %= NS_PER_SEC;
	pthread_mutex_lock(&s->lock);
	while (!s->mounted && rc == 0)
		rc = pthread_cond_timedwait(&s->mounted_cond, &s->lock, &until);
	pthread_mutex_unlock(&s->lock);
	return false;
}

static bool needed(void *arg)
{
	(void)arg;
	return true;
}

static void one_goes_and_one_comes(void **state)
{
	char root[] = "/tmp/shoal-volumes-XXXXXX";
	struct volume v = {.name = (char *)"v"};
	struct starting s = {.lock = PTHREAD_MUTEX_INITIALIZER,
			     .mounted_cond = PTHREAD_COND_INITIALIZER};
	struct err e = ERR_INIT;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	assert_non_null(mkdtemp(root));
	s.dir = xasprintf("%s/v", root);
	strmap_set(&v.options, "type", "tmpfs");
	strmap_set(&v.options, "device", "tmpfs");
	assert_ok(volume_make(root, &v, &e), &e);
	assert_ok(volume_mount(s.dir, &e), &e);
	assert_int_equal(volume_unmount_unless(s.dir, needed, NULL, &e), 1);
	assert_true(is_tmpfs(s.dir));
	assert_ok(volume_unmount_unless(s.dir, begins, &s, &e), &e);
	assert_int_equal(pthread_join(s.thread, NULL), 0);
	assert_true(s.mounted);
	assert_true(is_tmpfs(s.dir));
	assert_ok(volume_unmount(s.dir, &e), &e);
	assert_ok(dir_remove(AT_FDCWD, root, &e), &e);
	strmap_done(&v.options);
	free(s.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_goes_and_one_comes),
	};

	return RUN_TESTS(tests);
}
