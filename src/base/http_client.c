/*
 * The blocking HTTP client of the CLI, on libcurl. It knows nothing of the Engine API; errors name
 * the daemon and what to try next.
 */
#include "base/http_client_impl.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"

/* One call while it runs. */
struct running {
	struct http_client *client;
	const struct http_call *call;
	struct http_answer *answer;
	int failed; /* what a callback gave up with */
};

int http_client_new(const char *url, struct http_client **ret, struct err *e)
{
	struct http_client *c = xcalloc(1, sizeof(*c));
	const char *host = NULL;

	if (strncmp(url, "unix://", 7) == 0 && url[7])
		c->socket_path = xstrdup(url + 7);
	else if (strncmp(url, "tcp://", 6) == 0)
		host = url + 6;
	else if (strncmp(url, "http://", 7) == 0)
		host = url + 7;
	if (host)
		c->host = xstrndup(host, strcspn(host, "/"));
	if (!c->socket_path && (!c->host || !*c->host || !strchr(c->host, ':'))) {
		http_client_free(c);
		return err_set(e, -EINVAL,
			       "cannot use %s as the daemon's address: it must be "
			       "unix:///path or tcp://host:port",
			       url);
	}
	c->url = xstrdup(url);
	*ret = c;
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->url);
	free(c->socket_path);
	free(c->host);
	free(c);
}

int http_client_fail(struct http_client *c, int code, struct err *e)
{
	const char *next = "";

	if (code == -ENOENT || code == -ECONNREFUSED)
		next = "; is it running? Start it, or name another one with --host";
	else if (code == -EACCES || code == -EPERM)
		next = "; run this as root or as a member of the socket's group";
	return err_set(e, code, "cannot connect to shoald at %s: %s%s", c->url, strerror(-code),
		       next);
}

/* Callbacks */

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
	struct running *r = data;
	size_t len = size * n;
	long status = 0;
	int rc;

	curl_easy_getinfo(r->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (r->call->sink && status >= 200 && status < 300)
		rc = r->call->sink(p, len, r->call->data);
	else
		rc = buf_add(&r->answer->body, p, len);
	if (rc == 0)
		return len;
	r->failed = rc < 0 ? rc : -ECANCELED;
	return 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *data)
{
	struct running *r = data;

	/* "100 Continue" has headers of its own, which are nobody's. */
	if (size * n > 5 && strncmp(p, "HTTP/", 5) == 0)
		buf_reset(&r->answer->headers);
	if (buf_add(&r->answer->headers, p, size * n) == 0)
		return size * n;
	r->failed = -EMSGSIZE;
	return 0;
}

static size_t on_source(char *p, size_t size, size_t n, void *data)
{
	struct running *r = data;
	ssize_t got = r->call->source(p, size * n, r->call->data);

	if (got >= 0)
		return (size_t)got;
	r->failed = (int)got;
	return CURL_READFUNC_ABORT;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct running *r = data;

	if (!r->call->cancel || !*r->call->cancel)
		return 0;
	r->failed = -ECANCELED;
	return 1;
}

/* Setting up */

static struct curl_slist *call_headers(const struct http_call *call)
{
	struct curl_slist *list = NULL;
	const char *type = call->body_type;
	char line[256];

	if (!type && call->body)
		type = "application/json";
	if (!type && call->source)
		type = "application/x-tar";
	if (type) {
		snprintf(line, sizeof(line), "Content-Type: %s", type);
		list = curl_slist_append(list, line);
	}
	if (call->source)
		list = curl_slist_append(list, "Transfer-Encoding: chunked");
	else
		list = curl_slist_append(list, "Expect:");
	for (const char *const *h = call->headers; h && *h; h++)
		list = curl_slist_append(list, *h);
	return list;
}

static void set_body(CURL *curl, const struct http_call *call, struct running *r)
{
	if (call->source) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_source);
		curl_easy_setopt(curl, CURLOPT_READDATA, r);
		curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
	} else if (call->body || strcmp(call->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
	}
	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_up(struct http_client *c, const struct http_call *call, struct running *r,
		   const char *url, struct curl_slist *headers)
{
	CURL *curl = c->curl;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (c->socket_path)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket_path);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "Shoal-Client/" SHOAL_VERSION " (linux)");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, call->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, r);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, call->cancel ? 0L : 1L);
	set_body(curl, call, r);
}

/* Ends */

static int call_failed(struct http_client *c, struct running *r, CURLcode rc, struct err *e)
{
	long os_errno = 0;

	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_errno);
	if (r->failed == -ECANCELED)
		return err_set(e, -ECANCELED, "cancelled");
	if (r->failed == -EMSGSIZE)
		return err_set(e, r->failed, "the answer of shoald at %s is too large", c->url);
	if (r->failed)
		return err_code(e, r->failed, "the call to shoald at %s was given up", c->url);
	switch (rc) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return http_client_fail(c, os_errno ? -(int)os_errno : -EHOSTUNREACH, e);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, -ETIMEDOUT, "shoald at %s has not answered in time", c->url);
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return err_set(e, -ECONNRESET,
			       "the connection to shoald at %s broke off; look at the daemon's log",
			       c->url);
	default:
		return err_set(e, -EIO, "the call to shoald at %s failed: %s", c->url,
			       curl_easy_strerror(rc));
	}
}

void http_answer_init(struct http_answer *a, const struct http_call *call)
{
	*a = (struct http_answer){
		.body = BUF_INIT(call->answer_max ? call->answer_max : LIMIT_HTTP_ANSWER),
		.headers = BUF_INIT(LIMIT_HTTP_HEADERS)};
}

int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *ret,
		     struct err *e)
{
	struct running r = {.client = c, .call = call, .answer = ret};
	auto_free char *url =
		xasprintf("http://%s%s", c->host ? c->host : "shoal.localhost", call->path);
	struct curl_slist *headers = call_headers(call);
	const char *type = NULL;
	long status = 0;
	CURLcode rc;

	http_answer_init(ret, call);
	if (!c->curl)
		c->curl = curl_easy_init();
	if (!c->curl)
		abort(); /* out of memory */
	set_up(c, call, &r, url, headers);
	rc = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(c->curl, CURLINFO_CONTENT_TYPE, &type);
	ret->status = (int)status;
	ret->type = xstrdup(type);
	curl_slist_free_all(headers);
	/* A daemon that refuses an upload answers and closes while we still send. */
	if (rc == CURLE_OK || (rc == CURLE_SEND_ERROR && status >= 400 && !r.failed))
		return 0;
	http_answer_done(ret);
	return call_failed(c, &r, rc, e);
}

void http_answer_done(struct http_answer *a)
{
	free(a->type);
	buf_done(&a->body);
	buf_done(&a->headers);
	*a = (struct http_answer){0};
}

char *http_answer_header(const struct http_answer *a, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = buf_text(&a->headers); line; line = strchr(line, '\n')) {
		const char *value;

		line += *line == '\n';
		if (strncasecmp(line, name, n) != 0 || line[n] != ':')
			continue;
		value = line + n + 1;
		value += strspn(value, " \t");
		return xstrndup(value, strcspn(value, "\r\n"));
	}
	return NULL;
}
