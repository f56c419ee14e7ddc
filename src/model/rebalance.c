/*
 * The tables and the label of model/rebalance.h. Numbers are stored: see base/table.h.
 */
#include "model/rebalance.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[] = {"moving", "completed", "paused"};

#define T struct rebalance_status
static const struct field rebalance_status_fields[] = {
	FIELD_U64(T, 1, number, NULL, 0),
	FIELD_ENUM(T, 2, state, "State", 0, state_names),
	FIELD_TIME(T, 3, started, "StartedAt", FIELD_OMIT),
	FIELD_TIME(T, 4, completed, "CompletedAt", FIELD_OMIT),
	FIELD_U64(T, 5, moved, "Moved", 0),
	FIELD_U64(T, 6, failed, "Failed", 0),
	FIELD_STR(T, 7, message, "Message", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(rebalance_status, rebalance_status_fields, TABLE_REST(rebalance_status));

#define T struct move_mark
static const struct field move_mark_fields[] = {
	FIELD_U64(T, 1, run, NULL, 0),   FIELD_STR(T, 2, of, NULL, 0),
	FIELD_I64(T, 3, up, NULL, 0),    FIELD_I64(T, 4, failed, NULL, 0),
	FIELD_U64(T, 5, tries, NULL, 0),
};
#undef T
TABLE_DEFINE(move_mark, move_mark_fields, TABLE_REST(move_mark));

bool rebalance_is_auto(const struct strmap *labels)
{
	const char *text = strmap_get(labels, REBALANCE_LABEL);

	return text && strcmp(text, "auto") == 0;
}

int rebalance_check(const struct strmap *labels, bool replicated, struct err *e)
{
	const char *text = strmap_get(labels, REBALANCE_LABEL);

	if (!text || strcmp(text, "off") == 0)
		return 0;
	if (strcmp(text, "auto") != 0)
		return err_set(e, -EINVAL,
			       "the label " REBALANCE_LABEL " must be auto or off: \"%.60s\"",
			       text);
	if (!replicated)
		return err_set(e, -EINVAL,
			       "the label " REBALANCE_LABEL
			       " is for replicated services alone: the tasks of other modes do not "
			       "move");
	return 0;
}
