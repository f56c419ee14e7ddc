/*
 * The netlink core; see netlink.h. Requests are bounded by 16-bit attribute lengths and by the
 * batch, and both are checked while building. Internal to net.
 */
#include "net/netlink.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "net/netns.h"

#define NL_RECEIVE (256u << 10) /* bytes taken from the kernel at once */

struct nl_step {
	const char *what;
	int tolerate;
};

void nl_batch_init(struct nl_batch *b)
{
	*b = (struct nl_batch){.buf = BUF_INIT(LIMIT_NETLINK_BATCH)};
}

void nl_batch_done(struct nl_batch *b)
{
	buf_done(&b->buf);
	free(b->steps);
	b->steps = NULL;
}

static void batch_reset(struct nl_batch *b)
{
	assert(b->depth == 0);
	buf_reset(&b->buf);
	b->count = 0;
}

int nl_open(int netns_fd, int protocol, int *ret_fd, struct err *e)
{
	CLEANUP(netns_leave) struct netns_visit visit = NETNS_VISIT_INIT;
	auto_close int fd = -1;
	int on = 1, size = 2 << 20, rc;

	rc = netns_enter(&visit, netns_fd, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return err_sys(e, "cannot open a netlink socket");
	/* Without these only the errors' texts and long rows of errors suffer. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* The kernel then honours the filters in dump requests. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void nl_raw(struct nl_batch *b, const void *p, size_t n)
{
	static const char zero[NLA_ALIGNTO];

	if (n > 0)
		buf_add(&b->buf, p, n);
	buf_add(&b->buf, zero, NLA_ALIGN(n) - n);
}

void nl_begin(struct nl_batch *b, const char *what, int tolerate, uint16_t type, uint16_t flags,
	      const void *head, size_t head_len)
{
	struct nlmsghdr m = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};

	if (b->count == b->cap) {
		b->cap = b->cap > 0 ? b->cap * 2 : 16;
		b->steps = xreallocarray(b->steps, b->cap, sizeof(*b->steps));
	}
	b->steps[b->count] = (struct nl_step){what, tolerate};
	m.nlmsg_seq = b->count++;
	b->message = b->buf.len;
	nl_raw(b, &m, sizeof(m));
	nl_raw(b, head, head_len);
}

void nl_end(struct nl_batch *b)
{
	assert(b->depth == 0);
	if (!b->buf.failed) {
		struct nlmsghdr *m = (struct nlmsghdr *)(b->buf.p + b->message);

		m->nlmsg_len = (uint32_t)(b->buf.len - b->message);
		assert(m->nlmsg_len <= LIMIT_NETLINK_MESSAGE);
	}
}

void nl_attr(struct nl_batch *b, uint16_t type, const void *p, size_t n)
{
	struct nlattr a = {.nla_type = type};

	if (n > LIMIT_NETLINK_MESSAGE) {
		b->buf.failed = true;
		return;
	}
	a.nla_len = (uint16_t)(NLA_HDRLEN + n);
	nl_raw(b, &a, sizeof(a));
	nl_raw(b, p, n);
}

void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v)
{
	nl_attr(b, type, &v, sizeof(v));
}

void nl_attr_str(struct nl_batch *b, uint16_t type, const char *s)
{
	nl_attr(b, type, s, strlen(s) + 1);
}

void nl_attr_ip(struct nl_batch *b, uint16_t type, const struct net_ip *ip)
{
	nl_attr(b, type, ip->b, net_ip_size(ip->family));
}

void nl_nest(struct nl_batch *b, uint16_t type)
{
	assert(b->depth < NL_NEST_MAX);
	b->nest[b->depth++] = b->buf.len;
	nl_attr(b, type | NLA_F_NESTED, NULL, 0);
}

void nl_unnest(struct nl_batch *b)
{
	size_t at = b->nest[--b->depth];

	if (!b->buf.failed) {
		struct nlattr *a = (struct nlattr *)(b->buf.p + at);

		assert(b->buf.len - at <= UINT16_MAX);
		a->nla_len = (uint16_t)(b->buf.len - at);
	}
}

static int send_all(int fd, const struct nl_batch *b, struct err *e)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	do
		n = sendto(fd, b->buf.p, b->buf.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "cannot send to the kernel's network tables");
	return 0;
}

static ssize_t receive(int fd, char *p, struct err *e)
{
	struct sockaddr_nl from;
	struct iovec iov = {p, NL_RECEIVE};
	struct msghdr mh = {
		.msg_name = &from,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	for (;;) {
		mh.msg_namelen = sizeof(from);
		n = recvmsg(fd, &mh, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read the kernel's network tables");
		if (mh.msg_flags & MSG_TRUNC)
			return err_set(e, -EMSGSIZE, "a netlink answer is too long");
		if (from.nl_pid == 0)
			return n;
	}
}

/* The sentence that the kernel adds to an error, or NULL. */
static const char *kernel_says(const struct nlmsghdr *m)
{
	const struct nlattr *attrs[NLMSGERR_ATTR_MSG + 1];
	size_t head = NLMSG_HDRLEN + sizeof(struct nlmsgerr);

	if (!(m->nlmsg_flags & NLM_F_ACK_TLVS) || m->nlmsg_len < head)
		return NULL;
	nl_parse((const char *)m + head, m->nlmsg_len - head, attrs, NLMSGERR_ATTR_MSG);
	if (attrs[NLMSGERR_ATTR_MSG] == NULL)
		return NULL;
	return strnlen(nl_data(attrs[NLMSGERR_ATTR_MSG]), nl_len(attrs[NLMSGERR_ATTR_MSG])) <
			       nl_len(attrs[NLMSGERR_ATTR_MSG])
		       ? nl_data(attrs[NLMSGERR_ATTR_MSG])
		       : NULL;
}

/* The error of an NLMSG_ERROR message, put into words unless tolerated. */
static int judge(const struct nl_batch *b, const struct nlmsghdr *m, struct err *e)
{
	const struct nlmsgerr *ne = NLMSG_DATA(m);
	const struct nl_step *step;
	const char *more;

	if (m->nlmsg_len < NLMSG_LENGTH(sizeof(*ne)))
		return err_set(e, -EBADMSG, "a netlink answer is too short");
	if (ne->error == 0 || m->nlmsg_seq >= b->count)
		return 0;
	step = &b->steps[m->nlmsg_seq];
	if (-ne->error == step->tolerate)
		return 0;
	more = kernel_says(m);
	return err_set(e, ne->error, "cannot %s: %s%s%s", step->what, strerror(-ne->error),
		       more != NULL ? ": " : "", more != NULL ? more : "");
}

static int built(struct nl_batch *b, struct err *e)
{
	if (buf_status(&b->buf) == 0)
		return 0;
	batch_reset(b);
	return err_set(e, -EMSGSIZE, "a netlink request is too long");
}

int nl_send(int fd, struct nl_batch *b, struct err *e)
{
	auto_free char *p = NULL;
	struct err first = ERR_INIT;
	bool done = false;
	ssize_t n;
	int rc = built(b, e);

	if (rc < 0 || b->count == 0)
		return rc;
	/* Errors are answered anyway; the last message's answer ends the batch. */
	((struct nlmsghdr *)(b->buf.p + b->message))->nlmsg_flags |= NLM_F_ACK;
	rc = send_all(fd, b, e);
	p = xmalloc(NL_RECEIVE);
	while (rc == 0 && !done) {
		n = receive(fd, p, e);
		if (n < 0)
			rc = (int)n;
		for (struct nlmsghdr *m = (struct nlmsghdr *)p; n > 0 && NLMSG_OK(m, n);
		     m = NLMSG_NEXT(m, n)) {
			if (m->nlmsg_type != NLMSG_ERROR)
				continue;
			if (first.code == 0)
				(void)judge(b, m, &first);
			done = done || m->nlmsg_seq == b->count - 1;
		}
	}
	batch_reset(b);
	if (rc == 0 && first.code != 0)
		return err_set(e, first.code, "%s", first.msg);
	return rc;
}

int nl_send_if_full(int fd, struct nl_batch *b, struct err *e)
{
	return b->buf.len > LIMIT_NETLINK_BATCH / 2 ? nl_send(fd, b, e) : 0;
}

struct reader {
	const struct nl_batch *b;
	nl_message_fn fn;
	void *arg;
	int failed;       /* the callback's */
	bool interrupted; /* the tables changed meanwhile: what was read may be torn */
};

/* The error that ends a dump, 0 for none. */
static int done_error(const struct nlmsghdr *m)
{
	int error = 0;

	if (m->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(m), sizeof(error));
	return error;
}

/* Hands the messages of one datagram on. 1: that was the end; negative: failed. */
static int take(struct reader *r, char *p, ssize_t n, struct err *e)
{
	for (struct nlmsghdr *m = (struct nlmsghdr *)p; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
		int rc;

		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			r->interrupted = true;
		if (m->nlmsg_type == NLMSG_DONE && done_error(m) < 0)
			return err_code(e, done_error(m), "cannot %s", r->b->steps[0].what);
		if (m->nlmsg_type == NLMSG_DONE)
			return 1;
		if (m->nlmsg_type == NLMSG_ERROR) {
			rc = judge(r->b, m, e);
			return rc < 0 ? rc : 1;
		}
		rc = r->failed < 0 ? 0 : r->fn(r->arg, m);
		if (rc < 0)
			r->failed = rc;
	}
	return 0;
}

static int ask_once(int fd, struct reader *r, char *p, struct err *e)
{
	int rc = send_all(fd, r->b, e);

	r->interrupted = false;
	r->failed = 0;
	while (rc == 0) {
		ssize_t n = receive(fd, p, e);

		rc = n < 0 ? (int)n : take(r, p, n, e);
	}
	return MIN_OF(rc, 0);
}

static int ask(int fd, struct nl_batch *b, uint16_t flags, nl_message_fn fn, void *arg,
	       struct err *e)
{
	auto_free char *p = NULL;
	struct reader r = {.b = b, .fn = fn, .arg = arg};
	int rc = built(b, e);

	if (rc < 0)
		return rc;
	assert(b->count == 1);
	((struct nlmsghdr *)b->buf.p)->nlmsg_flags |= flags;
	p = xmalloc(NL_RECEIVE);
	rc = ask_once(fd, &r, p, e);
	for (int tries = 0; rc == 0 && r.failed == 0 && r.interrupted && tries < 8; tries++) {
		(void)fn(arg, NULL);
		rc = ask_once(fd, &r, p, e);
	}
	if (rc == 0 && r.failed < 0)
		rc = err_code(e, r.failed, "cannot %s", b->steps[0].what);
	batch_reset(b);
	return rc;
}

int nl_dump(int fd, struct nl_batch *b, nl_message_fn fn, void *arg, struct err *e)
{
	return ask(fd, b, NLM_F_DUMP, fn, arg, e);
}

int nl_get(int fd, struct nl_batch *b, nl_message_fn fn, void *arg, struct err *e)
{
	return ask(fd, b, NLM_F_ACK, fn, arg, e);
}

void nl_parse(const void *p, size_t n, const struct nlattr **ret, unsigned max)
{
	const char *at = p;

	memset(ret, 0, (max + 1) * sizeof(*ret));
	while (n >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)at;
		unsigned type = a->nla_type & NLA_TYPE_MASK;
		size_t step;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > n)
			return;
		if (type <= max)
			ret[type] = a;
		step = NLA_ALIGN(a->nla_len);
		if (step >= n)
			return;
		at += step;
		n -= step;
	}
}

uint32_t nl_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	if (a != NULL && nl_len(a) >= sizeof(v))
		memcpy(&v, nl_data(a), sizeof(v));
	return v;
}

uint16_t nl_u16(const struct nlattr *a)
{
	uint16_t v = 0;

	if (a != NULL && nl_len(a) >= sizeof(v))
		memcpy(&v, nl_data(a), sizeof(v));
	return v;
}

uint8_t nl_u8(const struct nlattr *a)
{
	return a != NULL && nl_len(a) >= 1 ? *(const uint8_t *)nl_data(a) : 0;
}

void nl_str(const struct nlattr *a, char *ret, size_t room)
{
	size_t n = a != NULL ? strnlen(nl_data(a), nl_len(a)) : 0;

	n = MIN_OF(n, room - 1);
	if (n > 0)
		memcpy(ret, nl_data(a), n);
	ret[n] = '\0';
}

struct net_ip nl_ip(const struct nlattr *a)
{
	struct net_ip ip = {0};

	if (a != NULL && (nl_len(a) == 4 || nl_len(a) == 16)) {
		ip.family = nl_len(a) == 4 ? AF_INET : AF_INET6;
		memcpy(ip.b, nl_data(a), nl_len(a));
	}
	return ip;
}
