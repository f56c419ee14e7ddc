/*
 * How entries and snapshots are sealed. An entry is one box, bound to its index, term and type, so
 * that it cannot be moved. A snapshot is u64 magic, u64 length of the plain text, and a box for
 * each MiB of it, bound to the snapshot's index and term and to its place. Part of the raft disk.
 */
#include <string.h>

#include "base/frame.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manager/raft_disk_impl.h"
#include "manager/raft_msg.h"

#define SNAPSHOT_MAGIC 0x3170616e536c6853ull /* "ShlSnap1" */
#define SNAPSHOT_HEADER 16
#define SNAPSHOT_PIECE (1u << 20)
#define AD_LEN 32

static void entry_ad(const struct raft_entry *entry, raft_index index, uint8_t ret[AD_LEN])
{
	memcpy(ret, "entry\0\0\0", 8);
	le64_put(ret + 8, index);
	le64_put(ret + 16, entry->term);
	le64_put(ret + 24, (uint64_t)entry->type);
}

int disk_seal_entry(struct sealer *s, const struct raft_entry *entry, raft_index index,
		    uint8_t *ret)
{
	uint8_t ad[AD_LEN];

	entry_ad(entry, index, ad);
	return seal_box(s, ad, sizeof(ad), entry->buf.base, entry->buf.len, ret);
}

/* raft_uv itself writes the first entry of a new group: ids of members, nothing secret. */
static bool is_first(const struct raft_entry *entry, raft_index index)
{
	return index == 1 && entry->term == 1 && entry->type == RAFT_CHANGE &&
	       raft_msg_check_configuration(entry->buf.base, entry->buf.len) == 0;
}

int disk_open_entry(struct sealer *s, struct raft_entry *entry, raft_index index)
{
	uint8_t *box = entry->buf.base;
	uint8_t ad[AD_LEN];

	if (is_first(entry, index))
		return 0;
	if (entry->buf.len < SEAL_OVERHEAD)
		return -EBADMSG;
	entry_ad(entry, index, ad);
	if (seal_open(s, ad, sizeof(ad), box, entry->buf.len, box + SEAL_HEADER) < 0)
		return -EBADMSG;
	entry->buf.base = box + SEAL_HEADER;
	entry->buf.len -= SEAL_OVERHEAD;
	if (entry->type == RAFT_CHANGE)
		return raft_msg_check_configuration(entry->buf.base, entry->buf.len);
	return 0;
}

static size_t pieces(size_t plain)
{
	return (plain + SNAPSHOT_PIECE - 1) / SNAPSHOT_PIECE;
}

size_t disk_snapshot_sealed_len(size_t plain)
{
	return SNAPSHOT_HEADER + plain + pieces(plain) * SEAL_OVERHEAD;
}

static void piece_ad(const struct raft_snapshot *snapshot, size_t plain, size_t piece,
		     uint8_t ret[AD_LEN])
{
	le64_put(ret, plain);
	le64_put(ret + 8, snapshot->index);
	le64_put(ret + 16, snapshot->term);
	le64_put(ret + 24, piece);
}

int disk_seal_snapshot(struct sealer *s, const struct raft_snapshot *snapshot, uint8_t *ret)
{
	const uint8_t *plain = snapshot->bufs[0].base;
	size_t len = snapshot->bufs[0].len;
	uint8_t ad[AD_LEN];

	le64_put(ret, SNAPSHOT_MAGIC);
	le64_put(ret + 8, len);
	ret += SNAPSHOT_HEADER;
	for (size_t i = 0; i < pieces(len); i++) {
		size_t at = i * SNAPSHOT_PIECE;
		size_t n = MIN_OF(len - at, (size_t)SNAPSHOT_PIECE);
		int rc;

		piece_ad(snapshot, len, i, ad);
		rc = seal_box(s, ad, sizeof(ad), plain + at, n, ret);
		if (rc < 0)
			return rc;
		ret += n + SEAL_OVERHEAD;
	}
	return 0;
}

int disk_open_snapshot(struct sealer *s, struct raft_snapshot *snapshot)
{
	const uint8_t *sealed = snapshot->bufs[0].base;
	size_t sealed_len = snapshot->bufs[0].len, len;
	uint8_t ad[AD_LEN], *plain;

	if (snapshot->n_bufs != 1 || sealed_len < SNAPSHOT_HEADER ||
	    le64_get(sealed) != SNAPSHOT_MAGIC)
		return -EBADMSG;
	len = le64_get(sealed + 8);
	if (len == 0 || len > LIMIT_SNAPSHOT || disk_snapshot_sealed_len(len) != sealed_len)
		return -EBADMSG;
	sealed += SNAPSHOT_HEADER;
	plain = raft_malloc(len);
	for (size_t i = 0; i < pieces(len); i++) {
		size_t at = i * SNAPSHOT_PIECE;
		size_t n = MIN_OF(len - at, (size_t)SNAPSHOT_PIECE);

		piece_ad(snapshot, len, i, ad);
		if (seal_open(s, ad, sizeof(ad), sealed, n + SEAL_OVERHEAD, plain + at) < 0) {
			raft_free(plain);
			return -EBADMSG;
		}
		sealed += n + SEAL_OVERHEAD;
	}
	raft_free(snapshot->bufs[0].base);
	snapshot->bufs[0] = (struct raft_buffer){.base = plain, .len = len};
	return 0;
}
