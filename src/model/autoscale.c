/*
 * See autoscale.h.
 */
#include "model/autoscale.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/exposition.h"
#include "model/size.h"

#define MAX AUTOSCALE_LABEL ".max"
#define MIN AUTOSCALE_LABEL ".min"
#define CPU AUTOSCALE_LABEL ".cpu"
#define MEMORY AUTOSCALE_LABEL ".memory"
#define METRIC AUTOSCALE_LABEL ".metric"
#define PORT METRIC ".port"
#define PATH METRIC ".path"
#define TARGET METRIC ".target"
#define WINDOW AUTOSCALE_LABEL ".window"
#define UP_WINDOW AUTOSCALE_LABEL ".up-window"
#define TOLERANCE AUTOSCALE_LABEL ".tolerance"

#define WINDOW_DEFAULT (300 * NS_PER_SEC)
#define TOLERANCE_DEFAULT 10
#define PATH_DEFAULT "/metrics"
#define NANO_CPUS_PERCENT 10000 /* of a thousandth of a percent, in billionths of a processor */

static const char *const names[] = {MAX,  MIN,    CPU,    MEMORY,    METRIC,   PORT,
				    PATH, TARGET, WINDOW, UP_WINDOW, TOLERANCE};

bool autoscale_is_set(const struct strmap *labels)
{
	return strmap_get(labels, MAX) != NULL;
}

bool autoscale_differs(const struct strmap *a, const struct strmap *b)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *x = strmap_get(a, names[i]), *y = strmap_get(b, names[i]);

		if (!x != !y || (x && strcmp(x, y) != 0))
			return true;
	}
	return false;
}

/* A whole number from `least` to `most`; what is not given stays. */
static int number_read(const struct strmap *labels, const char *name, uint64_t least, uint64_t most,
		       uint64_t *ret, struct err *e)
{
	const char *text = strmap_get(labels, name), *p = text;
	uint64_t n = 0;

	if (!text)
		return 0;
	while (*p >= '0' && *p <= '9' && n <= most)
		n = n * 10 + (uint64_t)(*p++ - '0');
	if (p == text || *p || n < least || n > most)
		return err_set(e, -EINVAL,
			       "label %s: \"%.40s\" is not a number from %" PRIu64 " to %" PRIu64,
			       name, text, least, most);
	*ret = n;
	return 0;
}

/* "12.5" in thousandths; at most three digits after the point, and more than 0. */
static int thousandths_read(const struct strmap *labels, const char *name, int64_t *ret,
			    struct err *e)
{
	const char *text = strmap_get(labels, name), *p = text;
	int64_t n = 0, scale = 0;

	if (!text)
		return 0;
	for (; scale != 1 && n <= LIMIT_METRIC_VALUE; p++) {
		if (*p == '.' && !scale && p > text)
			scale = 1000;
		else if (*p >= '0' && *p <= '9')
			n = n * 10 + *p - '0', scale /= 10;
		else
			break;
	}
	if (p == text || *p || p[-1] == '.' || n == 0 ||
	    n > LIMIT_METRIC_VALUE / (scale ? scale : 1000))
		return err_set(e, -EINVAL,
			       "label %s: \"%.40s\" is not a number above 0, with at most three "
			       "digits after the point",
			       name, text);
	*ret = n * (scale ? scale : 1000);
	return 0;
}

static int span_read(const struct strmap *labels, const char *name, int64_t *ret, struct err *e)
{
	const char *text = strmap_get(labels, name);
	int64_t ns;

	if (!text)
		return 0;
	if (duration_parse(text, &ns) < 0 || ns < 0 || ns > LIMIT_AUTOSCALE_WINDOW_S * NS_PER_SEC)
		return err_set(e, -EINVAL, "label %s: \"%.40s\" is not a duration from 0s to 1h",
			       name, text);
	*ret = ns;
	return 0;
}

static int cpu_read(const struct strmap *labels, int64_t *ret, struct err *e)
{
	int64_t percent = 0;
	int rc = thousandths_read(labels, CPU, &percent, e);

	if (rc == 0 && percent > 1000000LL * 1000)
		rc = err_set(e, -EINVAL,
			     "label " CPU ": \"%.40s\" percent of one processor is "
			     "more than a task can use",
			     strmap_get(labels, CPU));
	if (rc == 0)
		*ret = percent * NANO_CPUS_PERCENT;
	return rc;
}

static int memory_read(const struct strmap *labels, int64_t *ret, struct err *e)
{
	const char *text = strmap_get(labels, MEMORY);
	int64_t bytes;

	if (!text)
		return 0;
	if (size_text_read(text, &bytes) < 0 || bytes < 1 || bytes > LIMIT_METRIC_VALUE)
		return err_set(e, -EINVAL, "label " MEMORY ": \"%.40s\" is not a size like 256m",
			       text);
	*ret = bytes;
	return 0;
}

static bool path_is_valid(const char *path)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n > LIMIT_METRIC_TEXT)
		return false;
	for (size_t i = 0; i < n; i++)
		if (path[i] <= ' ' || path[i] > '~')
			return false;
	return true;
}

static int metric_read(const struct strmap *labels, struct autoscale *a, struct err *e)
{
	struct metric_selector parsed = {0};
	const char *path = strmap_get(labels, PATH);
	uint64_t port = 0;
	int rc;

	a->metric = strmap_get(labels, METRIC);
	a->path = path ? path : PATH_DEFAULT;
	if (!a->metric) {
		const char *stray = strmap_get(labels, PORT)     ? PORT
				    : strmap_get(labels, TARGET) ? TARGET
				    : path                       ? PATH
								 : NULL;

		return stray ? err_set(e, -EINVAL, "label %s: there is no label " METRIC, stray)
			     : 0;
	}
	if (metric_selector_read(a->metric, &parsed, e) < 0)
		return err_wrap(e, "label " METRIC);
	metric_selector_done(&parsed);
	if (!path_is_valid(a->path))
		return err_set(e, -EINVAL,
			       "label " PATH ": \"%.40s\" is not a path: it begins with '/' and "
			       "has neither blanks nor more than %d characters",
			       a->path, LIMIT_METRIC_TEXT);
	rc = number_read(labels, PORT, 1, 65535, &port, e);
	if (rc == 0)
		rc = thousandths_read(labels, TARGET, &a->target[AUTOSCALE_METRIC], e);
	a->port = (uint32_t)port;
	if (rc == 0 && (!port || !a->target[AUTOSCALE_METRIC]))
		rc = err_set(e, -EINVAL, "label " METRIC " needs the label %s as well",
			     port ? TARGET : PORT);
	return rc;
}

int autoscale_read(const struct strmap *labels, struct autoscale *ret, struct err *e)
{
	struct autoscale a = {.min = 1, .window_ns = WINDOW_DEFAULT};
	uint64_t tolerance = TOLERANCE_DEFAULT;
	struct err unheard = ERR_INIT;

	e = e ? e : &unheard;
	if (number_read(labels, MAX, 1, LIMIT_REPLICAS, &a.max, e) < 0 ||
	    number_read(labels, MIN, 1, LIMIT_REPLICAS, &a.min, e) < 0 ||
	    number_read(labels, TOLERANCE, 0, 100, &tolerance, e) < 0 ||
	    cpu_read(labels, &a.target[AUTOSCALE_CPU], e) < 0 ||
	    memory_read(labels, &a.target[AUTOSCALE_MEMORY], e) < 0 ||
	    metric_read(labels, &a, e) < 0 || span_read(labels, WINDOW, &a.window_ns, e) < 0 ||
	    span_read(labels, UP_WINDOW, &a.up_window_ns, e) < 0)
		return e->code;
	a.tolerance = (uint32_t)tolerance;
	if (a.min > a.max)
		return err_set(e, -EINVAL,
			       "label " MIN ": %" PRIu64 " is more than " MAX ", %" PRIu64, a.min,
			       a.max);
	if (!a.target[AUTOSCALE_CPU] && !a.target[AUTOSCALE_MEMORY] && !a.target[AUTOSCALE_METRIC])
		return err_set(e, -EINVAL,
			       "label " MAX ": there is no target: set " CPU ", " MEMORY
			       " or " METRIC);
	*ret = a;
	return 0;
}

static bool name_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

int autoscale_check(const struct strmap *labels, bool replicated, struct err *e)
{
	static const char prefix[] = AUTOSCALE_LABEL;
	struct autoscale a;

	for (size_t i = 0; i < labels->n; i++) {
		const char *name = labels->v[i].key, *rest = name + sizeof prefix - 1;

		if (strncmp(name, prefix, sizeof prefix - 1) != 0 || (*rest && *rest != '.'))
			continue;
		if (!name_is_known(name))
			return err_set(e, -EINVAL,
				       "label %.60s is unknown: there are " AUTOSCALE_LABEL
				       ".min, .max, .cpu, .memory, .metric, .metric.port, "
				       ".metric.path, .metric.target, .window, .up-window and "
				       ".tolerance",
				       name);
		if (!replicated)
			return err_set(e, -EINVAL,
				       "label %s: only replicated services can be scaled", name);
		if (!autoscale_is_set(labels))
			return err_set(e, -EINVAL, "label %s: there is no label " MAX, name);
	}
	return autoscale_is_set(labels) ? autoscale_read(labels, &a, e) : 0;
}

uint64_t autoscale_clamp(const struct autoscale *a, uint64_t replicas)
{
	return replicas == 0 ? 0 : MIN_OF(MAX_OF(replicas, a->min), a->max);
}

const char *autoscale_kind_name(enum autoscale_kind kind)
{
	static const char *const kinds[] = {"cpu", "memory", "metric"};

	return kinds[kind];
}

/* Thousandths, without zeros at the end. */
static void thousandths_text(int64_t n, struct buf *ret)
{
	int64_t rest = n % 1000;

	buf_addf(ret, "%" PRId64, n / 1000);
	if (rest) {
		char digits[8];
		int len = snprintf(digits, sizeof digits, "%03" PRId64, rest);

		while (digits[len - 1] == '0')
			digits[--len] = '\0';
		buf_addf(ret, ".%s", digits);
	}
}

void autoscale_value_text(enum autoscale_kind kind, int64_t value, struct buf *ret)
{
	switch (kind) {
	case AUTOSCALE_CPU: /* tenths are enough */
		thousandths_text((value / NANO_CPUS_PERCENT + 50) / 100 * 100, ret);
		buf_adds(ret, "%");
		break;
	case AUTOSCALE_MEMORY:
		thousandths_text(value / 1048576 * 1000 + value % 1048576 * 1000 / 1048576, ret);
		buf_adds(ret, "MiB");
		break;
	default:
		thousandths_text(value, ret);
	}
}

#define T struct task_load
static const struct field task_load_fields[] = {
	FIELD_STR(T, 1, task, NULL, 0),
	FIELD_OPT_I64(T, 2, value[AUTOSCALE_CPU], NULL, 0),
	FIELD_OPT_I64(T, 3, value[AUTOSCALE_MEMORY], NULL, 0),
	FIELD_OPT_I64(T, 4, value[AUTOSCALE_METRIC], NULL, 0),
	FIELD_STR(T, 5, error, NULL, 0),
};
#undef T
TABLE_DEFINE(task_load, task_load_fields, TABLE_REST(task_load));

#define T struct autoscale_status
static const struct field autoscale_status_fields[] = {
	FIELD_U64(T, 1, asked, "Asked", 0),
	FIELD_TIME(T, 2, decided, "DecidedAt", 0),
	FIELD_U64(T, 3, from, "From", FIELD_OMIT),
	FIELD_U64(T, 4, to, "To", FIELD_OMIT),
	FIELD_STR(T, 5, reason, "Reason", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(autoscale_status, autoscale_status_fields, TABLE_REST(autoscale_status));

#define T struct autoscale_gauge
static const struct field autoscale_gauge_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STR(T, 2, value, "Value", 0),
	FIELD_STR(T, 3, target, "Target", 0),
	FIELD_U64(T, 4, tasks, "Tasks", 0),
};
#undef T
TABLE_DEFINE(autoscale_gauge, autoscale_gauge_fields, TABLE_REST(autoscale_gauge));

#define T struct autoscale_view
static const struct field autoscale_view_fields[] = {
	FIELD_U64(T, 1, min, "Min", 0),
	FIELD_U64(T, 2, max, "Max", 0),
	FIELD_U64(T, 3, replicas, "Replicas", 0),
	FIELD_U64(T, 4, wanted, "Wanted", 0),
	FIELD_U64(T, 5, coming, "Coming", 0),
	FIELD_U64(T, 6, missing, "Missing", 0),
	FIELD_LIST(T, 7, gauges, "Gauges", 0, autoscale_gauge),
	FIELD_STR(T, 8, state, "State", 0),
	FIELD_TIME(T, 9, next, "Next", FIELD_OMIT),
	FIELD_PTR(T, 10, last, "Last", FIELD_OMIT, autoscale_status),
};
#undef T
TABLE_DEFINE(autoscale_view, autoscale_view_fields, TABLE_REST(autoscale_view));
