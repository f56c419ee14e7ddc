/*
 * The nftables table of one daemon; see nft.h. Text for libnftables, made only from checked names
 * and formatted addresses. Internal to net.
 */
#include "net/nft.h"

#include <nftables/libnftables.h>
#include <pthread.h>
#include <string.h>

#include "base/limits.h"
#include "net/link.h"

/* libnftables' parser keeps state of its own between contexts: one transaction at a time. */
static pthread_mutex_t nft_lock = PTHREAD_MUTEX_INITIALIZER;

/* The first line of what libnftables says, which names the cause; the rest repeats the script. */
static int nft_failed(const char *text, struct err *e)
{
	size_t n = text != NULL ? strcspn(text, "\n") : 0;
	int code = -EIO;

	if (text != NULL && strstr(text, strerror(ENOENT)) != NULL)
		code = -ENOENT;
	else if (text != NULL && (strstr(text, strerror(EOPNOTSUPP)) != NULL ||
				  strstr(text, strerror(EPROTONOSUPPORT)) != NULL))
		code = -EOPNOTSUPP;
	else if (text != NULL && strstr(text, strerror(EPERM)) != NULL)
		code = -EPERM;
	else if (text != NULL && strstr(text, strerror(EEXIST)) != NULL)
		code = -EEXIST;
	return err_set(e, code, "cannot change the nftables rules: %.*s", (int)MIN_OF(n, 300u),
		       n > 0 ? text : "no reason given");
}

int nft_run(const char *script, struct err *e)
{
	struct nft_ctx *ctx;
	int rc;

	pthread_mutex_lock(&nft_lock);
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (ctx == NULL) {
		pthread_mutex_unlock(&nft_lock);
		return err_set(e, -EOPNOTSUPP, "cannot reach nftables: is it in the kernel?");
	}
	nft_ctx_buffer_error(ctx);
	nft_ctx_buffer_output(ctx);
	rc = nft_run_cmd_from_buffer(ctx, script);
	if (rc != 0)
		rc = nft_failed(nft_ctx_get_error_buffer(ctx), e);
	nft_ctx_free(ctx);
	pthread_mutex_unlock(&nft_lock);
	return rc;
}

/* Chains with their rules, and sets without elements. Over an older one with `flush`. */
static void add_base(struct buf *s, const char *tag, bool flush)
{
	static const char *const sets[] = {
		"bridges { type ifname; }",
		"internal { type ifname; }",
		"same { type ifname . ifname; }",
		"masq4 { type ipv4_addr; flags interval; }",
		"masq6 { type ipv6_addr; flags interval; }",
		NULL,
	};
	static const char *const chains[] = {
		"forward { type filter hook forward priority filter; policy accept; }",
		"postrouting { type nat hook postrouting priority srcnat; policy accept; }",
		NULL,
	};
	static const char *const rules[] = {
		"forward iifname . oifname @same accept",
		"forward iifname @internal drop",
		"forward oifname @internal drop",
		"forward iifname @bridges oifname @bridges ct status dnat accept",
		"forward iifname @bridges oifname @bridges drop",
		"forward oifname @bridges ct state established,related accept",
		"forward oifname @bridges ct status dnat accept",
		"forward oifname @bridges drop",
		"postrouting ip saddr @masq4 oifname != @bridges masquerade",
		"postrouting ip6 saddr @masq6 oifname != @bridges masquerade",
		NULL,
	};

	buf_addf(s, "add table inet shoal_%s\n", tag);
	for (int i = 0; sets[i] != NULL; i++)
		buf_addf(s, "add set inet shoal_%s %s\n", tag, sets[i]);
	for (int i = 0; chains[i] != NULL; i++)
		buf_addf(s, "add chain inet shoal_%s %s\n", tag, chains[i]);
	if (flush)
		buf_addf(s,
			 "flush chain inet shoal_%s forward\n"
			 "flush chain inet shoal_%s postrouting\n",
			 tag, tag);
	for (int i = 0; rules[i] != NULL; i++)
		buf_addf(s, "add rule inet shoal_%s %s\n", tag, rules[i]);
}

static void add_subnet(struct buf *s, const char *verb, const char *tag, const char *set,
		       const struct net_prefix *p)
{
	struct net_prefix subnet = net_prefix_subnet(p);
	char text[NET_PREFIX_TEXT];

	if (p->ip.family != 0)
		buf_addf(s, "%s element inet shoal_%s %s { %s }\n", verb, tag, set,
			 net_prefix_format(&subnet, text));
}

/* With `all` also the sets that this bridge would not be in: to remove what may be there. */
static void add_elements(struct buf *s, const char *verb, const char *tag,
			 const struct net_bridge *b, bool all)
{
	buf_addf(s, "%s element inet shoal_%s bridges { \"%s\" }\n", verb, tag, b->name);
	if (all || b->internal)
		buf_addf(s, "%s element inet shoal_%s internal { \"%s\" }\n", verb, tag, b->name);
	if (all || b->icc)
		buf_addf(s, "%s element inet shoal_%s same { \"%s\" . \"%s\" }\n", verb, tag,
			 b->name, b->name);
	if (all || (b->masquerade && !b->internal)) {
		add_subnet(s, verb, tag, "masq4", &b->ip4);
		add_subnet(s, verb, tag, "masq6", &b->ip6);
	}
}

static int run(struct buf *s, struct err *e)
{
	if (buf_status(s) < 0)
		return err_set(e, -EMSGSIZE, "too many networks for one nftables transaction");
	return nft_run(buf_text(s), e);
}

static int add_fresh(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	auto_buf first = BUF_INIT(LIMIT_NFT_SCRIPT), more = BUF_INIT(LIMIT_NFT_SCRIPT);
	int rc;

	buf_addf(&first, "create table inet shoal_%s\n", h->tag);
	add_base(&first, h->tag, false);
	add_elements(&first, "add", h->tag, b, false);
	rc = run(&first, e);
	if (rc != -EEXIST)
		return rc;
	add_elements(&more, "add", h->tag, b, false);
	return run(&more, e);
}

int nft_bridge_add(const struct net_host *h, const struct net_bridge *b, bool fresh, struct err *e)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	if (fresh)
		return add_fresh(h, b, e);
	add_base(&s, h->tag, true);
	/* What it was in before under other options goes in the same step. */
	add_elements(&s, "add", h->tag, b, true);
	add_elements(&s, "delete", h->tag, b, true);
	add_elements(&s, "add", h->tag, b, false);
	return run(&s, e);
}

int nft_bridge_remove(const struct net_host *h, const struct net_bridge *b, struct err *e)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	/* Added first, because deleting what is not there would fail the whole. */
	add_base(&s, h->tag, true);
	add_elements(&s, "add", h->tag, b, true);
	add_elements(&s, "delete", h->tag, b, true);
	return run(&s, e);
}

/*
 * Established and published connections of others (dockerd's, say) pass; so does what comes from
 * another bridge, where br_netfilter shows frames that are not routed at all.
 */
static void add_guard(struct buf *s, const char *tag)
{
	buf_addf(s,
		 "add chain inet shoal_%s guard "
		 "{ type filter hook forward priority filter; policy accept; }\n"
		 "flush chain inet shoal_%s guard\n",
		 tag, tag);
	buf_addf(s, "add rule inet shoal_%s guard ct state established,related accept\n", tag);
	buf_addf(s, "add rule inet shoal_%s guard ct status dnat accept\n", tag);
	buf_addf(s,
		 "add rule inet shoal_%s guard iifgroup != %u oifgroup != %u "
		 "meta iifkind != \"bridge\" drop\n",
		 tag, LINK_GROUP, LINK_GROUP);
}

int nft_guard_add(const struct net_host *h, struct err *e)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	add_base(&s, h->tag, true);
	add_guard(&s, h->tag);
	return run(&s, e);
}

static bool guard_exists(const struct net_host *h)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	buf_addf(&s, "list chain inet shoal_%s guard\n", h->tag);
	return run(&s, NULL) == 0;
}

int nft_reset(const struct net_host *h, const struct net_bridge *bridges, size_t count,
	      struct err *e)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	buf_addf(&s, "add table inet shoal_%s\ndelete table inet shoal_%s\n", h->tag, h->tag);
	if (count > 0)
		add_base(&s, h->tag, true);
	for (size_t i = 0; i < count; i++)
		add_elements(&s, "add", h->tag, &bridges[i], false);
	if (count > 0 && guard_exists(h))
		add_guard(&s, h->tag);
	return run(&s, e);
}
