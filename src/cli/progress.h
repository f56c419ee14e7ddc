/*
 * Whether a service has come to what is wanted of it, and saying so while it comes: docker's lines
 * of `service create`, `scale` and `update`. The steps are pure; the loop around them polls.
 */
#pragma once

#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/views.h"

#define PROGRESS_POLL_MS 200
#define PROGRESS_MONITOR_NS (5 * 1000000000LL) /* how long it must stay so, by default */
#define PROGRESS_BARS 20                       /* services of more tasks show only the sum */

enum progress_step { PROGRESS_WAIT, PROGRESS_CONVERGED, PROGRESS_FAILED };

/* Whoever waits for something that may never come; zeroed but for `ns`. */
struct patience {
	int64_t ns;       /* how long nothing may move; 0: for ever */
	int64_t moved_at; /* mono ns: when something moved last */
	char *state;      /* what was there then */
};
/*
 * Notes that `state` is there at `now_ns` (`moves`: that counts as another one). Whether it has
 * been so for longer than it may, and for `more` beyond that.
 */
bool patience_is_over(struct patience *p, const char *state, bool moves, int64_t more_ns,
		      int64_t now_ns);

struct progress {
	bool rollback;      /* set by the caller: a rollback is what was asked for */
	bool job, global;   /* what the service is */
	uint64_t iteration; /* of a job */
	uint64_t wanted;
	uint64_t running;
	int64_t converged_at; /* mono ns; 0: not now */
	struct strs lines; /* what is to be shown now: "overall progress: ...", "1/3: ...", ... */
	char *failure;     /* for PROGRESS_FAILED */
	struct patience patience; /* set by the caller: it has failed when that ends */
};

/* By default, in ns: longer than an update lets one task take (5m). 0: for ever. */
#define PROGRESS_PATIENCE_NS (10 * 60 * 1000000000LL)

/* Whether the task's node can be counted on; `data` is the caller's. */
typedef bool (*progress_node_fn)(const char *node, void *data);

/*
 * Takes what was polled at `now_ns` (monotonic, above 0) and fills `lines`. `tasks` are those of
 * the service's current template.
 */
enum progress_step progress_take(struct progress *p, const struct service_view *service,
				 const struct list_task_view *tasks, progress_node_fn active,
				 void *data, int64_t now_ns);
void progress_done(struct progress *p);

/*
 * Whether the line is to be printed where lines cannot be painted over: each once, of those that
 * count seconds the first alone. Notes it in `printed`, which holds LIMIT_PROGRESS_LINES at most.
 */
bool progress_line_new(struct strs *printed, const char *line);

/* What a command says of its waiting. */
struct progress_options {
	bool rollback;
	bool quiet;       /* print nothing but errors */
	int64_t patience; /* ns */
};

/*
 * Polls and prints until the service has converged (0), SIGINT came (0, the work goes on), or
 * it cannot or does not (1).
 */
int progress_watch(struct cli *c, const char *service, const struct progress_options *o);
/* As the flags --quiet and --converge-deadline say. */
struct progress_options progress_options_of(const struct flags *f, bool rollback);
