/*
 * From a container's documents and what a user wants executed in it to the documents of that
 * process's own shim, pure. Called by exec_start.c.
 */
#pragma once

#include "model/container.h"
#include "model/exec.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/spec.h"

struct exec_spec_input {
	const struct exec_config *exec;
	const struct container_config *container;
	uint32_t rows, cols; /* of the terminal; 0: not known */
};

/*
 * `container` and `shim` are the container's, as its shim has read them: of the first the process,
 * filter and control group are moved to `ret` (spec_done() for both), the second becomes the
 * process's. Limits, capabilities and what else is not asked for stay the container's.
 */
void exec_spec_make(const struct exec_spec_input *in, struct spec *container, struct spec *ret,
		    struct shim_config *shim);
