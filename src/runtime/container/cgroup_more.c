/*
 * The limits that few containers have: block devices, huge pages, network classes and priorities,
 * RDMA. What the host's version of control groups does not know is refused by name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/container/cgroup_internal.h"

static int refuse(const char *what, struct err *e)
{
	return err_set(e, -ENOSYS,
		       "config.json: linux.resources.%s is not there in control groups v2", what);
}

uint64_t cgroup_weight_of_blkio(uint64_t weight)
{
	if (weight < 10)
		weight = 10;
	return weight >= 1000 ? 10000 : 1 + (weight - 10) * 9999 / 990;
}

/* The bfq scheduler has files of its own in both versions. The first that is there. */
static int write_either(int dir, const char *first, const char *second, const char *value,
			struct err *e)
{
	int rc = cgroup_write(dir, first, value, NULL);

	return rc == -ENOENT ? cgroup_write(dir, second, value, e)
	       : rc < 0      ? err_code(e, rc, "cannot write %.64s to %s", value, first)
			     : 0;
}

static int set_throttle(int dir, const char *v1_file, const char *v2_key,
			const struct spec_throttle *t, struct err *e)
{
	char text[96];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		const struct spec_throttle_device *d = &t->v[i];
		int64_t rate = d->rate == SPEC_UNSET ? 0 : d->rate;

		if (v1_file)
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRId64, d->major,
				 d->minor, rate);
		else if (rate > 0)
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s=%" PRId64,
				 d->major, d->minor, v2_key, rate);
		else
			snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s=max", d->major,
				 d->minor, v2_key);
		rc = cgroup_write(dir, v1_file ? v1_file : "io.max", text, e);
	}
	return rc;
}

static bool has_block_io(const struct spec_block_io *b)
{
	return b->weight > 0 || b->leaf_weight > 0 || b->weight_devices.n || b->read_bps.n ||
	       b->write_bps.n || b->read_iops.n || b->write_iops.n;
}

static int set_v1_weights(int dir, const struct spec_block_io *b, struct err *e)
{
	char text[96];
	int rc = 0;

	if (b->weight > 0) {
		snprintf(text, sizeof(text), "%" PRId64, b->weight);
		rc = write_either(dir, "blkio.weight", "blkio.bfq.weight", text, e);
	}
	if (rc == 0 && b->leaf_weight > 0)
		rc = cgroup_write_num(dir, "blkio.leaf_weight", b->leaf_weight, e);
	for (size_t i = 0; rc == 0 && i < b->weight_devices.n; i++) {
		const struct spec_weight_device *d = &b->weight_devices.v[i];

		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRId64, d->major, d->minor,
			 d->weight);
		if (d->weight > 0)
			rc = write_either(dir, "blkio.weight_device", "blkio.bfq.weight_device",
					  text, e);
		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRId64, d->major, d->minor,
			 d->leaf_weight);
		if (rc == 0 && d->leaf_weight > 0)
			rc = cgroup_write(dir, "blkio.leaf_weight_device", text, e);
	}
	return rc;
}

/* io.bfq.weight counts as v1 did, io.weight does not. `device` is "major:minor ", or empty. */
static int set_v2_weight(int dir, const char *device, int64_t weight, struct err *e)
{
	char text[96];
	int rc;

	snprintf(text, sizeof(text), "%s%" PRId64, device, weight);
	rc = cgroup_write(dir, "io.bfq.weight", text, NULL);
	if (rc == 0)
		return 0;
	snprintf(text, sizeof(text), "%s%" PRIu64, device,
		 cgroup_weight_of_blkio((uint64_t)weight));
	return cgroup_write(dir, "io.weight", text, e);
}

static int set_v2_weights(int dir, const struct spec_block_io *b, struct err *e)
{
	char text[64];
	int rc;

	if (b->leaf_weight > 0)
		return refuse("blockIO.leafWeight", e);
	for (size_t i = 0; i < b->weight_devices.n; i++)
		if (b->weight_devices.v[i].leaf_weight > 0)
			return refuse("blockIO.weightDevice.leafWeight", e);
	rc = b->weight > 0 ? set_v2_weight(dir, "", b->weight, e) : 0;
	for (size_t i = 0; rc == 0 && i < b->weight_devices.n; i++) {
		const struct spec_weight_device *d = &b->weight_devices.v[i];

		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " ", d->major, d->minor);
		if (d->weight > 0)
			rc = set_v2_weight(dir, text, d->weight, e);
	}
	return rc;
}

static int set_block_io(const struct cgroup *c, const struct spec_block_io *b, struct err *e)
{
	static const char *const files[] = {
		"blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
		"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device"};
	static const char *const keys[] = {"rbps", "wbps", "riops", "wiops"};
	const struct spec_throttle *limits[] = {&b->read_bps, &b->write_bps, &b->read_iops,
						&b->write_iops};
	int h = c->v2 ? CGROUP_UNIFIED : CGROUP_BLKIO;
	int rc;

	if (!has_block_io(b))
		return 0;
	rc = c->v2 ? 0 : cgroup_need(c, h, "limits of block devices", e);
	if (rc == 0)
		rc = c->v2 ? set_v2_weights(c->dir[h], b, e) : set_v1_weights(c->dir[h], b, e);
	for (int i = 0; rc == 0 && i < 4; i++)
		rc = set_throttle(c->dir[h], c->v2 ? NULL : files[i], keys[i], limits[i], e);
	return rc;
}

/* On a hybrid host the controller may be in v1's tree or in v2's. */
static int set_hugepages(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	bool v1 = c->dir[CGROUP_HUGETLB] >= 0;
	int dir = v1 ? c->dir[CGROUP_HUGETLB] : c->dir[CGROUP_UNIFIED];
	char file[64], text[32];

	for (size_t i = 0; i < r->hugepages.n; i++) {
		const struct spec_hugepage *p = &r->hugepages.v[i];
		const char *last = v1 ? "limit_in_bytes" : "max";
		int rc = dir >= 0 ? 0 : cgroup_need(c, CGROUP_HUGETLB, "limit of huge pages", e);

		if (rc < 0)
			return rc;
		snprintf(text, sizeof(text), "%" PRIu64, p->limit);
		snprintf(file, sizeof(file), "hugetlb.%.16s.%s", p->page_size, last);
		rc = cgroup_write(dir, file, text, e);
		if (rc < 0)
			return rc;
		/* Reservations have a limit of their own where the kernel has it. */
		snprintf(file, sizeof(file), "hugetlb.%.16s.rsvd.%s", p->page_size, last);
		rc = cgroup_write(dir, file, text, NULL);
		if (rc < 0 && rc != -ENOENT)
			return err_code(e, rc, "cannot write %s to %s", text, file);
	}
	return 0;
}

static int set_network(const struct cgroup *c, const struct spec_network *n, struct err *e)
{
	char text[96];
	int rc = 0;

	if (c->v2 && n->class_id != SPEC_UNSET && n->class_id != 0)
		return refuse("network.classID", e);
	if (c->v2 && n->priorities.n)
		return refuse("network.priorities", e);
	if (!c->v2 && n->class_id != SPEC_UNSET) {
		rc = cgroup_need(c, CGROUP_NET_CLS, "network class", e);
		if (rc == 0)
			rc = cgroup_write_num(c->dir[CGROUP_NET_CLS], "net_cls.classid",
					      n->class_id, e);
	}
	for (size_t i = 0; rc == 0 && i < n->priorities.n; i++) {
		rc = cgroup_need(c, CGROUP_NET_PRIO, "network priorities", e);
		snprintf(text, sizeof(text), "%.64s %" PRId64, n->priorities.v[i].name,
			 n->priorities.v[i].priority);
		if (rc == 0)
			rc = cgroup_write(c->dir[CGROUP_NET_PRIO], "net_prio.ifpriomap", text, e);
	}
	return rc;
}

static int set_rdma(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	int h = c->v2 ? CGROUP_UNIFIED : CGROUP_RDMA;
	char text[128];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->rdma.n; i++) {
		const struct spec_rdma *d = &r->rdma.v[i];
		int n = snprintf(text, sizeof(text), "%.64s", d->name);

		rc = c->v2 ? 0 : cgroup_need(c, h, "limits of RDMA", e);
		if (d->hca_handles != SPEC_UNSET)
			n += snprintf(text + n, sizeof(text) - (size_t)n, " hca_handle=%u",
				      (unsigned int)d->hca_handles);
		if (d->hca_objects != SPEC_UNSET)
			snprintf(text + n, sizeof(text) - (size_t)n, " hca_object=%u",
				 (unsigned int)d->hca_objects);
		if (rc == 0)
			rc = cgroup_write(c->dir[h], "rdma.max", text, e);
	}
	return rc;
}

int cgroup_set_more(const struct cgroup *c, const struct spec_resources *r, struct err *e)
{
	int rc = set_block_io(c, &r->block_io, e);

	if (rc == 0)
		rc = set_hugepages(c, r, e);
	if (rc == 0)
		rc = set_network(c, &r->network, e);
	return rc < 0 ? rc : set_rdma(c, r, e);
}
