/*
 * The tables and rules of model/update.h. Numbers are stored: see base/table.h.
 */
#include "model/update.h"

#include <string.h>

#include "base/clock.h"

#define MONITOR_DEFAULT (5 * NS_PER_SEC)

static const char *const state_names[] = {"updating",        "paused",
					  "completed",       "rollback_started",
					  "rollback_paused", "rollback_completed"};

const char *update_state_name(enum update_state state)
{
	return state_names[state];
}

#define T struct update_config
static const struct field update_config_fields[] = {
	FIELD_U64(T, 1, parallelism, "Parallelism", 0),
	FIELD_I64(T, 2, delay, "Delay", FIELD_OMIT),
	FIELD_STR(T, 3, failure_action, "FailureAction", FIELD_OMIT),
	FIELD_I64(T, 4, monitor, "Monitor", FIELD_OMIT),
	FIELD_DOUBLE(T, 5, max_failure_ratio, "MaxFailureRatio", 0),
	FIELD_STR(T, 6, order, "Order", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(update_config, update_config_fields, TABLE_REST(update_config));

#define T struct update_status
static const struct field update_status_fields[] = {
	FIELD_ENUM(T, 1, state, "State", 0, state_names),
	FIELD_TIME(T, 2, started, "StartedAt", FIELD_OMIT),
	FIELD_TIME(T, 3, completed, "CompletedAt", FIELD_OMIT),
	FIELD_STR(T, 4, message, "Message", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(update_status, update_status_fields, TABLE_REST(update_status));

#define T struct update_run
static const struct field update_run_fields[] = {
	FIELD_U64(T, 1, number, NULL, 0),
	FIELD_U64(T, 2, total, NULL, 0),
	FIELD_U64(T, 3, failed, NULL, 0),
};
#undef T
TABLE_DEFINE(update_run, update_run_fields, TABLE_REST(update_run));

#define T struct update_mark
static const struct field update_mark_fields[] = {
	FIELD_U64(T, 1, run, NULL, 0),
	FIELD_I64(T, 2, up, NULL, 0),
	FIELD_I64(T, 3, failed, NULL, 0),
};
#undef T
TABLE_DEFINE(update_mark, update_mark_fields, TABLE_REST(update_mark));

static bool is(const char *text, const char *name)
{
	return text && strcmp(text, name) == 0;
}

void update_rules_of(const struct update_config *c, struct update_rules *ret)
{
	*ret = (struct update_rules){.parallelism = 1, .monitor = MONITOR_DEFAULT};
	if (!c)
		return;
	ret->parallelism = c->parallelism ? c->parallelism : UINT64_MAX;
	ret->delay = c->delay;
	if (c->monitor)
		ret->monitor = c->monitor;
	if (ret->delay >= ret->monitor) /* else a failure would be seen after the next task */
		ret->monitor = ret->delay + NS_PER_SEC;
	if (is(c->failure_action, "continue"))
		ret->action = UPDATE_CONTINUE;
	else if (is(c->failure_action, "rollback"))
		ret->action = UPDATE_ROLL_BACK;
	ret->max_failure_ratio = c->max_failure_ratio;
	ret->start_first = is(c->order, "start-first");
}

bool update_is_under_way(const struct update_status *u)
{
	return u && (u->state == UPDATE_UPDATING || u->state == UPDATE_ROLLBACK_STARTED);
}

bool update_is_open(const struct update_status *u)
{
	return u && u->state != UPDATE_COMPLETED && u->state != UPDATE_ROLLBACK_COMPLETED;
}

bool update_starts_first(const struct update_config *c)
{
	return c && is(c->order, "start-first");
}

int update_config_check(const struct update_config *c, const char *which, struct err *e)
{
	const char *action = c && c->failure_action ? c->failure_action : "";
	const char *order = c && c->order ? c->order : "";

	if (!c)
		return 0;
	if (c->delay < 0)
		return err_set(e, -EINVAL, "TaskSpec: %s-delay cannot be negative", which);
	if (c->monitor < 0)
		return err_set(e, -EINVAL, "TaskSpec: %s-monitor cannot be negative", which);
	if (c->delay > NS_SPAN_MAX || c->monitor > NS_SPAN_MAX)
		return err_set(e, -EINVAL, "TaskSpec: %s-delay and %s-monitor are at most 73 years",
			       which, which);
	if (!(c->max_failure_ratio >= 0 && c->max_failure_ratio <= 1))
		return err_set(e, -EINVAL,
			       "TaskSpec: %s-maxfailureratio cannot be less than 0 or bigger "
			       "than 1",
			       which);
	if (*action && !is(action, "pause") && !is(action, "continue") && !is(action, "rollback"))
		return err_set(e, -EINVAL,
			       "unrecognized %s failure action %.60s: it must be pause, continue "
			       "or rollback",
			       which, action);
	if (*order && !is(order, "stop-first") && !is(order, "start-first"))
		return err_set(e, -EINVAL,
			       "unrecognized %s order %.60s: it must be stop-first or start-first",
			       which, order);
	return 0;
}

int update_deadline_of(const struct strmap *labels, int64_t *ret, struct err *e)
{
	const char *text = strmap_get(labels, UPDATE_DEADLINE_LABEL);

	*ret = 0;
	if (!text)
		return 0;
	if (duration_parse(text, ret) == 0 && *ret >= 0 && *ret <= NS_SPAN_MAX)
		return 0;
	*ret = 0;
	return err_set(e, -EINVAL,
		       "the label " UPDATE_DEADLINE_LABEL
		       " is not a duration like 5m or 1h30m: \"%.60s\"",
		       text);
}
