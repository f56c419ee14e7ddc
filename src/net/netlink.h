/*
 * A small netlink core: requests are built into one bounded batch, sent in one call and answered
 * by one acknowledgement, so that a batch is one step for the kernel: a process killed at any
 * moment has sent all of it or nothing. Internal to net; knows nothing of links or tables.
 */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/addr.h"

#define NL_NEST_MAX 4 /* attributes within attributes */

struct nl_batch {
	struct buf buf;
	size_t message;           /* where the open message starts */
	size_t nest[NL_NEST_MAX]; /* where the open attributes start */
	unsigned depth;
	struct nl_step *steps; /* one a message */
	unsigned count, cap;
};

#define auto_batch CLEANUP(nl_batch_done) struct nl_batch

void nl_batch_init(struct nl_batch *b);
void nl_batch_done(struct nl_batch *b);

/* A NETLINK_ROUTE (or other) socket in that namespace (-1: the thread's); close it. */
int nl_open(int netns_fd, int protocol, int *ret_fd, struct err *e);

/*
 * Begins a message: `what` (static) is how its failure is told ("create a bridge"), `tolerate` is
 * an errno that is no failure here (EEXIST, ENODEV), or 0. `head` follows the netlink header.
 */
void nl_begin(struct nl_batch *b, const char *what, int tolerate, uint16_t type, uint16_t flags,
	      const void *head, size_t head_len);
void nl_end(struct nl_batch *b);

void nl_attr(struct nl_batch *b, uint16_t type, const void *p, size_t n);
void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v);
void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v);
void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v);
void nl_attr_str(struct nl_batch *b, uint16_t type, const char *s);
void nl_attr_ip(struct nl_batch *b, uint16_t type, const struct net_ip *ip);
/* Bytes without a header of their own, as a struct at the start of a nested attribute. */
void nl_raw(struct nl_batch *b, const void *p, size_t n);
void nl_nest(struct nl_batch *b, uint16_t type);
void nl_unnest(struct nl_batch *b);

/*
 * Sends the batch and empties it. 0 when every message succeeded or failed as tolerated; else the
 * first failure, with what the kernel said about it. The messages after a failed one were tried.
 */
int nl_send(int fd, struct nl_batch *b, struct err *e);
/* Sends if the batch is more than half full: for long rows of messages. */
int nl_send_if_full(int fd, struct nl_batch *b, struct err *e);

/*
 * A negative result ends the dump with it (the rest is drained). A NULL message means: forget what
 * you were given, the tables changed meanwhile and it all comes again.
 */
typedef int (*nl_message_fn)(void *arg, const struct nlmsghdr *m);
/* Sends the one message of the batch as a dump (NLM_F_DUMP is added) and empties it. */
int nl_dump(int fd, struct nl_batch *b, nl_message_fn fn, void *arg, struct err *e);
/* Sends the one message of the batch; `fn` gets the one answer. Errors as the kernel gave them. */
int nl_get(int fd, struct nl_batch *b, nl_message_fn fn, void *arg, struct err *e);

/* Attributes of a received message: index by type, NULL where absent or above `max`. */
void nl_parse(const void *p, size_t n, const struct nlattr **ret, unsigned max);
static inline const void *nl_data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}
static inline size_t nl_len(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}
/* 0 where absent or too short. */
uint32_t nl_u32(const struct nlattr *a);
uint16_t nl_u16(const struct nlattr *a);
uint8_t nl_u8(const struct nlattr *a);
/* Copies text, cut to the room; "" where absent. */
void nl_str(const struct nlattr *a, char *ret, size_t room);
/* Family by length; 0 where absent or of another length. */
struct net_ip nl_ip(const struct nlattr *a);
