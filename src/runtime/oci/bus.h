/*
 * A conversation over D-Bus, as far as systemd's manager needs it: calls with their answers, and
 * the end of a job on one unit. Written out here since the command is linked statically, and a
 * library for this would be more than all of it. Called by systemd.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct bus {
	int fd;
	uint32_t serial;
	uint64_t end_ms;  /* of the whole conversation, on the monotonic clock */
	struct buf in;    /* what has been read and not yet looked at */
	const char *unit; /* whose jobs' ends are kept: the last one */
	char *job;        /* its object, NULL: none yet */
	char *job_result; /* "done", "failed", ... */
};

#define BUS_INIT ((struct bus){.fd = -1})
#define auto_bus CLEANUP(bus_done) struct bus

/*
 * Connects to the bus of the system or, with `user`, of the calling user's session. Everything
 * until bus_done() has LIMIT_BUS_MS. -errno with the sentence, which says what to do where there is
 * none.
 */
int bus_open(bool user, struct bus *ret, struct err *e);
void bus_done(struct bus *b);

/*
 * Calls a method and waits for its answer, whose body goes to `ret` (NULL: it does not matter).
 * An answer that is an error is -ENOENT for a unit that is not there, -EEXIST for one that is,
 * -EACCES, or -EIO, with the other side's own sentence.
 */
struct bus_method {
	const char *to, *path, *interface, *member;
	const char *types; /* of the arguments; "" for none */
};
int bus_call(struct bus *b, const struct bus_method *m, const struct buf *args, struct buf *ret,
	     struct err *e);
/* Waits until the job `job` of `unit` has been removed: 0, or -EIO with its result. */
int bus_await_job(struct bus *b, const char *job, struct err *e);

/* Arguments, one after the other: a message's body begins with an empty buffer. */
void bus_align(struct buf *b, size_t n);
void bus_put_u32(struct buf *b, uint32_t v);
void bus_put_u64(struct buf *b, uint64_t v);
void bus_put_str(struct buf *b, const char *s);
void bus_put_types(struct buf *b, const char *s);
/* An array whose elements are aligned to `align` bytes: everything between the two is in it. */
struct bus_array {
	size_t length_at, begin;
};
struct bus_array bus_array_begin(struct buf *b, size_t align);
void bus_array_end(struct buf *b, struct bus_array a);

/* The string, or the path of an object, at *at of a body, which is moved on. NULL: there is none.
 */
const char *bus_get_str(const struct buf *body, size_t *at);
/* The same for a list of types, as the type "g" has it. */
const char *bus_get_types(const struct buf *body, size_t *at);
/* The next place that is aligned to `n` bytes; the number at `p`, wherever that is. */
size_t bus_padded(size_t at, size_t n);
uint32_t bus_u32_at(const char *p);
