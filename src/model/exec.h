/*
 * What POST /containers/{id}/exec brings: a further process for a running container, in the Engine
 * API's names (1.51). Used by agent, api and cli; nothing of it goes to the managers' store.
 */
#pragma once

#include "base/table.h"

struct exec_config {
	char *user; /* "" or NULL: the container's */
	bool privileged;
	bool tty;
	char *console_size; /* JSON: [rows, columns], or null */
	bool attach_stdin, attach_stdout, attach_stderr;
	char *detach_keys;
	struct strs env; /* laid over the container's */
	char *working_dir;
	struct strs cmd;
};
extern const struct table exec_config_table;

/* "ConsoleSize": [rows, columns]. 0 and both 0 for NULL and null; -EINVAL. */
int console_size_read(const char *json, uint32_t *ret_rows, uint32_t *ret_cols, struct err *e);
