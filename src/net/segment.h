/*
 * The namespace and bridge that an endpoint hangs on, opened: the host's or an overlay's.
 * Internal to net.
 */
#pragma once

#include "net/endpoint.h"
#include "net/link.h"

#define OVERLAY_BRIDGE "br0"
#define OVERLAY_TUNNEL "vxlan0"
#define OVERLAY_PATH_MAX 512 /* bytes */

struct segment {
	int netns; /* an overlay's; -1: the host's is used */
	int nl;    /* a netlink socket in it */
};

#define auto_segment CLEANUP(segment_close) struct segment
#define SEGMENT_INIT ((struct segment){-1, -1})

/* -ENOENT: the overlay is not there. -EINVAL: not exactly one of the two is named. */
int segment_open(const struct net_host *h, const struct net_segment *s, struct segment *ret,
		 struct err *e);
void segment_close(struct segment *s);

/* Where an overlay's namespace is kept. -EINVAL for what is no id. */
int overlay_path(const struct net_host *h, const char *id, char ret[OVERLAY_PATH_MAX],
		 struct err *e);
