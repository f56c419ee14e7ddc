/*
 * What a service waits for before its tasks start, as a label of it says. Read anew whenever it is
 * asked for; knows nothing of who holds tasks back.
 *
 *   shoal.depends_on=NAME:CONDITION[:optional],...
 *
 * NAME is a service's full name ("web_db"); CONDITION is service_started, service_healthy or
 * service_completed_successfully, as in Compose files; one that is optional counts only while there
 * is such a service.
 */
#pragma once

#include "model/service.h"

#define DEPENDS_LABEL "shoal.depends_on"

enum depend_condition { DEPEND_STARTED, DEPEND_HEALTHY, DEPEND_COMPLETED };

struct depend {
	char *service;
	enum depend_condition condition;
	bool optional;
};

struct depends {
	struct depend *v;
	size_t n;
};

bool depends_is_set(const struct service_spec *spec);
/* 0 (with none when there is no label), or -EINVAL with the label's name. */
int depends_read(const struct service_spec *spec, struct depends *ret, struct err *e);
void depends_done(struct depends *d);
/* As the label has it: "service_healthy". */
const char *depend_condition_name(enum depend_condition c);
/* 0 or -EINVAL. */
int depend_condition_parse(const char *text, enum depend_condition *ret);
