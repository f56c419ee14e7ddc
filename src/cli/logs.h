/*
 * What the commands that show logs have in common: their query and the answer as a stream.
 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"

/* Appends what the flags ask for but for details. -EINVAL with the reason. */
int logs_query(struct buf *path, const struct flags *f, struct err *e);
/* Calls, giving each piece of the answer's body to `sink`; a refusal is an error. */
int logs_stream(struct cli *c, const char *path, int (*sink)(const void *, size_t, void *),
		void *data, struct err *e);
