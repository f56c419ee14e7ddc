/*
 * What a process has besides its user: scheduling, priority of input and output, personality, and
 * the label of a security module. Part of process.h; the names are those of runtime-spec 1.2.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/path.h"
#include "runtime/container/process.h"

/* Of a personality: what the kernel takes from set-user-ID programs as well. */
#define UNSAFE                                                                       \
	((unsigned int)(READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | \
			MMAP_PAGE_ZERO))

struct word {
	const char *name;
	unsigned int value;
};

static const struct word policies[] = {
	{"SCHED_OTHER", SCHED_NORMAL},
	{"SCHED_BATCH", SCHED_BATCH},
	{"SCHED_IDLE", SCHED_IDLE},
	{"SCHED_FIFO", SCHED_FIFO},
	{"SCHED_RR", SCHED_RR},
	{"SCHED_DEADLINE", SCHED_DEADLINE},
	{"SCHED_ISO", 4}, /* reserved: the kernel refuses it by itself */
};

static const struct word flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
	{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
};

static const struct word io_classes[] = {
	{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
	{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
	{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

static int find(const struct word *list, size_t n, const char *name, unsigned int *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) == 0) {
			*ret = list[i].value;
			return 0;
		}
	}
	return -EINVAL;
}

static int scheduler_parse(const struct spec_scheduler *s, struct sched_attr *ret, struct err *e)
{
	bool real_time;

	*ret = (struct sched_attr){.size = sizeof(*ret)};
	if (find(policies, ARRAY_LEN(policies), s->policy, &ret->sched_policy) < 0)
		return err_set(e, -EINVAL,
			       "config.json: process.scheduler.policy %.64s is not known",
			       s->policy);
	for (size_t i = 0; i < s->flags.n; i++) {
		unsigned int bit;

		if (find(flags, ARRAY_LEN(flags), s->flags.v[i], &bit) < 0)
			return err_set(e, -EINVAL,
				       "config.json: process.scheduler.flags: %.64s is not known",
				       s->flags.v[i]);
		ret->sched_flags |= bit;
	}
	real_time = ret->sched_policy == SCHED_FIFO || ret->sched_policy == SCHED_RR;
	if (s->nice != SPEC_UNSET && (s->nice < -20 || s->nice > 19))
		return err_set(e, -EINVAL, "config.json: process.scheduler.nice is out of range");
	if (s->priority != SPEC_UNSET && s->priority != 0 && !real_time)
		return err_set(e, -EINVAL,
			       "config.json: process.scheduler.priority is for SCHED_FIFO and "
			       "SCHED_RR alone");
	if ((s->runtime > 0 || s->deadline > 0 || s->period > 0) &&
	    ret->sched_policy != SCHED_DEADLINE)
		return err_set(e, -EINVAL,
			       "config.json: process.scheduler.runtime, deadline and period are "
			       "for SCHED_DEADLINE alone");
	ret->sched_nice = s->nice == SPEC_UNSET ? 0 : (int32_t)s->nice;
	ret->sched_priority = s->priority < 0 || s->priority > 99 ? 0 : (unsigned int)s->priority;
	ret->sched_runtime = (uint64_t)MAX_OF(s->runtime, 0);
	ret->sched_deadline = (uint64_t)MAX_OF(s->deadline, 0);
	ret->sched_period = (uint64_t)MAX_OF(s->period, 0);
	return 0;
}

static int io_priority_parse(const struct spec_io_priority *p, int *ret, struct err *e)
{
	unsigned int class_;

	if (find(io_classes, ARRAY_LEN(io_classes), p->class_, &class_) < 0)
		return err_set(e, -EINVAL,
			       "config.json: process.ioPriority.class %.64s is not known",
			       p->class_);
	if (p->priority != SPEC_UNSET && (p->priority < 0 || p->priority > 7))
		return err_set(e, -EINVAL,
			       "config.json: process.ioPriority.priority is out of range");
	*ret = (int)(class_ << IOPRIO_CLASS_SHIFT) |
	       (p->priority == SPEC_UNSET ? 0 : (int)p->priority);
	return 0;
}

int process_attrs_check(const struct spec_process *p, struct err *e)
{
	struct sched_attr attr;
	int value;
	int rc = p->scheduler.policy ? scheduler_parse(&p->scheduler, &attr, e) : 0;

	if (rc == 0 && p->io_priority.class_)
		rc = io_priority_parse(&p->io_priority, &value, e);
	if (rc == 0)
		rc = process_check_affinity(p->exec_affinity.initial, "initial", e);
	return rc < 0 ? rc : process_check_affinity(p->exec_affinity.final, "final", e);
}

/* A caller's flags that take protection from a program (no random addresses) end here. */
static int set_personality(const char *domain, struct err *e)
{
	unsigned int now = (unsigned int)personality(0xffffffff);
	unsigned int want = now & ~UNSAFE;

	if (domain)
		want = strcmp(domain, "LINUX32") == 0 ? PER_LINUX32 : PER_LINUX;
	if (want != now && personality(want) < 0)
		return err_sys(e, "cannot set linux.personality.domain %s",
			       domain ? domain : "(none)");
	return 0;
}

int process_set_attrs(const struct process *p, struct err *e)
{
	struct sched_attr attr;
	int value, rc;

	if (p->spec->scheduler.policy) {
		rc = scheduler_parse(&p->spec->scheduler, &attr, e);
		if (rc < 0)
			return rc;
		if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
			return err_sys(e, "cannot set process.scheduler (%s)",
				       p->spec->scheduler.policy);
	}
	if (p->spec->io_priority.class_) {
		rc = io_priority_parse(&p->spec->io_priority, &value, e);
		if (rc < 0)
			return rc;
		if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) < 0)
			return err_sys(e, "cannot set process.ioPriority (%s)",
				       p->spec->io_priority.class_);
	}
	return set_personality(p->personality, e);
}

static int write_label(int proc, const char *path, const char *text)
{
	auto_close int fd = path_open(proc, path, O_WRONLY, 0);
	size_t n = strlen(text);

	if (fd < 0)
		return fd;
	return write(fd, text, n) == (ssize_t)n ? 0 : -errno;
}

int process_set_labels(const struct process *p, int proc, struct err *e)
{
	const char *profile = p->spec->apparmor_profile, *label = p->spec->selinux_label;
	int rc;

	if (label && *label) {
		rc = write_label(proc, "self/attr/exec", label);
		if (rc < 0)
			return err_code(e, rc,
					"cannot set process.selinuxLabel %.128s: SELinux does not "
					"take it, or is not in this kernel",
					label);
	}
	if (profile && *profile) {
		auto_free char *text = xasprintf("exec %s", profile);

		rc = write_label(proc, "self/attr/apparmor/exec", text);
		if (rc < 0)
			return err_code(e, rc,
					"cannot set process.apparmorProfile %.128s: AppArmor does "
					"not take it, or is not in this kernel",
					profile);
	}
	return 0;
}
