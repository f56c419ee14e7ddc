/*
 * A container's output as the Engine API streams it: frames of stdout and stderr, or one raw stream
 * of a terminal, written where they belong as they come. Knows no command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define DEMUX_HEAD 8 /* bytes before each frame */

struct demux {
	FILE *out;
	FILE *err;
	bool raw; /* a terminal's: no frames */
	uint8_t head[DEMUX_HEAD];
	size_t head_len;
	uint32_t left; /* bytes of the frame that are still to come */
};

/*
 * Writes what is complete of the bytes. 0; -EPROTO for what is no frame, -EPIPE when the streams
 * take nothing any more. Source: Engine API, "Stream format" of ContainerAttach.
 */
int demux_take(struct demux *d, const void *p, size_t n, struct err *e);
