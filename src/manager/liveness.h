/*
 * Which nodes are alive, as the leader sees it: each manager says which agents beat there, and a
 * node that nobody has heard of for three heartbeats (six after a change of leader) is declared
 * down. Tasks of a node that has been down for a day are given up. The node that led before is in
 * doubt (UNKNOWN) until it is heard of: nothing new is placed there. Followers only collect and
 * report. Called by the dispatcher.
 */
#pragma once

#include "manager/manager.h"

struct liveness;

struct liveness *liveness_new(struct manager *m);
void liveness_free(struct liveness *l);
void liveness_leading(struct liveness *l, bool leading);
/* The heartbeat is another from now on: agents hear of it now, so their silence begins anew. */
void liveness_period_changed(struct liveness *l);
/* Another manager leads (or, NULL, none is known to, or this one does). */
void liveness_leader(struct liveness *l, const char *other);
/* An agent is in session here, which a new leader does not know yet. */
void liveness_again(struct liveness *l, const char *node);
/* An agent has beaten at this manager. */
void liveness_beat(struct liveness *l, const char *node);
/* An agent has gone on purpose: that it was heard of is no news any more. */
void liveness_left(struct liveness *l, const char *node);
/* Another manager's report, on the leader. */
void liveness_report(struct liveness *l, const struct strs *nodes);
