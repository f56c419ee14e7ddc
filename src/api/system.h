/*
 * What the files of the system's handlers share. Included by api/system*.c alone.
 */
#pragma once

#include "agent/engine.h"
#include "api/router.h"
#include "api/swarm.h"

void system_info_handler(struct api_req *r);
