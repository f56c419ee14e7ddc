/*
 * scheduler/constraint.h: what is read, what is refused, what matches.
 */
#include "unit/test.h"

#include "base/mem.h"
#include "scheduler/constraint.h"

static struct node *node_make(void)
{
	struct node *n = object_new(KIND_NODE, "node1", 1);

	n->description.hostname = xstrdup("Alpha");
	n->description.platform.os = xstrdup("linux");
	n->description.platform.architecture = xstrdup("x86_64");
	n->status.addr = xstrdup("192.168.7.9");
	n->spec.role = ROLE_MANAGER;
	strmap_set(&n->spec.labels, "disk", "SSD");
	strmap_set(&n->description.engine.labels, "os", "debian 12");
	return n;
}

static bool matches(const char *text)
{
	struct node *n = node_make();
	struct strs texts = {0};
	struct constraints c;
	struct err e = ERR_INIT;
	bool ret;

	strs_add(&texts, text);
	assert_ok(constraints_parse(&texts, &c, &e), &e);
	ret = constraints_match(&c, n);
	constraints_done(&c);
	strs_done(&texts);
	object_free(&n->o);
	return ret;
}

static void what_matches(void **state)
{
	static const char *const yes[] = {
		"node.id == node1",
		"node.id==NODE1",
		"node.hostname == alpha",
		"Node.Hostname!=beta",
		"node.role == Manager",
		"node.role != worker",
		"node.platform.os == linux",
		"node.platform.arch==x86_64",
		"node.labels.disk==ssd",
		"node.labels.zone != east",
		"engine.labels.os == Debian 12",
		"node.ip == 192.168.7.9",
		"node.ip == 192.168.0.0/16",
		"node.ip != 10.0.0.0/8",
	};
	static const char *const no[] = {
		"node.id != node1",        "node.hostname == beta",     "node.role == worker",
		"node.labels.disk != ssd", "node.labels.Disk == x",     "node.labels.zone == east",
		"node.ip == 192.168.7.8",  "node.ip != 192.168.0.0/16", "node.ip == nonsense",
		"node.ip != nonsense",     "node.colour == red",        "node.colour != red",
		"node.labels. == x",
	};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!matches(yes[i]))
			fail_msg("must match: %s", yes[i]);
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (matches(no[i]))
			fail_msg("must not match: %s", no[i]);
}

static void what_is_refused(void **state)
{
	static const char *const bad[] = {
		"",          "node.id", "node.id = x", "==x",          "n==x",
		"node.id==", "9x.y==z", "a b==c",      "node.id==a,b", "node.id!=x==\"y\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct strs texts = {0};
		struct constraints c = {.n = 9};
		struct err e = ERR_INIT;

		strs_add(&texts, "node.role==worker");
		strs_add(&texts, bad[i]);
		if (constraints_parse(&texts, &c, &e) != -EINVAL || c.n)
			fail_msg("must be refused: %s", bad[i]);
		assert_non_null(strstr(e.msg, bad[i]));
		strs_done(&texts);
	}
}

static void all_must_match(void **state)
{
	struct node *n = node_make();
	struct strs texts = {0};
	struct constraints c;

	assert_int_equal(constraints_parse(&texts, &c, NULL), 0);
	assert_true(constraints_match(&c, n));
	strs_add(&texts, "node.role==manager");
	strs_add(&texts, "node.labels.disk==hdd");
	assert_int_equal(constraints_parse(&texts, &c, NULL), 0);
	assert_false(constraints_match(&c, n));
	constraints_done(&c);
	strs_done(&texts);
	object_free(&n->o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_matches),
		TEST(what_is_refused),
		TEST(all_must_match),
	};

	return RUN_TESTS(tests);
}
