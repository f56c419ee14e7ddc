/*
 * What the container runtime reads from others: an image's passwd and group, config.json with
 * its seccomp policy, shim.json, process.json, frames of a shim's client, output for the log. The
 * first byte chooses.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "runtime/container/json_log.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/shim_config.h"
#include "runtime/container/shim_proto.h"
#include "runtime/container/spec.h"
#include "runtime/container/user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_users(const char *text, size_t n)
{
	size_t half = n / 2;
	struct user_info u;

	/* A number is itself, whatever the files say. */
	if (user_resolve_text(text, half, text + half, n - half, "1234:77", NULL, &u, NULL) == 0) {
		assert(u.uid == 1234 && u.gid == 77);
		user_info_done(&u);
	}
	if (user_resolve_text(text, half, text + half, n - half, "web", NULL, &u, NULL) == 0)
		user_info_done(&u);
}

/* Any policy that was read compiles to whole instructions, or is refused. */
static void try_filter(const struct spec *s)
{
	struct buf b = BUF_INIT(SECCOMP_BPF_MAX);
	unsigned int flags = 0;

	if (s->linux_.seccomp.default_action &&
	    seccomp_spec_compile(&s->linux_.seccomp, &b, &flags, NULL) == 0)
		assert(b.len && b.len % 8 == 0);
	buf_done(&b);
}

/* What was read can be written and read again. */
static void try_documents(const char *text, size_t n)
{
	struct buf b = BUF_INIT(LIMIT_SPEC_JSON * 2);
	struct spec_resources r;
	struct spec_process p;
	struct shim_config c;
	struct spec s, t;

	if (spec_parse(text, n, 0, &s, NULL) == 0) {
		assert(spec_write(&s, &b) == 0);
		assert(spec_parse(buf_text(&b), b.len, SPEC_STRICT, &t, NULL) == 0);
		spec_done(&t);
		try_filter(&s);
		spec_done(&s);
	}
	if (shim_config_parse(text, n, &c, NULL) == 0)
		shim_config_done(&c);
	if (spec_process_parse(text, n, &p, NULL) == 0)
		spec_process_done(&p);
	if (spec_resources_parse(text, n, &r, NULL) == 0)
		spec_resources_done(&r);
	buf_done(&b);
}

static void try_frames(const uint8_t *data, size_t n)
{
	struct shim_parser p;
	struct shim_frame f;

	shim_parser_init(&p);
	while (n) {
		size_t step = n < LIMIT_SHIM_READ ? n : LIMIT_SHIM_READ;

		if (shim_parser_feed(&p, data, step) < 0)
			break;
		while (shim_parser_next(&p, &f) == 1) {
			struct shim_state st;
			struct shim_error se;
			uint32_t v[4];

			(void)shim_get_state(&f, &st, v);
			(void)shim_get_error(&f, &se);
			(void)shim_get_u32s(&f, v, 4);
		}
		data += step;
		n -= step;
	}
	shim_parser_done(&p);
}

static void try_log(const char *text, size_t n)
{
	struct buf b = BUF_INIT(LIMIT_LOG_PIECE * 6 + 256);

	json_log_line(&b, "stdout", text, n < LIMIT_LOG_PIECE ? n : LIMIT_LOG_PIECE, true, 0);
	assert(buf_status(&b) == 0);
	for (size_t i = 0; i + 1 < b.len; i++)
		assert((unsigned char)b.p[i] >= 0x20);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		try_users((const char *)data + 1, size - 1);
		break;
	case 1:
		try_documents((const char *)data + 1, size - 1);
		break;
	case 2:
		try_frames(data + 1, size - 1);
		break;
	default:
		try_log((const char *)data + 1, size - 1);
		break;
	}
	return 0;
}
