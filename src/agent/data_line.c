/*
 * See data_line.h.
 */
#include "agent/data_line.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

bool data_line_is_new(const struct data_lines *all, const struct data_request *r)
{
	if (!r->ticket || !r->addr || !r->manager)
		return false;
	for (const struct data_line *l = all->first; l; l = l->next)
		if (strcmp(l->request.ticket, r->ticket) == 0)
			return false;
	return true;
}

int data_line_dial(struct data_lines *all, struct data_line *l, const struct data_request *r,
		   const struct stream_ops *ops)
{
	struct stream_target target = {
		.address = r->addr, .purpose = STREAM_DATA, .node_id = r->manager};

	l->all = all;
	table_copy(&data_request_table, &l->request, r);
	l->next = all->first;
	if (l->next)
		l->next->prev = l;
	all->first = l;
	return stream_connect(all->hub, &target, ops, l, &l->stream, NULL);
}

bool data_line_open(struct data_line *l)
{
	const struct data_ticket ticket = {.ticket = l->request.ticket};
	auto_buf bytes = BUF_INIT(LIMIT_FRAME);

	if (tlv_write(&data_ticket_table, &ticket, &bytes) == 0 &&
	    stream_send_copy(l->stream, DATA_TICKET, bytes.p, bytes.len) == 0)
		return true;
	stream_close(l->stream, -EMSGSIZE, "the ticket cannot be sent");
	return false;
}

static void unlink_line(struct data_line *l)
{
	if (!l->all)
		return;
	if (l->prev)
		l->prev->next = l->next;
	else
		l->all->first = l->next;
	if (l->next)
		l->next->prev = l->prev;
	l->prev = l->next = NULL;
	l->all = NULL;
}

void data_line_leave(struct data_line *l, const char *reason)
{
	unlink_line(l);
	stream_close(l->stream, -ESHUTDOWN, reason);
}

void data_line_done(struct data_line *l)
{
	unlink_line(l);
	table_done(&data_request_table, &l->request);
}
