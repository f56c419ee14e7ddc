/*
 * See stream_hello.h.
 */
#include "base/stream_hello.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define HELLO_MAGIC 0x4c414f53u /* "SOAL" */
#define HELLO_LEN 20
#define BYE_CODE_MAX 4095 /* the largest errno of any system */

struct frame *hello_write(const struct stream_hello *h)
{
	struct frame *f = frame_new(FRAME_HELLO, HELLO_LEN);
	uint8_t *p = f->payload;

	le32_put(p, HELLO_MAGIC);
	le16_put(p + 4, h->version_min);
	le16_put(p + 6, h->version_max);
	le16_put(p + 8, h->purpose);
	le16_put(p + 10, 0);
	le64_put(p + 12, h->features);
	return f;
}

int hello_read(const struct frame_view *f, struct stream_hello *ret, struct err *e)
{
	const uint8_t *p = f->payload;

	if (f->type != FRAME_HELLO || f->len < HELLO_LEN || le32_get(p) != HELLO_MAGIC)
		return err_set(e, -EPROTO, "the peer did not begin with a hello");
	ret->version_min = le16_get(p + 4);
	ret->version_max = le16_get(p + 6);
	ret->purpose = le16_get(p + 8);
	ret->features = le64_get(p + 12);
	return 0;
}

int hello_agree(const struct stream_hello *ours, const struct stream_hello *theirs,
		uint16_t *ret_version, struct err *e)
{
	uint16_t version = MIN_OF(ours->version_max, theirs->version_max);

	if (version < ours->version_min || version < theirs->version_min)
		return err_set(e, -EPROTO,
			       "no common protocol version: this node speaks %u to %u, the other "
			       "%u to %u; upgrade the older one",
			       ours->version_min, ours->version_max, theirs->version_min,
			       theirs->version_max);
	*ret_version = version;
	return 0;
}

struct frame *bye_write(int code, const char *reason)
{
	size_t n = MIN_OF(strlen(reason), (size_t)LIMIT_STREAM_REASON);
	struct frame *f = frame_new(FRAME_BYE, 4 + n);

	le32_put(f->payload, (uint32_t)(code < 0 ? -code : 0));
	memcpy(f->payload + 4, reason, n);
	return f;
}

void bye_read(const struct frame_view *f, struct err *ret)
{
	uint32_t code = f->len >= 4 ? le32_get(f->payload) : 0;
	size_t n = f->len > 4 ? MIN_OF(f->len - 4, (uint32_t)LIMIT_STREAM_REASON) : 0;
	char text[LIMIT_STREAM_REASON + 1];

	for (size_t i = 0; i < n; i++) {
		unsigned char c = f->payload[4 + i];

		text[i] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	text[n] = '\0';
	(void)err_set(ret, code && code <= BYE_CODE_MAX ? -(int)code : -EPIPE, "%s",
		      n ? text : "the peer closed the stream");
}
