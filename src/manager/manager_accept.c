/*
 * Who may come in, and to which part: the certificate says who it is, the store says what it may.
 */
#include <string.h>

#include "manager/data.h"
#include "manager/dispatcher.h"
#include "manager/join.h"
#include "manager/manager_impl.h"
#include "manager/raft_link.h"

static bool purpose_is_raft(enum stream_purpose purpose)
{
	return purpose == STREAM_RAFT || purpose == STREAM_SNAPSHOT;
}

static bool purpose_is_managers(enum stream_purpose purpose)
{
	return purpose_is_raft(purpose) || purpose == STREAM_CONTROL;
}

/* A manager that has just joined has no state yet: only what brings it some may come in. */
static int stateless_check(const struct stream_peer *peer, struct err *e)
{
	if (peer->role == CERT_ROLE_MANAGER && purpose_is_raft(peer->purpose))
		return 0;
	return err_set(e, -EAGAIN, "this manager does not have the swarm's state yet");
}

int manager_peer_check(const struct manager *m, const struct stream_peer *peer, struct err *e)
{
	const struct store *store = replica_store(m->replica);
	const struct cluster *cluster = store_cluster(store);
	const struct node *n;

	if (peer->purpose == STREAM_JOIN)
		return 0;
	if (!cluster)
		return stateless_check(peer, e);
	if (MAP_GET(&cluster->blocked, peer->node_id))
		return err_set(e, -EACCES, "node %s was removed from the swarm", peer->node_id);
	n = store_node(store, peer->node_id);
	/*
	 * Raft itself brings what this manager lacks: it may lag behind the day on which the
	 * present leader joined. One that was removed is among the blocked as soon as it lacks no
	 * more.
	 */
	if (!n && peer->role == CERT_ROLE_MANAGER && purpose_is_raft(peer->purpose))
		return 0;
	if (!n)
		return err_set(e, -EACCES, "node %s is not in the swarm", peer->node_id);
	if (!purpose_is_managers(peer->purpose))
		return 0;
	if (n->spec.role != ROLE_MANAGER || peer->role != CERT_ROLE_MANAGER)
		return err_set(e, -EACCES, "node %s is not a manager", peer->node_id);
	return 0;
}

static bool is_manager(const struct manager *m, const struct stream_peer *peer)
{
	const struct node *n = store_node(replica_store(m->replica), peer->node_id);

	return n && n->spec.role == ROLE_MANAGER && peer->role == CERT_ROLE_MANAGER;
}

int manager_accept(struct manager *m, struct stream *s, const struct stream_peer *peer,
		   struct err *e)
{
	int rc;

	if (m->closing)
		return err_set(e, -EAGAIN, "this manager stops");
	rc = manager_peer_check(m, peer, e);
	if (rc == 0 && peer->purpose == STREAM_SESSION) /* an agent had better try another one */
		rc = raft_node_available(replica_raft(m->replica), e);
	if (rc < 0)
		return rc;
	switch (peer->purpose) {
	case STREAM_RAFT:
	case STREAM_SNAPSHOT:
		raft_link_accept(m->link, s, peer);
		return 0;
	case STREAM_CONTROL:
		forward_accept(m->forward, s);
		return 0;
	case STREAM_SESSION:
		dispatcher_accept(m->dispatcher, s, peer);
		return 0;
	case STREAM_DATA:
		data_accept(m->data, s, is_manager(m, peer));
		return 0;
	case STREAM_JOIN:
		join_accept(m->joins, s);
		return 0;
	default:
		return err_set(e, -ENOSYS, "this manager serves no streams of purpose %d",
			       (int)peer->purpose);
	}
}
