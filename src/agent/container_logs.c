/*
 * Reading a container's json-file log: the rotated files and the current one, from the start or
 * the last lines, and what is added while one looks on. Files are read on the pool in pieces of a
 * fixed size; the loop takes them apart into entries as fast as the reader takes those.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/engine_impl.h"
#include "base/clock.h"

#define PIECE (64u << 10) /* bytes read at once */
#define LINE_MAX_LEN (LIMIT_LOG_PIECE * 6 + 1024)
#define ROTATED_TRIES 8  /* looks at files that are being rotated */
#define TURN_ENTRIES 256 /* entries before the loop gets its turn */

struct engine_logs {
	struct job job;
	struct deferred deferred;
	struct engine *engine;
	struct container_live *live; /* NULL once the container is removed, or the daemon stops */
	struct engine_logs_options options;
	const struct engine_logs_ops *ops; /* NULL: closed */
	void *arg;
	char *path, *dir;

	/* The job's while it runs, else the loop's. */
	int fd;     /* the file that is read, -1: none yet */
	int64_t at; /* offset in it */
	bool opened, all_read, drained;
	struct buf text; /* what was read; `used` bytes are done with */
	size_t used;

	uv_fs_event_t watch;
	bool watching, working, deferring, changed, ended, paused, told;
	struct engine_logs *prev, *next;
};

/* ---- On the pool ---- */

static char *path_of(const struct engine_logs *l, int number)
{
	return number ? xasprintf("%s.%d", l->path, number) : xstrdup(l->path);
}

static int open_number(const struct engine_logs *l, int number)
{
	auto_free char *path = path_of(l, number);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}

/* The offset at which the last `lines` lines begin; fewer are there: 0, and *ret_n of them. */
static int64_t tail_offset(int fd, int64_t lines, int64_t *ret_n)
{
	auto_free char *piece = xmalloc(PIECE);
	int64_t end = lseek(fd, 0, SEEK_END);
	int64_t seen = 0;

	for (int64_t at = end; at > 0;) {
		int64_t from = MAX_OF(at - (int64_t)PIECE, (int64_t)0);
		ssize_t n = pread(fd, piece, (size_t)(at - from), from);

		if (n <= 0)
			break;
		for (ssize_t i = n; i-- > 0;) {
			/* The newline at the very end belongs to the last line. */
			if (piece[i] != '\n' || from + i + 1 == end)
				continue;
			if (++seen == lines) {
				*ret_n = lines;
				return from + i + 1;
			}
		}
		at = from;
	}
	*ret_n = end > 0 ? seen + 1 : 0;
	return 0;
}

/* The number that a file has now; rotation moves it on. -ENOENT when it is no more. */
static int number_of(const struct engine_logs *l, const struct stat *file)
{
	for (int number = 0; number < LIMIT_LOG_FILES; number++) {
		auto_free char *path = path_of(l, number);
		struct stat st;

		if (stat(path, &st) == 0) {
			if (st.st_ino == file->st_ino && st.st_dev == file->st_dev)
				return number;
		} else if (number > 0) {
			break; /* the current one may be missing for a moment */
		}
	}
	return -ENOENT;
}

static int open_oldest(const struct engine_logs *l)
{
	int ret = -ENOENT;

	for (int number = 0; number < LIMIT_LOG_FILES; number++) {
		int fd = open_number(l, number);

		if (fd < 0 && number > 0)
			break;
		fd_close_at(&ret);
		ret = fd;
	}
	return ret;
}

static void go_to(struct engine_logs *l, int fd)
{
	fd_close_at(&l->fd);
	l->fd = fd;
	l->at = 0;
	l->drained = false;
}

/* Finds where reading begins: from the newest file back, as far as lines are wanted. */
static void find_start(struct engine_logs *l)
{
	int64_t wanted = l->options.tail;
	struct stat last = {0}, st;

	l->opened = true;
	if (wanted < 0) {
		l->fd = open_oldest(l);
		return;
	}
	for (int number = 0; number < LIMIT_LOG_FILES; number++) {
		int fd = open_number(l, number);
		int64_t n = 0;

		if (fd < 0 || fstat(fd, &st) < 0) /* the files end: begin with the oldest */
			return;
		if (st.st_ino == last.st_ino && st.st_dev == last.st_dev) {
			close(fd); /* rotated meanwhile: counted already */
			continue;
		}
		last = st;
		go_to(l, fd);
		if (wanted == 0) {
			l->at = st.st_size;
			return;
		}
		l->at = tail_offset(fd, wanted, &n);
		if (n >= wanted)
			return;
		wanted -= n;
	}
}

/* At the end of a file: true when there is more, in it or in the next one. */
static bool next_file(struct engine_logs *l)
{
	struct stat ours, other;
	int fd;

	if (l->fd < 0 || fstat(l->fd, &ours) < 0) {
		fd = open_oldest(l);
		if (fd >= 0)
			go_to(l, fd);
		return fd >= 0;
	}
	for (int i = 0; i < ROTATED_TRIES; i++) {
		int number = number_of(l, &ours);

		if (number == 0) {
			if (ours.st_size >= l->at)
				return false;
			l->at = 0; /* emptied in its place */
			return true;
		}
		/* What was written between the last read and the rotation. */
		if (!l->drained) {
			l->drained = true;
			return true;
		}
		fd = number < 0 ? open_oldest(l) : open_number(l, number - 1);
		if (fd >= 0 && fstat(fd, &other) == 0 &&
		    (other.st_ino != ours.st_ino || other.st_dev != ours.st_dev)) {
			go_to(l, fd);
			return true;
		}
		fd_close_at(&fd); /* rotated while we looked */
	}
	return false;
}

static void read_run(struct job *j)
{
	struct engine_logs *l = container_of(j, struct engine_logs, job);
	ssize_t n;

	if (!l->opened)
		find_start(l);
	l->all_read = false;
	for (;;) {
		if (buf_reserve(&l->text, PIECE) < 0)
			return;
		n = l->fd < 0 ? 0 : pread(l->fd, l->text.p + l->text.len, PIECE, l->at);
		if (n > 0)
			break;
		if (n < 0) {
			j->status = err_sys(&j->err, "cannot read the log %s", l->path);
			return;
		}
		if (!next_file(l)) {
			l->all_read = true;
			return;
		}
	}
	l->at += n;
	l->text.len += (size_t)n;
}

/* ---- On the loop ---- */

static void logs_free(struct engine_logs *l)
{
	struct engine *e = l->engine;

	fd_close_at(&l->fd);
	buf_done(&l->text);
	free(l->path);
	free(l->dir);
	free(l);
	engine_release(e);
}

static void on_watch_closed(uv_handle_t *h)
{
	logs_free(h->data);
}

/* Closed by its owner, and nothing is under way any more. */
static void free_when_idle(struct engine_logs *l)
{
	if (l->ops || l->working || l->deferring)
		return;
	if (l->watching) {
		if (!uv_is_closing((uv_handle_t *)&l->watch))
			uv_close((uv_handle_t *)&l->watch, on_watch_closed);
		return;
	}
	logs_free(l);
}

static void unlink_logs(struct engine_logs *l)
{
	if (!l->live)
		return;
	if (l->prev)
		l->prev->next = l->next;
	else
		l->live->logs = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->live = NULL;
}

static void finish(struct engine_logs *l, const struct err *err)
{
	if (l->told || !l->ops)
		return;
	l->told = true;
	l->ops->end(l->arg, err);
}

/* 0: it was given, or is none of what is wanted; 1: and no more now; 2: past the end. */
static int give_line(struct engine_logs *l, const char *line, size_t n)
{
	json_t *root = json_loadb(line, n, JSON_ALLOW_NUL, NULL);
	const json_t *log = json_object_get(root, "log");
	const char *stream = json_string_value(json_object_get(root, "stream"));
	const char *time = json_string_value(json_object_get(root, "time"));
	int64_t at = 0;
	int rc = 0;

	if (json_is_string(log) && stream && time && time_parse(time, &at) == 0) {
		bool err = strcmp(stream, "stderr") == 0;

		if (l->options.until_ns && at > l->options.until_ns)
			rc = 2;
		else if ((err ? l->options.err : l->options.out) && at >= l->options.since_ns)
			rc = !l->ops->entry(l->arg, err ? ENGINE_STDERR : ENGINE_STDOUT, at,
					    json_string_value(log), json_string_length(log));
	}
	json_decref(root);
	return rc;
}

static void work(struct engine_logs *l);

static void work_later(struct deferred *d)
{
	struct engine_logs *l = container_of(d, struct engine_logs, deferred);

	l->deferring = false;
	work(l);
}

static void defer(struct engine_logs *l)
{
	if (l->deferring)
		return;
	l->deferring = true;
	l->deferred.run = work_later;
	engine_defer(l->engine, &l->deferred);
}

/* Gives what is there. True when more must be read. */
static bool give(struct engine_logs *l)
{
	for (int i = 0; i < TURN_ENTRIES; i++) {
		const char *from = l->text.p + l->used;
		size_t left = l->text.len - l->used;
		const char *end = left ? memchr(from, '\n', left) : NULL;
		int rc;

		if (!end) {
			buf_shift(&l->text, l->used);
			l->used = 0;
			/* No line of ours is so long: it is not a log, leave it out. */
			if (l->text.len > LINE_MAX_LEN)
				l->text.len = 0;
			return true;
		}
		l->used += (size_t)(end - from) + 1;
		rc = give_line(l, from, (size_t)(end - from));
		if (!l->ops)
			return false;
		if (rc == 2) {
			finish(l, NULL);
			return false;
		}
		if (rc == 1) {
			l->paused = true;
			return false;
		}
	}
	defer(l);
	return false;
}

static void read_done(struct job *j)
{
	struct engine_logs *l = container_of(j, struct engine_logs, job);

	l->working = false;
	if (j->status < 0)
		finish(l, &j->err);
	work(l);
}

static void read_more(struct engine_logs *l)
{
	uv_loop_t *loop = l->engine->config.loop;

	l->working = true;
	l->changed = false;
	l->all_read = false;
	l->job = (struct job){.run = read_run, .done = read_done};
	job_start(loop, &l->job);
}

static void work(struct engine_logs *l)
{
	if (!l->ops) {
		free_when_idle(l);
		return;
	}
	if (l->working || l->deferring || l->paused || l->told)
		return;
	if (!give(l))
		return;
	/* `changed` was seen before the last reading began, or the reader must look again. */
	if (!l->all_read || l->changed) {
		read_more(l);
		return;
	}
	if (!l->options.follow || l->ended)
		finish(l, NULL);
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct engine_logs *l = watch->data;

	(void)name;
	(void)events;
	(void)status;
	l->changed = true;
	work(l);
}

void logs_ended(struct container_live *c)
{
	for (struct engine_logs *l = c->logs; l; l = l->next) {
		if (container_is_running(c->c))
			continue; /* it is started again: the log goes on */
		l->ended = true;
		l->changed = true;
		defer(l);
	}
}

/* What is in the log is still given: its files stay as long as they are open. */
void logs_detach_all(struct container_live *c)
{
	while (c->logs) {
		struct engine_logs *l = c->logs;

		l->ended = true;
		l->changed = true;
		unlink_logs(l);
		defer(l);
	}
}

void logs_close_all(struct container_live *c)
{
	while (c->logs) {
		struct engine_logs *l = c->logs;

		unlink_logs(l);
		finish(l, NULL);
	}
}

static void watch_dir(struct engine_logs *l)
{
	if (uv_fs_event_init(l->engine->config.loop, &l->watch) < 0)
		return;
	l->watch.data = l;
	l->watching = true;
	(void)uv_fs_event_start(&l->watch, on_change, l->dir, 0);
}

struct engine_logs *engine_logs(struct engine *e, struct container *c,
				const struct engine_logs_options *options,
				const struct engine_logs_ops *ops, void *arg, struct err *err)
{
	struct engine_logs *l;

	if (!c->log_path) {
		(void)err_set(err, -ENOSYS,
			      "configured logging driver does not support reading: container %s "
			      "keeps no log",
			      c->id);
		return NULL;
	}
	if (e->closing) {
		(void)err_set(err, -ESHUTDOWN, "the daemon stops");
		return NULL;
	}
	l = xcalloc(1, sizeof *l);
	l->engine = e;
	l->live = c->live;
	l->options = *options;
	l->ops = ops;
	l->arg = arg;
	l->fd = -1;
	l->path = xstrdup(c->log_path);
	l->dir = container_data_dir(e, c->id);
	buf_init(&l->text, LINE_MAX_LEN + 2 * PIECE);
	l->next = c->live->logs;
	if (l->next)
		l->next->prev = l;
	c->live->logs = l;
	/* A container that was never started may still be: followers wait for it. */
	l->ended = !container_is_running(c) && c->status != CONTAINER_CREATED;
	engine_hold(e);
	if (options->follow)
		watch_dir(l);
	defer(l);
	return l;
}

void engine_logs_resume(struct engine_logs *l)
{
	l->paused = false;
	defer(l);
}

void engine_logs_close(struct engine_logs *l)
{
	unlink_logs(l);
	l->ops = NULL;
	/* Later: this may be called from within one of its callbacks. */
	defer(l);
}
