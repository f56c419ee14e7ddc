/*
 * The daemon of one node, put together: loop, engine, swarm, router and server. Included by main's
 * own files alone.
 */
#pragma once

#include <uv.h>

#include "agent/engine.h"
#include "api/ping.h"
#include "api/router.h"
#include "main/daemon_options.h"
#include "main/swarm.h"

struct swarm_events;

struct daemon {
	uv_loop_t loop;
	struct daemon_options options;
	char *shim, *init;
	struct generics generic;   /* what tasks can reserve here */
	struct task_permit permit; /* what they may have; its list is the options' */
	struct api_router *router;
	struct http_server *server;
	struct api_ping ping;
	struct engine *engine;
	struct swarm *swarm;
	struct swarm_events *swarm_events; /* while this node is a manager */
	uv_signal_t term, interrupt;
	uv_timer_t deadline;
	bool has_pidfile, stopping;
	int exit_code;
};

/*
 * Listens, opens all parts, and says that it is ready. Blocks; who connects meanwhile waits in the
 * kernel. What was opened is closed by daemon_stop() also after a failure.
 */
int daemon_start(struct daemon *d, struct err *e);
/* Closes all parts, each after what stands on it; the loop ends after the last. */
void daemon_stop(struct daemon *d);

/* daemon_notify.c: tells systemd, or whoever set NOTIFY_SOCKET ("READY=1"). */
void daemon_notify(const char *state);
/* Writes the pid file. -EBUSY when it names another daemon that lives. */
int daemon_pidfile_write(const char *path, struct err *e);
