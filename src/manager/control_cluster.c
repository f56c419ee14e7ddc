/*
 * The settings of the cluster and its join tokens. See control.h.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "manager/control.h"

static int spec_check(const struct cluster *old, const struct cluster_spec *s, struct err *e)
{
	const char *name = s->name && *s->name ? s->name : old->spec.name;

	if (strcmp(name, old->spec.name) != 0)
		return err_set(e, -EINVAL, "the swarm is always named %s", old->spec.name);
	if (s->ca.force_rotate != old->spec.ca.force_rotate)
		return err_set(e, -ENOSYS, "rotating the root certificate is not implemented");
	return cluster_spec_check(s, e);
}

int control_cluster_update(struct control *c, const struct control_request *r, struct err *e)
{
	const struct cluster *old = store_cluster(c->view);
	struct cluster *cluster;
	int rc;

	if (!old)
		return err_set(e, -ENOENT, "this node has no swarm");
	if (old->o.version.index != r->version)
		return err_set(e, -ESTALE,
			       "rpc error: code = Unknown desc = update out of sequence: the swarm "
			       "has changed since it was read (version %" PRIu64 ", not %" PRIu64
			       "): read it again",
			       old->o.version.index, r->version);
	rc = r->cluster ? spec_check(old, r->cluster, e) : 0;
	if (rc < 0)
		return rc;
	cluster = object_clone(&old->o);
	if (r->cluster) {
		table_done(&cluster_spec_table, &cluster->spec);
		table_copy(&cluster_spec_table, &cluster->spec, r->cluster);
		str_set(&cluster->spec.name, old->spec.name);
		cluster->cert_longest = cluster_cert_life(old); /* as there are such ones */
	}
	if (r->rotate_worker_token)
		str_set(&cluster->tokens.worker, r->worker_token);
	if (r->rotate_manager_token)
		str_set(&cluster->tokens.manager, r->manager_token);
	changes_update(c->out, &old->o, &cluster->o, c->now_ns);
	str_set(&c->answer->id, cluster->o.id);
	return 0;
}
