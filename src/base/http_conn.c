/*
 * Connections of the HTTP server and the library's callbacks. What is on a connection is
 * http_req.c's matter.
 */
#include "base/http_impl.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "base/mem.h"

/* Memory of a connection in the library: headers of the bound, and room to read and write. */
#define CONN_MEMORY (LIMIT_HTTP_HEADERS * 2)

static struct http_conn *conn_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void on_conn_gone(struct http_watch *w)
{
	http_conn_cut(container_of(w, struct http_conn, watch));
}

static void conn_open(struct http_server *s, struct MHD_Connection *mhd, void **ret)
{
	struct http_conn *c = xcalloc(1, sizeof(*c));

	c->server = s;
	c->mhd = mhd;
	c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->saved_fd = -1;
	c->sink_fd = -1;
	c->watch = (struct http_watch){.fire = on_conn_gone, .fd = c->fd};
	c->since_ms = http_now_ms();
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	s->conns_count++;
	http_server_sweep(s);
	*ret = c;
}

static void conn_closed(struct http_conn *c)
{
	struct http_server *s = c->server;

	http_watch_stop(s, &c->watch);
	http_hijack_unswap(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->conns_count--;
	free(c);
	if (!s->accepting && !s->stopped)
		http_server_accepting(s, true);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, mhd, context);
	else if (*context)
		conn_closed(*context);
}

void http_conn_suspend(struct http_conn *c, uint32_t events)
{
	if (c->suspended)
		return;
	c->suspended = true;
	MHD_suspend_connection(c->mhd);
	http_watch_start(c->server, &c->watch, events);
}

void http_conn_resume(struct http_conn *c)
{
	if (!c->suspended)
		return;
	c->suspended = false;
	http_watch_stop(c->server, &c->watch);
	MHD_resume_connection(c->mhd);
	http_server_kick(c->server);
}

void http_conn_cut(struct http_conn *c)
{
	if (c->handed_over)
		return;
	if (c->req)
		c->req->cut = true;
	if (c->suspended)
		http_conn_resume(c);
	else
		shutdown(c->fd, SHUT_RDWR);
}

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct http_conn *c = conn_of(mhd);

	if (c && !c->req)
		http_req_new(c, uri);
	return NULL;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *size, void **context)
{
	struct http_req *req = conn_of(mhd)->req;

	if (!req)
		return MHD_NO;
	if (!req->started)
		return http_req_headers(req, method);
	if (*size > 0)
		return http_req_body(req, data, size);
	return http_req_complete(req);
}

static void on_request_completed(void *cls, struct MHD_Connection *mhd, void **context,
				 enum MHD_RequestTerminationCode code)
{
	struct http_conn *c = conn_of(mhd);

	*context = NULL;
	if (!c)
		return;
	http_conn_drop_req(c);
	if (c->server->closing && !c->handed_over)
		shutdown(c->fd, SHUT_RDWR);
}

int http_conn_daemon(struct http_server *s, struct err *e)
{
	unsigned idle_s = (s->opts.idle_ms + 999) / 1000;

	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
					  MHD_USE_NO_LISTEN_SOCKET,
				  0, NULL, NULL, on_access, s, MHD_OPTION_NOTIFY_CONNECTION,
				  on_connection, s, MHD_OPTION_NOTIFY_COMPLETED,
				  on_request_completed, s, MHD_OPTION_URI_LOG_CALLBACK,
				  on_request_line, s, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
				  MHD_OPTION_CONNECTION_LIMIT, s->opts.clients_max + 16,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONN_MEMORY,
				  MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	if (!s->mhd)
		return err_sys(e, "cannot start the HTTP server");
	return 0;
}
