/*
 * See job.h.
 */
#include "agent/job.h"

#include <stdlib.h>

static unsigned running; /* the loop's alone */

static void job_run(uv_work_t *w)
{
	struct job *j = w->data;

	j->run(j);
}

static void job_done(uv_work_t *w, int status)
{
	struct job *j = w->data;

	(void)status;
	running--;
	j->done(j);
}

void job_start(uv_loop_t *loop, struct job *j)
{
	j->work.data = j;
	running++;
	if (uv_queue_work(loop, &j->work, job_run, job_done) < 0)
		abort();
}

unsigned job_count(void)
{
	return running;
}
