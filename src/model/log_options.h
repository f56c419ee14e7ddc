/*
 * The options of the log driver json-file. Pure. Used by the engine, and by the managers, who check
 * what is asked for.
 */
#pragma once

#include "base/table.h"

struct log_options {
	int64_t max_size; /* bytes, 0: never rotated */
	int64_t max_file;
};
/* -EINVAL for what makes no sense, -ENOSYS for what is not there, by its name. */
int log_options_read(const struct strmap *options, struct log_options *ret, struct err *e);
