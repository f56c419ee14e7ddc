/*
 * GET /services/{id}/logs and /tasks/{id}/logs: the entries of all nodes as they come, in the
 * frames that the logs of one container have. Each says by its details which task it is of; what
 * could not be had is said at the end, as an error of the daemon's own.
 */
#include <string.h>

#include "api/containers.h"
#include "api/log_out.h"
#include "api/swarm.h"
#include "base/mem.h"

struct reading {
	struct service_logs *logs;
	struct log_out out;
	bool details;
};

static void reading_free(void *state)
{
	struct reading *f = state;

	log_out_done(&f->out);
	free(f);
}

static void reading_gone(struct api_req *r)
{
	struct reading *f = api_req_state(r);

	if (f->logs)
		service_logs_close(TAKE_PTR(f->logs));
	log_out_end(&f->out);
}

static bool on_entry(void *arg, const struct service_log_entry *entry)
{
	struct reading *f = arg;
	auto_free char *details = f->details ? xasprintf("com.docker.swarm.node.id=%s,"
							 "com.docker.swarm.service.id=%s,"
							 "com.docker.swarm.task.id=%s",
							 entry->node, entry->service, entry->task)
					     : NULL;

	log_out_entry(&f->out, entry->stream, entry->time_ns, details, entry->text, entry->n);
	return log_out_flush(&f->out);
}

static void on_end(void *arg, const char *missing)
{
	struct reading *f = arg;

	service_logs_close(TAKE_PTR(f->logs));
	if (missing) {
		auto_free char *why =
			xasprintf("warning: incomplete log stream. some logs could not "
				  "be retrieved for the following reasons: %s",
				  missing);

		log_out_error(&f->out, why);
	}
	if (log_out_flush(&f->out))
		log_out_end(&f->out);
}

static void on_drain(struct http_stream *st, void *data)
{
	struct reading *f = data;

	(void)st;
	if (!log_out_flush(&f->out))
		return;
	if (f->logs)
		service_logs_resume(f->logs);
	else
		log_out_end(&f->out);
}

static int options_read(struct api_req *r, struct service_logs_options *ret)
{
	struct engine_logs_options o;
	int rc = containers_logs_options(r, &o, &r->err);

	if (rc == 0 && !o.out && !o.err)
		rc = err_set(&r->err, -EINVAL,
			     "Bad parameters: you must choose at least one stream");
	if (rc < 0)
		return rc;
	*ret = (struct service_logs_options){.follow = query_bool(r->query, "follow", false),
					     .out = o.out,
					     .err = o.err,
					     .tail = o.tail,
					     .since_ns = o.since_ns,
					     .until_ns = o.until_ns};
	return 0;
}

static bool is_tty(const struct task_spec *t)
{
	return t && t->container && t->container->tty;
}

static void begin(struct api_req *r, struct manager *m, const char *service, const char *task,
		  bool tty)
{
	static const struct service_logs_ops ops = {.entry = on_entry, .end = on_end};
	struct service_logs_options options;
	struct reading *f;

	if (options_read(r, &options) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	f = xcalloc(1, sizeof *f);
	log_out_init(&f->out, tty, query_bool(r->query, "timestamps", false));
	f->details = query_bool(r->query, "details", false);
	api_req_own(r, f, reading_gone, reading_free);
	f->logs = service_logs(m, service, task, &options, &ops, f, &r->err);
	if (!f->logs) {
		api_reply_error(r, &r->err);
		return;
	}
	f->out.stream = http_reply_stream(r->http, 200, containers_stream_type(r, tty), 0);
	http_stream_on_drain(f->out.stream, on_drain, f);
}

static void service_ready(struct api_req *r, struct manager *m)
{
	const struct object *o;

	if (control_find(manager_store(m), KIND_SERVICE, r->vars[0], &o, &r->err) < 0)
		api_reply_error(r, &r->err);
	else
		begin(r, m, o->id, NULL, is_tty(&((const struct service *)o)->spec.task));
}

static void task_ready(struct api_req *r, struct manager *m)
{
	const struct store *store = manager_store(m);
	const struct template *tpl;
	const struct object *o;
	const struct task *t;

	if (control_find(store, KIND_TASK, r->vars[0], &o, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	t = (const struct task *)o;
	tpl = store_template(store, t->service, t->template_version);
	begin(r, m, NULL, o->id, tpl && is_tty(&tpl->spec));
}

void service_logs_handler(struct api_req *r)
{
	api_manager_read(r, service_ready);
}

void task_logs_handler(struct api_req *r)
{
	api_manager_read(r, task_ready);
}
