/*
 * cli/container_spec.h and cli/demux.h: flags as the API's body, and frames cut anywhere.
 */
#include "unit/test.h"

#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container_spec.h"
#include "cli/demux.h"

static const struct command *command(const char *path)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (strcmp(cli_commands[i].path, path) == 0)
			return &cli_commands[i];
	fail_msg("no command %s", path);
	return NULL;
}

/* The body that the words make, read back; or the refusal's sentence in `ret_why`. */
static json_t *body_of(char **words, int n, struct err *ret_why)
{
	const struct command *run = command("run");
	struct container_create spec = {0};
	auto_buf body = BUF_INIT(LIMIT_JSON_BODY);
	struct flags f;
	json_t *v = NULL;

	assert_int_equal(flags_parse(run->flags, run->n_flags, true, n, words, &f, ret_why), 0);
	if (container_spec_fill(&f, true, &spec, ret_why) == 0) {
		assert_int_equal(container_create_write(&spec, &body), 0);
		v = json_loadb(buf_text(&body), body.len, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(v);
	}
	container_create_done(&spec);
	flags_done(&f);
	return v;
}

#define BODY(...)                                                        \
	({                                                               \
		const char *words_[] = {__VA_ARGS__};                    \
		struct err why_ = ERR_INIT;                              \
		body_of((char **)words_, (int)ARRAY_LEN(words_), &why_); \
	})

#define REFUSED(part, ...)                                                            \
	do {                                                                          \
		const char *words_[] = {__VA_ARGS__};                                 \
		struct err why_ = ERR_INIT;                                           \
		assert_null(body_of((char **)words_, (int)ARRAY_LEN(words_), &why_)); \
		assert_int_equal(why_.code, -EINVAL);                                 \
		assert_non_null(strstr(why_.msg, part));                              \
	} while (0)

static const char *text_at(json_t *v, const char *a, const char *b)
{
	json_t *inner = b ? json_object_get(json_object_get(v, a), b) : json_object_get(v, a);

	return json_string_value(inner);
}

static void flags_become_a_body(void **state)
{
	json_t *v = BODY("-i", "-p", "127.0.0.1:8080:80/udp", "-p", "81", "-v", "/a:/b:ro", "-v",
			 "/anonymous", "--tmpfs", "/t:size=1m", "--restart", "on-failure:3",
			 "--network", "back", "--network-alias", "me", "-m", "64m", "-e", "A=1",
			 "-e", "A=2", "image", "cmd", "-x");
	json_t *host = json_object_get(v, "HostConfig");
	json_t *bound = json_object_get(json_object_get(host, "PortBindings"), "80/udp");
	json_t *restart = json_object_get(host, "RestartPolicy");
	json_t *env = json_object_get(v, "Env");

	assert_string_equal(text_at(v, "Image", NULL), "image");
	assert_int_equal(json_array_size(json_object_get(v, "Cmd")), 2);
	assert_true(json_is_true(json_object_get(v, "OpenStdin")));
	assert_true(json_is_true(json_object_get(v, "StdinOnce")));
	assert_string_equal(text_at(json_array_get(bound, 0), "HostIp", NULL), "127.0.0.1");
	assert_string_equal(text_at(json_array_get(bound, 0), "HostPort", NULL), "8080");
	assert_non_null(json_object_get(json_object_get(v, "ExposedPorts"), "81/tcp"));
	assert_non_null(json_object_get(json_object_get(v, "Volumes"), "/anonymous"));
	assert_int_equal(json_array_size(json_object_get(host, "Binds")), 1);
	assert_string_equal(text_at(host, "Tmpfs", "/t"), "size=1m");
	assert_string_equal(text_at(restart, "Name", NULL), "on-failure");
	assert_int_equal(json_integer_value(json_object_get(restart, "MaximumRetryCount")), 3);
	assert_string_equal(text_at(host, "NetworkMode", NULL), "back");
	assert_int_equal(json_integer_value(json_object_get(host, "Memory")), 64 << 20);
	assert_int_equal(json_array_size(env), 1);
	assert_string_equal(json_string_value(json_array_get(env, 0)), "A=2");
	assert_non_null(json_object_get(
		json_object_get(json_object_get(v, "NetworkingConfig"), "EndpointsConfig"),
		"back"));
	json_decref(v);
}

static void what_makes_no_sense_is_refused(void **state)
{
	REFUSED("invalid port 80-90", "-p", "80-90", "image");
	REFUSED("invalid restart policy", "--restart", "on-failure:x", "image");
	REFUSED("--restart and --rm", "--rm", "--restart", "always", "image");
	REFUSED("only one --network", "--network", "a", "--network", "b", "image");
	REFUSED("--memory-swap", "--memory-swap", "lots", "image");
}

static void frames_are_put_together_wherever_they_are_cut(void **state)
{
	static const uint8_t bytes[] = {1, 0, 0, 0, 0, 0, 0,   3,   'o', 'n', 'e', 2,  0,
					0, 0, 0, 0, 0, 2, 'n', 'o', 1,   0,   0,   0,  0,
					0, 0, 0, 1, 0, 0, 0,   0,   0,   0,   1,   '!'};

	for (size_t cut = 0; cut <= sizeof bytes; cut++) {
		char *out = NULL, *err = NULL;
		size_t n_out, n_err;
		struct demux d = {.out = open_memstream(&out, &n_out),
				  .err = open_memstream(&err, &n_err)};
		struct err e = ERR_INIT;

		assert_int_equal(demux_take(&d, bytes, cut, &e), 0);
		assert_int_equal(demux_take(&d, bytes + cut, sizeof bytes - cut, &e), 0);
		(void)fclose(d.out);
		(void)fclose(d.err);
		assert_string_equal(out, "one!");
		assert_string_equal(err, "no");
		free(out);
		free(err);
	}
}

static void what_is_no_frame_is_an_error(void **state)
{
	struct demux d = {.out = stdout, .err = stderr};
	struct err e = ERR_INIT;

	assert_int_equal(demux_take(&d, "HTTP/1.1 200 OK", 15, &e), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_become_a_body),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(frames_are_put_together_wherever_they_are_cut),
		cmocka_unit_test(what_is_no_frame_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
