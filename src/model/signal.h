/*
 * Signals as users name them. Pure. Used by the engine, and by the managers, who check what is
 * asked for.
 */
#pragma once

/* "SIGTERM", "term" or "15"; 0 for NULL and "". -EINVAL. */
int signal_parse(const char *text, int *ret);
