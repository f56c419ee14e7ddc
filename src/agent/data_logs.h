/*
 * The agent's end of data streams (model/data.h): dials the manager that has asked, with its
 * ticket, and reads the logs of this node's tasks for it. Called by main with what the session
 * hands on; knows nothing of services.
 */
#pragma once

#include "agent/engine.h"
#include "base/stream.h"
#include "model/data.h"

struct data_logs;

struct data_logs *data_logs_new(struct engine *e, struct stream_hub *hub);
/* Begins with what is asked; a request that was begun with already is left alone. */
void data_logs_ask(struct data_logs *d, const struct data_request *r);
/* Ends all of it; nothing comes back after it. */
void data_logs_free(struct data_logs *d);
