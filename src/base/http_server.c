/*
 * The HTTP server on its loop: when the library runs, which deadlines there are, how the server
 * ends. Requests are http_conn.c's, answers http_reply.c's, sockets http_listen.c's.
 */
#include "base/http_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

#define SWEEP_MS 1000
#define EVICT_AGE_MS 100
#define RST_AVOID_MS 1000 /* what a client that still sends has to read its answer */

uint64_t http_now_ms(void)
{
	return clock_mono_ms();
}

static void on_mhd_timer(uv_timer_t *timer);

/* Runs the library once, then asks it when it wants to run again. */
static void turn(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (s->running || s->stopped)
		return;
	s->running = true;
	s->again = false;
	MHD_run(s->mhd);
	s->queued = 0;
	s->running = false;
	if (s->again)
		uv_timer_start(&s->mhd_timer, on_mhd_timer, 0, 0);
	else if (MHD_get_timeout(s->mhd, &ms) == MHD_YES)
		uv_timer_start(&s->mhd_timer, on_mhd_timer, ms, 0);
	else
		uv_timer_stop(&s->mhd_timer);
	http_server_settle(s);
}

static void on_mhd_timer(uv_timer_t *timer)
{
	turn(container_of(timer, struct http_server, mhd_timer));
}

static void on_mhd_ready(uv_poll_t *poll, int status, int events)
{
	turn(container_of(poll, struct http_server, mhd_poll));
}

void http_server_kick(struct http_server *s)
{
	s->again = true;
	if (!s->stopped && !s->running)
		uv_timer_start(&s->mhd_timer, on_mhd_timer, 0, 0);
}

/* Watches */

int http_watch_start(struct http_server *s, struct http_watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = w};

	if (w->active || epoll_ctl(s->gone_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return -errno;
	w->active = true;
	return 0;
}

void http_watch_stop(struct http_server *s, struct http_watch *w)
{
	if (!w->active)
		return;
	epoll_ctl(s->gone_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->active = false;
}

/* One at a time: what fires may stop or free any other watch. */
static void on_gone(uv_poll_t *poll, int status, int events)
{
	struct http_server *s = container_of(poll, struct http_server, gone_poll);
	struct epoll_event ev;

	for (int i = 0; i < LIMIT_HTTP_CLIENTS && epoll_wait(s->gone_fd, &ev, 1, 0) == 1; i++) {
		struct http_watch *w = ev.data.ptr;

		w->fire(w);
	}
}

/* Time */

void http_server_linger(struct http_server *s, int fd)
{
	if (s->lingers_count == HTTP_LINGERS) {
		close(s->lingers[0].fd);
		memmove(s->lingers, s->lingers + 1, sizeof(*s->lingers) * --s->lingers_count);
	}
	s->lingers[s->lingers_count++] =
		(struct http_linger){.fd = fd, .until_ms = http_now_ms() + RST_AVOID_MS};
	http_server_sweep(s);
}

static void sweep_lingers(struct http_server *s, uint64_t now_ms)
{
	size_t n = 0;

	while (n < s->lingers_count && s->lingers[n].until_ms <= now_ms)
		close(s->lingers[n++].fd);
	s->lingers_count -= n;
	memmove(s->lingers, s->lingers + n, sizeof(*s->lingers) * s->lingers_count);
}

/*
 * The library's own timeout starts again with each byte. Here is the end of those who send a
 * request a byte at a time.
 */
static void on_sweep(uv_timer_t *timer)
{
	struct http_server *s = container_of(timer, struct http_server, sweep);
	uint64_t now_ms = http_now_ms();

	sweep_lingers(s, now_ms);
	for (struct http_conn *c = s->conns; c; c = c->next) {
		uint64_t age_ms = now_ms - c->since_ms;

		if (c->handed_over)
			continue;
		if (c->req && !c->req->begun && age_ms > s->opts.header_ms)
			shutdown(c->fd, SHUT_RDWR);
		else if (!c->req && age_ms > s->opts.idle_ms + SWEEP_MS)
			shutdown(c->fd, SHUT_RDWR);
	}
	if (!s->accepting && !s->closing)
		http_server_accepting(s, true);
	/* An idle daemon is not woken each second for nothing. */
	if (!s->conns && s->lingers_count == 0 && s->accepting)
		uv_timer_stop(timer);
}

void http_server_sweep(struct http_server *s)
{
	if (!s->stopped && !uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

bool http_server_full(const struct http_server *s)
{
	return http_server_clients(s) + s->queued >= s->opts.clients_max;
}

/*
 * True when one more may be accepted. Else the connection idle for longest makes room for the one
 * that waits, unless it is so young that its request may be on the way.
 */
bool http_server_has_room(struct http_server *s)
{
	struct http_conn *oldest = NULL;
	uint64_t now_ms = http_now_ms();

	if (!http_server_full(s))
		return true;
	for (struct http_conn *c = s->conns; c; c = c->next)
		if (!c->req && !c->handed_over && now_ms - c->since_ms >= EVICT_AGE_MS &&
		    (!oldest || c->since_ms < oldest->since_ms))
			oldest = c;
	if (oldest)
		shutdown(oldest->fd, SHUT_RDWR);
	return false;
}

/* Beginning and end */

static int start_watches(struct http_server *s, struct err *e)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int rc;

	s->gone_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->gone_fd < 0)
		return err_sys(e, "cannot start the HTTP server");
	rc = uv_poll_init(s->loop, &s->gone_poll, s->gone_fd);
	if (rc == 0) {
		rc = uv_poll_init(s->loop, &s->mhd_poll, info->epoll_fd);
		if (rc < 0)
			abort(); /* cannot fail: the same call on the same loop just worked */
	}
	if (rc < 0)
		return err_code(e, rc, "cannot start the HTTP server");
	uv_timer_init(s->loop, &s->mhd_timer);
	uv_timer_init(s->loop, &s->sweep);
	uv_timer_init(s->loop, &s->grace);
	s->handles = 5;
	uv_poll_start(&s->gone_poll, UV_READABLE, on_gone);
	uv_poll_start(&s->mhd_poll, UV_READABLE, on_mhd_ready);
	return 0;
}

int http_server_new(uv_loop_t *loop, const struct http_server_opts *opts, struct http_server **ret,
		    struct err *e)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int rc;

	s->loop = loop;
	s->opts = *opts;
	s->gone_fd = -1;
	s->opts.clients_max = opts->clients_max ? opts->clients_max : LIMIT_HTTP_CLIENTS;
	s->opts.idle_ms = opts->idle_ms ? opts->idle_ms : LIMIT_HTTP_IDLE_MS;
	s->opts.header_ms = opts->header_ms ? opts->header_ms : LIMIT_HTTP_HEADER_MS;
	rc = http_conn_daemon(s, e);
	if (rc == 0)
		rc = start_watches(s, e);
	if (rc < 0) {
		if (s->mhd)
			MHD_stop_daemon(s->mhd);
		fd_close_at(&s->gone_fd);
		free(s);
		return rc;
	}
	signal(SIGPIPE, SIG_IGN);
	*ret = s;
	return 0;
}

unsigned http_server_port(const struct http_server *s)
{
	return s->port;
}

unsigned http_server_clients(const struct http_server *s)
{
	return s->conns_count + s->hijacks_count;
}

void http_server_header(struct http_server *s, const char *name, const char *value)
{
	for (size_t i = 0; i < s->headers_count; i++) {
		if (strcmp(s->headers[i].name, name) == 0) {
			str_set(&s->headers[i].value, value);
			return;
		}
	}
	if (s->headers_count == HTTP_HEADERS_MAX)
		abort();
	s->headers[s->headers_count].name = xstrdup(name);
	s->headers[s->headers_count++].value = xstrdup(value);
}

static void server_free(struct http_server *s)
{
	for (size_t i = 0; i < s->headers_count; i++) {
		free(s->headers[i].name);
		free(s->headers[i].value);
	}
	sweep_lingers(s, UINT64_MAX);
	close(s->gone_fd);
	s->closed(s->closed_data);
	free(s);
}

void http_server_handle_closed(struct http_server *s)
{
	if (--s->handles == 0)
		server_free(s);
}

static void handle_closed(uv_handle_t *handle)
{
	http_server_handle_closed(handle->data);
}

static void close_handle(struct http_server *s, uv_handle_t *handle)
{
	handle->data = s;
	uv_close(handle, handle_closed);
}

/* Called after each turn: a server that is closing ends once it has no connection any more. */
void http_server_settle(struct http_server *s)
{
	if (!s->closing || s->stopped || s->running || http_server_clients(s) > 0)
		return;
	s->stopped = true;
	uv_poll_stop(&s->mhd_poll);
	MHD_stop_daemon(s->mhd);
	close_handle(s, (uv_handle_t *)&s->mhd_poll);
	close_handle(s, (uv_handle_t *)&s->gone_poll);
	close_handle(s, (uv_handle_t *)&s->mhd_timer);
	close_handle(s, (uv_handle_t *)&s->sweep);
	close_handle(s, (uv_handle_t *)&s->grace);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct http_server *s = container_of(timer, struct http_server, grace);

	for (struct http_conn *c = s->conns; c; c = c->next)
		http_conn_cut(c);
	http_hijack_stop_all(s, true);
	http_server_kick(s);
}

void http_server_close(struct http_server *s, unsigned grace_ms, void (*closed)(void *data),
		       void *data)
{
	s->closed = closed;
	s->closed_data = data;
	s->closing = true;
	http_listen_close(s);
	for (struct http_conn *c = s->conns; c; c = c->next) {
		if (c->handed_over)
			continue;
		if (!c->req)
			shutdown(c->fd, SHUT_RDWR);
		else if (c->req->kind == HTTP_ANSWER_STREAM)
			http_req_tell_gone(c->req);
	}
	http_hijack_stop_all(s, false);
	uv_timer_start(&s->grace, on_grace_over, grace_ms, 0);
	http_server_kick(s);
}
