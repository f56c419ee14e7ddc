/*
 * What services are let say about whom they wait for: the label's text, and that none waits for
 * itself, however long the way round.
 */
#include "unit/manager/control_rig.h"

#include "base/limits.h"
#include "model/depends.h"

static int make(struct store *s, const char *name, const char *label)
{
	auto_free char *json =
		xasprintf("{\"Name\":\"%s\",\"Labels\":{\"" DEPENDS_LABEL "\":\"%s\"},"
			  "\"TaskTemplate\":{\"ContainerSpec\":{\"Image\":\"nginx\"}},"
			  "\"Mode\":{\"Replicated\":{\"Replicas\":1}}}",
			  name, label);

	return create(s, json, NULL);
}

static void refused(const char *label, const char *sentence)
{
	struct store *s = with_cluster();

	assert_int_equal(make(s, "web", label), -EINVAL);
	assert_non_null(strstr(last.msg, "label " DEPENDS_LABEL ": "));
	assert_non_null(strstr(last.msg, sentence));
	store_free(s);
}

static void labels_that_cannot_be_read(void **state)
{
	refused("db", "is to be followed by :service_started");
	refused("db:healthy", "is to be followed by");
	refused("db:service_healthy:maybe", "is to be followed by");
	refused(":service_healthy", "is to be followed by");
	refused("db:service_healthy,", "is to be followed by");
	refused("db:service_healthy,db:service_started", "db stands there twice");
	refused("0123456789012345678901234567890123456789012345678901234567890123:service_started",
		"is to be followed by");
}

static void as_many_as_the_bound(void **state)
{
	struct store *s = with_cluster();
	auto_buf b = BUF_INIT(8192);

	for (unsigned i = 0; i < LIMIT_DEPENDS; i++)
		buf_addf(&b, "%sd%u:service_started", i ? "," : "", i);
	assert_int_equal(make(s, "web", buf_text(&b)), 0);
	buf_adds(&b, ",more:service_started");
	assert_int_equal(make(s, "web2", buf_text(&b)), -EINVAL);
	assert_non_null(strstr(last.msg, "at most 64 services"));
	store_free(s);
}

static void none_waits_for_itself(void **state)
{
	struct store *s = with_cluster();
	char *id;

	assert_int_equal(make(s, "a", "a:service_started"), -EINVAL);
	assert_non_null(strstr(last.msg, "service a would wait for itself: a -> a"));
	assert_int_equal(make(s, "a", "b:service_started,x:service_started"), 0);
	assert_int_equal(make(s, "b", "c:service_healthy:optional"), 0);
	assert_int_equal(make(s, "c", "y:service_started,a:service_started"), -EINVAL);
	assert_non_null(strstr(last.msg, "service c would wait for itself: c -> a -> b -> c"));
	assert_int_equal(create(s, WEB, &id), 0);
	assert_int_equal(make(s, "c", "web:service_started"), 0);
	assert_int_equal(update(s, id, store_named(s, KIND_SERVICE, "web")->version.index,
				"{\"Name\":\"web\",\"Labels\":{\"" DEPENDS_LABEL
				"\":\"a:service_started\"},\"TaskTemplate\":{\"ContainerSpec\":{"
				"\"Image\":\"nginx\"}},\"Mode\":{\"Replicated\":{}}}"),
			 -EINVAL);
	assert_non_null(strstr(last.msg, "web -> a -> b -> c -> web"));
	free(id);
	store_free(s);
}

/* A chain as long as what is looked at, and one longer. */
static void a_chain_at_the_bound(void **state)
{
	struct store *s = with_cluster();
	char name[32], label[64];

	for (unsigned i = 0; i <= LIMIT_DEPENDS_WALK; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		(void)snprintf(label, sizeof label, "s%u:service_started", i - 1);
		assert_int_equal(make(s, name, i ? label : ""), 0);
	}
	(void)snprintf(label, sizeof label, "s%u:service_started", LIMIT_DEPENDS_WALK);
	assert_int_equal(make(s, "last", label), -EINVAL);
	assert_non_null(strstr(last.msg, "waits for more than 1000 others"));
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_that_cannot_be_read),
		cmocka_unit_test(as_many_as_the_bound),
		cmocka_unit_test(none_waits_for_itself),
		cmocka_unit_test(a_chain_at_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
