/*
 * Addresses of streams as text; see stream_impl.h. Names are never resolved here.
 */
#include "base/stream_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int port_parse(const char *text, int *ret)
{
	size_t n = strspn(text, "0123456789");
	long port = strtol(text, NULL, 10);

	if (n == 0 || n > 5 || text[n] || port > 65535)
		return -EINVAL;
	*ret = (int)port;
	return 0;
}

int stream_address_parse(const char *text, struct sockaddr_storage *ret)
{
	char host[STREAM_ADDRESS_MAX];
	const char *colon = text ? strrchr(text, ':') : NULL;
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool six = n >= 2 && text[0] == '[' && text[n - 1] == ']';
	int port, rc;

	if (n == 0 || n >= sizeof host || port_parse(colon + 1, &port) < 0)
		return -EINVAL;
	if (six)
		n -= 2;
	memcpy(host, text + six, n);
	host[n] = '\0';
	memset(ret, 0, sizeof *ret);
	rc = six ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)ret)
		 : uv_ip4_addr(host, port, (struct sockaddr_in *)ret);
	return rc < 0 ? -EINVAL : 0;
}

void stream_address_format(const struct sockaddr_storage *a, char ret[STREAM_ADDRESS_MAX])
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *four = (const struct sockaddr_in *)a;
	char host[INET6_ADDRSTRLEN];

	ret[0] = '\0';
	if (a->ss_family == AF_INET && inet_ntop(AF_INET, &four->sin_addr, host, sizeof host))
		(void)snprintf(ret, STREAM_ADDRESS_MAX, "%s:%u", host, ntohs(four->sin_port));
	else if (a->ss_family == AF_INET6 &&
		 inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host))
		(void)snprintf(ret, STREAM_ADDRESS_MAX, "[%s]:%u", host, ntohs(six->sin6_port));
}
