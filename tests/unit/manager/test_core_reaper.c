/*
 * What the reaper removes that no service is behind: the ids of removed nodes.
 */
#include "unit/manager/cores.h"

#define DAY_NS (24 * 3600 * NS_PER_SEC)

static const struct cluster *cluster_of(const struct cores *c)
{
	return store_cluster(c->store);
}

static bool is_blocked(const struct cores *c, const char *node)
{
	return MAP_GET(&cluster_of(c)->blocked, node) != NULL;
}

/* They go a day after the last certificate of theirs has ended, whoever leads then. */
static void ids_of_removed_nodes(void **state)
{
	struct cores *c = cores_new(1);
	struct cluster *cluster = object_new(KIND_CLUSTER, "swarm", c->now);
	struct changes batch;

	cluster->spec.name = xstrdup("default");
	MAP_PUT(&cluster->blocked, "long-ago")->expiry = c->now - 2 * DAY_NS;
	MAP_PUT(&cluster->blocked, "just-now")->expiry = c->now - DAY_NS / 2;
	MAP_PUT(&cluster->blocked, "to-come")->expiry = c->now + DAY_NS;
	MAP_PUT(&cluster->blocked, "overflown")->expiry = -5;
	MAP_PUT(&cluster->blocked, "never")->expiry = INT64_MAX;
	changes_init(&batch);
	changes_create(&batch, &cluster->o);
	cores_apply(c, &batch);
	cores_pass(c, NS_PER_SEC);
	assert_false(is_blocked(c, "long-ago"));
	assert_int_equal(cluster_of(c)->blocked.n, 4);
	cores_pass(c, DAY_NS / 2 + NS_PER_SEC);
	assert_false(is_blocked(c, "just-now"));
	cores_reset(c);
	cores_pass(c, DAY_NS);
	assert_true(is_blocked(c, "to-come"));
	cores_pass(c, DAY_NS);
	assert_false(is_blocked(c, "to-come"));
	assert_int_equal(cluster_of(c)->blocked.n, 2);
	assert_true(is_blocked(c, "overflown") && is_blocked(c, "never"));
	cores_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_removed_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
