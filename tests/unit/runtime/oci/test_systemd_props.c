/*
 * Limits of config.json as properties of systemd: names and values as they are sent.
 */
#include "unit/test.h"

#include <stdio.h>

#include "base/buf.h"
#include "runtime/container/spec.h"
#include "runtime/oci/bus.h"
#include "runtime/oci/systemd_props.h"

/* "Name=value " of all in the text: numbers, and sets as hexadecimal bytes. */
static const char *shown(const struct spec_resources *r)
{
	static char text[4096];
	struct buf b = BUF_INIT(4096);
	size_t at = 0, n = 0;

	text[0] = 0;
	systemd_put_resources(&b, r);
	assert_int_equal(buf_status(&b), 0);
	while (at < b.len) {
		const char *name, *type;

		at = bus_padded(at, 8);
		name = bus_get_str(&b, &at);
		type = bus_get_types(&b, &at);
		assert_non_null(name);
		assert_non_null(type);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=", name);
		if (*type == 't') {
			uint64_t v;

			at = bus_padded(at, 8);
			memcpy(&v, b.p + at, sizeof(v));
			at += sizeof(v);
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      v == UINT64_MAX ? "max " : "%llu ",
					      (unsigned long long)v);
		} else {
			uint32_t len;

			assert_string_equal(type, "ay");
			at = bus_padded(at, 4);
			len = bus_u32_at(b.p + at);
			at += 4;
			for (; len; len--)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x",
						      (unsigned char)b.p[at++]);
			n += (size_t)snprintf(text + n, sizeof(text) - n, " ");
		}
	}
	buf_done(&b);
	return text;
}

static void test_limits(void **state)
{
	CLEANUP(spec_done) struct spec s;
	struct spec_resources *r = &s.linux_.resources;

	spec_init(&s);
	assert_string_equal(shown(r), "");
	r->memory.limit = 1000;
	r->memory.swap = 1500;
	r->memory.reservation = 800;
	r->cpu.shares = 1024;
	r->cpu.quota = 50000;
	r->cpu.period = 200000;
	r->pids.limit = 9;
	r->block_io.weight = 1000;
	assert_string_equal(shown(r),
			    "MemoryMax=1000 MemoryLow=800 MemorySwapMax=500 CPUWeight=100 "
			    "CPUQuotaPerSecUSec=250000 CPUQuotaPeriodUSec=200000 "
			    "TasksMax=9 IOWeight=10000 ");
	r->memory.limit = r->memory.swap = r->pids.limit = r->cpu.quota = -1;
	r->memory.reservation = r->cpu.shares = r->cpu.period = r->block_io.weight = SPEC_UNSET;
	assert_string_equal(shown(r), "MemoryMax=max MemorySwapMax=max CPUQuotaPerSecUSec=max "
				      "TasksMax=max ");
}

static void test_sets(void **state)
{
	CLEANUP(spec_done) struct spec s;
	struct spec_cpu *c = &s.linux_.resources.cpu;

	spec_init(&s);
	str_set(&c->cpus, "0-2,7,8");
	str_set(&c->mems, "0");
	assert_string_equal(shown(&s.linux_.resources), "AllowedCPUs=8701 AllowedMemoryNodes=01 ");
	/* What is none, or more than there can be, is refused where it is set. */
	for (const char **p = (const char *[]){"x", "3-1", "1;2", "8192", "-1", "1-", NULL}; *p;
	     p++) {
		str_set(&c->cpus, *p);
		assert_string_equal(shown(&s.linux_.resources), "AllowedMemoryNodes=01 ");
	}
	str_set(&c->mems, NULL);
	str_set(&c->cpus, "8191");
	assert_int_equal(strlen(shown(&s.linux_.resources)), strlen("AllowedCPUs= ") + 2048);
}

static void test_unified(void **state)
{
	CLEANUP(spec_done) struct spec s;
	struct spec_pairs *u = &s.linux_.resources.unified;

	spec_init(&s);
	spec_pairs_add(u, "memory.high", "4096\n");
	spec_pairs_add(u, "pids.max", "max");
	spec_pairs_add(u, "cpuset.cpus", "1");
	spec_pairs_add(u, "memory.oom.group", "1");
	spec_pairs_add(u, "cpu.weight", "default 3");
	assert_string_equal(shown(&s.linux_.resources),
			    "MemoryHigh=4096 TasksMax=max AllowedCPUs=02 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_limits), TEST(test_sets), TEST(test_unified)};

	return RUN_TESTS(tests);
}
