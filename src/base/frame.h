/*
 * Frames: what travels on a cluster stream. A header of 8 bytes (u32 length of the payload, u16
 * type, u16 flags, little-endian; flags are 0), then the payload. Knows no socket and no TLS, so
 * that the simulation's transport carries the same frames. Callers: stream.c and everyone who
 * sends or reads frames.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"

#define FRAME_HEADER 8

/*
 * Types below FRAME_TYPE_STREAM are free for each purpose's own messages; those from it on belong
 * to the stream itself and never reach a receiver.
 */
#define FRAME_TYPE_STREAM 0xff00

/*
 * A frame to be sent: built once, sent to as many streams as wanted. The payload must not change
 * after the first send. References are counted atomically, so that the pool may build frames.
 */
struct frame {
	int refs;
	uint32_t len; /* bytes of the payload */
	uint16_t type;
	uint8_t *payload;
	uint8_t header[FRAME_HEADER];
};

#define auto_frame CLEANUP(frame_unref_at) struct frame

/* A frame of `len` payload bytes for the caller to fill; NULL when `len` passes LIMIT_FRAME. */
struct frame *frame_new(uint16_t type, size_t len);
/* A frame with a copy of `p`; NULL as above. */
struct frame *frame_copy(uint16_t type, const void *p, size_t len);
/* A frame around what the buffer holds, without a copy; the buffer is empty after it. NULL (and
 * the buffer untouched) when it failed or holds more than LIMIT_FRAME. */
struct frame *frame_take(uint16_t type, struct buf *b);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f);
void frame_unref_at(struct frame **f);

/* A frame that was read. `payload` has no alignment and is valid until the reader is next used. */
struct frame_view {
	uint16_t type;
	uint32_t len;
	const uint8_t *payload;
};

/*
 * Cuts bytes into frames. Bytes given in whole frames are not copied; the beginning of a frame is
 * kept until its rest comes. Memory grows with what came, never with what a header promises, and
 * is given back between frames.
 */
struct frame_reader {
	const uint8_t *at; /* what was given and not yet read */
	size_t left;
	struct buf part;  /* an incomplete frame */
	size_t part_used; /* bytes of `part` that the last view showed */
	uint32_t max;     /* largest payload */
};

void frame_reader_init(struct frame_reader *r, uint32_t max_payload);
void frame_reader_done(struct frame_reader *r);
/* Gives bytes; they must stay valid until frame_reader_next() has said 0 or frame_reader_keep(). */
void frame_reader_give(struct frame_reader *r, const void *p, size_t n);
/*
 * 1 and the next frame; 0 when more bytes are needed; -EMSGSIZE for a length above the bound,
 * -EPROTO for flags that are not 0. After an error the reader is of no more use.
 */
int frame_reader_next(struct frame_reader *r, struct frame_view *ret);
/* Copies what was given and not read, so that the giver may reuse its memory: for a pause. */
int frame_reader_keep(struct frame_reader *r);

/* Little-endian numbers at any address. */
static inline uint16_t le16_get(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32_get(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le32_get(p + 4) << 32;
}

static inline void le16_put(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void le32_put(uint8_t *p, uint32_t v)
{
	le16_put(p, (uint16_t)v);
	le16_put(p + 2, (uint16_t)(v >> 16));
}

static inline void le64_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le32_put(p + 4, (uint32_t)(v >> 32));
}
