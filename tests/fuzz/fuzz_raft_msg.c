/*
 * Raft's frames between managers: any bytes are read or refused, and what was read (of one frame's
 * own version) is written again as the same bytes.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "manager/raft_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct raft_msg *m, const uint8_t *data, size_t size)
{
	struct raft_message message = m->message;
	auto_buf b = BUF_INIT(LIMIT_FRAME);

	message.server_id = m->to;
	if (m->kind == RAFT_MSG_SNAPSHOT_CHUNK)
		assert(raft_msg_encode_chunk(&b, m->from, m->to, m->transfer, m->offset, m->chunk,
					     m->chunk_len) == 0);
	else if (m->kind == RAFT_MSG_APPEND)
		assert(raft_msg_encode(&b, m->from, &message, 0,
				       message.append_entries.n_entries) == 0);
	else
		return;
	assert(b.len <= size && memcmp(b.p + 1, data + 1, b.len - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct raft_msg m;

	if (raft_msg_decode(data, size, &m, NULL) < 0)
		return 0;
	again(&m, data, size);
	raft_msg_done(&m);
	return 0;
}
