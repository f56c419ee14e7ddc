/*
 * See publish.h. A transaction that only adds elements is much cheaper than one that makes chains
 * again, so that is what is tried first.
 */
#include "net/publish.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/netns.h"
#include "net/nft.h"

static const char *const protocols[] = {"tcp", "udp", "sctp"};

int net_port_hold(const struct net_host *h, struct net_port *p, int *ret_fd, struct err *e)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_STREAM};
	static const int numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(p->host_port)};
	auto_visit visit = NETNS_VISIT_INIT;
	auto_close int fd = -1;
	socklen_t n = sizeof at;
	char text[NET_IP_TEXT];
	int rc = netns_enter(&visit, h->netns_fd, e);

	if (rc < 0)
		return rc;
	if (p->host_ip.family == AF_INET)
		memcpy(&at.sin_addr, p->host_ip.b, sizeof at.sin_addr);
	else if (p->host_ip.family)
		return err_set(e, -ENOSYS, "publishing ports on IPv6 addresses is not supported");
	fd = socket(AF_INET, types[p->protocol] | SOCK_CLOEXEC, numbers[p->protocol]);
	if (fd < 0 && p->protocol == NET_PORT_SCTP && p->host_port) {
		*ret_fd = -1;
		return 0;
	}
	if (fd < 0)
		return err_sys(e, "cannot make a socket for a published %s port",
			       protocols[p->protocol]);
	/* Bound without listening: enough that nobody else can bind it. */
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		return errno == EADDRINUSE
			       ? err_set(e, -EADDRINUSE,
					 "Bind for %s:%u failed: port is already allocated",
					 p->host_ip.family ? net_ip_format(&p->host_ip, text)
							   : "0.0.0.0",
					 p->host_port)
			       : err_sys(e, "cannot publish port %u/%s", p->host_port,
					 protocols[p->protocol]);
	if (getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return err_sys(e, "cannot publish a port");
	p->host_port = ntohs(at.sin_port);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/*
 * `localnet`: the bridges let 127.0.0.1 pass so that the host reaches its published ports there;
 * nothing that comes from a container may use that way (CVE-2020-8558).
 */
static void add_base(struct buf *s, const char *tag)
{
	static const char *const parts[][2] = {
		{"map", "ports { type inet_proto . inet_service : ipv4_addr . inet_service; }"},
		{"map", "ports_at { type ipv4_addr . inet_proto . inet_service : "
			"ipv4_addr . inet_service; }"},
		{"chain", "dnat_in { type nat hook prerouting priority dstnat; }"},
		{"chain", "dnat_out { type nat hook output priority -100; }"},
		{"chain", "dnat_post { type nat hook postrouting priority 90; }"},
		{"chain", "localnet { type filter hook prerouting priority raw; }"},
	};
	static const char *const rules[] = {
		"dnat_in fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map "
		"@ports_at",
		"dnat_in fib daddr type local dnat ip to meta l4proto . th dport map @ports",
		"dnat_out fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map "
		"@ports_at",
		"dnat_out fib daddr type local dnat ip to meta l4proto . th dport map @ports",
		"dnat_post ip saddr 127.0.0.0/8 oifname @bridges ct status dnat masquerade",
		"dnat_post ip saddr @masq4 oifname @bridges ct status dnat masquerade",
		"localnet iifname @bridges ip daddr 127.0.0.0/8 drop",
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		buf_addf(s, "create %s inet shoal_%s %s\n", parts[i][0], tag, parts[i][1]);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		buf_addf(s, "add rule inet shoal_%s %s\n", tag, rules[i]);
}

static void add_element(struct buf *s, const char *verb, const char *tag, const struct net_port *p)
{
	char at[NET_IP_TEXT], to[NET_IP_TEXT];
	bool one = p->host_ip.family != 0;

	buf_addf(s, "%s element inet shoal_%s %s { %s%s%s . %u", verb, tag,
		 one ? "ports_at" : "ports", one ? net_ip_format(&p->host_ip, at) : "",
		 one ? " . " : "", protocols[p->protocol], p->host_port);
	if (*verb != 'd')
		buf_addf(s, " : %s . %u", net_ip_format(&p->to, to), p->to_port);
	buf_adds(s, " }\n");
}

static int run_elements(const char *verb, const char *tag, bool base, const struct net_port *v,
			size_t n, struct err *e)
{
	auto_buf s = BUF_INIT(LIMIT_NFT_SCRIPT);

	if (base)
		add_base(&s, tag);
	for (size_t i = 0; i < n; i++)
		add_element(&s, verb, tag, &v[i]);
	if (buf_status(&s) < 0)
		return err_set(e, -EMSGSIZE, "too many ports for one nftables transaction");
	return nft_run(buf_text(&s), e);
}

int net_ports_add(const struct net_host *h, const char *bridge, const struct net_port *v, size_t n,
		  struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	char path[64];
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = netns_enter(&visit, h->netns_fd, e);
	if (rc < 0 || n == 0)
		return rc;
	rc = run_elements("add", h->tag, false, v, n, e);
	if (rc == -ENOENT)
		rc = run_elements("add", h->tag, true, v, n, e);
	if (rc == -EEXIST) /* another made the base meanwhile, or a crash left an element */
		rc = net_ports_remove(h, v, n, e) < 0 ? e->code
						      : run_elements("add", h->tag, false, v, n, e);
	if (rc == 0) {
		(void)snprintf(path, sizeof path, "ipv4/conf/%.15s/route_localnet", bridge);
		rc = sysctl_write(path, "1", e);
	}
	return rc < 0 ? err_wrap(e, "cannot publish ports") : 0;
}

int net_ports_remove(const struct net_host *h, const struct net_port *v, size_t n, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	int rc = net_host_check(h, e);

	if (rc == 0)
		rc = netns_enter(&visit, h->netns_fd, e);
	if (rc < 0 || n == 0)
		return rc;
	rc = run_elements("delete", h->tag, false, v, n, e);
	if (rc != -ENOENT)
		return rc;
	/* One of them was not there: the others are to go all the same. */
	rc = 0;
	for (size_t i = 0; i < n && (rc == 0 || rc == -ENOENT); i++)
		rc = run_elements("delete", h->tag, false, &v[i], 1, e);
	return rc == -ENOENT ? 0 : rc;
}
