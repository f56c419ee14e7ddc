/*
 * Durations, sizes and cut texts as docker prints them; templates; ports.
 */
#include "cli/ports.h"
#include "cli/template.h"
#include "cli/text.h"

#include "base/clock.h"
#include "unit/test.h"

static void lengths_of_time(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "Less than a second"}, {1, "1 second"},         {59, "59 seconds"},
		{60, "About a minute"},    {119, "About a minute"}, {120, "2 minutes"},
		{3599, "59 minutes"},      {3600, "About an hour"}, {5399, "About an hour"},
		{5400, "2 hours"},         {47 * 3600, "47 hours"}, {48 * 3600, "2 days"},
		{13 * 86400, "13 days"},   {14 * 86400, "2 weeks"}, {60 * 86400, "2 months"},
		{730 * 86400, "2 years"},
	};
	char text[TEXT_SHORT];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		duration_human(cases[i].seconds * NS_PER_SEC, text);
		assert_string_equal(text, cases[i].text);
	}
	duration_format(0, text);
	assert_string_equal(text, "0s");
	duration_format(90 * NS_PER_SEC + 500 * NS_PER_MS, text);
	assert_string_equal(text, "1m30.5s");
	duration_format(3600 * NS_PER_SEC, text);
	assert_string_equal(text, "1h0m0s");
	duration_format(-1500000, text);
	assert_string_equal(text, "-1.5ms");
}

static void sizes(void **state)
{
	static const char *const bad[] = {"",    "x",   "1x",     "-1", "0x10",
					  "inf", "nan", "1.5.gb", "1kk"};
	char text[TEXT_SHORT];
	int64_t v;

	(void)state;
	size_human(4261234, 3, text);
	assert_string_equal(text, "4.26MB");
	size_human(999, 3, text);
	assert_string_equal(text, "999B");
	size_binary(1536.0 * 1024 * 1024, text);
	assert_string_equal(text, "1.5GiB");
	assert_int_equal(size_parse("64m", &v), 0);
	assert_int_equal(v, 64 << 20);
	assert_int_equal(size_parse("1.5GiB", &v), 0);
	assert_int_equal(v, 3LL << 29);
	assert_int_equal(size_parse("100b", &v), 0);
	assert_int_equal(v, 100);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(size_parse(bad[i], &v), -EINVAL);
	assert_int_equal(cpus_parse("1.25", &v), 0);
	assert_int_equal(v, 1250000000);
	assert_int_equal(cpus_parse("1.25x", &v), -EINVAL);
}

static void cuts(void **state)
{
	char *text = text_cut("h\303\251llo", 5);

	(void)state;
	assert_string_equal(text, "h\303\251llo");
	free(text);
	text = text_cut("h\303\251llo", 3);
	assert_string_equal(text, "h\303\251\342\200\246");
	free(text);
	text = id_short("sha256:0123456789abcdef", false);
	assert_string_equal(text, "0123456789ab");
	free(text);
}

static void templates(void **state)
{
	json_t *v = json_loads("{\"A\":{\"B\":\"x\",\"N\":3},\"L\":[\"p\",\"q\"]}", 0, NULL);
	struct buf b = BUF_INIT(1000);
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(template_run("{{.A.B}}\\t{{ .A.N }} {{json .A}} {{.L}} {{.A}}", v, &b, &e), &e);
	assert_string_equal(buf_text(&b), "x\t3 {\"B\":\"x\",\"N\":3} [p q] map[B:x N:3]");
	assert_int_equal(template_run("{{.C}}", v, &b, &e), -EINVAL);
	assert_string_equal(e.msg, "template: there is no field C; there are: A, L");
	assert_int_equal(template_run("{{.A", v, &b, &e), -EINVAL);
	assert_int_equal(template_run("{{range .L}}", v, &b, &e), -EINVAL);
	buf_done(&b);
	json_decref(v);
}

static void ports(void **state)
{
	char tcp[] = "tcp";
	char any[] = "0.0.0.0";
	struct port_view v[] = {
		{any, 80, 8080, tcp}, {NULL, 91, 0, tcp}, {NULL, 90, 0, tcp}, {any, 70, 70, tcp}};
	char *text = ports_text(v, 4);

	(void)state;
	assert_string_equal(text, "0.0.0.0:70->70/tcp, 90-91/tcp, 0.0.0.0:8080->80/tcp");
	free(text);
	text = ports_text(NULL, 0);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(lengths_of_time), TEST(sizes), TEST(cuts),
					   TEST(templates), TEST(ports)};

	return RUN_TESTS(tests);
}
