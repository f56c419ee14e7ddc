/*
 * The processors that a further process may use (execCPUAffinity). A file of its own because libc's
 * sched.h, which has the sets, and the kernel's headers of process_attrs.c exclude each other.
 * Part of process.h.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/container/process.h"

/* "0-2,7" as a set: -EINVAL for what is none, and for an empty one. */
static int affinity_parse(const char *text, cpu_set_t *ret)
{
	const char *p = text;

	CPU_ZERO(ret);
	do {
		size_t n = strspn(p, "0123456789");
		unsigned long from = strtoul(p, NULL, 10), to = from;

		p += n;
		if (n && n < 5 && *p == '-') {
			n = strspn(++p, "0123456789");
			to = strtoul(p, NULL, 10);
			p += n;
		}
		if (!n || n > 4 || from > to || to >= CPU_SETSIZE || (*p && *p != ','))
			return -EINVAL;
		for (; from <= to; from++)
			CPU_SET(from, ret);
	} while (*p++);
	return 0;
}

int process_check_affinity(const char *text, const char *name, struct err *e)
{
	cpu_set_t set;

	if (!text || affinity_parse(text, &set) == 0)
		return 0;
	return err_set(e, -EINVAL,
		       "config.json: process.execCPUAffinity.%s must be a list like 0-2,7 of "
		       "numbers below %d, and %.64s is not",
		       name, CPU_SETSIZE, text);
}

int process_set_affinity(const char *text, struct err *e)
{
	cpu_set_t set;

	if (!text || affinity_parse(text, &set) < 0)
		return 0; /* checked when it was read */
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return err_sys(e, "cannot set process.execCPUAffinity to %s", text);
	return 0;
}
