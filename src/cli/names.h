/*
 * What ids of services and nodes are shown as, asked for once each. Used by the commands that show
 * tasks.
 */
#pragma once

#include "cli/cli.h"

struct names {
	struct cli *c;
	struct strmap services;
	struct strmap nodes;
	bool off; /* --no-resolve */
};

/* The name, or the id where there is none. Lives as long as `n`. */
const char *names_service(struct names *n, const char *id);
const char *names_node(struct names *n, const char *id);
void names_done(struct names *n);
