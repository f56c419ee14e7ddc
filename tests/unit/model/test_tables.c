/*
 * Every stored table is sound, and its numbers are those of the checked-in list: a number that was
 * released is never given to another field. A new field adds its line to field_numbers.txt.
 */
#include "unit/test.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/join.h"
#include "model/object.h"
#include "model/service.h"
#include "model/session.h"

/* What travels between nodes of different versions, besides the kinds. */
static const struct table *const messages[] = {
	&session_open_table,
	&session_welcome_table,
	&session_status_table,
	&join_request_table,
	&data_request_table,
	&data_ticket_table,
	&data_entry_table,
	&join_answer_table,
	&session_taken_table,
	&session_assign_table,
	&session_peers_table,
	&session_secret_table,
	&session_cert_request_table,
	&session_cert_table,
	&data_exec_table,
	&data_exit_table,
	&session_measure_table,
	&session_measured_table,
	&autoscale_view_table,
};

static void tables_are_sound(void **state)
{
	for (int kind = 1; kind < KIND_MAX; kind++) {
		struct err e = ERR_INIT;

		assert_non_null(object_table((enum object_kind)kind));
		assert_ok(table_check(object_table((enum object_kind)kind), &e), &e);
	}
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		struct err e = ERR_INIT;

		assert_ok(table_check(messages[i], &e), &e);
	}
}

/* "service_spec 1 Name 8": table, number, name where it has one, type. */
static void numbers_list(const struct table *t, struct strs *ret)
{
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct field *f = &t->fields[i];
		auto_free char *line = xasprintf("%s %u %s %u", t->name, f->number,
						 f->json ? f->json : "-", f->type);

		if (!f->number || strs_has(ret, line))
			continue;
		strs_add(ret, line);
		if (f->sub)
			numbers_list(f->sub, ret);
	}
}

static void numbers_are_never_used_again(void **state)
{
	struct strs have = {0}, want = {0};
	auto_buf text = BUF_INIT(1 << 20);
	char *at, *line;

	for (int kind = 1; kind < KIND_MAX; kind++) {
		auto_free char *row =
			xasprintf("kind %d %s", kind, object_kind_name((enum object_kind)kind));

		strs_add(&have, row);
		numbers_list(object_table((enum object_kind)kind), &have);
	}
	for (size_t i = 0; i < ARRAY_LEN(messages); i++)
		numbers_list(messages[i], &have);
	assert_int_equal(file_read_at(AT_FDCWD, TEST_DIR "/field_numbers.txt", &text), 0);
	for (at = text.p; (line = strsep(&at, "\n"));)
		if (*line)
			strs_add(&want, line);
	STRS_EACH (row, &have)
		if (!strs_has(&want, row))
			fail_msg("not in field_numbers.txt: %s", row);
	STRS_EACH (row, &want)
		if (!strs_has(&have, row))
			fail_msg("released, but gone or changed: %s", row);
	strs_done(&have);
	strs_done(&want);
}

/* An object of a kind that only a later version knows passes through unharmed. */
static void unknown_kinds_are_kept(void **state)
{
	struct object *o = object_new(KIND_SERVICE, "0123456789abcdefghijklmno", 5), *opaque, *back;
	auto_buf first = BUF_INIT(10000), second = BUF_INIT(10000);
	struct err e = ERR_INIT;

	str_set(&((struct service *)o)->spec.name, "web");
	tlv_write(object_table(KIND_SERVICE), o, &first);
	opaque = xcalloc(1, object_table(KIND_MAX)->size);
	assert_ok(tlv_read(object_table(KIND_MAX), first.p, first.len, opaque, &e), &e);
	opaque->kind = KIND_MAX;
	assert_string_equal(opaque->id, o->id);
	back = object_clone(opaque);
	tlv_write(object_table(KIND_MAX), back, &second);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.p, second.p, first.len);
	object_free(o);
	object_free(opaque);
	object_free(back);
}

static void objects_survive_both_forms(void **state)
{
	for (int kind = 1; kind < KIND_MAX; kind++) {
		struct object *o =
			object_new((enum object_kind)kind, "0123456789abcdefghijklmno", 5);
		const struct table *t = object_table((enum object_kind)kind);
		auto_buf bytes = BUF_INIT(10000), json = BUF_INIT(10000);
		struct object *back = xcalloc(1, t->size);
		struct err e = ERR_INIT;

		assert_int_equal(tlv_write(t, o, &bytes), 0);
		assert_ok(tlv_read(t, bytes.p, bytes.len, back, &e), &e);
		assert_true(table_equal(t, o, back));
		assert_int_equal(json_write(t, o, &json), 0);
		object_free(o);
		table_free(t, back);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tables_are_sound),
		TEST(numbers_are_never_used_again),
		TEST(unknown_kinds_are_kept),
		TEST(objects_survive_both_forms),
	};

	return RUN_TESTS(tests);
}
