/*
 * Signals as users name them. Pure, by the kernel's numbers (libc hides two of the real-time ones).
 * Used by the engine and the API, by the managers, who check what is asked for, and by the OCI
 * command: libc is all that it needs.
 */
#pragma once

/* "SIGTERM", "term", "15", "RTMIN+3" or "RTMAX-1" as 1 to 64; 0 for NULL and "". -EINVAL. */
int signal_parse(const char *text, int *ret);
