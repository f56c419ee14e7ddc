/*
 * What the files of the containers' handlers share. Included by api/containers*.c, and,
 * for what all logs have in common, by log_out.c and service_logs.c.
 */
#pragma once

#include "agent/engine.h"
#include "api/error.h"
#include "api/query.h"
#include "api/router.h"

/* The container that the path names; NULL when the request has been answered. */
struct container *containers_find(struct api_req *r);
/* Running as `docker ps` means it: it runs, or waits for its restart. */
bool containers_is_running(const struct container *c);
/* "Up 5 seconds", "Exited (0) 2 minutes ago". */
char *containers_status_text(const struct container *c, int64_t now_ns);
/* "Less than a second", "About a minute", "3 weeks". */
void containers_duration_text(int64_t ns, char *ret, size_t room);

/* Docker's frame around output of ENGINE_STDOUT or ENGINE_STDERR: 8 bytes, then `n` bytes. */
#define FRAME_HEAD 8
void containers_frame_head(uint8_t ret[FRAME_HEAD], int stream, size_t n);
/* The Content-Type of a stream of output to this client. */
const char *containers_stream_type(const struct api_req *r, bool tty);
/*
 * Reads the query of logs (also of an attach that begins with them). 0 or -EINVAL with the reason.
 */
int containers_logs_options(struct api_req *r, struct engine_logs_options *ret, struct err *e);

void container_list_handler(struct api_req *r);
void container_inspect_handler(struct api_req *r);
void container_stats_handler(struct api_req *r);
void container_changes_handler(struct api_req *r);
void container_top_handler(struct api_req *r);
void container_wait_handler(struct api_req *r);
void container_logs_handler(struct api_req *r);
void container_attach_handler(struct api_req *r);
/* The connection becomes the streams of a process that is then executed, or the reason why not. */
void containers_attach_exec(struct api_req *r, struct engine_exec *x);

void exec_create_handler(struct api_req *r);
void exec_start_handler(struct api_req *r);
void exec_resize_handler(struct api_req *r);
void exec_inspect_handler(struct api_req *r);
/* An engine_done: answers the request (`arg`) with 200 and nothing, or with the reason. */
void containers_done_ok(void *arg, int status, const struct err *e);
/* h and w of a resize. 0 or -EINVAL with the reason in r->err. */
int containers_size_args(struct api_req *r, int64_t *ret_rows, int64_t *ret_cols);
