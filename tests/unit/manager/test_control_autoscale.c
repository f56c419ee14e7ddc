/*
 * manager/control.h: users' numbers of replicas where a service is scaled by its load.
 */
#include "unit/manager/control_rig.h"

#define SCALED(n, min)                                                                  \
	"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}}," \
	"\"Labels\":{\"shoal.autoscale.min\":\"" min                                    \
	"\",\"shoal.autoscale.max\":\"6\",\"shoal.autoscale.cpu\":\"50\"},"             \
	"\"Mode\":{\"Replicated\":{\"Replicas\":" n "}}}"

static const struct service *web(struct store *s)
{
	return (const struct service *)store_named(s, KIND_SERVICE, "web");
}

static uint64_t replicas(struct store *s)
{
	return service_replicas(&web(s)->spec);
}

static int web_update(struct store *s, const char *json)
{
	return update(s, "web", web(s)->o.version.index, json);
}

/* As the core writes what it decides. */
static void decided(struct store *s, uint64_t n)
{
	const struct service *old = web(s);
	struct service *new = object_clone(&old->o);
	struct store_result result;
	struct changes changes;

	changes_init(&changes);
	*new->spec.mode.replicated->replicas = n;
	new->spec_version = store_version(s) + 1;
	new->autoscale->decided = 5;
	changes_update(&changes, &old->o, &new->o, 5);
	store_apply_changes(s, &changes, &result);
	assert_int_equal(result.verdict, STORE_APPLIED);
	changes_done(&changes);
}

static void numbers_are_brought_between_the_bounds(void **state)
{
	struct store *s = with_cluster();

	assert_ok(create(s, SCALED("1", "2"), NULL), &last);
	assert_int_equal(replicas(s), 2);
	assert_string_equal(last_warning, "service web gets 2 replicas, not 1: shoal.autoscale.min "
					  "and .max keep it from 2 to 6");
	assert_int_equal(web(s)->autoscale->asked, 1);
	assert_ok(web_update(s, SCALED("9", "2")), &last);
	assert_int_equal(replicas(s), 6);
	assert_ok(web_update(s, SCALED("5", "2")), &last);
	assert_int_equal(replicas(s), 5);
	assert_string_equal(last_warning, "");
	assert_ok(web_update(s, SCALED("0", "2")), &last); /* it rests */
	assert_int_equal(replicas(s), 0);
	assert_string_equal(last_warning, "");
	assert_ok(web_update(s, SCALED("5", "6")), &last); /* the bound is new */
	assert_int_equal(replicas(s), 6);
	store_free(s);
}

/* A stack that is deployed again repeats the number that it began with. */
static void what_was_decided_is_not_undone_by_repetition(void **state)
{
	struct store *s = with_cluster();

	assert_ok(create(s, SCALED("3", "2"), NULL), &last);
	decided(s, 5);
	assert_ok(web_update(s, SCALED("3", "1")), &last);
	assert_int_equal(replicas(s), 5);
	assert_string_equal(last_warning,
			    "service web keeps its 5 replicas, to which it was scaled "
			    "by its load since 3 were asked for");
	/* Another number is one that is meant; so is the present one. */
	assert_ok(web_update(s, SCALED("5", "2")), &last);
	assert_int_equal(web(s)->autoscale->asked, 3);
	assert_ok(web_update(s, SCALED("4", "2")), &last);
	assert_int_equal(replicas(s), 4);
	assert_int_equal(web(s)->autoscale->asked, 4);
	assert_ok(web_update(s, SCALED("0", "2")), &last);
	assert_ok(web_update(s, SCALED("4", "2")), &last);
	assert_int_equal(replicas(s), 4);
	store_free(s);
}

/* Whoever read the service before a decision has not seen it. */
static void a_decision_makes_older_reads_stale(void **state)
{
	struct store *s = with_cluster();
	uint64_t version;

	assert_ok(create(s, SCALED("3", "2"), NULL), &last);
	version = web(s)->o.version.index;
	decided(s, 5);
	assert_int_equal(update(s, "web", version, SCALED("3", "2")), -ESTALE);
	store_free(s);
}

static int roll_back(struct store *s)
{
	struct control_request r = {.op = CONTROL_SERVICE_UPDATE,
				    .id = (char *)(uintptr_t) "web",
				    .version = web(s)->o.version.index,
				    .rollback = true};

	return ask(s, &r, NULL);
}

static void a_rollback_keeps_the_number(void **state)
{
	struct store *s = with_cluster();

	assert_ok(create(s, SCALED("3", "2"), NULL), &last);
	assert_ok(web_update(s, SCALED("4", "1")), &last);
	decided(s, 6);
	assert_ok(roll_back(s), &last);
	assert_int_equal(replicas(s), 6);
	assert_string_equal(strmap_get(&web(s)->spec.labels, "shoal.autoscale.min"), "2");
	/* Without the labels it is what it was; with them again it is scaled again. */
	assert_ok(web_update(s, WEB), &last);
	assert_int_equal(replicas(s), 3);
	assert_null(web(s)->autoscale);
	assert_ok(roll_back(s), &last);
	assert_int_equal(replicas(s), 6);
	assert_int_equal(web(s)->autoscale->asked, 6);
	assert_ok(roll_back(s), &last);
	assert_int_equal(replicas(s), 3);
	assert_null(web(s)->autoscale);
	store_free(s);
}

static void labels_are_checked(void **state)
{
	struct store *s = with_cluster();

	assert_int_equal(create(s, SCALED("1", "7"), NULL), -EINVAL);
	assert_non_null(strstr(last.msg, "label shoal.autoscale.min: 7 is more than"));
	assert_int_equal(create(s,
				"{\"Name\":\"web\",\"TaskTemplate\":{\"ContainerSpec\":{"
				"\"Image\":\"nginx\"}},\"Labels\":{\"shoal.autoscale.max\":\"6\","
				"\"shoal.autoscale.cpu\":\"50\"},\"Mode\":{\"Global\":{}}}",
				NULL),
			 -EINVAL);
	assert_non_null(strstr(last.msg, "only replicated services"));
	assert_ok(create(s, WEB, NULL), &last);
	assert_null(web(s)->autoscale);
	assert_int_equal(web_update(s, SCALED("1", "0")), -EINVAL);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_brought_between_the_bounds),
		TEST(what_was_decided_is_not_undone_by_repetition),
		TEST(a_decision_makes_older_reads_stale),
		TEST(a_rollback_keeps_the_number),
		TEST(labels_are_checked),
	};

	return RUN_TESTS(tests);
}
