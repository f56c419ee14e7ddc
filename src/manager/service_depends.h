/*
 * Whether a service waits for others (the label of model/depends.h), and what for. Pure: told from
 * the store alone, so that any leader tells alike. A service is held until all that it waits for
 * has come, once for each template of its tasks: those of a new service, or those that an update
 * brings. Once that template's gate is open its tasks are placed, restarted and scaled freely,
 * whatever becomes of what was waited for. A rollback waits for nothing.
 */
#pragma once

#include "manager/store.h"

/* Whether the service's own template is held back. */
bool service_is_held(const struct service *svc);
/* Whether the tasks of this one of its templates are. */
bool service_holds(const struct service *svc, uint64_t template_version);

/*
 * Looks whether what the service waits for is there. Appends what is not: "for db to be healthy,
 * for migrate to complete"; nothing when all of it is.
 */
void service_depends_look(const struct store *s, const struct service *svc, struct buf *why);
/*
 * Checks a specification's label: -EINVAL when it cannot be read, or when the service would wait
 * for itself by way of others, naming them.
 */
int service_depends_check(const struct store *view, const struct service_spec *spec, struct err *e);
