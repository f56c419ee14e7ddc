/*
 * The bounds of Compose files, each at its value and one behind it.
 */
#include "unit/cli/compose_rig.h"

#define A "services:\n  a:\n    image: i\n"

static void sound(const char *text)
{
	struct made m;

	make_text(&m, text);
	assert_sound(&m);
	unmake(&m);
}

static void a_file(void **state)
{
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE + 1);
	const size_t head = strlen(A "    user: ");

	for (unsigned extra = 0; extra < 2; extra++) {
		buf_reset(&b);
		buf_adds(&b, A "    user: ");
		while (b.len < LIMIT_COMPOSE_FILE + extra)
			buf_addc(&b, 'u');
		if (extra) {
			const struct memory_file files[] = {{"c.yml", buf_text(&b)}, {NULL, NULL}};
			struct made m;

			make(&m, files, NULL);
			assert_true(m.rc < 0);
			unmake(&m);
		} else {
			assert_true(b.len > head);
			sound(buf_text(&b));
		}
	}
}

/* A text may grow by its variables up to the same. */
static void a_text(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf value = BUF_INIT(LIMIT_COMPOSE_FILE), out = BUF_INIT(LIMIT_COMPOSE_FILE);
		struct strmap env = {0};
		struct err e = ERR_INIT;

		while (value.len < LIMIT_COMPOSE_FILE / 2)
			buf_addc(&value, 'v');
		strmap_set(&env, "V", buf_text(&value));
		assert_int_equal(compose_expand(extra ? "$V${V}x" : "$V$V", &env, NULL, &out, &e),
				 extra ? -EMSGSIZE : 0);
		strmap_done(&env);
	}
}

/* The Compose file, .env (asked for, though it is not there) and environment files. */
static void files(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
		struct made m;

		buf_adds(&b, A "    env_file:\n");
		for (unsigned i = 0; i < LIMIT_COMPOSE_FILES - 2 + extra; i++)
			buf_adds(&b, "    - e\n");
		{
			const struct memory_file all[] = {
				{"c.yml", buf_text(&b)}, {"/dir/e", "A=1\n"}, {NULL, NULL}};

			make(&m, all, NULL);
		}
		if (extra)
			assert_non_null(strstr(m.p.problems.v[0], "more than 64 files"));
		else
			assert_sound(&m);
		unmake(&m);
	}
}

/* The root counts too, and each list. */
static void values(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
		struct compose_node *root = NULL;
		size_t budget = LIMIT_COMPOSE_NODES;
		struct err e = ERR_INIT;
		unsigned left = LIMIT_COMPOSE_NODES - 1 + extra;

		for (unsigned list = 0; left; list++) {
			unsigned n = left - 1 < LIMIT_COMPOSE_LIST ? left - 1 : LIMIT_COMPOSE_LIST;

			buf_addf(&b, "x-%u: [", list);
			for (unsigned i = 0; i < n; i++)
				buf_adds(&b, "1,");
			buf_adds(&b, "]\n");
			left -= n + 1;
		}
		assert_int_equal(compose_yaml_read("f", buf_text(&b), b.len, &budget, &root, &e),
				 extra ? -EINVAL : 0);
		assert_true(extra || budget == 0);
		compose_free(root);
	}
}

static void a_list(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);

		buf_adds(&b, "x-a: [");
		for (unsigned i = 0; i < LIMIT_COMPOSE_LIST + extra; i++)
			buf_adds(&b, "1,");
		buf_adds(&b, "]\n" A);
		if (extra)
			refuses(buf_text(&b), "more than 2048 entries");
		else
			sound(buf_text(&b));
	}
}

static void variables_in_one_another(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);

		buf_adds(&b, A "    user: ");
		for (unsigned i = 0; i < LIMIT_COMPOSE_NESTED + extra; i++)
			buf_adds(&b, "${N:-");
		buf_adds(&b, "u");
		for (unsigned i = 0; i < LIMIT_COMPOSE_NESTED + extra; i++)
			buf_adds(&b, "}");
		buf_adds(&b, "\n");
		if (extra)
			refuses(buf_text(&b), "nested deeper than 16");
		else
			sound(buf_text(&b));
	}
}

static void services_that_extend_one_another(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);

		buf_adds(&b, "services:\n");
		for (unsigned i = 0; i < LIMIT_COMPOSE_EXTENDS + extra; i++)
			buf_addf(&b, "  s%u: {extends: s%u}\n", i, i + 1);
		buf_addf(&b, "  s%u: {image: i}\n", LIMIT_COMPOSE_EXTENDS + extra);
		if (extra)
			refuses(buf_text(&b), "more than 16 deep");
		else
			sound(buf_text(&b));
	}
}

static void ports_of_a_range(void **state)
{
	for (unsigned extra = 0; extra < 2; extra++) {
		auto_free char *text =
			xasprintf(A "    ports: [\"1-%u\"]\n", LIMIT_COMPOSE_PORTS + extra);

		if (extra)
			refuses(text, "is no port");
		else
			sound(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file),
		TEST(a_text),
		TEST(files),
		TEST(values),
		TEST(a_list),
		TEST(variables_in_one_another),
		TEST(services_that_extend_one_another),
		TEST(ports_of_a_range),
	};

	return RUN_TESTS(tests);
}
