/*
 * What a session's agent is to run, and the tables of its networks: building and sending them.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "manager/dispatcher_impl.h"
#include "manager/secret_use.h"
#include "model/secret.h"

#define ASSIGN_BYTES (1u << 20) /* of one frame of assignments, about */

void names_add(struct name **set, const char *text)
{
	struct name *n;
	size_t len = strlen(text);

	HASH_FIND(hh, *set, text, len, n);
	if (n)
		return;
	n = xcalloc(1, sizeof *n + len + 1);
	memcpy(n->text, text, len);
	HASH_ADD(hh, *set, text, len, n);
}

bool names_has(struct name *set, const char *text)
{
	struct name *n;

	HASH_FIND(hh, set, text, strlen(text), n);
	return n;
}

void names_clear(struct name **set)
{
	struct name *n, *next;

	HASH_ITER (hh, *set, n, next) {
		HASH_DEL(*set, n);
		free(n);
	}
}

/*
 * Whether the agent must hear of this change. Not of the statuses that agents write themselves: at
 * each step of each task it would be told what it has just said.
 */
static bool change_concerns(const struct task *old, const struct task *new)
{
	if (!old || !new || old->status.state < TASK_ASSIGNED)
		return true;
	return old->desired != new->desired || old->not_before != new->not_before ||
	       old->networks.n != new->networks.n ||
	       old->template_version != new->template_version ||
	       new->status.state == TASK_ORPHANED || new->status.state == TASK_REJECTED ||
	       !old->node != !new->node || (old->node && strcmp(old->node, new->node) != 0);
}

void session_task_changed(struct dispatcher *d, const struct task *old, const struct task *new)
{
	const char *node = new &&new->node ? new->node : old ? old->node : NULL;
	struct session *s;

	if (!node || !change_concerns(old, new))
		return;
	HASH_FIND_STR(d->sessions, node, s);
	if (!s || !s->opened)
		return;
	names_add(&s->dirty, (new ? new : old)->o.id);
	s->measure_due = true;
	session_queue(s);
}

/* The message that is being filled. Its objects are lent from the store for the encoding. */
struct assign {
	struct session *session;
	const struct store *store;
	struct session_assign message;
	size_t bytes;
	struct buf scratch;
	struct name *sent; /* templates and networks in this message */
};

static void assign_send(struct assign *a, bool more)
{
	struct buf bytes = BUF_INIT(LIMIT_FRAME);
	struct frame *f = NULL;

	a->message.more = more;
	if (tlv_write(&session_assign_table, &a->message, &bytes) == 0)
		f = frame_take(SESSION_ASSIGN, &bytes);
	if (!f || stream_send(a->session->stream, f) < 0)
		stream_close(a->session->stream, -ENOBUFS, "assignments cannot be sent");
	frame_unref(f);
	buf_done(&bytes);
	a->message.tasks.n = a->message.templates.n = a->message.networks.n = 0;
	strs_done(&a->message.gone_tasks);
	strs_done(&a->message.gone_networks);
	names_clear(&a->sent);
	a->bytes = 0;
}

static void assign_count(struct assign *a, const struct table *t, const void *obj)
{
	buf_reset(&a->scratch);
	(void)tlv_write(t, obj, &a->scratch);
	a->bytes += a->scratch.len;
}

static struct session_net *net_of(struct session *s, const char *id)
{
	struct session_net *n;

	HASH_FIND_STR(s->nets, id, n);
	return n;
}

static void assign_network(struct assign *a, const char *id)
{
	const struct network *network = store_network(a->store, id);
	struct session_net *n;

	if (!network || names_has(a->sent, id))
		return;
	if (!net_of(a->session, id)) {
		n = xcalloc(1, sizeof *n);
		(void)snprintf(n->id, sizeof n->id, "%s", id);
		HASH_ADD_STR(a->session->nets, id, n);
	}
	names_add(&a->sent, id);
	*LIST_ADD(&a->message.networks) = *network;
	assign_count(a, &network_table, network);
}

static void assign_template(struct assign *a, const struct task *t)
{
	const struct template *tpl = store_template(a->store, t->service, t->template_version);

	if (!tpl || names_has(a->sent, tpl->o.id))
		return;
	names_add(&a->sent, tpl->o.id);
	*LIST_ADD(&a->message.templates) = *tpl;
	assign_count(a, &template_table, tpl);
}

static void secret_want(void *arg, const char *id)
{
	struct session *s = arg;

	names_add(&s->secrets, id);
}

static void secret_send(struct session *s, const struct secret *secret)
{
	struct session_secret message = {.id = secret->o.id, /* lent */
					 .templated = secret->spec.templating != NULL,
					 .data = secret->spec.data};
	struct buf bytes = BUF_INIT(LIMIT_FRAME);
	struct frame *f = NULL;

	if (tlv_write(&session_secret_table, &message, &bytes) == 0)
		f = frame_take(SESSION_SECRET, &bytes);
	if (!f || stream_send(s->stream, f) < 0)
		stream_close(s->stream, -ENOBUFS, "a secret cannot be sent");
	frame_unref(f);
	buf_done(&bytes);
}

/* One after the other as the stream takes them; `drain` comes back for the rest. */
static void secrets_send(struct session *s)
{
	const struct store *store = manager_store(s->dispatcher->manager);
	struct name *n, *next;

	HASH_ITER (hh, s->secrets, n, next) {
		const struct object *o = store_get(store, KIND_SECRET, n->text);

		if (!stream_writable(s->stream))
			return;
		if (!o)
			o = store_get(store, KIND_CONFIG, n->text);
		if (o && secret_is_for(store, s->node, n->text))
			secret_send(s, (const struct secret *)o);
		HASH_DEL(s->secrets, n);
		free(n);
	}
}

/*
 * With a task that may be new to the agent comes all that it needs. What was sent before does not
 * count: the agent forgets a template and a network with the last of its tasks. A task of which the
 * agent has reported is one that it has.
 */
static void assign_task(struct assign *a, const struct task *t)
{
	if (a->bytes > ASSIGN_BYTES)
		assign_send(a, true);
	if (a->message.complete || t->status.state == TASK_ASSIGNED) {
		assign_template(a, t);
		secrets_of_task(a->store, t, a->session->node, secret_want, a->session);
	}
	if (!task_state_final(t->status.state))
		LIST_EACH (at, &t->networks)
			assign_network(a, at->network);
	*LIST_ADD(&a->message.tasks) = *t;
	assign_count(a, &task_table, t);
}

/* Networks in which no living task of the node is any more. */
static void networks_prune(struct assign *a)
{
	struct session_net *n, *next;
	struct name *used = NULL;
	const struct task *t;
	struct store_walk w;

	store_walk_node_tasks(&w, a->store, a->session->node);
	while ((t = store_walk_next(&w)))
		if (!task_state_final(t->status.state))
			LIST_EACH (at, &t->networks)
				names_add(&used, at->network);
	HASH_ITER (hh, a->session->nets, n, next) {
		if (names_has(used, n->id))
			continue;
		strs_add(&a->message.gone_networks, n->id);
		HASH_DEL(a->session->nets, n);
		free(n);
	}
	names_clear(&used);
}

static void complete_fill(struct assign *a)
{
	struct session *s = a->session;
	const struct task *t;
	struct store_walk w;

	a->message.complete = true;
	store_walk_node_tasks(&w, a->store, s->node);
	while ((t = store_walk_next(&w)))
		if (task_is_for(t, s->node))
			assign_task(a, t);
}

static void incremental_fill(struct assign *a)
{
	struct session *s = a->session;
	struct name *n, *next;

	a->message.applies_to = s->version;
	HASH_ITER (hh, s->dirty, n, next) {
		const struct task *t = store_task(a->store, n->text);

		if (task_is_for(t, s->node))
			assign_task(a, t);
		else
			strs_add(&a->message.gone_tasks, n->text);
	}
}

static void assignments_send(struct session *s)
{
	struct assign a = {.session = s,
			   .store = manager_store(s->dispatcher->manager),
			   .scratch = BUF_INIT(LIMIT_FRAME)};

	a.message.results_in = store_version(a.store);
	if (s->complete_due)
		complete_fill(&a);
	else
		incremental_fill(&a);
	networks_prune(&a);
	assign_send(&a, false);
	s->version = a.message.results_in;
	s->complete_due = false;
	names_clear(&s->dirty);
	free(a.message.tasks.v);
	free(a.message.templates.v);
	free(a.message.networks.v);
	buf_done(&a.scratch);
}

static void peers_send(void *arg, struct frame *f)
{
	struct session *s = arg;

	if (stream_send(s->stream, f) < 0)
		stream_close(s->stream, -ENOBUFS, "network tables cannot be sent");
}

void session_flush(struct session *s)
{
	uint64_t now = world_mono_ms(manager_world(s->dispatcher->manager));
	struct session_net *n, *next;
	bool paced;

	if (!s->opened || !stream_writable(s->stream))
		return; /* `drain` queues it again */
	s->measure_due |= s->complete_due;
	if (s->complete_due || s->dirty)
		assignments_send(s);
	if (s->measure_due)
		session_measure_send(s);
	secrets_send(s);
	paced = session_due_ms(s) > now;
	HASH_ITER (hh, s->nets, n, next) {
		if (n->version == netmap_version(s->dispatcher->netmap, n->id))
			continue;
		if (paced && n->version) { /* a network that is new to the agent cannot wait */
			session_queue(s);
			continue;
		}
		n->version = netmap_frames(s->dispatcher->netmap, n->id, n->version, peers_send, s);
		if (!paced)
			s->last_tables_ms = now;
	}
}

void session_digests(struct session *s)
{
	struct session_net *n, *next;

	HASH_ITER (hh, s->nets, n, next) {
		struct frame *f;

		if (n->version != netmap_version(s->dispatcher->netmap, n->id))
			continue;
		f = netmap_digest(s->dispatcher->netmap, n->id);
		if (f)
			(void)stream_send(s->stream, f);
		frame_unref(f);
	}
}

void session_nets_clear(struct session *s)
{
	struct session_net *n, *next;

	HASH_ITER (hh, s->nets, n, next) {
		HASH_DEL(s->nets, n);
		free(n);
	}
}
