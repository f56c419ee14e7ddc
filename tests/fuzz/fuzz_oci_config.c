/*
 * config.json as shoal-oci and the shim read it, and everything that is worked out of it before a
 * container is made: options of mounts, capabilities, the seccomp filter, the group's path, the
 * environment, what hooks are told. What was read is what later code relies on, and it can be
 * written and read again as the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/caps.h"
#include "runtime/container/cgroup.h"
#include "runtime/container/hooks.h"
#include "runtime/container/mount.h"
#include "runtime/container/process.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/container/spec.h"
#include "runtime/oci/bundle.h"

#define WRITTEN_MAX (LIMIT_SPEC_JSON * 8) /* escapes make a text longer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What launch.c and init.c take for granted. */
static void check_promises(const struct spec *s)
{
	const struct spec_process *p = &s->process;

	assert(p->args.n && p->args.v[0][0] && p->cwd && p->cwd[0] == '/');
	assert(spec_has_namespace(s, "mount"));
	assert(p->user.umask == SPEC_UNSET || (p->user.umask >= 0 && p->user.umask <= 0777));
	assert(p->user.additional_gids.n <= LIMIT_GROUPS);
	for (size_t i = 0; i < p->rlimits.n; i++)
		assert(spec_rlimit_number(p->rlimits.v[i].type) >= 0);
	for (size_t i = 0; i < s->mounts.n; i++)
		assert(s->mounts.v[i].destination[0] == '/');
	for (size_t i = 0; i < s->linux_.devices.n; i++)
		assert(s->linux_.devices.v[i].path[0] == '/');
	for (size_t i = 0; i < s->linux_.uid_maps.n; i++)
		assert(s->linux_.uid_maps.v[i].host_id + s->linux_.uid_maps.v[i].size <=
		       (int64_t)UINT32_MAX);
	for (size_t i = 0; i < s->hooks.prestart.n; i++)
		assert(s->hooks.prestart.v[i].path[0] == '/');
}

static void try_mounts(const struct spec *s)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		struct mount_options o;

		if (mount_options_parse(&s->mounts.v[i], &o, NULL) == 0)
			mount_options_done(&o);
	}
}

/* It is put behind the root of each hierarchy. */
static void try_group(const struct spec *s)
{
	auto_free char *path = NULL;

	if (!s->linux_.cgroups_path || cgroup_path_clean(s->linux_.cgroups_path, &path, NULL) < 0)
		return;
	assert(path[0] == '/' && path[1] && !strstr(path, "/../") && !strstr(path, "//"));
}

static void try_filter(const struct spec *s)
{
	struct buf b = BUF_INIT(SECCOMP_BPF_MAX);
	unsigned int flags = 0;

	if (s->linux_.seccomp.default_action &&
	    seccomp_spec_compile(&s->linux_.seccomp, &b, &flags, NULL) == 0)
		assert(b.len && b.len % 8 == 0);
	buf_done(&b);
}

static void try_process(const struct spec *s)
{
	auto_free char **env = process_env(&s->process.env, NULL);
	struct cap_sets caps;
	size_t n = 0;

	while (env[n])
		n++;
	assert(n == s->process.env.n);
	if (cap_sets_parse(&s->process.capabilities, &caps, NULL) == 0)
		assert(!(caps.ambient >> 63));
}

static void try_hook_state(const struct spec *s)
{
	struct hook_state h = {
		.id = "fuzz", .bundle = "/b", .status = "creating", .pid = 1, .spec = s};
	struct buf b = BUF_INIT(WRITTEN_MAX);

	assert(hook_state_write(&h, &b) == 0);
	buf_done(&b);
}

/* The second reading writes the same bytes as the first. */
static void try_writing(const struct spec *s)
{
	struct buf first = BUF_INIT(WRITTEN_MAX), second = BUF_INIT(WRITTEN_MAX);
	struct spec again;

	assert(spec_write(s, &first) == 0);
	if (first.len <= LIMIT_SPEC_JSON) {
		assert(spec_parse(buf_text(&first), first.len, SPEC_STRICT, &again, NULL) == 0);
		assert(spec_write(&again, &second) == 0);
		assert(first.len == second.len && memcmp(first.p, second.p, first.len) == 0);
		spec_done(&again);
	}
	buf_done(&second);
	buf_done(&first);
}

static void try_config(const char *text, size_t n)
{
	struct spec s, loose;

	if (spec_parse(text, n, SPEC_STRICT, &s, NULL) < 0)
		return;
	/* Strictness refuses more, and reads nothing else. */
	assert(spec_parse(text, n, 0, &loose, NULL) == 0);
	spec_done(&loose);
	check_promises(&s);
	try_writing(&s);
	bundle_add_device_rules(&s);
	try_writing(&s);
	try_mounts(&s);
	try_group(&s);
	try_filter(&s);
	try_process(&s);
	try_hook_state(&s);
	spec_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct spec_resources r;
	struct spec_process p;

	try_config(text, size);
	if (spec_process_parse(text, size, &p, NULL) == 0)
		spec_process_done(&p);
	if (spec_resources_parse(text, size, &r, NULL) == 0)
		spec_resources_done(&r);
	return 0;
}
