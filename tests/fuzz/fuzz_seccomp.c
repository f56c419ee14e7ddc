/*
 * The compiler of seccomp policies. The bytes choose a policy; what it is compiled to is then run
 * here, as the kernel would: a call that no rule names gets the default action, or ENOSYS if it is
 * younger than all that are named, and one that a single rule without conditions names gets that
 * rule's.
 */
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "runtime/container/seccomp_filter.h"

#define RULES 6
#define ARGS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *name;
	int number;
} calls[] = {
	{"read", SYS_read},     {"write", SYS_write},        {"close", SYS_close},
	{"openat", SYS_openat}, {"clone", SYS_clone},        {"personality", SYS_personality},
	{"socket", SYS_socket}, {"ptrace", SYS_ptrace},      {"keyctl", SYS_keyctl},
	{"mseal", 462},         {"no_such_call_at_all", -1},
};
#define UNNAMED SYS_getppid /* older than the youngest of them, */
#define YOUNGEST "keyctl"   /* which is this */

struct bytes {
	const uint8_t *p;
	size_t n;
};

static unsigned int take(struct bytes *b)
{
	if (!b->n)
		return 0;
	b->n--;
	return *b->p++;
}

static uint64_t take_value(struct bytes *b)
{
	uint64_t v = 0;

	for (unsigned int n = take(b) % 9; n; n--)
		v = v << 8 | take(b);
	return v;
}

static const char *choose(const char *(*name)(size_t i), unsigned int at)
{
	size_t n = 0;

	while (name(n))
		n++;
	return n ? name(at % n) : NULL;
}

static void rule_draw(struct bytes *b, struct spec_seccomp_rule *r)
{
	for (unsigned int n = 1 + take(b) % 2; n; n--)
		spec_strs_add(&r->names, calls[take(b) % ARRAY_LEN(calls)].name);
	r->action = xstrdup(choose(seccomp_action_name, take(b)));
	r->errno_ret = take(b) % 4 ? SPEC_UNSET : (int64_t)take(b);
	r->args.n = take(b) % (ARGS + 1);
	r->args.v = xcalloc(ARGS, sizeof(*r->args.v));
	for (size_t i = 0; i < r->args.n; i++) {
		r->args.v[i].index = take(b) % 7;
		r->args.v[i].value = take_value(b);
		r->args.v[i].value_two = take_value(b);
		r->args.v[i].op = xstrdup(choose(seccomp_operator_name, take(b)));
	}
}

static void draw(struct bytes *b, struct spec_seccomp *s)
{
	s->default_action = xstrdup(choose(seccomp_action_name, take(b)));
	s->default_errno_ret = take(b) % 4 ? SPEC_UNSET : (int64_t)take(b);
	for (unsigned int n = take(b) % 3; n; n--)
		spec_strs_add(&s->architectures, choose(seccomp_arch_name, take(b)));
	if (take(b) % 4 == 0)
		spec_strs_add(&s->flags, choose(seccomp_flag_name, take(b)));
	s->syscalls.n = take(b) % (RULES + 1);
	s->syscalls.v = xcalloc(RULES, sizeof(*s->syscalls.v));
	for (size_t i = 0; i < s->syscalls.n; i++)
		rule_draw(b, &s->syscalls.v[i]);
}

/* The instructions that filters are made of; another one, or a jump out of it, is a failure. */
static uint32_t run(const struct buf *filter, int number)
{
	const struct seccomp_data data = {.nr = number, .arch = 0xc000003e};
	const struct sock_filter *code = (const struct sock_filter *)(const void *)filter->p;
	size_t n = filter->len / sizeof(*code), at = 0;
	uint32_t a = 0;

	for (;;) {
		const struct sock_filter *i = &code[at++];
		bool taken = false;

		assert(at <= n);
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert(i->k + sizeof(a) <= sizeof(data));
			memcpy(&a, (const char *)&data + i->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			at += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = a >= i->k;
			break;
		default:
			assert(!"an instruction that no filter has");
		}
		at += taken ? i->jt : i->jf;
	}
}

/* What a policy of nothing but this action says. False: it cannot be a default. */
static bool verdict_of(const char *action, int64_t errno_ret, uint32_t *ret)
{
	char *youngest = (char *)YOUNGEST;
	struct spec_seccomp_rule rule = {
		.names = {&youngest, 1}, .action = (char *)"SCMP_ACT_LOG", .errno_ret = SPEC_UNSET};
	struct spec_seccomp s = {.default_action = (char *)action,
				 .default_errno_ret = errno_ret,
				 .syscalls = {&rule, 1}};
	struct buf b = BUF_INIT(SECCOMP_BPF_MAX);
	unsigned int flags;
	bool ok = seccomp_spec_compile(&s, &b, &flags, NULL) == 0 && b.len;

	if (ok)
		*ret = run(&b, UNNAMED);
	buf_done(&b);
	return ok;
}

static int last_named(const struct spec_seccomp *s)
{
	int last = 0;

	for (size_t i = 0; i < s->syscalls.n; i++)
		for (size_t j = 0; j < s->syscalls.v[i].names.n; j++)
			for (size_t k = 0; k < ARRAY_LEN(calls); k++)
				if (strcmp(s->syscalls.v[i].names.v[j], calls[k].name) == 0)
					last = MAX_OF(last, calls[k].number);
	return last;
}

static void check_rules(const struct spec_seccomp *s, const struct buf *filter)
{
	const uint32_t unknown = SECCOMP_RET_ERRNO | ENOSYS;

	for (size_t k = 0; k < ARRAY_LEN(calls) && calls[k].number >= 0; k++) {
		const struct spec_seccomp_rule *only = NULL;
		unsigned int named = 0;
		uint32_t want;

		for (size_t i = 0; i < s->syscalls.n; i++)
			for (size_t j = 0; j < s->syscalls.v[i].names.n; j++)
				if (strcmp(s->syscalls.v[i].names.v[j], calls[k].name) == 0) {
					only = &s->syscalls.v[i];
					named++;
				}
		if (named == 0 && verdict_of(s->default_action, s->default_errno_ret, &want))
			assert(run(filter, calls[k].number) == want ||
			       (calls[k].number > last_named(s) &&
				run(filter, calls[k].number) == unknown));
		if (named == 1 && !only->args.n && verdict_of(only->action, only->errno_ret, &want))
			assert(run(filter, calls[k].number) == want);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = {data, size};
	struct buf b = BUF_INIT(SECCOMP_BPF_MAX);
	unsigned int flags = 0;
	struct spec s;

	spec_init(&s);
	draw(&bytes, &s.linux_.seccomp);
	if (seccomp_spec_compile(&s.linux_.seccomp, &b, &flags, NULL) == 0) {
		assert(b.len && b.len % sizeof(struct sock_filter) == 0);
#ifdef __x86_64__
		if (!s.linux_.seccomp.architectures.n)
			check_rules(&s.linux_.seccomp, &b);
#endif
	}
	buf_done(&b);
	spec_done(&s);
	return 0;
}
