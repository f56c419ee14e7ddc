/*
 * Opening what an endpoint hangs on; see segment.h. Internal to net.
 */
#include "net/segment.h"

#include <stdio.h>
#include <string.h>

#include "net/netns.h"
#include "net/overlay.h"

#define OVERLAY_ID_MAX 64 /* characters of a network's id */

int overlay_path(const struct net_host *h, const char *id, char ret[OVERLAY_PATH_MAX],
		 struct err *e)
{
	size_t n = id != NULL ? strlen(id) : 0;

	/* It becomes a file's name: nothing but an id may pass. */
	if (n == 0 || n > OVERLAY_ID_MAX || strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") != n)
		return err_set(e, -EINVAL, "\"%.80s\" is no network id", id != NULL ? id : "");
	if (h->netns_dir == NULL ||
	    snprintf(ret, OVERLAY_PATH_MAX, "%s/%s", h->netns_dir, id) >= OVERLAY_PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "the folder for network namespaces is too long");
	return 0;
}

int net_overlay_open(const struct net_host *h, const char *id, struct err *e)
{
	char path[OVERLAY_PATH_MAX];
	int fd, rc = net_host_check(h, e);

	if (rc == 0)
		rc = overlay_path(h, id, path, e);
	if (rc == 0)
		rc = netns_open(path, &fd, e);
	return rc < 0 ? rc : fd;
}

int segment_open(const struct net_host *h, const struct net_segment *s, struct segment *ret,
		 struct err *e)
{
	auto_segment seg = SEGMENT_INIT;
	int rc;

	if ((s->bridge != NULL) == (s->overlay != NULL))
		return err_set(e, -EINVAL, "an endpoint needs either a bridge or an overlay");
	if (s->overlay != NULL) {
		seg.netns = net_overlay_open(h, s->overlay, e);
		if (seg.netns < 0)
			return seg.netns;
	}
	rc = nl_open(s->overlay != NULL ? seg.netns : h->netns_fd, NETLINK_ROUTE, &seg.nl, e);
	if (rc < 0)
		return rc;
	*ret = seg;
	seg = SEGMENT_INIT;
	return 0;
}

void segment_close(struct segment *s)
{
	fd_close_at(&s->nl);
	fd_close_at(&s->netns);
	*s = SEGMENT_INIT;
}
