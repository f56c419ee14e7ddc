/*
 * See liveness.h. Only a monotonic clock tells who is down, so that a clock that jumps kills no
 * node. How long a node has been down outlives its leader: that is told by the leaders' time, which
 * the moment was written in and which never goes back.
 */
#include "manager/liveness.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "base/log.h"
#include "base/mem.h"

#define LOST_BEATS 3
#define LOST_BEATS_NEW_LEADER 6
#define CHECKS_PER_BEAT 4
#define ORPHAN_NS (24LL * 3600 * 1000000000)

struct seen {
	char node[ID_CLUSTER_LEN + 1];
	uint64_t at_ms;
	bool reported;   /* to the leader since its last beat */
	int64_t down_ns; /* since when it is down, by the leader's time; 0 while it is not */
	UT_hash_handle hh;
};

struct liveness {
	struct manager *manager;
	struct seen *seen;
	uint64_t leading_since_ms;    /* 0 while another leads */
	char led[ID_CLUSTER_LEN + 1]; /* the last other leader; "": none that counts */
	uint64_t led_until_ms;        /* 0: it does still */
	struct world_timer timer;
	struct manager_call *losing, *orphaning; /* requests on their way */
};

static uint64_t beat_ms(struct liveness *l)
{
	const struct cluster *c = store_cluster(manager_store(l->manager));

	return (uint64_t)((c ? cluster_heartbeat_ns(c) : HEARTBEAT_DEFAULT_NS) / 1000000);
}

static uint64_t now_ms(struct liveness *l)
{
	return world_mono_ms(manager_world(l->manager));
}

static struct seen *seen_get(struct liveness *l, const char *node)
{
	struct seen *s;

	HASH_FIND_STR(l->seen, node, s);
	if (!s) {
		s = xcalloc(1, sizeof *s);
		s->reported = true; /* only what has beaten here is news */
		(void)snprintf(s->node, sizeof s->node, "%s", node);
		HASH_ADD_STR(l->seen, node, s);
	}
	return s;
}

/*
 * A node that is heard of again after it was declared down or was doubted, without a new session. A
 * new node is only ready when its first session has described it.
 */
static void node_revive(struct liveness *l, const char *node)
{
	const struct node *n = store_node(manager_store(l->manager), node);
	struct control_request r = {.op = CONTROL_NODE_SEEN, .id = (char *)(uintptr_t)node};

	if (n && n->status.state != NODE_READY && n->description.hostname)
		(void)manager_control(l->manager, &r, NULL, NULL);
}

void liveness_beat(struct liveness *l, const char *node)
{
	struct seen *s = seen_get(l, node);

	s->at_ms = now_ms(l);
	s->reported = false;
	if (l->leading_since_ms)
		node_revive(l, node);
}

void liveness_left(struct liveness *l, const char *node)
{
	seen_get(l, node)->reported = true;
}

void liveness_report(struct liveness *l, const struct strs *nodes)
{
	STRS_EACH (node, nodes) {
		if (strlen(node) != ID_CLUSTER_LEN)
			continue;
		seen_get(l, node)->at_ms = now_ms(l);
		node_revive(l, node);
	}
}

/* A follower's part: who has beaten here since the last report. */
static void report_send(struct liveness *l)
{
	struct control_request r = {.op = CONTROL_NODES_ALIVE};
	struct seen *s, *next;
	uint64_t old = 10 * LOST_BEATS_NEW_LEADER * beat_ms(l);

	HASH_ITER (hh, l->seen, s, next) {
		if (!s->reported) {
			/* Not what beat here last while this manager led. */
			if (now_ms(l) - s->at_ms <= LOST_BEATS * beat_ms(l))
				strs_add(&r.ids, s->node);
			s->reported = true;
		} else if (now_ms(l) - s->at_ms > old) {
			HASH_DEL(l->seen, s);
			free(s);
		}
	}
	if (r.ids.n)
		(void)manager_control(l->manager, &r, NULL, NULL);
	strs_done(&r.ids);
}

static bool seen_since(struct liveness *l, const char *node, uint64_t ms, uint64_t *ret_at_ms)
{
	struct seen *s;

	HASH_FIND_STR(l->seen, node, s);
	if (!s || s->at_ms < ms)
		return false;
	*ret_at_ms = s->at_ms;
	return true;
}

static bool node_is_lost(struct liveness *l, const struct node *n)
{
	uint64_t now = now_ms(l), beat = beat_ms(l), at;

	if (n->status.state == NODE_DOWN)
		return false;
	if (!seen_since(l, n->o.id, l->leading_since_ms, &at))
		return now - l->leading_since_ms > LOST_BEATS_NEW_LEADER * beat;
	if (n->status.state == NODE_UNKNOWN) /* heard of while the doubt was being written */
		node_revive(l, n->o.id);
	return now - at > LOST_BEATS * beat;
}

static void lost_done(void *arg, int status, const struct control_answer *answer,
		      const struct err *e)
{
	struct liveness *l = arg;

	(void)status;
	(void)answer;
	(void)e;
	l->losing = NULL;
}

static void orphaned_done(void *arg, int status, const struct control_answer *answer,
			  const struct err *e)
{
	struct liveness *l = arg;

	(void)status;
	(void)answer;
	(void)e;
	l->orphaning = NULL;
}

static bool node_has_live_tasks(struct liveness *l, const char *node)
{
	const struct task *t;
	struct store_walk w;

	store_walk_node_tasks(&w, manager_store(l->manager), node);
	while ((t = store_walk_next(&w)))
		if (!task_state_final(t->status.state))
			return true;
	return false;
}

/*
 * Whether it has been down for a day. A leader remembers when it saw that first: a later change of
 * the node, its labels say, does not begin the day anew.
 */
static bool node_is_given_up(struct liveness *l, const struct node *n, int64_t now_ns)
{
	struct seen *s;

	if (n->status.state != NODE_DOWN) {
		HASH_FIND_STR(l->seen, n->o.id, s);
		if (s)
			s->down_ns = 0;
		return false;
	}
	s = seen_get(l, n->o.id);
	if (!s->down_ns)
		s->down_ns = n->o.updated;
	return now_ns - s->down_ns > ORPHAN_NS && node_has_live_tasks(l, n->o.id);
}

static void lost_judge(struct liveness *l)
{
	struct control_request lost = {.op = CONTROL_NODES_LOST};
	struct control_request orphans = {.op = CONTROL_TASKS_ORPHANED};
	int64_t now_ns = manager_now_ns(l->manager);
	const struct node *n;
	struct store_walk w;

	store_walk_kind(&w, manager_store(l->manager), KIND_NODE);
	while ((n = store_walk_next(&w))) {
		if (node_is_lost(l, n)) {
			log_warn("node %s (%s) is down: no heartbeat", n->o.id,
				 n->description.hostname ? n->description.hostname : "");
			strs_add(&lost.ids, n->o.id);
		} else if (node_is_given_up(l, n, now_ns)) {
			strs_add(&orphans.ids, n->o.id);
		}
	}
	if (lost.ids.n && !l->losing)
		l->losing = manager_control(l->manager, &lost, lost_done, l);
	if (orphans.ids.n && !l->orphaning)
		l->orphaning = manager_control(l->manager, &orphans, orphaned_done, l);
	strs_done(&lost.ids);
	strs_done(&orphans.ids);
}

static void timer_arm(struct liveness *l)
{
	world_timer_start(manager_world(l->manager), &l->timer,
			  MAX_OF(beat_ms(l) / CHECKS_PER_BEAT, (uint64_t)20));
}

static void timer_fire(struct world_timer *t)
{
	struct liveness *l = container_of(t, struct liveness, timer);

	if (l->leading_since_ms)
		lost_judge(l);
	else
		report_send(l);
	timer_arm(l);
}

void liveness_period_changed(struct liveness *l)
{
	struct seen *s, *next;

	HASH_ITER (hh, l->seen, s, next)
		s->at_ms = now_ms(l);
	timer_arm(l);
}

/* Leaders are mostly replaced because they have died. What runs there stays, for six beats. */
static void predecessor_doubt(struct liveness *l)
{
	struct control_request r = {.op = CONTROL_NODES_DOUBTED};
	uint64_t at;

	if (!l->led[0] || seen_since(l, l->led, l->led_until_ms, &at))
		return;
	strs_add(&r.ids, l->led);
	(void)manager_control(l->manager, &r, NULL, NULL);
	strs_done(&r.ids);
}

void liveness_leading(struct liveness *l, bool leading)
{
	struct seen *s, *next;

	HASH_ITER (hh, l->seen, s, next)
		s->down_ns = 0;
	l->leading_since_ms = leading ? MAX_OF(now_ms(l), (uint64_t)1) : 0;
	if (!leading)
		return;
	predecessor_doubt(l);
	l->led[0] = '\0';
}

void liveness_leader(struct liveness *l, const char *other)
{
	if (other) {
		(void)snprintf(l->led, sizeof l->led, "%s", other);
		l->led_until_ms = 0;
	} else if (!l->led_until_ms) {
		l->led_until_ms = MAX_OF(now_ms(l), (uint64_t)1);
	}
}

void liveness_again(struct liveness *l, const char *node)
{
	seen_get(l, node)->reported = false;
}

struct liveness *liveness_new(struct manager *m)
{
	struct liveness *l = xcalloc(1, sizeof *l);

	l->manager = m;
	l->timer.fire = timer_fire;
	world_timer_start(manager_world(m), &l->timer, HEARTBEAT_DEFAULT_NS / 1000000 / 20);
	return l;
}

void liveness_free(struct liveness *l)
{
	struct seen *s, *next;

	world_timer_stop(manager_world(l->manager), &l->timer);
	if (l->losing)
		manager_cancel(l->losing);
	if (l->orphaning)
		manager_cancel(l->orphaning);
	HASH_ITER (hh, l->seen, s, next) {
		HASH_DEL(l->seen, s);
		free(s);
	}
	free(l);
}
