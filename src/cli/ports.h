/*
 * A container's ports as one text: "9000/udp, 0.0.0.0:8080->80/tcp". Pure.
 */
#pragma once

#include "cli/views.h"

/* Free with free(). */
char *ports_text(const struct port_view *ports, size_t n);
