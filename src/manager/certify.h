/*
 * What a node needs from the managers to be one of the swarm: its certificate, and as a manager an
 * id in the raft group and an address. Shared by the join service and the dispatcher, which gives
 * members new certificates.
 */
#pragma once

#include "base/stream.h"
#include "base/x509.h"
#include "manager/manager.h"

/*
 * Issues a certificate with the cluster's root to a PEM request. *ret is PEM, free with free().
 * -EAGAIN before this manager has the swarm's state; else as ca_issue().
 */
int certify(struct manager *m, const char *csr, const char *node, enum cert_role role, char **ret,
	    struct err *e);
/* Never 0, and never more than JSON's integers hold. */
uint64_t certify_raft_id(const struct world *world);
/*
 * "IP:PORT" where a new manager listens: what it says itself, completed by where it dials from.
 * `wanted` may be NULL. Free with free().
 */
char *certify_address(const char *wanted, const struct stream_peer *peer);
