/*
 * The first program of the simulation: lists to which clients append, replicated by raft. Small
 * enough that every history can be judged completely: a list is its own order of writes.
 * Callers: sim_run.c.
 */
#pragma once

#include "sim/sim.h"

#define LISTS 6
#define LIST_STEPS (LISTS - 1) /* written by the step function alone */
#define CLIENTS 6

struct sim_program;
struct lists_history;

extern const struct sim_program lists_program;

/* Clients that append and read until lists_stop(). */
struct lists_history *lists_start(struct sim *s);
void lists_stop(struct lists_history *h);
/* No client waits any more. */
bool lists_idle(const struct lists_history *h);
/* Whether all members that are up hold the same, and at least `min` writes. */
bool lists_agree(struct sim *s);
/* Judges the whole history against what the members agree on. */
void lists_judge(struct sim *s, struct lists_history *h);
/* How many operations were acknowledged. */
unsigned lists_acknowledged(const struct lists_history *h);
void lists_free(struct lists_history *h);
