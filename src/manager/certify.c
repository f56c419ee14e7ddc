/*
 * See certify.h.
 */
#include "manager/certify.h"

#include <string.h>

#include "base/mem.h"
#include "manager/ca.h"

#define CLUSTER_PORT 2377

int certify(struct manager *m, const char *csr, const char *node, enum cert_role role, char **ret,
	    struct err *e)
{
	const struct cluster *cluster = store_cluster(manager_store(m));
	auto_ca ca = {0};
	auto_buf pem = BUF_INIT(LIMIT_FILE_SMALL);
	struct cert_request what = {.node_id = node, .role = role};
	char *key;
	int rc;

	if (!cluster)
		return err_set(e, -EAGAIN, "this manager does not have the swarm's state yet");
	what.cluster_id = cluster->o.id;
	what.now_ns = world_wall_ns(manager_world(m));
	what.life_ns = cluster->spec.ca.node_cert_expiry;
	key = xstrndup((const char *)cluster->root_key.p, cluster->root_key.n);
	rc = ca_load(cluster->root_cert, key, &ca, e);
	explicit_bzero(key, strlen(key));
	free(key);
	if (rc == 0)
		rc = ca_issue(&ca, csr, strlen(csr), &what, &pem, e);
	if (rc == 0)
		*ret = buf_take(&pem);
	return rc;
}

uint64_t certify_raft_id(const struct world *world)
{
	uint64_t ret;

	do
		ret = world_random_u64(world) & INT64_MAX;
	while (ret == 0);
	return ret;
}

char *certify_address(const char *wanted, const struct stream_peer *peer)
{
	const char *text = wanted ? wanted : "";
	const char *port = strrchr(text, ':');
	const char *end = strrchr(peer->address, ':');

	if (*text && *text != ':' && strncmp(text, "0.0.0.0:", 8) != 0 &&
	    strncmp(text, "[::]:", 5) != 0)
		return xstrdup(text);
	if (port && port[1])
		return xasprintf("%.*s%s", (int)(end - peer->address), peer->address, port);
	return xasprintf("%.*s:%d", (int)(end - peer->address), peer->address, CLUSTER_PORT);
}
