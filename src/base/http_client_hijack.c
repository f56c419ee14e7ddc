/*
 * The HTTP client's calls that end as a raw connection: attach and exec. The library cannot give
 * its connection away with the bytes that it has read, so these few lines of HTTP are our own.
 */
#include "base/http_client_impl.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#define ERROR_WAIT_S 10 /* for the text of a refusal */

static int connect_unix(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	auto_close int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int connect_any(const struct addrinfo *list)
{
	int rc = -EHOSTUNREACH;

	for (; list; list = list->ai_next) {
		auto_close int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) == 0)
			return TAKE_FD(fd);
		rc = -errno;
	}
	return rc;
}

static int connect_tcp(const char *host_port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	auto_free char *text = xstrdup(host_port);
	char *port = strrchr(text, ':'), *host = text;
	int fd;

	*port++ = 0;
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = 0;
		host++;
	}
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -EHOSTUNREACH;
	fd = connect_any(list);
	freeaddrinfo(list);
	return fd;
}

static int send_request(int fd, struct http_client *c, const struct http_call *call)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_HEADERS + LIMIT_JSON_BODY);

	buf_addf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", call->method, call->path,
		 c->host ? c->host : "shoal.localhost");
	buf_adds(&b, "User-Agent: Shoal-Client/" SHOAL_VERSION " (linux)\r\n"
		     "Connection: Upgrade\r\nUpgrade: tcp\r\n");
	if (call->body)
		buf_addf(&b, "Content-Type: %s\r\n",
			 call->body_type ? call->body_type : "application/json");
	buf_addf(&b, "Content-Length: %zu\r\n", call->body ? call->body_len : 0);
	for (const char *const *h = call->headers; h && *h; h++)
		buf_addf(&b, "%s\r\n", *h);
	buf_adds(&b, "\r\n");
	if (call->body)
		buf_add(&b, call->body, call->body_len);
	return buf_status(&b) < 0 ? -EMSGSIZE : file_write_fd(fd, b.p, b.len);
}

/* Reads up to the empty line; what came after it is the beginning of the body. */
static int read_head(int fd, struct http_answer *a)
{
	char room[4096];
	char *end;

	while (!(end = strstr(buf_text(&a->headers), "\r\n\r\n"))) {
		ssize_t n = read(fd, room, sizeof(room));

		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		if (memchr(room, 0, (size_t)n) && !memmem(room, (size_t)n, "\r\n\r\n", 4))
			return -EBADMSG;
		if (buf_add(&a->headers, room, (size_t)n) < 0)
			return -EMSGSIZE;
	}
	end += 4;
	buf_add(&a->body, end, (size_t)(a->headers.p + a->headers.len - end));
	a->headers.len = (size_t)(end - a->headers.p);
	*end = 0;
	if (sscanf(a->headers.p, "HTTP/1.%*1[01] %3d", &a->status) != 1)
		return -EBADMSG;
	a->type = http_answer_header(a, "Content-Type");
	return 0;
}

/* A refusal's text is small and has its length; without one it ends with the connection. */
static void read_refusal(int fd, struct http_answer *a)
{
	auto_free char *length = http_answer_header(a, "Content-Length");
	size_t want = length ? strtoull(length, NULL, 10) : SIZE_MAX;
	struct timeval wait = {.tv_sec = ERROR_WAIT_S};
	char room[4096];
	ssize_t n = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	while (a->body.len < want && n > 0) {
		n = read(fd, room, sizeof(room));
		if (n > 0 && buf_add(&a->body, room, (size_t)n) < 0)
			break;
	}
}

static int hijack(int fd, struct http_client *c, const struct http_call *call,
		  struct http_answer *ret, struct err *e)
{
	int rc = send_request(fd, c, call);

	/* A daemon that refuses may close before it has read all: its answer counts. */
	if (rc == 0 || rc == -EPIPE || rc == -ECONNRESET)
		rc = read_head(fd, ret);
	if (rc < 0)
		return err_code(e, rc, "the connection to shoald at %s broke off", c->url);
	if (ret->status != 101 && ret->status != 200)
		read_refusal(fd, ret);
	return 0;
}

int http_client_hijack(struct http_client *c, const struct http_call *call, struct http_answer *ret,
		       int *ret_fd, struct err *e)
{
	auto_close int fd = c->socket_path ? connect_unix(c->socket_path) : connect_tcp(c->host);
	int rc;

	*ret_fd = -1;
	if (fd < 0)
		return http_client_fail(c, fd, e);
	http_answer_init(ret, call);
	rc = hijack(fd, c, call, ret, e);
	if (rc < 0) {
		http_answer_done(ret);
		return rc;
	}
	if (ret->status == 101 || ret->status == 200)
		*ret_fd = TAKE_FD(fd);
	return 0;
}
