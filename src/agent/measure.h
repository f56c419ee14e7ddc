/*
 * Measures tasks of this node as the managers ask (model/session.h, SESSION_MEASURE): a round each
 * period, of which one report is made. What the processors did is an average since the round
 * before; so is how a counter rises. Called by main; knows nothing of services.
 */
#pragma once

#include "agent/engine.h"

struct measurer;

typedef void (*measured_fn)(void *arg, const struct session_measured *m);

struct measurer *measurer_new(struct engine *e, measured_fn report, void *arg);
/* In place of what was asked for before, from the next round on. */
void measurer_set(struct measurer *m, const struct session_measure *what);
/* Nothing comes back after it. */
void measurer_free(struct measurer *m);
