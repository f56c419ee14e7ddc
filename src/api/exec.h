/*
 * What the two kinds of executed processes have in common as clients see them: those of this host's
 * engine (exec.c) and those in tasks of any node (task_exec.c).
 */
#pragma once

#include "agent/engine.h"
#include "api/router.h"

/* The body of POST /containers/{id}/exec and /tasks/{id}/exec. 0, or the reason in r->err. */
int exec_config_read(struct api_req *r, struct exec_config *ret);
/* 201 with the id. */
void exec_created_reply(struct api_req *r, const char *id);

/* The body of POST /exec/{id}/start. */
struct exec_start_args {
	bool detach, tty;
	char *console_size; /* read into rows and cols; NULL after it */
	uint32_t rows, cols;
};
/* 0, or the reason in r->err. Nothing is to be freed. */
int exec_start_read(struct api_req *r, struct exec_start_args *ret);

/* Where one in a task is; with `error` nothing is known of how it ended. */
struct exec_place {
	char *task, *node, *error;
};
/* GET /exec/{id}/json; `place` is NULL for one of this host's engine. */
void exec_inspect_reply(struct api_req *r, const struct engine_exec *x,
			const struct exec_place *place);
