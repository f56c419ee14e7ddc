/*
 * The sweep at a daemon's start; see sweep.h. Finds its own by the tag in links' aliases and by the
 * folder of namespaces; touches nothing else.
 */
#include "net/sweep.h"

#include <dirent.h>
#include <string.h>

#include "net/link.h"
#include "net/netns.h"
#include "net/nft.h"
#include "net/overlay.h"
#include "net/segment.h"

struct sweeper {
	const struct net_host *h;
	const struct net_known *known;
	int *stale; /* indexes of links */
	unsigned count, cap;
};

static bool knows(const char *const *ids, size_t count, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(ids[i], id) == 0)
			return true;
	return false;
}

static bool knows_bridge(const struct net_known *k, const char *id, const char *name)
{
	for (size_t i = 0; i < k->bridge_count; i++)
		if (strcmp(k->bridges[i].id, id) == 0 && strcmp(k->bridges[i].name, name) == 0)
			return true;
	return false;
}

static bool is_stale(const struct sweeper *s, const struct link *l)
{
	const char *bridge = link_alias_id(s->h, "bridge", l->alias);
	const char *endpoint = link_alias_id(s->h, "endpoint", l->alias);

	if (bridge != NULL)
		return !knows_bridge(s->known, bridge, l->name);
	return endpoint != NULL && !knows(s->known->endpoints, s->known->endpoint_count, endpoint);
}

static int take_stale(void *arg, const struct link *l)
{
	struct sweeper *s = arg;

	if (l == NULL)
		s->count = 0;
	if (l == NULL || !is_stale(s, l))
		return 0;
	if (s->count == s->cap) {
		s->cap = s->cap > 0 ? s->cap * 2 : 64;
		s->stale = xreallocarray(s->stale, s->cap, sizeof(*s->stale));
	}
	s->stale[s->count++] = l->index;
	return 0;
}

/* Of one namespace: the host's or an overlay's that stays. */
static int sweep_links(struct sweeper *s, int netns_fd, struct net_swept *swept, struct err *e)
{
	auto_close int nl = -1;
	int rc = nl_open(netns_fd, NETLINK_ROUTE, &nl, e);

	s->count = 0;
	if (rc == 0)
		rc = link_each(nl, take_stale, s, e);
	if (rc == 0)
		rc = link_delete(nl, s->stale, s->count, e);
	if (rc == 0)
		swept->links += s->count;
	return rc;
}

static int sweep_overlay(struct sweeper *s, const char *id, struct net_swept *swept, struct err *e)
{
	auto_close int fd = -1;
	int rc;

	if (!knows(s->known->overlays, s->known->overlay_count, id)) {
		rc = net_overlay_remove(s->h, id, e);
		swept->namespaces += rc == 0;
		return rc;
	}
	fd = net_overlay_open(s->h, id, e);
	if (fd == -ENOENT) /* a plain file: making the overlay makes it whole */
		return 0;
	return fd < 0 ? fd : sweep_links(s, fd, swept, e);
}

static void keep_first(struct err *first, const struct err *e)
{
	if (first->code == 0)
		*first = *e;
}

static void sweep_overlays(struct sweeper *s, struct net_swept *swept, struct err *first)
{
	DIR *dir = s->h->netns_dir != NULL ? opendir(s->h->netns_dir) : NULL;
	struct dirent *d;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char path[OVERLAY_PATH_MAX];
		struct err e = ERR_INIT;

		/* What is named like no network is not ours. */
		if (overlay_path(s->h, d->d_name, path, NULL) < 0)
			continue;
		if (sweep_overlay(s, d->d_name, swept, &e) < 0)
			keep_first(first, &e);
	}
	if (dir != NULL)
		closedir(dir);
}

static int reset_rules(const struct net_host *h, const struct net_known *known, struct err *e)
{
	auto_visit visit = NETNS_VISIT_INIT;
	int rc = netns_enter(&visit, h->netns_fd, e);

	for (size_t i = 0; i < known->bridge_count && rc == 0; i++)
		rc = link_name_check(known->bridges[i].name, e);
	return rc < 0 ? rc : nft_reset(h, known->bridges, known->bridge_count, e);
}

int net_sweep(const struct net_host *h, const struct net_known *known, struct net_swept *ret,
	      struct err *e)
{
	struct sweeper s = {.h = h, .known = known};
	struct net_swept swept = {0};
	struct err first = ERR_INIT, step = ERR_INIT;
	int rc = net_host_check(h, e);

	if (rc < 0)
		return rc;
	/* Rules first: what they still let through has lost its network. */
	if (reset_rules(h, known, &step) < 0)
		keep_first(&first, &step);
	if (sweep_links(&s, h->netns_fd, &swept, &step) < 0)
		keep_first(&first, &step);
	sweep_overlays(&s, &swept, &first);
	free(s.stale);
	if (ret != NULL)
		*ret = swept;
	return first.code < 0 ? err_set(e, first.code, "%s", first.msg) : 0;
}
