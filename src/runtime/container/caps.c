/*
 * Capabilities: see caps.h. The raw system calls are used, not libcap: the shim has few parts.
 */
#include "runtime/container/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

int cap_number(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i] + 4, name) == 0)
			return (int)i;
	return -EINVAL;
}

const char *cap_name_of(int number)
{
	return number >= 0 && number < (int)ARRAY_LEN(names) ? names[number] : NULL;
}

int caps_parse(const struct spec_strs *list, uint64_t *ret, struct err *e)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < list->n; i++) {
		int n = cap_number(list->v[i]);

		if (n < 0)
			return err_set(e, -EINVAL, "unknown capability: %.64s", list->v[i]);
		bits |= CAP_BIT(n);
	}
	*ret = bits;
	return 0;
}

uint64_t caps_all(void)
{
	uint64_t bits = 0;

	for (int i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		bits |= CAP_BIT(i);
	return bits;
}

int cap_sets_parse(const struct spec_capabilities *c, struct cap_sets *ret, struct err *e)
{
	struct cap_sets s;
	int rc = caps_parse(&c->bounding, &s.bounding, e);

	if (rc == 0)
		rc = caps_parse(&c->effective, &s.effective, e);
	if (rc == 0)
		rc = caps_parse(&c->inheritable, &s.inheritable, e);
	if (rc == 0)
		rc = caps_parse(&c->permitted, &s.permitted, e);
	if (rc == 0)
		rc = caps_parse(&c->ambient, &s.ambient, e);
	if (rc < 0)
		return err_wrap(e, "config.json: process.capabilities");
	*ret = s;
	return 0;
}

int cap_sets_limit(const struct cap_sets *s, struct err *e)
{
	for (int i = 0; i < 64; i++) {
		if (s->bounding & CAP_BIT(i))
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL) /* past the last one of this kernel */
			return 0;
		return err_sys(e, "cannot drop %s from the bounding set",
			       cap_name_of(i) ? cap_name_of(i) : "a capability");
	}
	return 0;
}

/* What the runtime itself does not have cannot be given: it is left out, as Docker does. */
static uint64_t caps_held(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};

	if (syscall(SYS_capget, &h, d) < 0)
		return 0;
	return d[0].permitted | (uint64_t)d[1].permitted << 32;
}

int cap_sets_apply(const struct cap_sets *s, struct err *e)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	uint64_t held = caps_held();
	uint64_t permitted = s->permitted & held;
	uint64_t effective = s->effective & permitted;
	uint64_t inheritable = s->inheritable & (held | s->bounding);

	for (int i = 0; i < 2; i++) {
		d[i].permitted = (uint32_t)(permitted >> (32 * i));
		d[i].effective = (uint32_t)(effective >> (32 * i));
		d[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &h, d) < 0)
		return err_sys(e, "cannot set the capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_sys(e, "cannot clear the ambient capabilities");
	for (int i = 0; i < 64; i++) {
		if (!(s->ambient & permitted & inheritable & CAP_BIT(i)))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return err_sys(e, "cannot raise %s as ambient", cap_name_of(i));
	}
	return 0;
}
