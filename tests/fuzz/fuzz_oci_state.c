/*
 * state.json of shoal-oci: what was read can be written and is read again as the same; and ids as
 * users give them.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "runtime/oci/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void try_record(const char *text, size_t n)
{
	struct buf b = BUF_INIT(LIMIT_OCI_STATE * 8);
	struct oci_record r, again;

	if (oci_record_parse(text, n, &r, NULL) < 0)
		return;
	assert(r.pid == SPEC_UNSET || (r.pid >= 0 && r.pid <= INT32_MAX));
	assert(!r.cgroup || (r.cgroup[0] == '/' && r.cgroup[1]));
	assert(oci_record_write(&r, &b) == 0);
	assert(oci_record_parse(buf_text(&b), b.len, &again, NULL) == 0);
	assert(same(r.id, again.id) && same(r.cgroup, again.cgroup) &&
	       same(r.bundle, again.bundle));
	assert(r.pid == again.pid && r.start_time == again.start_time);
	assert(r.annotations.n == again.annotations.n);
	oci_record_done(&again);
	oci_record_done(&r);
	buf_done(&b);
}

static void try_id(const char *text, size_t n)
{
	auto_free char *id = xstrndup(text, n);

	/* It is the name of a folder. */
	if (oci_check_id(id, NULL) == 0)
		assert(*id && !strchr(id, '/') && strcmp(id, ".") != 0 && strcmp(id, "..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > LIMIT_OCI_STATE)
		return 0;
	try_record((const char *)data, size);
	try_id((const char *)data, size);
	return 0;
}
