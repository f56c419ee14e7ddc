/*
 * Hooks: programs of config.json that are run at points of a container's life, with the
 * container's state as JSON on their standard input. Called by launch.c and init.c, and by
 * shoal-oci for poststart and poststop.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "runtime/container/spec.h"

/* What a hook is told about its container (runtime-spec, "State"). */
struct hook_state {
	const char *id;
	const char *bundle;
	const char *status; /* "creating", "created", "running", "stopped" */
	pid_t pid;          /* 0: none */
	const struct spec *spec;
};

/* The state as one line of JSON. 0 or -EMSGSIZE. */
int hook_state_write(const struct hook_state *s, struct buf *ret);
/* What a hook may take, in ms: its own timeout, or a bound where the specification has none. */
int hook_timeout_ms(const struct spec_hook *h);
/*
 * Runs the hooks one after the other and waits for each; `name` ("poststart") is for the sentence.
 * Ends at the first that fails: an exit status that is not 0, a signal, or more time than it may
 * take, when it and its process group are killed.
 */
int hooks_run(const struct spec_hook_list *l, const char *name, const struct hook_state *s,
	      struct err *e);
