/*
 * v2's device rules: a small BPF program that looks at type, access and number of a device, last
 * rule first, as v1 would have decided. Called by cgroup.c alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/container/cgroup_internal.h"
#include "runtime/container/userns.h"

#define INSNS_MAX 4096
#define ATTACHED_MAX 64 /* programs on one group: the kernel takes no more */

struct program {
	struct bpf_insn *insns;
	size_t n, max;
};

static void put(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	if (p->n < p->max)
		p->insns[p->n] = (struct bpf_insn){
			.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
	p->n++;
}

static void put_return(struct program *p, int value)
{
	put(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
	put(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* r2 type, r3 access, r4 major, r5 minor (struct bpf_cgroup_dev_ctx). */
static void put_head(struct program *p)
{
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
	put(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	put(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	put(p, BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
	put(p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
}

static int access_bits(const char *text)
{
	int bits = 0;

	for (; *text; text++)
		bits |= *text == 'm'   ? BPF_DEVCG_ACC_MKNOD
			: *text == 'r' ? BPF_DEVCG_ACC_READ
				       : BPF_DEVCG_ACC_WRITE;
	return bits;
}

/*
 * One rule: when all its conditions hold, return its verdict. An access is allowed only by a rule
 * that has all its bits, and refused by a rule that has any of them.
 */
static void put_rule(struct program *p, const struct spec_device_rule *d)
{
	int bits = access_bits(d->access && *d->access ? d->access : "rwm");
	bool any_type = !d->type || d->type[0] == 'a';
	int type = !any_type && d->type[0] == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
	bool major = !any_type && d->major >= 0, minor = !any_type && d->minor >= 0;
	int left = 2 + (any_type ? 0 : 1) + (bits == 7 || any_type ? 0 : 3) + major + minor;

	/* A jump's offset counts from the instruction after it. */
	if (!any_type)
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, (int16_t)(--left), type);
	if (bits != 7 && !any_type) {
		put(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		put(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, bits);
		left -= 3;
		if (d->allow)
			put(p, BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, (int16_t)left, 0);
		else
			put(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, (int16_t)left, 0);
	}
	if (major)
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, (int16_t)(--left),
		    (int32_t)d->major);
	if (minor)
		put(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, (int16_t)(--left),
		    (int32_t)d->minor);
	put_return(p, d->allow);
}

int cgroup_device_program(const struct spec_resources *r, void *ret_insns, size_t max)
{
	struct program p = {.insns = ret_insns, .max = max};

	put_head(&p);
	for (size_t i = r->devices.n; i-- > 0;) {
		const struct spec_device_rule *d = &r->devices.v[i];

		put_rule(&p, d);
		if (!d->type || d->type[0] == 'a') /* decides all: what is before never counts */
			return p.n > max ? -E2BIG : (int)p.n;
	}
	put_return(&p, 1); /* no rule at all: v1's start value */
	return p.n > max ? -E2BIG : (int)p.n;
}

static int bpf(int cmd, union bpf_attr *attr)
{
	int rc = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : rc;
}

static int load(const struct bpf_insn *insns, size_t n)
{
	union bpf_attr attr = {0};

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t) "GPL";
	return bpf(BPF_PROG_LOAD, &attr);
}

/* The programs that hang on the group itself, as descriptors. Their number, or -errno. */
static int attached(int dir, int ret[ATTACHED_MAX])
{
	uint32_t ids[ATTACHED_MAX] = {0};
	union bpf_attr attr = {0};
	int n = 0, rc;

	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = ATTACHED_MAX;
	rc = bpf(BPF_PROG_QUERY, &attr);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < attr.query.prog_cnt; i++) {
		union bpf_attr get = {0};

		get.prog_id = ids[i];
		ret[n] = bpf(BPF_PROG_GET_FD_BY_ID, &get);
		n += ret[n] >= 0;
	}
	return n;
}

static int attach(int dir, int prog, int replaced)
{
	union bpf_attr attr = {0};

	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI | (replaced >= 0 ? BPF_F_REPLACE : 0);
	attr.replace_bpf_fd = replaced >= 0 ? (uint32_t)replaced : 0;
	return bpf(BPF_PROG_ATTACH, &attr);
}

static void detach(int dir, int prog)
{
	union bpf_attr attr = {0};

	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	(void)bpf(BPF_PROG_DETACH, &attr);
}

/*
 * Of several programs all must allow an access, so the old one goes. One is replaced in one step;
 * were there more, they go once the new one is there: at no moment is anything allowed that
 * neither the old rules nor the new ones allow.
 */
static int attach_alone(int dir, int prog)
{
	int old[ATTACHED_MAX];
	int n = attached(dir, old);
	int rc = n < 0 ? n : attach(dir, prog, n == 1 ? old[0] : -1);

	for (int i = 0; i < n; i++) {
		if (rc == 0 && n > 1)
			detach(dir, old[i]);
		close(old[i]);
	}
	return rc;
}

int cgroup_v2_set_devices(int dir, const struct spec_resources *r, struct err *e)
{
	auto_free struct bpf_insn *insns = NULL;
	auto_close int prog = -1;
	int n, rc;

	if (r->devices.n == 0)
		return 0;
	insns = xcalloc(INSNS_MAX, sizeof(*insns));
	n = cgroup_device_program(r, insns, INSNS_MAX);
	if (n < 0)
		return err_set(e, n, "config.json: linux.resources.devices: too many device rules");
	prog = load(insns, (size_t)n);
	if (prog == -EPERM && userns_is_ordinary())
		return 0;
	if (prog < 0)
		return err_code(e, prog, "cannot load the device rules");
	rc = attach_alone(dir, prog);
	return rc < 0 ? err_code(e, rc, "cannot attach the device rules") : 0;
}
