/*
 * The logs of a service or of one task, from all nodes that have some, as one stream: what is there
 * is merged by time, then what is added comes as it comes. Nodes that cannot be reached do not hold
 * it up; they are named at the end. A connection that breaks is taken up where it was. Called by
 * api, on the loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct manager;
struct service_logs;

struct service_logs_options {
	bool follow, out, err;
	int64_t tail;     /* entries of each task; negative: all */
	int64_t since_ns; /* 0: from the start */
	int64_t until_ns; /* 0: no end */
};

struct service_log_entry {
	const char *node, *service, *task; /* ids */
	int stream;                        /* 1 or 2 */
	int64_t time_ns;
	const char *text;
	size_t n;
};

/* From the loop, never from within the calls. */
struct service_logs_ops {
	/* false: no more for now, until service_logs_resume(). The entry was taken. */
	bool (*entry)(void *arg, const struct service_log_entry *entry);
	/* The last. `missing` (NULL: nothing is) names what could not be had. Close it then. */
	void (*end)(void *arg, const char *missing);
};

/*
 * One of `service` and `task` (ids) is set. NULL with the reason: -E2BIG for more than
 * LIMIT_LOG_TASKS tasks.
 */
struct service_logs *service_logs(struct manager *m, const char *service, const char *task,
				  const struct service_logs_options *options,
				  const struct service_logs_ops *ops, void *arg, struct err *e);
void service_logs_resume(struct service_logs *l);
/* No callback follows. */
void service_logs_close(struct service_logs *l);
