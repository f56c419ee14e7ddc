/*
 * The agent's end of data streams that execute something (model/data.h): dials the manager that
 * has asked, with its ticket, and joins the stream to a process in a container of this node's
 * tasks. Called by main with what the session hands on; knows nothing of services.
 */
#pragma once

#include "agent/engine.h"
#include "base/stream.h"
#include "model/data.h"

struct data_execs;

struct data_execs *data_execs_new(struct engine *e, struct stream_hub *hub);
/* Begins with what is asked; a request that was begun with already is left alone. */
void data_execs_ask(struct data_execs *d, const struct data_request *r);
/* Lets go of all of it; the processes run on. Nothing comes back after it. */
void data_execs_free(struct data_execs *d);
