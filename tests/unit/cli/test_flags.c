/*
 * Command lines: the forms of flags, where they end, and what is refused.
 */
#include "cli/flags.h"

#include "unit/test.h"

static const struct flag defs[] = {
	{"all", 'a', FLAG_BOOL, ""},     {"quiet", 'q', FLAG_BOOL, ""},
	{"last", 'n', FLAG_INT, ""},     {"env", 'e', FLAG_LIST, ""},
	{"name", 0, FLAG_STRING, ""},    {"delay", 0, FLAG_DURATION, ""},
	{"memory", 'm', FLAG_BYTES, ""}, {"cpus", 0, FLAG_CPUS, ""},
	{"replicas", 0, FLAG_UINT, ""},
};

static int parse(bool stop, struct flags *f, struct err *e, const char *words)
{
	static char text[256];
	static char *argv[32];
	int argc = 0;

	(void)snprintf(text, sizeof text, "%s", words);
	for (char *rest = text, *w; (w = strsep(&rest, " "));)
		argv[argc++] = w;
	return flags_parse(defs, sizeof defs / sizeof *defs, stop, argc, argv, f, e);
}

static void forms(void **state)
{
	struct err e = ERR_INIT;
	struct flags f;

	(void)state;
	assert_ok(parse(false, &f, &e,
			"-aqn5 x --env A=1 -eB=2 --name=n y --delay 1m30s -m 64m --cpus 0.5"),
		  &e);
	assert_true(flag_true(&f, "all") && flag_true(&f, "quiet"));
	assert_int_equal(flag_get(&f, "last")->number, 5);
	assert_int_equal(flag_list(&f, "env")->n, 2);
	assert_string_equal(flag_list(&f, "env")->v[1], "B=2");
	assert_string_equal(flag_text(&f, "name"), "n");
	assert_int_equal(flag_get(&f, "delay")->number, 90000000000);
	assert_int_equal(flag_get(&f, "memory")->number, 64 << 20);
	assert_int_equal(flag_get(&f, "cpus")->number, 500000000);
	assert_false(flag_is_set(&f, "replicas"));
	assert_null(flag_text(&f, "replicas"));
	assert_int_equal(f.n_args, 2);
	assert_string_equal(f.args[1], "y");
	flags_done(&f);
}

static void ends(void **state)
{
	struct err e = ERR_INIT;
	struct flags f;

	(void)state;
	assert_ok(parse(true, &f, &e, "-a image -q --no"), &e);
	assert_false(flag_true(&f, "quiet"));
	assert_int_equal(f.n_args, 3);
	flags_done(&f);
	assert_ok(parse(false, &f, &e, "-a=false -- -q --all -"), &e);
	assert_false(flag_true(&f, "all"));
	assert_int_equal(f.n_args, 3);
	flags_done(&f);
	assert_ok(parse(false, &f, &e, "x --help --nothing"), &e);
	assert_true(f.help);
	flags_done(&f);
}

static void refusals(void **state)
{
	static const struct {
		const char *words;
		const char *why;
	} cases[] = {
		{"--foo", "unknown flag: --foo"},
		{"--foo=1", "unknown flag: --foo"},
		{"-az", "unknown shorthand flag: 'z' in -az"},
		{"--name", "flag needs an argument: --name"},
		{"-an", "flag needs an argument: 'n' in -an"},
		{"-n x", "invalid argument \"x\" for \"-n, --last\" flag: it must be a number"},
		{"--all=maybe", "invalid argument \"maybe\" for \"-a, --all\" flag: "
				"it must be true or false"},
		{"--replicas -1", "invalid argument \"-1\" for \"--replicas\" flag: "
				  "it must be a whole number from 0 on"},
		{"--replicas 99999999999999999999",
		 "invalid argument \"99999999999999999999\" for \"--replicas\" flag: "
		 "it must be a whole number from 0 on"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = ERR_INIT;
		struct flags f;

		assert_int_equal(parse(false, &f, &e, cases[i].words), -EINVAL);
		assert_string_equal(e.msg, cases[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(forms), TEST(ends), TEST(refusals)};

	return RUN_TESTS(tests);
}
