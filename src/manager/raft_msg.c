/*
 * The codec of raft's messages, see raft_msg.h. Whatever comes in was sent by an authenticated
 * manager, yet nothing of it reaches libraft before it was checked: libraft asserts.
 */
#include "manager/raft_msg.h"

#include <string.h>

#include "base/frame.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manager/raft_heap.h"

#define HEADER_LEN 20
#define ENTRY_HEADER 16
/* An entry as it stands in the log: the largest batch with the wrapper's envelope. */
#define ENTRY_MAX (LIMIT_ENTRY + 64)
/* A frame's share for entries: room for the headers stays. */
#define ENTRIES_MAX (LIMIT_FRAME - 4096)

struct reader {
	const uint8_t *p;
	size_t n;
	bool short_of; /* something was read past the end */
};

static const uint8_t *read_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (n > r->n) {
		r->short_of = true;
		r->n = 0;
		return NULL;
	}
	r->p += n;
	r->n -= n;
	return p;
}

static uint8_t read_u8(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 1);

	return p ? *p : 0;
}

static uint16_t read_u16(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 2);

	return p ? le16_get(p) : 0;
}

static uint32_t read_u32(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 4);

	return p ? le32_get(p) : 0;
}

static uint64_t read_u64(struct reader *r)
{
	const uint8_t *p = read_bytes(r, 8);

	return p ? le64_get(p) : 0;
}

static void add_u8(struct buf *b, uint8_t v)
{
	(void)buf_add(b, &v, 1);
}

static void add_u16(struct buf *b, uint16_t v)
{
	uint8_t p[2];

	le16_put(p, v);
	(void)buf_add(b, p, sizeof(p));
}

static void add_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	le32_put(p, v);
	(void)buf_add(b, p, sizeof(p));
}

static void add_u64(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	le64_put(p, v);
	(void)buf_add(b, p, sizeof(p));
}

static void add_header(struct buf *b, enum raft_msg_kind kind, uint64_t from, uint64_t to)
{
	add_u8(b, RAFT_MSG_VERSION);
	add_u8(b, (uint8_t)kind);
	add_u16(b, 0);
	add_u64(b, from);
	add_u64(b, to);
}

unsigned raft_msg_fit(const struct raft_append_entries *ae, unsigned first)
{
	size_t bytes = 0;
	unsigned i;

	for (i = first; i < ae->n_entries; i++) {
		const struct raft_entry *entry = &ae->entries[i];

		bytes += ENTRY_HEADER + entry->buf.len;
		if (i > first && (bytes > ENTRIES_MAX || entry->type == RAFT_CHANGE))
			break;
	}
	return i - first;
}

static void add_append(struct buf *b, const struct raft_append_entries *ae, unsigned first,
		       unsigned count)
{
	add_u64(b, ae->term);
	add_u64(b, ae->prev_log_index + first);
	add_u64(b, first == 0 ? ae->prev_log_term : ae->entries[first - 1].term);
	add_u64(b, ae->leader_commit);
	add_u32(b, count);
	for (unsigned i = first; i < first + count; i++) {
		const struct raft_entry *entry = &ae->entries[i];

		add_u64(b, entry->term);
		add_u32(b, (uint32_t)entry->type);
		add_u32(b, (uint32_t)entry->buf.len);
		(void)buf_add(b, entry->buf.base, entry->buf.len);
	}
}

static void add_append_result(struct buf *b, const struct raft_append_entries_result *r)
{
	add_u8(b, r->version);
	add_u64(b, r->term);
	add_u64(b, r->rejected);
	add_u64(b, r->last_log_index);
	add_u16(b, r->features);
	add_u16(b, r->capacity);
}

static void add_vote(struct buf *b, const struct raft_request_vote *v)
{
	add_u8(b, v->version);
	add_u64(b, v->term);
	add_u64(b, v->candidate_id);
	add_u64(b, v->last_log_index);
	add_u64(b, v->last_log_term);
	add_u8(b, v->disrupt_leader);
	add_u8(b, v->pre_vote);
}

static void add_vote_result(struct buf *b, const struct raft_request_vote_result *r)
{
	add_u8(b, r->version);
	add_u64(b, r->term);
	add_u8(b, r->vote_granted);
	add_u8(b, r->pre_vote);
	add_u16(b, r->features);
	add_u16(b, r->capacity);
}

static void add_timeout_now(struct buf *b, const struct raft_timeout_now *t)
{
	add_u8(b, t->version);
	add_u64(b, t->term);
	add_u64(b, t->last_log_index);
	add_u64(b, t->last_log_term);
}

int raft_msg_encode(struct buf *out, uint64_t from, const struct raft_message *m, unsigned first,
		    unsigned count)
{
	switch (m->type) {
	case RAFT_APPEND_ENTRIES:
		add_header(out, RAFT_MSG_APPEND, from, m->server_id);
		add_append(out, &m->append_entries, first, count);
		break;
	case RAFT_APPEND_ENTRIES_RESULT:
		add_header(out, RAFT_MSG_APPEND_RESULT, from, m->server_id);
		add_append_result(out, &m->append_entries_result);
		break;
	case RAFT_REQUEST_VOTE:
		add_header(out, RAFT_MSG_VOTE, from, m->server_id);
		add_vote(out, &m->request_vote);
		break;
	case RAFT_REQUEST_VOTE_RESULT:
		add_header(out, RAFT_MSG_VOTE_RESULT, from, m->server_id);
		add_vote_result(out, &m->request_vote_result);
		break;
	case RAFT_TIMEOUT_NOW:
		add_header(out, RAFT_MSG_TIMEOUT_NOW, from, m->server_id);
		add_timeout_now(out, &m->timeout_now);
		break;
	case RAFT_INSTALL_SNAPSHOT:
	default:
		return -EINVAL;
	}
	return buf_status(out);
}

int raft_msg_encode_begin(struct buf *out, uint64_t from, uint64_t to,
			  const struct raft_install_snapshot *is, uint64_t transfer)
{
	struct raft_buffer conf;

	if (raft_configuration_encode(&is->conf, &conf) != 0)
		return -ENOMEM;
	add_header(out, RAFT_MSG_SNAPSHOT_BEGIN, from, to);
	add_u64(out, transfer);
	add_u8(out, is->version);
	add_u64(out, is->term);
	add_u64(out, is->last_index);
	add_u64(out, is->last_term);
	add_u64(out, is->conf_index);
	add_u64(out, is->data.len);
	add_u32(out, (uint32_t)conf.len);
	(void)buf_add(out, conf.base, conf.len);
	raft_free(conf.base);
	return buf_status(out);
}

int raft_msg_encode_chunk(struct buf *out, uint64_t from, uint64_t to, uint64_t transfer,
			  uint64_t offset, const void *p, size_t n)
{
	add_header(out, RAFT_MSG_SNAPSHOT_CHUNK, from, to);
	add_u64(out, transfer);
	add_u64(out, offset);
	add_u32(out, (uint32_t)n);
	(void)buf_add(out, p, n);
	return buf_status(out);
}

int raft_msg_check_configuration(const void *p, size_t n)
{
	struct reader r = {.p = p, .n = n};
	uint8_t format = read_u8(&r);
	uint64_t servers = read_u64(&r);

	if (r.short_of || format != 1 || servers == 0 || servers > LIMIT_MANAGERS)
		return -EBADMSG;
	for (uint64_t i = 0; i < servers; i++) {
		uint64_t id = read_u64(&r);
		const uint8_t *end = memchr(r.p, '\0', r.n);
		size_t len = end ? (size_t)(end - r.p) : 0;

		if (r.short_of || id == 0 || len == 0 || len > ID_CLUSTER_LEN)
			return -EBADMSG;
		(void)read_bytes(&r, len + 1);
		if (read_u8(&r) > RAFT_SPARE || r.short_of)
			return -EBADMSG;
	}
	return r.n < 8 ? 0 : -EBADMSG;
}

/* Sizes of all entries, checked, before anything is allocated. */
static int check_entries(struct reader r, unsigned count, uint64_t term, size_t *ret_bytes)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t entry_term = read_u64(&r);
		uint32_t type = read_u32(&r);
		uint32_t len = read_u32(&r);
		const uint8_t *p = read_bytes(&r, len);

		if (r.short_of || entry_term == 0 || entry_term > term || len % 8 != 0 ||
		    len == 0 || len > ENTRY_MAX || type < RAFT_COMMAND || type > RAFT_CHANGE)
			return -EBADMSG;
		if (type == RAFT_CHANGE && (i > 0 || raft_msg_check_configuration(p, len) < 0))
			return -EBADMSG;
		bytes += len;
	}
	*ret_bytes = bytes;
	return 0;
}

static bool any_is_secret(struct reader r, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t len;
		const uint8_t *p;

		(void)read_u64(&r);
		(void)read_u32(&r);
		len = read_u32(&r);
		p = read_bytes(&r, len);
		if (p && raft_entry_is_secret(p, len))
			return true;
	}
	return false;
}

static int read_entries(struct reader *r, struct raft_append_entries *ae, unsigned count,
			bool *ret_secret)
{
	size_t bytes = 0;
	uint8_t *batch;

	if (count > r->n / ENTRY_HEADER || check_entries(*r, count, ae->term, &bytes) < 0)
		return -EBADMSG;
	if (count == 0)
		return 0;
	ae->entries = raft_calloc(count, sizeof(*ae->entries));
	*ret_secret = any_is_secret(*r, count);
	batch = raft_heap_new(bytes, *ret_secret);
	if (!ae->entries)
		abort();
	ae->n_entries = count;
	for (unsigned i = 0; i < count; i++) {
		struct raft_entry *entry = &ae->entries[i];

		entry->batch = ae->entries[0].batch ? ae->entries[0].batch : batch;
		entry->term = read_u64(r);
		entry->type = (enum raft_entry_type)read_u32(r);
		entry->buf.len = read_u32(r);
		entry->buf.base = batch;
		memcpy(batch, read_bytes(r, entry->buf.len), entry->buf.len);
		batch += entry->buf.len;
	}
	return 0;
}

static int read_append(struct reader *r, struct raft_message *m, bool *ret_secret)
{
	struct raft_append_entries *ae = &m->append_entries;
	uint32_t count;

	m->type = RAFT_APPEND_ENTRIES;
	ae->term = read_u64(r);
	ae->prev_log_index = read_u64(r);
	ae->prev_log_term = read_u64(r);
	ae->leader_commit = read_u64(r);
	count = read_u32(r);
	if (r->short_of || ae->term == 0 || ae->prev_log_term > ae->term ||
	    (ae->prev_log_index == 0) != (ae->prev_log_term == 0) ||
	    ae->prev_log_index > UINT64_MAX / 2)
		return -EBADMSG;
	return read_entries(r, ae, count, ret_secret);
}

static int read_append_result(struct reader *r, struct raft_message *m)
{
	struct raft_append_entries_result *res = &m->append_entries_result;

	m->type = RAFT_APPEND_ENTRIES_RESULT;
	res->version = read_u8(r);
	res->term = read_u64(r);
	res->rejected = read_u64(r);
	res->last_log_index = read_u64(r);
	res->features = read_u16(r);
	res->capacity = read_u16(r);
	if (r->short_of || (res->rejected != 0 && res->last_log_index >= res->rejected))
		return -EBADMSG;
	return 0;
}

static int read_vote(struct reader *r, struct raft_message *m)
{
	struct raft_request_vote *v = &m->request_vote;

	m->type = RAFT_REQUEST_VOTE;
	v->version = read_u8(r);
	v->term = read_u64(r);
	v->candidate_id = read_u64(r);
	v->last_log_index = read_u64(r);
	v->last_log_term = read_u64(r);
	v->disrupt_leader = read_u8(r) != 0;
	v->pre_vote = read_u8(r) != 0;
	return r->short_of || v->term == 0 || v->candidate_id == 0 ? -EBADMSG : 0;
}

static int read_vote_result(struct reader *r, struct raft_message *m)
{
	struct raft_request_vote_result *res = &m->request_vote_result;

	m->type = RAFT_REQUEST_VOTE_RESULT;
	res->version = read_u8(r);
	res->term = read_u64(r);
	res->vote_granted = read_u8(r) != 0;
	res->pre_vote = read_u8(r) != 0;
	res->features = read_u16(r);
	res->capacity = read_u16(r);
	return r->short_of ? -EBADMSG : 0;
}

static int read_timeout_now(struct reader *r, struct raft_message *m)
{
	struct raft_timeout_now *t = &m->timeout_now;

	m->type = RAFT_TIMEOUT_NOW;
	t->version = read_u8(r);
	t->term = read_u64(r);
	t->last_log_index = read_u64(r);
	t->last_log_term = read_u64(r);
	return r->short_of || t->term == 0 ? -EBADMSG : 0;
}

static int read_begin(struct reader *r, struct raft_msg *msg)
{
	struct raft_install_snapshot *is = &msg->message.install_snapshot;
	struct raft_buffer conf;

	msg->message.type = RAFT_INSTALL_SNAPSHOT;
	msg->transfer = read_u64(r);
	is->version = read_u8(r);
	is->term = read_u64(r);
	is->last_index = read_u64(r);
	is->last_term = read_u64(r);
	is->conf_index = read_u64(r);
	is->data.len = read_u64(r);
	conf.len = read_u32(r);
	conf.base = (void *)read_bytes(r, conf.len);
	if (r->short_of || is->term == 0 || is->last_index == 0 || is->last_term == 0 ||
	    is->last_term > is->term || is->conf_index == 0 || is->conf_index > is->last_index ||
	    is->last_index > UINT64_MAX / 2 || is->data.len > LIMIT_SNAPSHOT)
		return -EBADMSG;
	if (raft_msg_check_configuration(conf.base, conf.len) < 0 ||
	    raft_configuration_decode(&conf, &is->conf) != 0)
		return -EBADMSG;
	return 0;
}

static int read_chunk(struct reader *r, struct raft_msg *msg)
{
	msg->transfer = read_u64(r);
	msg->offset = read_u64(r);
	msg->chunk_len = read_u32(r);
	msg->chunk = read_bytes(r, msg->chunk_len);
	if (r->short_of || msg->chunk_len > RAFT_MSG_CHUNK || msg->offset > LIMIT_SNAPSHOT)
		return -EBADMSG;
	return 0;
}

static int read_kind(struct reader *r, struct raft_msg *msg)
{
	switch (msg->kind) {
	case RAFT_MSG_APPEND:
		return read_append(r, &msg->message, &msg->secret);
	case RAFT_MSG_APPEND_RESULT:
		return read_append_result(r, &msg->message);
	case RAFT_MSG_VOTE:
		return read_vote(r, &msg->message);
	case RAFT_MSG_VOTE_RESULT:
		return read_vote_result(r, &msg->message);
	case RAFT_MSG_SNAPSHOT_BEGIN:
		return read_begin(r, msg);
	case RAFT_MSG_SNAPSHOT_CHUNK:
		return read_chunk(r, msg);
	case RAFT_MSG_TIMEOUT_NOW:
		return read_timeout_now(r, &msg->message);
	default:
		return -EBADMSG;
	}
}

int raft_msg_decode(const void *p, size_t n, struct raft_msg *ret, struct err *e)
{
	struct reader r = {.p = p, .n = n};
	uint8_t version = read_u8(&r);
	unsigned kind = read_u8(&r);
	uint16_t zero = read_u16(&r);
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->kind = (enum raft_msg_kind)kind;
	ret->from = read_u64(&r);
	ret->to = read_u64(&r);
	if (r.short_of || version == 0 || zero != 0 || ret->from == 0 || ret->to == 0)
		return err_set(e, -EBADMSG, "raft frame of %zu bytes has no valid header", n);
	ret->message.server_id = ret->from;
	rc = read_kind(&r, ret);
	if (rc == 0 && version == RAFT_MSG_VERSION && r.n != 0)
		rc = -EBADMSG;
	if (rc < 0) {
		raft_msg_done(ret);
		return err_set(e, rc, "raft frame of kind %u and %zu bytes is not valid", kind, n);
	}
	return 0;
}

void raft_msg_done(struct raft_msg *m)
{
	struct raft_append_entries *ae = &m->message.append_entries;
	struct raft_install_snapshot *is = &m->message.install_snapshot;

	if (m->kind == RAFT_MSG_APPEND && ae->n_entries > 0) {
		raft_free(ae->entries[0].batch);
		raft_free(ae->entries);
		ae->entries = NULL;
		ae->n_entries = 0;
	}
	if (m->kind == RAFT_MSG_SNAPSHOT_BEGIN) {
		raft_configuration_close(&is->conf);
		raft_configuration_init(&is->conf);
		raft_free(is->data.base);
		is->data.base = NULL;
	}
}
