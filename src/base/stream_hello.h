/*
 * The stream's own frames: hello, the first in each direction, and bye, which says why a stream
 * ends or why a peer is not let in. Pure encoding; only the files of stream.h use it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/frame.h"

#define FRAME_HELLO (FRAME_TYPE_STREAM + 0)
#define FRAME_BYE (FRAME_TYPE_STREAM + 1)

#define HELLO_MAX 1024 /* bytes of a hello or bye: all that is read of a peer not yet let in */

/*
 * On the wire: u32 magic, u16 lowest and u16 highest protocol version, u16 purpose, u16 zero, u64
 * features; what a later version adds stands behind and is skipped.
 */
struct stream_hello {
	uint16_t version_min, version_max;
	uint16_t purpose;
	uint64_t features;
};

struct frame *hello_write(const struct stream_hello *h);
/* 0, or -EPROTO when it is none. */
int hello_read(const struct frame_view *f, struct stream_hello *ret, struct err *e);
/* The highest version of both; -EPROTO with a sentence for the peer when there is none. */
int hello_agree(const struct stream_hello *ours, const struct stream_hello *theirs,
		uint16_t *ret_version, struct err *e);

/* On the wire: u32 errno (positive), then the sentence in UTF-8, at most LIMIT_STREAM_REASON. */
struct frame *bye_write(int code, const char *reason);
/* Fills `ret` with the peer's code and its sentence, control characters replaced. */
void bye_read(const struct frame_view *f, struct err *ret);
