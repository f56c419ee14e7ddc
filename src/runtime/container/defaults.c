/*
 * Docker's defaults as data: see defaults.h.
 */
#include "runtime/container/defaults.h"

#include <stddef.h>

#include "base/mem.h"

static const struct default_mount mounts[] = {
	{"/proc", "proc", "proc", "nosuid,noexec,nodev"},
	{"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
	{"/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	{"/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"},
	{"/sys/fs/cgroup", "cgroup", "cgroup", "ro,nosuid,noexec,nodev"},
	{"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
	{"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=67108864"},
	{NULL, NULL, NULL, NULL},
};

static const char *const masked_paths[] = {
	"/proc/asound",
	"/proc/acpi",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
	NULL,
};

static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static const char *const capabilities[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_FSETID",
	"CAP_FOWNER",
	"CAP_MKNOD",
	"CAP_NET_RAW",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETFCAP",
	"CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT",
	"CAP_KILL",
	"CAP_AUDIT_WRITE",
	NULL,
};

static const char *const namespaces[] = {"mount", "network", "uts", "pid", "ipc", "cgroup", NULL};

static const struct default_device_rule device_rules[] = {
	{false, 'a', -1, -1, "rwm"}, {true, 'c', -1, -1, "m"}, /* nodes may be made, not opened */
	{true, 'b', -1, -1, "m"},    {true, 'c', 1, 3, "rwm"}, /* null */
	{true, 'c', 1, 5, "rwm"},                              /* zero */
	{true, 'c', 1, 7, "rwm"},                              /* full */
	{true, 'c', 5, 0, "rwm"},                              /* tty */
	{true, 'c', 5, 1, "rwm"},                              /* console */
	{true, 'c', 5, 2, "rwm"},                              /* ptmx */
	{true, 'c', 1, 8, "rwm"},                              /* random */
	{true, 'c', 1, 9, "rwm"},                              /* urandom */
	{true, 'c', 136, -1, "rwm"},                           /* pts/N */
	{false, 0, 0, 0, NULL},
};

const struct container_defaults container_defaults = {
	.mounts = mounts,
	.masked_paths = masked_paths,
	.readonly_paths = readonly_paths,
	.capabilities = capabilities,
	.namespaces = namespaces,
	.device_rules = device_rules,
	.path_env = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	.shm_size = 64 << 20,
};

void spec_set_capabilities(struct spec *s, const char *const *caps)
{
	struct spec_capabilities *c = &s->process.capabilities;

	spec_strs_done(&c->bounding);
	spec_strs_done(&c->effective);
	spec_strs_done(&c->inheritable);
	spec_strs_done(&c->permitted);
	spec_strs_done(&c->ambient);
	for (; *caps; caps++) {
		spec_strs_add(&c->bounding, *caps);
		spec_strs_add(&c->effective, *caps);
		spec_strs_add(&c->permitted, *caps);
	}
	s->process.has_capabilities = true;
}

void spec_set_defaults(struct spec *s)
{
	spec_init(s);
	s->oci_version = xstrdup(SPEC_OCI_VERSION);
	s->process.cwd = xstrdup("/");
	for (const struct default_mount *m = mounts; m->destination; m++)
		spec_add_mount(s, m->destination, m->type, m->source, m->options);
	for (const char *const *p = masked_paths; *p; p++)
		spec_strs_add(&s->linux_.masked_paths, *p);
	for (const char *const *p = readonly_paths; *p; p++)
		spec_strs_add(&s->linux_.readonly_paths, *p);
	for (const char *const *p = namespaces; *p; p++)
		spec_add_namespace(s, *p, NULL);
	for (const struct default_device_rule *d = device_rules; d->type; d++)
		spec_add_device_rule(s, d->allow, d->type, d->major < 0 ? SPEC_UNSET : d->major,
				     d->minor < 0 ? SPEC_UNSET : d->minor, d->access);
	spec_set_capabilities(s, capabilities);
}
