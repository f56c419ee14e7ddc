/*
 * See stream.h: from queued frames to TLS records to the socket, and back. Small frames are packed
 * into whole records, large ones are encrypted from where they lie; what is read is decrypted into
 * one buffer that all streams share and cut into frames there.
 */
#include "base/stream_impl.h"

#include <string.h>

#include "base/mem.h"

/* Whole records that can be encrypted from the first frame without copying; 0: pack it. */
static size_t head_direct(const struct stream *s, const struct frame *f, const uint8_t **ret)
{
	size_t left, room;

	if (s->head_done < FRAME_HEADER)
		return 0;
	left = FRAME_HEADER + f->len - s->head_done;
	room = MAX_OF(STREAM_OUT_BATCH - s->hub->out.len, (size_t)TLS_RECORD);
	*ret = f->payload + (s->head_done - FRAME_HEADER);
	return MIN_OF(left, room) & ~(size_t)(TLS_RECORD - 1);
}

/* Copies bytes of the first frame, from where it stands, to `p`. Returns how many. */
static size_t head_copy(struct stream *s, const struct frame *f, uint8_t *p, size_t room)
{
	size_t total = 0;

	if (s->head_done < FRAME_HEADER) {
		total = MIN_OF(room, FRAME_HEADER - s->head_done);
		memcpy(p, f->header + s->head_done, total);
		s->head_done += total;
	}
	if (s->head_done >= FRAME_HEADER && total < room && f->len) {
		size_t at = s->head_done - FRAME_HEADER, n = MIN_OF(room - total, f->len - at);

		memcpy(p + total, f->payload + at, n);
		s->head_done += n;
		total += n;
	}
	return total;
}

static void head_pop(struct stream *s)
{
	struct frame_queue *q = &s->queue;
	struct frame *f = q->v[q->head];

	if (s->head_done < FRAME_HEADER + f->len)
		return;
	s->queued -= f->len + FRAME_HEADER + FRAME_COST;
	s->head_done = 0;
	q->head = (q->head + 1) & (q->cap - 1);
	if (--q->n == 0) {
		free(q->v);
		*q = (struct frame_queue){0};
	}
	frame_unref(f);
}

/* Encrypts about one batch of the queue into hub->out. */
static int encrypt_batch(struct stream *s)
{
	uint8_t record[TLS_RECORD];
	size_t fill = 0, most = 0;
	int rc = 0;

	s->tls.out = &s->hub->out;
	while (rc == 0 && s->queue.n && s->hub->out.len < STREAM_OUT_BATCH) {
		struct frame *f = s->queue.v[s->queue.head];
		const uint8_t *direct;
		size_t n = fill == 0 ? head_direct(s, f, &direct) : 0;

		if (n) {
			rc = tls_write(&s->tls, direct, n);
			s->head_done += n;
		} else {
			fill += head_copy(s, f, record + fill, sizeof record - fill);
			most = MAX_OF(most, fill);
		}
		head_pop(s);
		if (rc == 0 && fill == sizeof record) {
			rc = tls_write(&s->tls, record, fill);
			fill = 0;
		}
	}
	if (rc == 0 && fill)
		rc = tls_write(&s->tls, record, fill);
	explicit_bzero(record, most); /* a secret may have been among it */
	return rc;
}

static void stream_drain(struct stream *s)
{
	if (!s->want_drain || s->queued >= LIMIT_STREAM_HIGH / 4 || s->state != STREAM_OPEN)
		return;
	s->want_drain = false;
	if (s->ops->drain)
		s->ops->drain(s, s->data);
}

/*
 * Writing has failed. The peer may have said why before it went, so reading decides how this ends;
 * without a word from it the deadline does.
 */
static void write_failed(struct stream *s, int code)
{
	s->broken = true;
	stream_queue_drop(s);
	if (s->state < STREAM_CLOSING)
		(void)err_set(&s->why, code == UV_ECANCELED ? 0 : -ECONNRESET,
			      "the connection to %s was lost: %s", s->peer.address,
			      uv_strerror(code));
	stream_set_deadline(s, LIMIT_LINGER_MS);
	(void)stream_read_on(s);
}

/* Ciphertext that the kernel had no room for. */
struct stream_write {
	uv_write_t req;
	struct stream *s;
	uint8_t bytes[];
};

static void on_written(uv_write_t *req, int status)
{
	struct stream_write *w = container_of(req, struct stream_write, req);
	struct stream *s = w->s;

	free(w);
	s->writes--;
	if (s->state == STREAM_CLOSED)
		return;
	if (status < 0)
		write_failed(s, status);
	else
		stream_flush(s);
}

void stream_write_raw(struct stream *s, const uint8_t *p, size_t n)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)p, (unsigned)n);
	int rc = uv_try_write((uv_stream_t *)&s->tcp, &b, 1);
	struct stream_write *w;

	if (rc == UV_EAGAIN)
		rc = 0;
	if (rc >= 0 && (size_t)rc < n) {
		n -= (size_t)rc;
		w = xmalloc(sizeof *w + n);
		memcpy(w->bytes, p + rc, n);
		w->s = s;
		b = uv_buf_init((char *)w->bytes, (unsigned)n);
		rc = uv_write(&w->req, (uv_stream_t *)&s->tcp, &b, 1, on_written);
		if (rc < 0)
			free(w);
		else
			s->writes++;
	}
	if (rc < 0)
		write_failed(s, rc);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	/* The peer's end of file, or the deadline, is what finishes the stream. */
}

static void stream_say_goodbye(struct stream *s)
{
	s->shut = true;
	buf_reset(&s->hub->out);
	s->tls.out = &s->hub->out;
	tls_close(&s->tls);
	if (s->hub->out.len)
		stream_write_raw(s, (uint8_t *)s->hub->out.p, s->hub->out.len);
	if (!s->broken)
		(void)uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, on_shutdown);
}

void stream_flush(struct stream *s)
{
	size_t sent = 0;

	if (!s->tls_up || s->state >= STREAM_CLOSED)
		return;
	while (s->queue.n && !s->writes && !s->broken && sent < STREAM_OUT_TURN) {
		buf_reset(&s->hub->out);
		if (encrypt_batch(s) < 0) {
			write_failed(s, UV_EPROTO);
			return;
		}
		sent += s->hub->out.len;
		stream_write_raw(s, (uint8_t *)s->hub->out.p, s->hub->out.len);
	}
	if (s->queue.n && !s->writes && !s->broken)
		stream_mark_dirty(s); /* the others' turn first */
	if (s->state == STREAM_CLOSING && !s->queue.n && !s->writes && !s->broken && !s->shut)
		stream_say_goodbye(s);
	stream_drain(s);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct stream *s = handle->data;

	*ret = uv_buf_init((char *)s->hub->in, STREAM_IN_SIZE);
}

/* The peer is gone without close_notify. */
static void stream_lost(struct stream *s, int code)
{
	if (s->state < STREAM_CLOSING && !s->broken)
		(void)err_set(&s->why, -ECONNRESET, "the connection to %s was lost%s%s",
			      s->peer.address, code == UV_EOF ? "" : ": ",
			      code == UV_EOF ? "" : uv_strerror(code));
	stream_finish(s);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *b)
{
	struct stream *s = handle->data;

	if (n == 0)
		return;
	if (n < 0) {
		stream_lost(s, (int)n);
		return;
	}
	s->heard_ms = uv_now(s->hub->loop);
	if (s->state == STREAM_SHAKE)
		stream_shake_more(s, (const uint8_t *)b->base, (size_t)n);
	else if (s->state < STREAM_CLOSING)
		stream_take(s, (const uint8_t *)b->base, (size_t)n);
}

int stream_read_on(struct stream *s)
{
	int rc;

	/* While the pool has the stream it owns the buffer that would be read into. */
	if (s->reading || s->in_pool)
		return 0;
	rc = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
	s->reading = rc == 0;
	return rc;
}

void stream_read_off(struct stream *s)
{
	if (s->reading)
		(void)uv_read_stop((uv_stream_t *)&s->tcp);
	s->reading = false;
}

/* One frame of an open stream. */
static void stream_frame(struct stream *s, const struct frame_view *f)
{
	if (f->type < FRAME_TYPE_STREAM) {
		s->ops->recv(s, f, s->data);
	} else if (f->type == FRAME_BYE) {
		struct err e;

		bye_read(f, &e);
		stream_fail(s, false, e.code, "%s", e.msg);
	} else {
		stream_fail(s, true, -EPROTO, "unknown stream frame %#x", f->type);
	}
}

/* Hands out all whole frames; keeps the rest when the owner pauses. */
static void stream_dispatch(struct stream *s)
{
	struct frame_view f;
	int rc = 0;

	while ((s->state == STREAM_HELLO || (s->state == STREAM_OPEN && !s->paused)) &&
	       (rc = frame_reader_next(&s->reader, &f)) == 1) {
		if (s->state == STREAM_HELLO)
			stream_hello_frame(s, &f);
		else
			stream_frame(s, &f);
	}
	if (s->state >= STREAM_CLOSING)
		return;
	if (rc >= 0 && s->paused)
		rc = frame_reader_keep(&s->reader);
	if (rc == -EMSGSIZE)
		stream_fail(s, true, rc, "a frame is larger than %u bytes", s->reader.max);
	else if (rc < 0)
		stream_fail(s, true, rc, "the bytes of a frame make no sense");
}

void stream_dispatch_kept(struct stream *s)
{
	s->resume = false;
	if (s->state == STREAM_OPEN && !s->paused)
		stream_dispatch(s);
	if (s->state == STREAM_OPEN && !s->paused)
		(void)stream_read_on(s);
}

void stream_take(struct stream *s, const uint8_t *p, size_t n)
{
	uint8_t *plain = s->hub->plain;
	size_t fill = 0;
	ssize_t got;

	tls_give(&s->tls, p, n);
	do {
		s->tls.out = &s->hub->out;
		buf_reset(&s->hub->out);
		got = tls_read(&s->tls, plain + fill, STREAM_PLAIN_SIZE - fill);
		if (s->hub->out.len) /* an alert or a key update */
			stream_write_raw(s, (uint8_t *)s->hub->out.p, s->hub->out.len);
		if (got > 0)
			fill += (size_t)got;
		if ((got <= 0 && fill) || fill > STREAM_PLAIN_SIZE - TLS_RECORD) {
			frame_reader_give(&s->reader, plain, fill);
			stream_dispatch(s);
			explicit_bzero(plain, fill); /* as above */
			fill = 0;
		}
	} while (got > 0 && s->state < STREAM_CLOSING);
	tls_give(&s->tls, NULL, 0);
	if (got < 0)
		stream_fail(s, false, (int)got, "%s", s->tls.why.msg);
}
