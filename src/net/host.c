/*
 * Checks of what a caller says about its host, and the tag that tells daemons of one namespace
 * apart; see host.h. Pure.
 */
#include "net/host.h"

#include <string.h>

int net_host_check(const struct net_host *h, struct err *e)
{
	size_t n = h->tag != NULL ? strlen(h->tag) : 0;

	if (n == 0 || n > NET_TAG_MAX ||
	    strspn(h->tag, "abcdefghijklmnopqrstuvwxyz0123456789") != n)
		return err_set(e, -EINVAL, "network tag \"%s\" is not 1 to %d of a-z and 0-9",
			       h->tag != NULL ? h->tag : "", NET_TAG_MAX);
	return 0;
}

void net_tag_from(const char *text, char ret[NET_TAG_MAX + 1])
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a: no secret is involved */

	for (const char *c = text; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
	for (int i = 0; i < NET_TAG_MAX; i++) {
		ret[i] = digits[hash % (sizeof(digits) - 1)];
		hash /= sizeof(digits) - 1;
	}
	ret[NET_TAG_MAX] = '\0';
}
