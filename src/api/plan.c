/*
 * Plans: what requests would do, without doing it. Not docker's; docs/plan.md describes the routes.
 * See swarm.h.
 */
#include <inttypes.h>
#include <string.h>

#include "api/error.h"
#include "api/query.h"
#include "api/swarm.h"
#include "base/mem.h"

/* A plan that is being worked out for a request. */
struct planning {
	struct api_req *r;
	struct plan *plan; /* NULL: it has been answered */
};

static void planning_gone(struct api_req *r)
{
	struct planning *p = api_req_state(r);

	if (!p->plan)
		return;
	plan_free(TAKE_PTR(p->plan));
	api_reply_fail(r, -ECANCELED, "the client has gone");
}

static void planning_free(void *state)
{
	struct planning *p = state;

	plan_free(p->plan);
	free(p);
}

static void planned(void *arg)
{
	struct planning *p = arg;
	struct buf json = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct plan_report report;

	plan_report_make(p->plan, &report);
	plan_free(TAKE_PTR(p->plan));
	(void)json_write(&plan_report_table, &report, &json);
	table_done(&plan_report_table, &report);
	api_reply_json(p->r, 200, &json);
}

/* What is asked of the plan; 0, or the reason in r->err. */
typedef int (*plan_asker)(struct api_req *r, struct plan *plan);

static void plan_reply(struct api_req *r, plan_asker ask)
{
	struct manager *m = api_manager(r);
	struct planning *p;
	struct plan *plan;
	const struct world *world;

	if (!m)
		return;
	world = manager_world(m);
	if (plan_new(manager_store(m), world_wall_ns(world), &plan, &r->err) < 0) {
		api_reply_error(r, &r->err);
		return;
	}
	if (ask(r, plan) < 0) {
		plan_free(plan);
		api_reply_error(r, &r->err);
		return;
	}
	p = xcalloc(1, sizeof *p);
	p->r = r;
	p->plan = plan;
	api_req_own(r, p, planning_gone, planning_free);
	plan_run(plan, world, planned, p);
}

static int update_ask(struct api_req *r, struct plan *plan)
{
	struct service_spec spec = {0};
	struct control_request request = {0};
	int rc = api_service_update_read(r, &spec, &request);

	if (rc == 0)
		rc = plan_ask(plan, &request, &r->err);
	table_done(&service_spec_table, &spec);
	return rc;
}

static int create_ask(struct api_req *r, struct plan *plan)
{
	struct service_spec spec = {0};
	struct control_request request = {0};
	int rc = api_service_create_read(r, &spec, &request);

	if (rc == 0)
		rc = plan_ask(plan, &request, &r->err);
	table_done(&service_spec_table, &spec);
	return rc;
}

static int all_ask(struct api_req *r, struct plan *plan)
{
	struct plan_wish wish = {0};
	int rc = api_req_read(r, &plan_wish_table, &wish, &r->err);

	LIST_EACH (s, &wish.services)
		api_service_defaults(s);
	if (rc == 0)
		rc = plan_ask_all(plan, &wish, &r->err);
	table_done(&plan_wish_table, &wish);
	return rc;
}

static void service_update_plan(struct api_req *r)
{
	plan_reply(r, update_ask);
}

static void service_create_plan(struct api_req *r)
{
	plan_reply(r, create_ask);
}

static void stack_plan(struct api_req *r)
{
	plan_reply(r, all_ask);
}

/* Checked by the leader, whose state it is. */
static void plan_check_handler(struct api_req *r)
{
	struct plan_check_wish body = {0};
	struct control_request request = {.op = CONTROL_PLAN_CHECK};

	if (api_req_read(r, &plan_check_wish_table, &body, &r->err) < 0) {
		api_reply_error(r, &r->err);
	} else {
		request.ids = body.services; /* lent */
		request.check = body.index;
		api_control(r, &request, 200, NULL);
	}
	table_done(&plan_check_wish_table, &body);
}

static const struct api_route routes[] = {
	{"POST", "/services/{id}/plan", service_update_plan, API_BODY_JSON, 0, 0},
	{"POST", "/services/plan", service_create_plan, API_BODY_JSON, 0, 0},
	{"POST", "/plan", stack_plan, API_BODY_JSON, 0, 0},
	{"POST", "/plan/check", plan_check_handler, API_BODY_JSON, 0, 0},
};

void api_plans_add(struct api_router *r, struct api_swarm *swarm)
{
	api_router_add(r, routes, ARRAY_LEN(routes), swarm);
}
