/*
 * A running container's shim, as the loop sees it: its end, or its loss.
 */
#include <signal.h>
#include <string.h>

#include "agent/engine_impl.h"
#include "agent/shim_link.h"
#include "base/clock.h"
#include "base/log.h"

#define LOST_CLEANUP_MS 10000 /* milliseconds for what a lost shim has left to end */

struct lost {
	struct job job;
	struct container_live *live;
	char *dir;
	struct shim_exit exit;
};

static void held_closed(void *arg)
{
	engine_release(arg);
}

static void drop_link(struct container_live *l)
{
	if (!l->link)
		return;
	engine_hold(l->engine);
	link_close(TAKE_PTR(l->link), held_closed, l->engine);
}

static bool on_frame(void *arg, const struct shim_frame *f)
{
	struct container_live *l = arg;
	struct shim_state state;
	struct container_end end;
	uint32_t mask;

	if ((f->type != SHIM_EXITED && f->type != SHIM_STARTED) ||
	    shim_get_state(f, &state, &mask) < 0)
		return true;
	/* As the shim saw it: else a short life could end before it began. */
	if (state.started_ns)
		l->c->started_ns = state.started_ns;
	if (f->type == SHIM_STARTED) {
		container_save(l); /* what was shown must still be so after a restart */
		return true;
	}
	end = (struct container_end){.exit_code = (int)state.exit_code,
				     .oom_killed = state.oom,
				     .finished_ns = state.finished_ns,
				     .error = ""};
	drop_link(l);
	container_ended(l, &end);
	return true;
}

/* The shim's last word may be in its directory; without one the container must go as well. */
static void lost_run(struct job *j)
{
	struct lost *lost = container_of(j, struct lost, job);

	j->status = shim_exit_read(lost->dir, &lost->exit, NULL);
	if (j->status < 0 && shim_lost_cleanup(lost->dir, LOST_CLEANUP_MS, &j->err) < 0)
		log_error("what is left of a container whose shim was lost cannot be ended: %s",
			  err_text(&j->err));
}

static void lost_done(struct job *j)
{
	struct lost *lost = container_of(j, struct lost, job);
	struct container_live *l = lost->live;
	struct container_end end = {
		.exit_code = 255, .finished_ns = clock_wall_ns(), .error = "shim lost"};

	if (j->status == 0)
		end = (struct container_end){.exit_code = lost->exit.exit_code,
					     .oom_killed = lost->exit.oom_killed,
					     .finished_ns = lost->exit.finished_ns,
					     .error = lost->exit.error};
	l->lost = false;
	container_ended(l, &end);
	engine_release(l->engine);
	free(lost->dir);
	free(lost);
}

static void on_lost(void *arg)
{
	struct container_live *l = arg;
	struct lost *lost = xcalloc(1, sizeof *lost);

	drop_link(l);
	lost->job.run = lost_run;
	lost->job.done = lost_done;
	lost->live = l;
	lost->dir = container_run_dir(l->engine, l->c->id);
	l->lost = true;
	engine_hold(l->engine);
	job_start(l->engine->config.loop, &lost->job);
}

int container_adopt(struct container_live *l, struct shim_client *client)
{
	static const struct link_ops ops = {.frame = on_frame, .lost = on_lost};

	return link_new(&l->link, l->engine->config.loop, client, &ops, l);
}

static void no_matter(void *arg, int status, int exit_code, const struct err *e)
{
	(void)arg;
	(void)status;
	(void)exit_code;
	(void)e;
}

void container_signal(struct container_live *l, int signal, bool all)
{
	const uint32_t v[] = {(uint32_t)signal, all};

	if (l->link)
		link_request(l->link, SHIM_KILL, v, ARRAY_LEN(v), no_matter, NULL);
}
