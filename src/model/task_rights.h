/*
 * What a task asks for beyond what the API's specification has fields for: to be privileged, and
 * devices of its host. It says so in labels of its container, which are part of the task's
 * template: an update that changes them replaces the tasks. A node's operator permits it, or not.
 * Pure; the control API validates, the scheduler places, the agent checks again.
 */
#pragma once

#include "model/container.h"
#include "model/service.h"

#define PRIVILEGED_LABEL "shoal.privileged" /* "true" or "false" */
#define DEVICES_LABEL "shoal.devices"       /* "HOST[:CONTAINER][:rwm],…" */

struct task_rights {
	bool privileged;
	LIST_OF(struct device_mapping) devices;
};

/* Reads the labels. Free with task_rights_done() after 0; -EINVAL with the reason. */
int task_rights_read(const struct strmap *labels, struct task_rights *ret, struct err *e);
void task_rights_done(struct task_rights *r);
/* "HOST[:CONTAINER][:rwm]" into the zeroed `ret`; -EINVAL. */
int device_mapping_parse(const char *text, struct device_mapping *ret, struct err *e);
/* Whether it is of the form that containers can have. */
int device_mapping_check(const struct device_mapping *d, struct err *e);
/*
 * The first device that is not among `paths`; NULL when all are. Who may be privileged may have any
 * device.
 */
const char *task_rights_device_missing(const struct task_rights *r, bool privileged,
				       const struct strs *paths);
