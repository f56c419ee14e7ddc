/*
 * What every call of net is told about where it works: the host's network namespace and the tag
 * of this daemon. The calls block and belong on the thread pool; they keep no state and may run
 * at once on several threads. Run again after a crash, each ends in the same state.
 *
 * What is made in the kernel carries the tag (a link's alias "shoal:<tag>:<kind>:<id>", the nft
 * table "shoal_<tag>"), so that many daemons live in one namespace and net_sweep() finds its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define NET_TAG_MAX 8     /* characters of a tag */
#define NET_IFNAME_MAX 16 /* bytes of an interface's name, NUL included */
#define NET_VXLAN_PORT 4789

struct net_host {
	int netns_fd;          /* the host's network namespace; -1: the calling thread's */
	const char *tag;       /* 1 to 8 of [a-z0-9]; unique among daemons of this namespace */
	const char *netns_dir; /* <exec-root>/netns: where overlays' namespaces are kept */
	uint16_t vxlan_port;   /* UDP; 0 means NET_VXLAN_PORT */
	/*
	 * Where IP forwarding was off and is switched on here, drop what would be forwarded
	 * between interfaces that are not Shoal's (dockerd's ip-forward-no-drop=false).
	 */
	bool forward_guard;
};

/* 0, or -EINVAL with the reason. Every call checks its host with this. */
int net_host_check(const struct net_host *h, struct err *e);
/* Makes a tag from any text (a daemon's exec-root, say): 8 characters, the same each time. */
void net_tag_from(const char *text, char ret[NET_TAG_MAX + 1]);
