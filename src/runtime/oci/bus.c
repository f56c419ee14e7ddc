/*
 * D-Bus messages over a socket: see bus.h, and the D-Bus specification, "Message Protocol". Numbers
 * are in this machine's order, both ways: the other side is on the same machine.
 */
#include "runtime/oci/bus.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"

#define PIECE 4096 /* bytes read at once */
#define SYSTEM_BUS "/run/dbus/system_bus_socket"
#define HEADER_MIN 16 /* bytes up to the fields, their length among them */
#define ENDIAN (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 'l' : 'B')
#define DBUS "org.freedesktop.DBus"

enum { CALL = 1, ANSWER = 2, FAILURE = 3, SIGNAL = 4 };
enum {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_REPLY,
	FIELD_TO,
	FIELD_SENDER,
	FIELD_TYPES
};

/* A message as it lies in the buffer of what was read. */
struct message {
	uint8_t type;
	uint32_t reply_to;
	const char *member, *error, *types; /* NULL: not there */
	struct buf body;                    /* a view */
	size_t len;                         /* of the whole */
};

void bus_done(struct bus *b)
{
	fd_close_at(&b->fd);
	buf_done(&b->in);
	free(b->job);
	free(b->job_result);
	*b = BUS_INIT;
}

/* Writing */

static void put_field(struct buf *b, uint8_t code, const char *type, const char *value)
{
	bus_align(b, 8);
	buf_addc(b, (char)code);
	bus_put_types(b, type);
	if (*type == 'g')
		bus_put_types(b, value);
	else
		bus_put_str(b, value);
}

static void put_call(struct buf *b, const struct bus_method *m, uint32_t serial,
		     const struct buf *args)
{
	struct bus_array fields;

	buf_addc(b, ENDIAN);
	buf_addc(b, CALL);
	buf_addc(b, 0); /* flags */
	buf_addc(b, 1); /* of the protocol */
	bus_put_u32(b, args ? (uint32_t)args->len : 0);
	bus_put_u32(b, serial);
	fields = bus_array_begin(b, 8);
	put_field(b, FIELD_PATH, "o", m->path);
	put_field(b, FIELD_INTERFACE, "s", m->interface);
	put_field(b, FIELD_MEMBER, "s", m->member);
	put_field(b, FIELD_TO, "s", m->to);
	if (*m->types)
		put_field(b, FIELD_TYPES, "g", m->types);
	bus_array_end(b, fields);
	bus_align(b, 8);
	if (args)
		buf_add(b, args->p, args->len);
}

/* The socket */

static int late(struct err *e)
{
	return err_set(e, -ETIMEDOUT, "systemd has not answered in %d ms", LIMIT_BUS_MS);
}

/* Until the socket can be read or written: 0 or -ETIMEDOUT. */
static int await(const struct bus *b, short events, struct err *e)
{
	struct pollfd pf = {.fd = b->fd, .events = events};

	for (;;) {
		uint64_t now = clock_mono_ms();

		if (now >= b->end_ms)
			return late(e);
		if (poll(&pf, 1, (int)(b->end_ms - now)) > 0)
			return 0;
	}
}

static int send_all(const struct bus *b, const char *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t done = send(b->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, "the bus does not take a message");
		if (done < 0) {
			int rc = await(b, POLLOUT, e);

			if (rc < 0)
				return rc;
			continue;
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

/* Some more bytes. The buffer's bound is that of a message. */
static int read_more(struct bus *b, struct err *e)
{
	char piece[PIECE];
	ssize_t n;
	int rc = await(b, POLLIN, e);

	if (rc < 0)
		return rc;
	n = recv(b->fd, piece, sizeof(piece), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, "cannot read from the bus");
	if (n == 0)
		return err_set(e, -ECONNRESET, "the bus has closed the connection");
	if (buf_add(&b->in, piece, (size_t)n) < 0)
		return err_set(e, -EMSGSIZE, "a message of the bus takes more than %u bytes",
			       LIMIT_BUS_MESSAGE);
	return 0;
}

/* Reading */

static int bad_message(struct err *e)
{
	return err_set(e, -EPROTO, "the bus has sent what is no message of D-Bus");
}

/* One field of the header; all have types of one letter. */
static bool get_field(const struct buf *b, size_t *at, struct message *m)
{
	const char *type, *text = NULL;
	uint8_t code;
	size_t i = bus_padded(*at, 8);

	if (i >= b->len)
		return false;
	code = (uint8_t)b->p[i++];
	type = bus_get_types(b, &i);
	if (!type || !*type || type[1])
		return false;
	if (*type == 'u') {
		i = bus_padded(i, sizeof(uint32_t));
		if (i > b->len || b->len - i < sizeof(uint32_t))
			return false;
		if (code == FIELD_REPLY)
			m->reply_to = bus_u32_at(b->p + i);
		i += sizeof(uint32_t);
	} else if (!(text = *type == 'g' ? bus_get_types(b, &i) : bus_get_str(b, &i))) {
		return false;
	}
	if (code == FIELD_MEMBER)
		m->member = text;
	else if (code == FIELD_ERROR)
		m->error = text;
	else if (code == FIELD_TYPES)
		m->types = text;
	*at = i;
	return true;
}

/* 1: a message is there; 0: more bytes are needed. */
static int parse(const struct bus *b, struct message *ret, struct err *e)
{
	const char *p = b->in.p;
	struct buf header = {.p = b->in.p};
	size_t fields, body, at = HEADER_MIN;
	struct message m = {0};

	if (b->in.len < HEADER_MIN)
		return 0;
	body = bus_u32_at(p + 4);
	fields = bus_u32_at(p + 12);
	if (p[0] != ENDIAN || p[3] != 1 || body > LIMIT_BUS_MESSAGE || fields > LIMIT_BUS_MESSAGE)
		return bad_message(e);
	header.len = HEADER_MIN + fields;
	m.len = bus_padded(header.len, 8) + body;
	if (m.len > LIMIT_BUS_MESSAGE)
		return bad_message(e);
	if (b->in.len < m.len)
		return 0;
	m.type = (uint8_t)p[1];
	while (at < header.len)
		if (!get_field(&header, &at, &m))
			return bad_message(e);
	m.body = (struct buf){.p = b->in.p + bus_padded(header.len, 8), .len = body};
	*ret = m;
	return 1;
}

/* JobRemoved(u id, o job, s unit, s result): only that of our unit is of interest. */
static void keep_job(struct bus *b, const struct message *m)
{
	size_t at = sizeof(uint32_t);
	const char *job, *unit, *result;

	if (m->type != SIGNAL || !b->unit || !m->member || strcmp(m->member, "JobRemoved") != 0 ||
	    !m->types || strcmp(m->types, "uoss") != 0)
		return;
	job = bus_get_str(&m->body, &at);
	unit = job ? bus_get_str(&m->body, &at) : NULL;
	result = unit ? bus_get_str(&m->body, &at) : NULL;
	if (!result || strcmp(unit, b->unit) != 0)
		return;
	str_set(&b->job, job);
	str_set(&b->job_result, result);
}

/* The next message; it is valid until drop(). */
static int next(struct bus *b, struct message *ret, struct err *e)
{
	for (;;) {
		int rc = parse(b, ret, e);

		if (rc == 1)
			keep_job(b, ret);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		rc = read_more(b, e);
		if (rc < 0)
			return rc;
	}
}

static void drop(struct bus *b, const struct message *m)
{
	buf_shift(&b->in, m->len);
}

/* Calls */

static int failure(const struct message *m, const struct bus_method *call, struct err *e)
{
	static const struct {
		const char *name;
		int code;
	} known[] = {
		{"org.freedesktop.systemd1.NoSuchUnit", -ENOENT},
		{"org.freedesktop.systemd1.UnitExists", -EEXIST},
		{DBUS ".Error.AccessDenied", -EACCES},
		{DBUS ".Error.InteractiveAuthorizationRequired", -EACCES},
	};
	size_t at = 0;
	const char *text = m->types && *m->types == 's' ? bus_get_str(&m->body, &at) : NULL;
	int code = -EIO;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (m->error && strcmp(m->error, known[i].name) == 0)
			code = known[i].code;
	return err_set(e, code, "%s of systemd: %.256s", call->member,
		       text       ? text
		       : m->error ? m->error
				  : "an error without a word");
}

int bus_call(struct bus *b, const struct bus_method *m, const struct buf *args, struct buf *ret,
	     struct err *e)
{
	auto_buf out = BUF_INIT(LIMIT_BUS_MESSAGE);
	uint32_t serial = ++b->serial;
	struct message got;
	int rc;

	put_call(&out, m, serial, args);
	if (buf_status(&out) < 0 || (args && buf_status(args) < 0))
		return err_set(e, -EMSGSIZE, "a message to systemd would take more than %u bytes",
			       LIMIT_BUS_MESSAGE);
	rc = send_all(b, out.p, out.len, e);
	while (rc == 0) {
		rc = next(b, &got, e);
		if (rc < 0)
			break;
		if (got.reply_to == serial && (got.type == ANSWER || got.type == FAILURE)) {
			if (got.type == FAILURE)
				rc = failure(&got, m, e);
			else if (ret && buf_add(ret, got.body.p, got.body.len) < 0)
				rc = err_set(e, -EMSGSIZE, "%s of systemd says too much",
					     m->member);
			drop(b, &got);
			break;
		}
		drop(b, &got);
	}
	return rc;
}

int bus_await_job(struct bus *b, const char *job, struct err *e)
{
	struct message got;

	while (!b->job || strcmp(b->job, job) != 0) {
		int rc = next(b, &got, e);

		if (rc < 0)
			return rc;
		drop(b, &got);
	}
	if (strcmp(b->job_result, "done") == 0)
		return 0;
	return err_set(e, -EIO, "systemd could not do its job on %s: %s (journalctl may say why)",
		       b->unit, b->job_result);
}

/* The connection */

/* The first address of the form unix:path=... or unix:abstract=... of a list of them. */
static bool find_address(const char *list, struct sockaddr_un *ret, socklen_t *ret_len)
{
	static const char *const forms[] = {"unix:path=", "unix:abstract="};
	const char *text = NULL;
	size_t n, zero = 0;

	for (size_t i = 0; i < ARRAY_LEN(forms) && !text; i++) {
		if (strncmp(list, forms[i], strlen(forms[i])) != 0)
			continue;
		text = list + strlen(forms[i]);
		zero = i;
	}
	n = text ? strcspn(text, ",;") : 0;
	if (n == 0 || n + zero >= sizeof(ret->sun_path))
		return false;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path + zero, text, n);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + zero + n);
	return true;
}

static char *address_text(bool user)
{
	const char *set = getenv(user ? "DBUS_SESSION_BUS_ADDRESS" : "DBUS_SYSTEM_BUS_ADDRESS");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (set && *set)
		return xstrdup(set);
	if (!user)
		return xstrdup("unix:path=" SYSTEM_BUS);
	return runtime && *runtime == '/' ? xasprintf("unix:path=%s/bus", runtime) : NULL;
}

static int connect_bus(struct bus *b, bool user, struct err *e)
{
	auto_free char *text = address_text(user);
	struct sockaddr_un a;
	socklen_t n;

	if (!text)
		return err_set(e, -ENOENT,
			       "--systemd-cgroup needs the user's systemd: neither "
			       "DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set");
	if (!find_address(text, &a, &n))
		return err_set(e, -EINVAL,
			       "the bus %.128s is of no kind that is known (unix:path=, "
			       "unix:abstract=)",
			       text);
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&a, n) < 0)
		return err_sys(e,
			       "--systemd-cgroup: systemd runs here, but its bus %.128s cannot be "
			       "reached (is dbus installed?)",
			       text);
	return 0;
}

/* Who we are the kernel tells: also in a user namespace, where our own number means nothing. */
static int authenticate(struct bus *b, struct err *e)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\n", begin[] = "BEGIN\r\n";
	const char *end = NULL, *line;
	int rc = send_all(b, hello, sizeof(hello) - 1, e);

	/* "DATA", then "OK" and the server's id. */
	while (rc == 0 && !end) {
		line = b->in.len ? strstr(b->in.p, "\r\n") : NULL;
		end = line ? strstr(line + 2, "\r\n") : NULL;
		if (!end)
			rc = read_more(b, e);
	}
	if (rc < 0)
		return rc;
	if (strncmp(strstr(b->in.p, "\r\n") + 2, "OK ", 3) != 0)
		return err_set(e, -EACCES, "the bus does not let user %u in", geteuid());
	buf_shift(&b->in, (size_t)(end + 2 - b->in.p));
	return send_all(b, begin, sizeof(begin) - 1, e);
}

int bus_open(bool user, struct bus *ret, struct err *e)
{
	static const struct bus_method hello = {DBUS, "/org/freedesktop/DBus", DBUS, "Hello", ""};
	struct bus b = BUS_INIT;
	int rc;

	b.in = BUF_INIT(LIMIT_BUS_MESSAGE + 2 * PIECE);
	b.end_ms = clock_mono_ms() + LIMIT_BUS_MS;
	rc = connect_bus(&b, user, e);
	if (rc == 0)
		rc = authenticate(&b, e);
	if (rc == 0)
		rc = bus_call(&b, &hello, NULL, NULL, e);
	if (rc < 0) {
		bus_done(&b);
		return rc;
	}
	*ret = b;
	return 0;
}
