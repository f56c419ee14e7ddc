/*
 * A socket in the network of a container, for a client on the host: whoever has it speaks from
 * inside. Called by agent/scrape, on the pool.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A TCP socket over IPv4 (nonblocking) in the network namespace of a process. The host's own only
 * with `host`: a pid that was used again is no container's. -ESRCH: it is gone.
 */
int net_dial_socket(pid_t pid, bool host, int *ret_fd, struct err *e);
