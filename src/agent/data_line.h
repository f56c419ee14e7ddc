/*
 * The agent's end of a data stream, whatever it is for (model/data.h): dials the manager that has
 * asked and shows its ticket. Shared by data_logs.c and data_exec.c, whose calls begin with it.
 */
#pragma once

#include "base/stream.h"
#include "model/data.h"

struct data_lines {
	struct stream_hub *hub;
	struct data_line *first;
};

struct data_line {
	struct data_lines *all; /* NULL: whoever it was for has let go of it */
	struct data_request request;
	struct stream *stream;
	struct data_line *prev, *next;
};

/*
 * Whether a request is one to begin with: it says whom to dial, and its ticket was not begun with
 * before.
 */
bool data_line_is_new(const struct data_lines *all, const struct data_request *r);
/*
 * Dials, with the zeroed `l` as what the callbacks get. -errno: it cannot, and no callback comes:
 * the manager waits for a while only.
 */
int data_line_dial(struct data_lines *all, struct data_line *l, const struct data_request *r,
		   const struct stream_ops *ops);
/* To be called by `open`: shows the ticket. False: the stream is closed. */
bool data_line_open(struct data_line *l);
/* Lets go of it: it closes with the reason, and its `closed` is still to come. */
void data_line_leave(struct data_line *l, const char *reason);
/* Frees what is in it, when its stream has closed or was never there. */
void data_line_done(struct data_line *l);
