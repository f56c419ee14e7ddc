/*
 * What the swarm's handlers share: finding the manager, carrying requests out, listing. See
 * swarm.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"

/* How much of a listing is rendered before the loop goes on. */
#define LIST_PIECE (32u << 10)
#define LIST_LOOKED 2000 /* objects, filtered out or not */

struct manager *api_manager(struct api_req *r)
{
	struct api_swarm *swarm = r->ctx;
	struct manager *m = swarm->manager(swarm->arg);
	struct err e = ERR_INIT;

	if (!m) {
		api_reply_fail(
			r, -EAGAIN, "%s",
			swarm->active(swarm->arg)
				? "This node is not a swarm manager. Worker nodes can't be used "
				  "to view or modify cluster state. Please run this command on "
				  "a manager node or promote the current node to a manager."
				: "This node is not a swarm manager. Use \"docker swarm init\" "
				  "or \"docker swarm join\" to connect this node to swarm and "
				  "try again.");
		return NULL;
	}
	if (manager_readable(m, &e) < 0) {
		api_reply_error(r, &e);
		return NULL;
	}
	return m;
}

/* Waiting for the manager */

struct call_wait {
	struct api_req *r;
	struct manager_call *call;
	int status;
	void (*write)(const struct control_answer *answer, struct buf *ret);
	void (*ready)(struct api_req *r, struct manager *m);
};

static void wait_gone(struct api_req *r)
{
	struct call_wait *w = api_req_state(r);

	/* What still waits is dropped; what was sent goes on, and the answer goes nowhere. */
	if (w->call) {
		manager_cancel(TAKE_PTR(w->call));
		api_reply_fail(r, -ECANCELED, "the client has gone");
	}
}

static struct call_wait *wait_new(struct api_req *r)
{
	struct call_wait *w = xcalloc(1, sizeof *w);

	w->r = r;
	api_req_own(r, w, wait_gone, free);
	return w;
}

static void control_answered(void *arg, int status, const struct control_answer *answer,
			     const struct err *e)
{
	struct call_wait *w = arg;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);

	w->call = NULL;
	if (status < 0) {
		api_reply_error(w->r, e);
		return;
	}
	if (!w->write) {
		api_reply_empty(w->r, w->status);
		return;
	}
	w->write(answer, &json);
	api_reply_json(w->r, w->status, &json);
}

void api_control(struct api_req *r, const struct control_request *request, int status,
		 void (*write)(const struct control_answer *answer, struct buf *ret))
{
	struct manager *m = api_manager(r);
	struct manager_call *call;
	struct call_wait *w;

	if (!m)
		return;
	w = wait_new(r);
	w->status = status;
	w->write = write;
	call = manager_control(m, request, control_answered, w);
	if (call)
		w->call = call; /* else it is answered, and `w` may be gone */
}

static void barrier_passed(void *arg, int status, const struct control_answer *answer,
			   const struct err *e)
{
	struct call_wait *w = arg;
	struct manager *m;

	(void)answer;
	w->call = NULL;
	if (status < 0) {
		api_reply_error(w->r, e);
		return;
	}
	m = api_manager(w->r);
	if (m)
		w->ready(w->r, m);
}

void api_manager_read(struct api_req *r, void (*ready)(struct api_req *r, struct manager *m))
{
	struct manager *m;

	if (query_bool(r->query, "consistent", false)) {
		api_manager_barrier(r, ready);
		return;
	}
	m = api_manager(r);
	if (m)
		ready(r, m);
}

void api_manager_barrier(struct api_req *r, void (*ready)(struct api_req *r, struct manager *m))
{
	struct manager *m = api_manager(r);
	struct manager_call *call;
	struct call_wait *w;

	if (!m)
		return;
	w = wait_new(r);
	w->ready = ready;
	call = manager_read_barrier(m, barrier_passed, w);
	if (call)
		w->call = call;
}

int api_version_arg(struct api_req *r, uint64_t *ret, struct err *e)
{
	const char *text = http_req_arg(r->http, "version");
	char *end;

	if (!text || !*text)
		return err_set(e, -EINVAL,
			       "invalid swarm object version: the query parameter \"version\" is "
			       "missing");
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (*end || errno || text[0] == '-')
		return err_set(e, -EINVAL, "invalid swarm object version \"%.40s\"", text);
	return 0;
}

/* Listing */

void api_version_header(struct api_req *r, struct manager *m)
{
	auto_free char *text = xasprintf("%" PRIu64, store_version(manager_store(m)));

	http_reply_header(r->http, "X-Shoal-Version", text);
}

struct list_pull {
	struct api_list list;
	struct store *view; /* a fork: pinned as it was when the request came */
	char *last;         /* id of the object that was written last */
	bool opened;        /* "[" has left */
	bool any;           /* an object has */
	bool ended;
};

static void list_free(void *data)
{
	struct list_pull *p = data;

	store_free(p->view);
	if (p->list.done)
		p->list.done(p->list.state);
	free(p->last);
	free(p);
}

static int list_more(void *data, struct buf *out)
{
	struct list_pull *p = data;
	const struct object *o = NULL;
	struct store_walk w;
	size_t mark, looked = 0;

	if (p->ended)
		return 0;
	if (!p->opened)
		(void)buf_addc(out, '[');
	p->opened = true;
	store_walk_kind_after(&w, p->view, p->list.kind, p->last ? p->last : "");
	while (out->len < LIST_PIECE && (o = store_walk_next(&w))) {
		mark = out->len;
		if (p->any)
			(void)buf_addc(out, ',');
		if (p->list.write(p->list.state, p->view, o, out))
			p->any = true;
		else
			out->len = mark;
		str_set(&p->last, o->id);
		if (++looked >= LIST_LOOKED)
			break;
	}
	if (!o) {
		p->ended = true;
		(void)buf_adds(out, "]\n");
	}
	return buf_status(out) < 0 ? -EMSGSIZE : 1;
}

void api_list_reply(struct api_req *r, struct manager *m, const struct api_list *list)
{
	struct list_pull *p = xcalloc(1, sizeof *p);
	struct http_pull pull = {.pull = list_more, .done = list_free, .data = p};

	p->list = *list;
	p->view = store_fork(manager_store(m));
	api_version_header(r, m);
	http_reply_pull(r->http, 200, "application/json", &pull);
}
