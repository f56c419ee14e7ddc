/*
 * A growing byte buffer with a bound that is fixed at its start: what an outsider sizes lives
 * here. Overrunning the bound is remembered (`failed`), so that a chain of adds needs one check
 * at its end. Used everywhere; knows only mem.h.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct buf {
	char *p; /* always followed by a NUL once anything was added; NULL while empty */
	size_t len;
	size_t cap;
	size_t max; /* bytes; an add that would pass it sets `failed` and adds nothing */
	bool failed;
	bool secret; /* what it lets go of is overwritten; set by tlv_write() for secret fields */
};

#define BUF_INIT(max_bytes) ((struct buf){.max = (max_bytes)})
#define BUF_SECRET(max_bytes) ((struct buf){.max = (max_bytes), .secret = true})
#define auto_buf CLEANUP(buf_done) struct buf

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);
/* Empties the buffer and keeps its memory. */
void buf_reset(struct buf *b);

/* 0, or -EMSGSIZE when the bound is passed (now or by an earlier add). */
int buf_add(struct buf *b, const void *p, size_t n);
/* Adds what is in `from`, and is secret if that is. */
int buf_join(struct buf *b, const struct buf *from);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vaddf(struct buf *b, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

/* Room for `n` more bytes at b->p + b->len; the caller raises `len` by what it used. */
int buf_reserve(struct buf *b, size_t n);
/* Drops the first `n` bytes. */
void buf_shift(struct buf *b, size_t n);
/* Keeps the first `n` bytes (all, if there are fewer). */
void buf_cut(struct buf *b, size_t n);
/* 0, or -EMSGSIZE when any add has failed since the start. */
int buf_status(const struct buf *b);
/* The text, "" when nothing was added. Valid until the next change. */
const char *buf_text(const struct buf *b);
/*
 * Gives the text away (never NULL); the buffer is empty after it. Free with free(); of a secret one
 * overwrite it first.
 */
char *buf_take(struct buf *b);
