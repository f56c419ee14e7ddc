/*
 * The host's ps and what it says of one container's processes. Its output is a table whose columns
 * the user chooses; the lines of other processes are never shown. Called by shoal-oci and, on the
 * pool, by the engine.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Runs the host's ps (no shell, an environment of its own) with the words of `argv`, NULL at the
 * end, of which the first is "ps". Its output is added to `ret`. -EINVAL with ps's own sentence
 * when it refuses the words, -ENOENT when the host has none, -ETIMEDOUT, -EMSGSIZE.
 */
int ps_run(char *const *argv, int timeout_ms, struct buf *ret, struct err *e);

/* Whether `pid` is among those that cgroup_pids() has found. */
bool ps_has_pid(const struct buf *pids, long pid);

#define PS_COLUMNS_MAX 64
/* The words of one line; the last column takes the rest of it. */
struct ps_row {
	const char *line; /* as ps has laid it out */
	size_t len;
	size_t n;
	struct ps_cell {
		const char *p; /* into the table */
		size_t len;
	} cells[PS_COLUMNS_MAX];
};
/*
 * Calls `row` with the titles, then with each line about one of `pids`; lines of threads ("-" for
 * a PID) belong to the process before them. -EINVAL when there is no column PID.
 */
int ps_table(const char *table, const struct buf *pids,
	     void (*row)(void *arg, const struct ps_row *r), void *arg, struct err *e);

/*
 * Whether the user's words may go to ps: 0, or -EINVAL. A column of another name that is titled
 * PID would show the processes of others as the container's.
 */
int ps_args_check(const char *args, struct err *e);
