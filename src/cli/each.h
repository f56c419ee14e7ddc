/*
 * Commands that do one call for each of their arguments and go on after a failure, as docker's do:
 * rm, stop, start, kill.
 */
#pragma once

#include "cli/cli.h"

/*
 * Sends "METHOD pattern" for each argument in the pattern's '%', with `query` (NULL: none)
 * appended. Prints the argument after each success and the error after each failure. Returns the
 * exit status: 1 when any failed.
 */
int each_argument(struct cli *c, const struct flags *f, const char *method, const char *pattern,
		  const char *query);
