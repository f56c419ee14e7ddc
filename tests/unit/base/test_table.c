/*
 * base/table.h: one struct with every kind of field, through JSON, the binary form, copy and equal.
 */
#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/table.h"

enum color { COLOR_NONE, COLOR_RED, COLOR_BLUE };
static const char *const color_names[] = {"", "red", "blue"};

struct leaf {
	char *name;
	int64_t weight;
	struct table_rest *rest;
};
static const struct field leaf_fields[] = {
	FIELD_STR(struct leaf, 1, name, "Name", FIELD_REQUIRED),
	FIELD_I64(struct leaf, 2, weight, "Weight", FIELD_OMIT),
};
TABLE_DEFINE(leaf, leaf_fields, TABLE_REST(leaf));

struct ports {
	LIST_OF(struct leaf) list;
	struct table_rest *rest;
};
static const struct field ports_fields[] = {
	FIELD_LIST(struct ports, 1, list, "List", 0, leaf),
};
TABLE_DEFINE(ports, ports_fields, TABLE_REST(ports), .transparent = true);

struct tree {
	bool flag;
	int32_t small;
	uint32_t port;
	int64_t big;
	uint64_t count;
	double ratio;
	int64_t when;
	enum color color;
	char *text;
	char *hidden;
	struct bytes blob;
	char *raw;
	bool *maybe;
	int64_t *maybe_number;
	uint64_t *replicas;
	struct strs args;
	struct strs exposed;
	struct strmap labels;
	struct leaf inner;
	struct leaf *far;
	LIST_OF(struct leaf) leaves;
	MAP_OF(struct leaf) named;
	MAP_OF(struct ports) bindings;
	struct table_rest *rest;
};
#define T struct tree
static const struct field tree_fields[] = {
	FIELD_BOOL(T, 1, flag, "Flag", 0),
	FIELD_I32(T, 2, small, "Small", 0),
	FIELD_U32(T, 3, port, "Port", 0),
	FIELD_I64(T, 4, big, "Big", 0),
	FIELD_U64(T, 5, count, "Count", 0),
	FIELD_DOUBLE(T, 6, ratio, "Ratio", 0),
	FIELD_TIME(T, 7, when, "When", 0),
	FIELD_ENUM(T, 8, color, "Color", 0, color_names),
	FIELD_STR(T, 9, text, "Text", 0),
	FIELD_STR(T, 10, hidden, NULL, FIELD_SECRET),
	FIELD_BYTES(T, 11, blob, "Blob", 0),
	FIELD_RAW(T, 12, raw, "Raw", FIELD_OMIT),
	FIELD_OPT_BOOL(T, 13, maybe, "Maybe", FIELD_OMIT),
	FIELD_OPT_I64(T, 14, maybe_number, "MaybeNumber", 0),
	FIELD_OPT_U64(T, 15, replicas, "Replicas", FIELD_OMIT),
	FIELD_STRS(T, 16, args, "Args", FIELD_ONE),
	FIELD_SET(T, 17, exposed, "Exposed", 0),
	FIELD_STRMAP(T, 18, labels, "Labels", FIELD_NULL),
	FIELD_OBJ(T, 19, inner, "Inner", FIELD_OMIT, leaf),
	FIELD_PTR(T, 20, far, "Far", FIELD_OMIT, leaf),
	FIELD_LIST(T, 21, leaves, "Leaves", 0, leaf),
	FIELD_MAP(T, 22, named, "Named", 0, leaf),
	FIELD_MAP(T, 23, bindings, "Bindings", FIELD_OMIT, ports),
};
#undef T
TABLE_DEFINE(tree, tree_fields, TABLE_REST(tree));

static const char full[] =
	"{\"Flag\":true,\"Small\":-3,\"Port\":65535,\"Big\":-9223372036854775808,"
	"\"Count\":9223372036854775807,\"Ratio\":0.1,\"When\":\"2023-11-14T22:13:20.5Z\","
	"\"Color\":\"blue\",\"Text\":\"a\\\"\\n\\u0001<&>\xc3\xa9\",\"Blob\":\"AAEC/w==\","
	"\"Raw\":{\"x\":[1,2]},\"Maybe\":false,\"MaybeNumber\":0,\"Replicas\":0,"
	"\"Args\":[\"sh\",\"-c\",\"\"],\"Exposed\":{\"53/udp\":{},\"80/tcp\":{}},"
	"\"Labels\":{\"a\":\"1\",\"b\":\"\"},\"Inner\":{\"Name\":\"in\",\"Weight\":7},"
	"\"Far\":{\"Name\":\"\"},\"Leaves\":[{\"Name\":\"one\"},{\"Name\":\"two\",\"Weight\":2}],"
	"\"Named\":{\"k1\":{\"Name\":\"v1\"},\"k2\":{\"Name\":\"v2\"}},"
	"\"Bindings\":{\"80/tcp\":[{\"Name\":\"h\"}],\"90/tcp\":[]}}";

static void read_full(struct tree *t)
{
	struct err e = ERR_INIT;

	assert_ok(json_read(&tree_table, full, strlen(full), t, &e), &e);
}

static void assert_json(const struct tree *t, const char *want)
{
	auto_buf out = BUF_INIT(100000);

	assert_int_equal(json_write(&tree_table, t, &out), 0);
	assert_string_equal(buf_text(&out), want);
}

static void json_comes_back_as_it_went(void **state)
{
	struct tree t = {0};

	read_full(&t);
	assert_int_equal(t.color, COLOR_BLUE);
	assert_int_equal(t.blob.n, 4);
	assert_int_equal(t.blob.p[3], 255);
	assert_string_equal(strmap_get(&t.labels, "a"), "1");
	assert_string_equal(MAP_GET(&t.named, "k2")->name, "v2");
	assert_null(MAP_GET(&t.named, "k3"));
	assert_json(&t, full);
	table_done(&tree_table, &t);
	assert_null(t.text);
}

static void absent_and_empty(void **state)
{
	struct tree t = {0};

	assert_json(&t, "{\"Flag\":false,\"Small\":0,\"Port\":0,\"Big\":0,\"Count\":0,\"Ratio\":0,"
			"\"When\":\"0001-01-01T00:00:00Z\",\"Color\":\"\",\"Text\":\"\","
			"\"Blob\":\"\",\"MaybeNumber\":null,\"Args\":[],\"Exposed\":{},"
			"\"Labels\":null,\"Leaves\":[],\"Named\":{}}");
}

static void go_is_lenient_and_so_are_we(void **state)
{
	static const char text[] = "{\"fLAG\":true,\"Unknown\":[{}],\"Text\":null,\"Args\":\"one\","
				   "\"Text\":\"x\",\"text\":\"y\",\"Bindings\":{\"80\":null}}";
	struct tree t = {0};
	struct err e = ERR_INIT;

	assert_ok(json_read(&tree_table, text, strlen(text), &t, &e), &e);
	assert_true(t.flag);
	assert_string_equal(t.text, "y");
	assert_int_equal(t.args.n, 1);
	assert_int_equal(MAP_GET(&t.bindings, "80")->list.n, 0);
	table_done(&tree_table, &t);
}

static void bad_json_names_the_member(void **state)
{
	static const struct {
		const char *text, *say;
	} bad[] = {
		{"", "invalid JSON"},
		{"[]", "the body must be an object, not a list"},
		{"{} x", "invalid JSON"},
		{"{\"Flag\":1}", "Flag must be true or false, not a number"},
		{"{\"Port\":65536000000}", "Port must be"},
		{"{\"Small\":2147483648}", "Small must be"},
		{"{\"Count\":-1}", "Count must be"},
		{"{\"Big\":1.5}", "Big must be a whole number"},
		{"{\"When\":\"noon\"}", "When: \"noon\" is no RFC 3339 time"},
		{"{\"Color\":\"green\"}", "Color: \"green\" is none of red, blue"},
		{"{\"Blob\":\"AAEC/w=x\"}", "JSON: Blob is not base64 (at character 7)"},
		{"{\"Blob\":\"A\"}", "JSON: Blob is not base64 (at character 1)"},
		{"{\"Args\":[\"a\",2]}", "Args[1] must be a string, not a number"},
		{"{\"Labels\":{\"k\":{}}}", "Labels.k must be a string, not an object"},
		{"{\"Leaves\":[{\"Name\":\"x\"},{\"Name\":3}]}", "Leaves[1].Name must be a string"},
		{"{\"Leaves\":[{}]}", "Leaves[0].Name is missing"},
		{"{\"Leaves\":[null]}", "Leaves[0].Name is missing"},
		{"{\"Leaves\":[{\"Name\":\"x\"},null]}", "Leaves[1].Name is missing"},
		{"{\"Named\":{\"k\":null}}", "Named.k.Name is missing"},
		{"{\"Bindings\":{\"80\":[null]}}", "Bindings.80[0].Name is missing"},
		{"{\"Named\":{\"k\":{\"Name\":true}}}", "Named.k.Name must be a string, not true"},
		{"{\"Bindings\":{\"80\":{}}}", "Bindings.80 must be a list, not an object"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct tree t = {0}, zero = {0};
		struct err e = ERR_INIT;
		int rc = json_read(&tree_table, bad[i].text, strlen(bad[i].text), &t, &e);

		assert_int_equal(rc, -EINVAL);
		if (!strstr(e.msg, bad[i].say))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, e.msg, bad[i].say);
		assert_memory_equal(&t, &zero, sizeof t);
	}
}

static void invalid_utf8_becomes_the_replacement_character(void **state)
{
	auto_buf out = BUF_INIT(1000);

	json_quote(&out, "a\xff\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80z\xe2\x82", 14);
	assert_string_equal(buf_text(&out),
			    "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
			    "\xef\xbf\xbd\xf0\x9f\x98\x80z\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void the_binary_form_keeps_all(void **state)
{
	struct tree t = {0}, back = {0}, copy;
	auto_buf out = BUF_INIT(100000);
	struct err e = ERR_INIT;

	read_full(&t);
	str_set(&t.hidden, "secret");
	assert_int_equal(tlv_write(&tree_table, &t, &out), 0);
	assert_ok(tlv_read(&tree_table, out.p, out.len, &back, &e), &e);
	assert_string_equal(back.hidden, "secret");
	assert_true(table_equal(&tree_table, &t, &back));
	assert_json(&back, full);
	table_copy(&tree_table, &copy, &t);
	assert_true(table_equal(&tree_table, &t, &copy));
	copy.leaves.v[1].weight++;
	assert_false(table_equal(&tree_table, &t, &copy));
	table_done(&tree_table, &t);
	table_done(&tree_table, &back);
	table_done(&tree_table, &copy);
}

static void an_empty_struct_takes_no_bytes(void **state)
{
	struct tree t = {0};
	auto_buf out = BUF_INIT(1000);

	assert_int_equal(tlv_write(&tree_table, &t, &out), 0);
	assert_int_equal(out.len, 0);
}

/* A struct of a later version: the old one must carry what it does not know. */
struct leaf2 {
	char *name;
	int64_t weight;
	char *color;
	double size;
	struct table_rest *rest;
};
static const struct field leaf2_fields[] = {
	FIELD_STR(struct leaf2, 1, name, "Name", 0),
	FIELD_I64(struct leaf2, 2, weight, "Weight", 0),
	FIELD_STR(struct leaf2, 3, color, "Color", 0),
	FIELD_DOUBLE(struct leaf2, 4, size, "Size", 0),
};
TABLE_DEFINE(leaf2, leaf2_fields, TABLE_REST(leaf2));

static void unknown_fields_are_kept(void **state)
{
	struct leaf2 new = {.weight = 3, .color = (char *)"red", .size = 1.5}, again = {0};
	struct tree holder = {0}, holder2 = {0};
	struct leaf old = {0};
	auto_buf out = BUF_INIT(1000), second = BUF_INIT(1000);
	struct err e = ERR_INIT;

	tlv_write(&leaf2_table, &new, &out);
	assert_ok(tlv_read(&leaf_table, out.p, out.len, &old, &e), &e);
	assert_int_equal(old.weight, 3);
	old.weight = 4;
	/* also through copies, and where the known part of an embedded struct is empty */
	old.weight = 0;
	table_copy(&leaf_table, &holder.inner, &old);
	assert_int_equal(tlv_write(&tree_table, &holder, &second), 0);
	assert_ok(tlv_read(&tree_table, second.p, second.len, &holder2, &e), &e);
	buf_reset(&out);
	tlv_write(&leaf_table, &holder2.inner, &out);
	assert_ok(tlv_read(&leaf2_table, out.p, out.len, &again, &e), &e);
	assert_string_equal(again.color, "red");
	assert_true(again.size == 1.5);
	table_done(&leaf_table, &old);
	table_done(&leaf2_table, &again);
	table_done(&tree_table, &holder);
	table_done(&tree_table, &holder2);
}

/* Cut anywhere and changed anywhere: an error or an object, never a crash, nothing leaked. */
static void damaged_bytes_do_no_harm(void **state)
{
	struct tree t = {0};
	auto_buf out = BUF_INIT(100000);
	uint32_t seed = 12345;

	read_full(&t);
	tlv_write(&tree_table, &t, &out);
	assert_true(out.len > 0);
	for (size_t i = 0; i < 20000; i++) {
		auto_free char *bytes = xmemdup(out.p, out.len);
		struct tree back = {0};
		size_t n = i < out.len ? i : out.len;

		for (int k = 0; i >= out.len && k < 3; k++) {
			seed = seed * 1664525 + 1013904223;
			bytes[(seed >> 8) % out.len] = (char)(seed >> 24);
		}
		if (tlv_read(&tree_table, bytes, n, &back, NULL) == 0)
			table_done(&tree_table, &back);
	}
	table_done(&tree_table, &t);
}

static void the_table_itself_is_sound(void **state)
{
	struct err e = ERR_INIT;

	assert_ok(table_check(&tree_table, &e), &e);
	assert_ok(table_check(&leaf2_table, &e), &e);
}

static void maps_keep_their_order(void **state)
{
	struct strmap m = {0};

	strmap_set(&m, "b", "2");
	strmap_set(&m, "a", "1");
	strmap_set(&m, "c", "3");
	strmap_set(&m, "b", "4");
	assert_int_equal(m.n, 3);
	assert_string_equal(m.v[0].key, "a");
	assert_string_equal(strmap_get(&m, "b"), "4");
	strmap_remove(&m, "a");
	strmap_remove(&m, "zz");
	assert_int_equal(m.n, 2);
	assert_null(strmap_get(&m, "a"));
	strmap_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json_comes_back_as_it_went),
		TEST(absent_and_empty),
		TEST(go_is_lenient_and_so_are_we),
		TEST(bad_json_names_the_member),
		TEST(invalid_utf8_becomes_the_replacement_character),
		TEST(the_binary_form_keeps_all),
		TEST(an_empty_struct_takes_no_bytes),
		TEST(unknown_fields_are_kept),
		TEST(damaged_bytes_do_no_harm),
		TEST(the_table_itself_is_sound),
		TEST(maps_keep_their_order),
	};

	return RUN_TESTS(tests);
}
