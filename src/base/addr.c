/*
 * Addresses as plain values; see addr.h. Pure: no sockets, no state.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned net_ip_size(uint8_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

int net_ip_parse(const char *text, struct net_ip *ret)
{
	struct net_ip ip = {0};

	if (text == NULL)
		return -EINVAL;
	ip.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(ip.family, text, ip.b) != 1)
		return -EINVAL;
	*ret = ip;
	return 0;
}

char *net_ip_format(const struct net_ip *ip, char ret[NET_IP_TEXT])
{
	if (net_ip_size(ip->family) == 0 || inet_ntop(ip->family, ip->b, ret, NET_IP_TEXT) == NULL)
		ret[0] = '\0';
	return ret;
}

int net_ip_compare(const struct net_ip *a, const struct net_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, net_ip_size(a->family));
}

bool net_ip_equal(const struct net_ip *a, const struct net_ip *b)
{
	return net_ip_compare(a, b) == 0;
}

bool net_ip_is_loopback(const struct net_ip *ip)
{
	static const uint8_t one[16] = {[15] = 1};

	return (ip->family == AF_INET && ip->b[0] == 127) ||
	       (ip->family == AF_INET6 && memcmp(ip->b, one, 16) == 0);
}

bool net_ip_is_link_local(const struct net_ip *ip)
{
	return (ip->family == AF_INET && ip->b[0] == 169 && ip->b[1] == 254) ||
	       (ip->family == AF_INET6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80);
}

socklen_t net_ip_sockaddr(const struct net_ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (ip->family == AF_INET6) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		memcpy(&sin6->sin6_addr, ip->b, 16);
		return sizeof(*sin6);
	}
	sin->sin_family = AF_INET;
	sin->sin_port = htons(port);
	memcpy(&sin->sin_addr, ip->b, 4);
	return sizeof(*sin);
}

int net_ip_from_sockaddr(const struct sockaddr *sa, struct net_ip *ret, uint16_t *ret_port)
{
	struct net_ip ip = {.family = (uint8_t)sa->sa_family};
	uint16_t port;

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)sa;

		memcpy(ip.b, &sin->sin_addr, 4);
		port = ntohs(sin->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)sa;

		memcpy(ip.b, &sin6->sin6_addr, 16);
		port = ntohs(sin6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = ip;
	if (ret_port != NULL)
		*ret_port = port;
	return 0;
}

int net_prefix_parse(const char *text, struct net_prefix *ret)
{
	char ip[NET_IP_TEXT];
	const char *slash = text != NULL ? strchr(text, '/') : NULL;
	struct net_prefix p = {0};
	unsigned len = 0;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	if (net_ip_parse(ip, &p.ip) < 0)
		return -EINVAL;
	if (slash[1] == '\0' || strlen(slash + 1) > 3)
		return -EINVAL;
	for (const char *c = slash + 1; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
		len = len * 10 + (unsigned)(*c - '0');
	}
	if (len > net_ip_size(p.ip.family) * 8)
		return -EINVAL;
	p.len = (uint8_t)len;
	*ret = p;
	return 0;
}

char *net_prefix_format(const struct net_prefix *p, char ret[NET_PREFIX_TEXT])
{
	char ip[NET_IP_TEXT];

	if (p->ip.family == 0)
		ret[0] = '\0';
	else
		snprintf(ret, NET_PREFIX_TEXT, "%s/%u", net_ip_format(&p->ip, ip), p->len);
	return ret;
}

struct net_prefix net_prefix_subnet(const struct net_prefix *p)
{
	struct net_prefix subnet = *p;
	unsigned size = net_ip_size(p->ip.family);

	for (unsigned i = 0; i < size; i++) {
		int bits = (int)p->len - (int)(i * 8);

		if (bits <= 0)
			subnet.ip.b[i] = 0;
		else if (bits < 8)
			subnet.ip.b[i] &= (uint8_t)(0xff << (8 - bits));
	}
	return subnet;
}

bool net_prefix_contains(const struct net_prefix *subnet, const struct net_ip *ip)
{
	struct net_prefix a = net_prefix_subnet(subnet);
	struct net_prefix b = net_prefix_subnet(&(struct net_prefix){*ip, subnet->len});

	return a.ip.family != 0 && net_ip_equal(&a.ip, &b.ip);
}

bool net_prefix_overlap(const struct net_prefix *a, const struct net_prefix *b)
{
	return a->len < b->len ? net_prefix_contains(a, &b->ip) : net_prefix_contains(b, &a->ip);
}

int net_mac_parse(const char *text, struct net_mac *ret)
{
	struct net_mac mac;
	int used = 0;

	if (text == NULL || strlen(text) != NET_MAC_TEXT - 1 ||
	    strspn(text, "0123456789abcdefABCDEF:") != NET_MAC_TEXT - 1)
		return -EINVAL;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac.b[0], &mac.b[1], &mac.b[2],
		   &mac.b[3], &mac.b[4], &mac.b[5], &used) != 6 ||
	    used != NET_MAC_TEXT - 1)
		return -EINVAL;
	*ret = mac;
	return 0;
}

char *net_mac_format(const struct net_mac *mac, char ret[NET_MAC_TEXT])
{
	snprintf(ret, NET_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac->b[0], mac->b[1],
		 mac->b[2], mac->b[3], mac->b[4], mac->b[5]);
	return ret;
}

bool net_mac_is_zero(const struct net_mac *mac)
{
	static const struct net_mac zero;

	return memcmp(mac, &zero, sizeof(zero)) == 0;
}

struct net_mac net_mac_from_ip(const struct net_ip *ip)
{
	struct net_mac mac = {{0x02, 0x42}};
	unsigned size = net_ip_size(ip->family);

	if (size >= 4)
		memcpy(mac.b + 2, ip->b + size - 4, 4);
	return mac;
}
