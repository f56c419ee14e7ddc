/*
 * The protocol of shim.sock: pure encoding and decoding of bounded frames, no I/O. The shim, its
 * blocking client (shim_client.h) and the daemon's loop share it. It only ever grows: a new field
 * goes to the end of a body, a new message gets a new number, and a reader takes 0 or "" for what
 * an older peer did not send and skips what it does not know.
 *
 * A frame: u32 length of the body, u16 type, u16 zero, u32 id; little-endian; then the body. A
 * request carries an id of the client's choice (not 0) that its one answer repeats; what the shim
 * sends by itself has id 0. Numbers in bodies are little-endian, strings u32 length + bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"

#define SHIM_PROTO_VERSION 1
#define SHIM_HEADER_LEN 12
#define SHIM_FDS_MAX 8 /* descriptors that one frame may carry */

enum shim_type {
	/* Requests */
	SHIM_HELLO = 1,     /* u32 version -> SHIM_STATE */
	SHIM_GET_STATE = 2, /* -> SHIM_STATE */
	SHIM_START = 3,     /* -> SHIM_OK, or SHIM_ERROR with exit_code 126 or 127 */
	/* u32 signal (0: the stop signal), u32 all: of an executed process its session -> SHIM_OK
	 */
	SHIM_KILL = 4,
	SHIM_RESIZE = 5,      /* u32 rows, u32 columns -> SHIM_OK */
	SHIM_ATTACH = 6,      /* u32 enum shim_streams -> SHIM_OK, then stream frames both ways */
	SHIM_CLOSE_STDIN = 7, /* -> SHIM_OK */
	SHIM_GET_FDS = 8,     /* -> SHIM_FDS */
	SHIM_SUBSCRIBE = 9,   /* -> SHIM_OK, then events; SHIM_EXITED at once if it has exited */
	SHIM_ABORT = 10,      /* -> SHIM_OK: it ends; -EALREADY once SHIM_START has been given */
	/* Answers */
	SHIM_OK = 64,
	SHIM_ERROR = 65, /* struct shim_error */
	SHIM_STATE = 66, /* struct shim_state */
	SHIM_FDS = 67, /* u32 enum shim_fd mask; the descriptors follow in the order of the bits */
	/* Events */
	SHIM_READY = 96, /* the body of SHIM_STATE, u32 mask of descriptors: on the spawn channel */
	SHIM_STARTED = 97, /* the body of SHIM_STATE */
	SHIM_EXITED = 98,  /* the body of SHIM_STATE; output may still follow on attached streams */
	/* Streams */
	SHIM_STDIN = 112,  /* client to shim */
	SHIM_STDOUT = 113, /* shim to client */
	SHIM_STDERR = 114,
	SHIM_EOF = 115, /* client: no more stdin; shim: no more output on any stream */
};

enum shim_streams {
	SHIM_STREAM_STDIN = 1,
	SHIM_STREAM_STDOUT = 2,
	SHIM_STREAM_STDERR = 4,
};

enum shim_fd {
	SHIM_FD_PID = 1,     /* pidfd of the container's init */
	SHIM_FD_NETNS = 2,   /* its network namespace */
	SHIM_FD_DNS_UDP = 4, /* bound to 127.0.0.11 in it */
	SHIM_FD_DNS_TCP = 8, /* bound and listening there */
};

enum shim_phase {
	SHIM_CREATED = 1, /* all is set up, the program is not yet executed */
	SHIM_RUNNING = 2, /* or just about to: SHIM_START has been given */
	SHIM_STOPPED = 3,
};

struct shim_frame {
	uint16_t type;
	uint32_t id;
	const uint8_t *body; /* inside the parser: valid until its next call */
	uint32_t len;
};

struct shim_state {
	uint32_t version; /* of the protocol that the shim speaks */
	uint32_t phase;
	uint32_t pid;       /* the init's, as the host sees it; 0 after its end */
	uint32_t exit_code; /* 128 + signal for signals */
	uint32_t oom;       /* the kernel killed a process of it for memory */
	int64_t started_ns; /* wall clock, 0 before */
	int64_t finished_ns;
	uint32_t shim_pid;
};

struct shim_error {
	uint32_t code;      /* positive errno */
	uint32_t exit_code; /* 126 or 127 when the program could not be executed, else 0 */
	char text[512];
};

/* Puts one frame at the end of `b`. 0, or -EMSGSIZE past LIMIT_SHIM_FRAME or the buffer's bound. */
int shim_put(struct buf *b, uint16_t type, uint32_t id, const void *body, size_t n);
int shim_put_u32s(struct buf *b, uint16_t type, uint32_t id, const uint32_t *v, size_t n);
int shim_put_error(struct buf *b, uint32_t id, const struct shim_error *err);
int shim_put_state(struct buf *b, uint16_t type, uint32_t id, const struct shim_state *s,
		   uint32_t fd_mask);

/* Each reads a body. 0, or -EPROTO when it is cut in the middle of a field. */
int shim_get_u32s(const struct shim_frame *f, uint32_t *ret, size_t n);
int shim_get_error(const struct shim_frame *f, struct shim_error *ret);
int shim_get_state(const struct shim_frame *f, struct shim_state *ret, uint32_t *ret_fd_mask);

/* Takes one frame from `p`: the bytes it has, 0 when it is not whole, -EPROTO for garbage. */
long shim_parse(const void *p, size_t n, struct shim_frame *ret);

/* Turns a byte stream into frames; holds at most one frame and what was fed after it. */
struct shim_parser {
	struct buf in;
	size_t used; /* bytes of `in` that belong to the frame given out last */
};

void shim_parser_init(struct shim_parser *p);
void shim_parser_done(struct shim_parser *p);
/*
 * Adds bytes; feed at most LIMIT_SHIM_READ at a time and take all frames before the next. 0, or
 * -EMSGSIZE when frames were not taken.
 */
int shim_parser_feed(struct shim_parser *p, const void *bytes, size_t n);
/* 1 and a frame, 0 when more bytes are needed, -EPROTO for garbage (close the connection). */
int shim_parser_next(struct shim_parser *p, struct shim_frame *ret);
