/*
 * Sees the errors that raft_uv 0.22.1 keeps to itself. It retries a failed write with a timer that
 * holds the wrong pointer, and goes on after a failed truncation; only its trace says so. What a
 * full disk explains is waited out, everything else ends the process. Part of the raft disk; the
 * tests inject an error at each call and so hold on to these words.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/raft_disk_impl.h"

#define RESERVE_NAME "reserve"
#define RESERVE_BYTES (256u << 10)
/* Room that raft_uv needs for its next segment, and some. */
#define FULL_BYTES (10u << 20)
#define SEGMENT_KIB 8192 /* of raft_uv */
#define WARN_EVERY_MS 60000

void disk_fatal(const struct raft_disk *d, const char *what, const char *why)
{
	log_error("raft: %s failed on the disk of %s: %s; the log cannot be trusted any more: "
		  "shoald ends, containers stay; look at the disk and start shoald again",
		  what, d->dir, why && why[0] ? why : "input/output error");
	_exit(EX_IOERR);
}

bool disk_is_full(const struct raft_disk *d)
{
	struct statvfs st;

	return statvfs(d->dir, &st) == 0 && st.f_bavail * st.f_frsize < FULL_BYTES;
}

static void speak_of_full(struct raft_disk *d)
{
	uint64_t now = clock_mono_ms(), last = d->warned_ms;

	if (last != 0 && now - last < WARN_EVERY_MS)
		return;
	d->warned_ms = now;
	log_warn("raft: the disk of %s is full: writes of the swarm are refused until there is "
		 "room again",
		 d->dir);
}

/*
 * raft_uv counts the files that it has made ahead. At its start it tries to make them once; if
 * there was no room, it only tries again when something is appended, for which no file would be
 * there: as soon as the disk has room for a segment, that counts.
 */
unsigned short disk_capacity(struct raft_disk *d)
{
	if (d->uv.capacity >= SEGMENT_KIB)
		return d->uv.capacity;
	if (!disk_is_full(d))
		return SEGMENT_KIB;
	speak_of_full(d);
	return d->uv.capacity;
}

static void only_full(struct raft_disk *d, const char *what, const char *why)
{
	if (!disk_is_full(d))
		disk_fatal(d, what, why);
	speak_of_full(d);
}

/* A retry tells of the failure before it: there may have been no room then. */
static void again(struct raft_disk *d, _Atomic unsigned *retries, const char *what)
{
	if (disk_is_full(d)) {
		*retries = 0;
		speak_of_full(d);
	} else if (++*retries > 1) {
		disk_fatal(d, what, NULL);
	}
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* On the loop, or on the pool. */
static void on_trace(struct raft_tracer *t, int type, const void *info)
{
	struct raft_disk *d = t->impl;
	const struct raft_tracer_info *i = info;
	const char *text;

	if (type != RAFT_TRACER_DIAGNOSTIC)
		return;
	text = i->diagnostic.message;
	if (starts(text, "retry failed write"))
		disk_fatal(d, "writing the raft log", d->uv.errmsg);
	if (starts(text, "truncate segment "))
		only_full(d, "closing a segment of the raft log", text);
	else if (starts(text, "retry creating segment"))
		again(d, &d->segment_retries, "making a segment of the raft log");
	else if (starts(text, "completed creation of"))
		d->segment_retries = 0;
	else if (starts(text, "retry snapshot write"))
		again(d, &d->snapshot_retries, "writing a snapshot");
	else if (starts(text, "put snapshot at"))
		d->snapshot_retries = 0;
	else if (strcmp(text, "uv truncate work cb") == 0)
		d->truncated = false;
	else if (strcmp(text, "uv truncate work cb ok") == 0)
		d->truncated = true;
	else if (strcmp(text, "clear truncate work") == 0 && !d->truncated)
		disk_fatal(d, "truncating the raft log", NULL);
	else if (strstr(text, "has non-zero trail"))
		log_warn("raft: in %s: %s: what a crash has left half written there is dropped",
			 d->dir, text);
}

void disk_watch(struct raft_disk *d)
{
	d->tracer = (struct raft_tracer){.impl = d, .version = 2, .emit = on_trace};
	d->truncated = true;
	raft_uv_set_tracer(&d->uv, &d->tracer);
}

static char *reserve_path(const struct raft_disk *d)
{
	return xasprintf("%s/" RESERVE_NAME, d->dir);
}

void disk_reserve(const struct raft_disk *d)
{
	auto_free char *path = reserve_path(d);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Without it a full disk is met a little sooner, that is all. */
	if (fd >= 0)
		(void)posix_fallocate(fd, 0, RESERVE_BYTES);
}

void disk_reserve_give(const struct raft_disk *d)
{
	auto_free char *path = reserve_path(d);

	(void)unlink(path);
}
