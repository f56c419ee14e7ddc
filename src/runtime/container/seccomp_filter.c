/*
 * Compiling policies to BPF: see seccomp_filter.h. Before libseccomp's program stands a short one
 * of our own, for the native architecture: calls that libseccomp is too old to know by name, and
 * ENOSYS instead of EPERM for calls younger than the policy, since libc falls back to older
 * calls on ENOSYS alone.
 */
#include "runtime/container/seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/seccomp_table.h"

#define YOUNG_MAX 64
#define X32_BIT 0x40000000

struct compiler {
	scmp_filter_ctx ctx;
	struct {
		int nr;
		uint32_t action;
	} young[YOUNG_MAX]; /* calls that libseccomp does not know */
	size_t young_n;
	int last; /* the highest number that the policy names */
};

static unsigned int native_bit(void)
{
	switch (seccomp_arch_native()) {
	case SCMP_ARCH_X86_64:
		return SECCOMP_ON_AMD64;
	case SCMP_ARCH_AARCH64:
		return SECCOMP_ON_ARM64;
	case SCMP_ARCH_PPC64LE:
		return SECCOMP_ON_PPC64LE;
	case SCMP_ARCH_S390X:
		return SECCOMP_ON_S390X;
	case SCMP_ARCH_RISCV64:
		return SECCOMP_ON_RISCV64;
	default:
		return 0;
	}
}

static void compiler_done(struct compiler *c)
{
	if (c->ctx)
		seccomp_release(c->ctx);
}

static int compiler_init(struct compiler *c, uint32_t default_action, struct err *e)
{
	memset(c, 0, sizeof(*c));
	c->ctx = seccomp_init(default_action);
	if (!c->ctx)
		return err_set(e, -EINVAL, "seccomp: the default action is not usable");
	/* A sorted tree costs each call of the container some 9 comparisons instead of 300. */
	if (seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0 ||
	    seccomp_attr_set(c->ctx, SCMP_FLTATR_CTL_NNP, 0) < 0)
		return err_set(e, -ENOSYS, "seccomp: this libseccomp is too old");
	return 0;
}

/* Adds one name with its conditions. Unknown names are passed over, as every runtime does. */
static int add_name(struct compiler *c, const char *name, uint32_t action,
		    const struct scmp_arg_cmp *args, unsigned int n_args, struct err *e)
{
	int nr = seccomp_syscall_resolve_name(name);
	int rc;

	if (nr == __NR_SCMP_ERROR) {
		for (const struct seccomp_young *y = seccomp_young; y->name; y++) {
			if (strcmp(y->name, name) != 0 || !(y->arches & native_bit()))
				continue;
			c->last = MAX_OF(c->last, y->nr);
			/* Allowed by a condition it is refused; refused by one it must be. */
			if (n_args && action == SCMP_ACT_ALLOW)
				continue;
			if (c->young_n == YOUNG_MAX)
				return err_set(e, -E2BIG, "seccomp: too many rules for new calls");
			c->young[c->young_n].nr = y->nr;
			c->young[c->young_n++].action = action;
		}
		return 0;
	}
	c->last = MAX_OF(c->last, nr & ~X32_BIT);
	rc = seccomp_rule_add_array(c->ctx, action, nr, n_args, args);
	/* The action may equal the default one, and a rule may be there already. */
	if (rc < 0 && rc != -EACCES && rc != -EEXIST)
		return err_code(e, rc, "seccomp: cannot add a rule for %s", name);
	return 0;
}

static void put(struct buf *b, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	struct sock_filter f = {.code = code, .jt = jt, .jf = jf, .k = k};

	buf_add(b, &f, sizeof(f));
}

/*
 * SCMP_ARCH_* are the kernel's AUDIT_ARCH_* for all but x32, which has x86-64's and a bit in the
 * number.
 */
static void put_prologue(const struct compiler *c, bool enosys, struct buf *ret)
{
	uint8_t n = (uint8_t)c->young_n;

	put(ret, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	put(ret, BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, (uint8_t)(2 * n + 4));
	put(ret, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	/* SCMP_ACT_* are the kernel's SECCOMP_RET_*. */
	for (uint8_t i = 0; i < n; i++) {
		put(ret, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->young[i].nr, 0, 1);
		put(ret, BPF_RET | BPF_K, c->young[i].action, 0, 0);
	}
	put(ret, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0);
	put(ret, BPF_JMP | BPF_JGT | BPF_K, enosys ? (uint32_t)c->last : UINT32_MAX, 0, 1);
	put(ret, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
}

static int export(struct compiler *c, bool enosys, struct buf *ret, struct err *e)
{
	auto_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, "seccomp: cannot make a memory file");
	rc = seccomp_export_bpf(c->ctx, fd);
	if (rc < 0)
		return err_code(e, rc, "seccomp: cannot compile the filter");
	put_prologue(c, enosys, ret);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "seccomp: cannot read the compiled filter");
	rc = file_read_fd(fd, ret);
	if (rc < 0 || ret->len % sizeof(struct sock_filter))
		return err_set(e, -E2BIG, "seccomp: the filter is larger than the kernel takes");
	return 0;
}

static int add_arch(struct compiler *c, uint32_t arch, struct err *e)
{
	int rc = seccomp_arch_add(c->ctx, arch);

	if (rc < 0 && rc != -EEXIST)
		return err_code(e, rc, "seccomp: cannot add an architecture");
	return 0;
}

static int add_default_arches(struct compiler *c, struct err *e)
{
	int rc = 0;

	if (native_bit() == SECCOMP_ON_AMD64) {
		rc = add_arch(c, SCMP_ARCH_X86, e);
		if (rc == 0)
			rc = add_arch(c, SCMP_ARCH_X32, e);
	} else if (native_bit() == SECCOMP_ON_ARM64) {
		rc = add_arch(c, SCMP_ARCH_ARM, e);
	} else if (native_bit() == SECCOMP_ON_S390X) {
		rc = add_arch(c, SCMP_ARCH_S390, e);
	}
	return rc;
}

static int add_default_rule(struct compiler *c, const struct seccomp_rule *r, struct err *e)
{
	struct scmp_arg_cmp arg = {.arg = r->arg.index,
				   .op = r->arg.op,
				   .datum_a = r->arg.value,
				   .datum_b = r->arg.value_two};
	uint32_t action =
		r->refuse_errno ? SCMP_ACT_ERRNO((uint16_t)r->refuse_errno) : SCMP_ACT_ALLOW;
	const char *p = r->names;

	while (*p) {
		size_t n = strcspn(p, " ");
		char name[64];
		int rc;

		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		rc = add_name(c, name, action, &arg, r->arg.op ? 1 : 0, e);
		if (rc < 0)
			return rc;
		p += n + (p[n] == ' ');
	}
	return 0;
}

int seccomp_default_compile(uint64_t caps, struct buf *ret, struct err *e)
{
	CLEANUP(compiler_done) struct compiler c;
	int rc = compiler_init(&c, SCMP_ACT_ERRNO(EPERM), e);

	if (rc == 0)
		rc = add_default_arches(&c, e);
	for (const struct seccomp_rule *r = seccomp_default_rules; rc == 0 && r->names; r++) {
		if ((r->caps && !(r->caps & caps)) || (r->without_caps & caps) ||
		    !(r->arches & native_bit()))
			continue;
		rc = add_default_rule(&c, r, e);
	}
	return rc < 0 ? rc : export(&c, true, ret, e);
}

static const char *const action_names[] = {
	"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
	"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
	"SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP",
};

static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE},
	{"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	{"SCMP_CMP_NE", SCMP_CMP_NE},
};

static const char *const arch_names[] = {
	"SCMP_ARCH_AARCH64",   "SCMP_ARCH_ARM",      "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",
	"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",   "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
	"SCMP_ARCH_PARISC",    "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC",      "SCMP_ARCH_PPC64",
	"SCMP_ARCH_PPC64LE",   "SCMP_ARCH_RISCV64",  "SCMP_ARCH_S390",     "SCMP_ARCH_S390X",
	"SCMP_ARCH_X32",       "SCMP_ARCH_X86",      "SCMP_ARCH_X86_64",
};

static const struct {
	const char *name;
	unsigned int flag;
} filter_flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

const char *seccomp_action_name(size_t i)
{
	return i < ARRAY_LEN(action_names) ? action_names[i] : NULL;
}

const char *seccomp_operator_name(size_t i)
{
	return i < ARRAY_LEN(operators) ? operators[i].name : NULL;
}

const char *seccomp_arch_name(size_t i)
{
	return i < ARRAY_LEN(arch_names) ? arch_names[i] : NULL;
}

const char *seccomp_flag_name(size_t i)
{
	return i < ARRAY_LEN(filter_flags) ? filter_flags[i].name : NULL;
}

static int action_parse(const char *text, int64_t errno_ret, uint32_t *ret, struct err *e)
{
	uint16_t code = errno_ret == SPEC_UNSET ? EPERM : (uint16_t)errno_ret;
	const uint32_t actions[] = {
		SCMP_ACT_ALLOW,        SCMP_ACT_ERRNO(code), SCMP_ACT_KILL_THREAD,
		SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG,
		SCMP_ACT_NOTIFY,       SCMP_ACT_TRACE(code), SCMP_ACT_TRAP,
	};

	for (size_t i = 0; text && i < ARRAY_LEN(actions); i++) {
		if (strcmp(action_names[i], text) == 0) {
			*ret = actions[i];
			return 0;
		}
	}
	return err_set(e, -EINVAL, "config.json: linux.seccomp: action %.64s is not known",
		       text ? text : "(none)");
}

static int arg_parse(const struct spec_seccomp_arg *a, struct scmp_arg_cmp *ret, struct err *e)
{
	for (size_t i = 0; a->op && i < ARRAY_LEN(operators); i++) {
		if (strcmp(operators[i].name, a->op) != 0 || a->index < 0 || a->index > 5)
			continue;
		*ret = (struct scmp_arg_cmp){.arg = (unsigned int)a->index,
					     .op = operators[i].op,
					     .datum_a = a->value,
					     .datum_b = a->value_two};
		return 0;
	}
	return err_set(e, -EINVAL, "config.json: linux.seccomp: a condition of an argument is bad");
}

static int flags_parse(const struct spec_seccomp *s, unsigned int *ret, struct err *e)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < s->flags.n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(filter_flags) &&
		       strcmp(filter_flags[k].name, s->flags.v[i]) != 0)
			k++;
		if (k == ARRAY_LEN(filter_flags))
			return err_set(e, -EINVAL,
				       "config.json: linux.seccomp.flags: %.64s is not known",
				       s->flags.v[i]);
		bits |= filter_flags[k].flag;
	}
	*ret = bits;
	return 0;
}

/* Whether a rule asks a listener, who must then be named; nobody may answer for all calls. */
static int check_notify(const struct spec_seccomp *s, unsigned int *flags, struct err *e)
{
	bool notify = false;

	if (strcmp(s->default_action, "SCMP_ACT_NOTIFY") == 0)
		return err_set(e, -EINVAL,
			       "config.json: linux.seccomp.defaultAction cannot be "
			       "SCMP_ACT_NOTIFY");
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_seccomp_rule *r = &s->syscalls.v[i];

		if (!r->action || strcmp(r->action, "SCMP_ACT_NOTIFY") != 0)
			continue;
		notify = true;
		for (size_t k = 0; k < r->names.n; k++)
			if (strcmp(r->names.v[k], "sendmsg") == 0 ||
			    strcmp(r->names.v[k], "recvmsg") == 0)
				return err_set(e, -EINVAL,
					       "config.json: linux.seccomp: SCMP_ACT_NOTIFY "
					       "cannot be used for %s, which passes the listener "
					       "on",
					       r->names.v[k]);
	}
	if (notify && !s->listener_path)
		return err_set(e, -EINVAL,
			       "config.json: linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath");
	if (notify)
		*flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	/* The kernel has one number for "which thread failed" and "the listener". */
	if (notify && (*flags & SECCOMP_FILTER_FLAG_TSYNC))
		*flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	return 0;
}

static int add_spec_rule(struct compiler *c, const struct spec_seccomp_rule *r, struct err *e)
{
	struct scmp_arg_cmp args[6];
	uint32_t action;
	int rc = action_parse(r->action, r->errno_ret, &action, e);

	if (rc == 0 && r->args.n > ARRAY_LEN(args))
		rc = err_set(e, -EINVAL, "config.json: linux.seccomp: more than 6 conditions");
	for (size_t i = 0; rc == 0 && i < r->args.n; i++)
		rc = arg_parse(&r->args.v[i], &args[i], e);
	for (size_t i = 0; rc == 0 && i < r->names.n; i++)
		rc = add_name(c, r->names.v[i], action, args, (unsigned int)r->args.n, e);
	return rc;
}

static int add_spec_arch(struct compiler *c, const char *name, struct err *e)
{
	char lower[32] = "";
	uint32_t arch;

	if (strncmp(name, "SCMP_ARCH_", 10) == 0)
		for (size_t i = 0; i < sizeof(lower) - 1 && name[10 + i]; i++)
			lower[i] = (char)(name[10 + i] | 0x20);
	/* "x86_64": '_' | 0x20 is DEL. */
	for (char *p = lower; *p; p++)
		if (*p == 0x7f)
			*p = '_';
	arch = seccomp_arch_resolve_name(lower);
	if (!arch)
		return err_set(e, -EINVAL,
			       "config.json: linux.seccomp: architecture %.64s is not "
			       "known",
			       name);
	return add_arch(c, arch, e);
}

int seccomp_spec_compile(const struct spec_seccomp *s, struct buf *ret, unsigned int *ret_flags,
			 struct err *e)
{
	CLEANUP(compiler_done) struct compiler c = {0};
	uint32_t action;
	int rc = action_parse(s->default_action, s->default_errno_ret, &action, e);

	if (rc == 0)
		rc = flags_parse(s, ret_flags, e);
	if (rc == 0)
		rc = check_notify(s, ret_flags, e);
	if (rc == 0)
		rc = compiler_init(&c, action, e);
	for (size_t i = 0; rc == 0 && i < s->architectures.n; i++)
		rc = add_spec_arch(&c, s->architectures.v[i], e);
	for (size_t i = 0; rc == 0 && i < s->syscalls.n; i++)
		rc = add_spec_rule(&c, &s->syscalls.v[i], e);
	if (rc < 0)
		return rc;
	/* A policy that allows by default has no need of the fallback. */
	return export(&c, action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG, ret, e);
}
