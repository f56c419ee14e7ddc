/*
 * What requests would do, without doing it: they are carried out on a copy of the store by the
 * builders that would carry them out, and then the cores themselves run on the copy until it is
 * quiet, with a clock that is put on and agents on which every task runs at once. Called by the
 * API, on any manager, on the loop thread.
 */
#pragma once

#include "manager/control.h"
#include "manager/world.h"
#include "model/plan.h"

struct plan;

/* -EAGAIN when LIMIT_PLANS are being worked out. */
int plan_new(const struct store *s, int64_t now_ns, struct plan **ret, struct err *e);
/* Also one that is still being worked out; `done` does not come then. */
void plan_free(struct plan *p);

/* Carries a request out on the copy: fails as it would. */
int plan_ask(struct plan *p, const struct control_request *r, struct err *e);
/* The same for all of a stack: what lacks is made, services are created or updated. */
int plan_ask_all(struct plan *p, const struct plan_wish *wish, struct err *e);
/* Works it out in pieces; `done` comes later, once. */
void plan_run(struct plan *p, const struct world *world, void (*done)(void *arg), void *arg);
/* One piece; false when there is nothing left to do. */
bool plan_step(struct plan *p);
/* What has become of the services that were asked for; free with table_done(). */
void plan_report_make(const struct plan *p, struct plan_report *ret);

/*
 * The check index: the latest version of whatever the plan for these services (ids or names)
 * depends on: they and their tasks, all nodes and networks, and the specifications of all services.
 */
uint64_t plan_index(const struct store *s, const struct strs *services);
/* 0, or -ESTALE with a sentence when `index` (not 0) is not that of the store. */
int plan_check(const struct store *s, const struct strs *services, uint64_t index, struct err *e);
