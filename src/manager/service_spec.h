/*
 * Giving a service another specification, and telling which of its tasks fit the one it has. Pure;
 * called by the control API, by the updater when it rolls back, and by readers that show which
 * tasks are up to date.
 */
#pragma once

#include "manager/changes.h"
#include "manager/store.h"

/*
 * Makes a copy of `spec` that of `s` (not yet in the store) and begins a new run of the updater.
 * Where the service still has an equal template this becomes its template again, so that tasks that
 * run it stay; else one is made in `out`. `view` is what `out` is built on.
 */
void service_spec_set(struct service *s, const struct service_spec *spec, const struct store *view,
		      int64_t now_ns, struct changes *out);
/*
 * Swaps in the previous specification, which must be there; the one before is kept as the previous
 * one only if `swap`.
 */
void service_spec_roll_back(struct service *s, bool swap, const struct store *view, int64_t now_ns,
			    struct changes *out);
/* A template of the service as it is now. */
struct object *service_template_make(const struct service *s, int64_t now_ns);

/*
 * Whether what an older specification names is still there: networks, secrets, configs. 0, or
 * -ENOENT with a sentence that names what is gone.
 */
int service_spec_holds(const struct store *view, const struct service_spec *s, struct err *e);

enum template_fit {
	TEMPLATE_DIFFERS,
	TEMPLATE_MOVES, /* only where tasks may be placed differs */
	TEMPLATE_SAME,
};
/* How an older template of the service, or NULL for one that is gone, compares with it. */
enum template_fit service_template_fit(const struct service *s, const struct template *old);
/* Whether a task with such a template need not be replaced. */
bool service_task_fits(const struct store *view, const struct service *s, const struct task *t,
		       enum template_fit fit);
/* Both at once. */
bool service_task_is_current(const struct store *view, const struct service *s,
			     const struct task *t);
