/*
 * resolv.conf, hosts and hostname as text; see resolvconf.h. Pure but for reading the host's file.
 * What a user gives goes into a file line by line, so blanks and control characters are refused.
 */
#include "net/resolvconf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"

#define EMBEDDED_SERVER "127.0.0.11"
#define HOST_FILE "/etc/resolv.conf"
#define RESOLVED_FILE "/run/systemd/resolve/resolv.conf"

/* The next word of a line, or NULL. Moves `at` behind it. */
static const char *word(const char **at, const char *end, size_t *ret_len)
{
	const char *p = *at;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	*at = p;
	while (*at < end && **at != ' ' && **at != '\t' && **at != '\r')
		(*at)++;
	*ret_len = (size_t)(*at - p);
	return *ret_len > 0 ? p : NULL;
}

static void list_clear(char **list, size_t *count)
{
	while (*count > 0)
		free(list[--*count]);
}

static void list_words(char **list, size_t *count, size_t max, const char *at, const char *end)
{
	const char *w;
	size_t n;

	while (*count < max && (w = word(&at, end, &n)) != NULL)
		list[(*count)++] = xstrndup(w, n);
}

static void take_server(struct resolv_conf *r, const char *at, const char *end)
{
	char text[NET_IP_TEXT + 32];
	size_t n;
	const char *w = word(&at, end, &n);

	if (w == NULL || n >= sizeof(text) || r->server_count == RESOLV_SERVERS)
		return;
	memcpy(text, w, n);
	text[n] = '\0';
	/* A zone (fe80::1%eth0) means something on this host alone. */
	if (net_ip_parse(text, &r->servers[r->server_count]) == 0)
		r->server_count++;
}

static void take_line(struct resolv_conf *r, const char *at, const char *end)
{
	size_t n;
	const char *key = word(&at, end, &n);

	if (key == NULL || *key == '#' || *key == ';')
		return;
	if (n == 10 && memcmp(key, "nameserver", n) == 0) {
		take_server(r, at, end);
	} else if ((n == 6 && memcmp(key, "search", n) == 0) ||
		   (n == 6 && memcmp(key, "domain", n) == 0)) {
		list_clear(r->search, &r->search_count); /* the last one counts */
		list_words(r->search, &r->search_count, RESOLV_SEARCH, at, end);
	} else if (n == 7 && memcmp(key, "options", n) == 0) {
		list_words(r->options, &r->option_count, RESOLV_OPTIONS, at, end);
	}
}

void resolv_parse(const char *text, struct resolv_conf *ret)
{
	struct resolv_conf r = RESOLV_INIT;

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		take_line(&r, text, text + n);
		text += n + (text[n] == '\n');
	}
	*ret = r;
}

void resolv_done(struct resolv_conf *r)
{
	list_clear(r->search, &r->search_count);
	list_clear(r->options, &r->option_count);
	r->server_count = 0;
}

static int read_one(const char *path, struct resolv_conf *ret, struct err *e)
{
	auto_buf b = BUF_INIT(LIMIT_RESOLV_CONF);
	int rc = file_read_at(AT_FDCWD, path, &b);

	if (rc < 0 && rc != -ENOENT)
		return err_code(e, rc, "cannot read %s", path);
	resolv_parse(buf_text(&b), ret);
	return 0;
}

static bool is_stub(const struct resolv_conf *r)
{
	struct net_ip stub;

	(void)net_ip_parse("127.0.0.53", &stub);
	return r->server_count == 1 && net_ip_equal(&r->servers[0], &stub);
}

int resolv_read_host(struct resolv_conf *ret, struct err *e)
{
	struct resolv_conf behind = RESOLV_INIT;
	int rc = read_one(HOST_FILE, ret, e);

	if (rc < 0 || !is_stub(ret))
		return rc;
	rc = read_one(RESOLVED_FILE, &behind, e);
	if (rc == 0 && behind.server_count > 0) {
		resolv_done(ret);
		*ret = behind;
		return 0;
	}
	resolv_done(&behind);
	return 0;
}

/* A word that may stand in a line of its own file. */
static bool is_word(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int add_words(struct buf *ret, const char *key, const char *const *words, size_t count,
		     const char *more)
{
	if (count == 0 && more == NULL)
		return 0;
	buf_adds(ret, key);
	for (size_t i = 0; i < count; i++) {
		if (!is_word(words[i]))
			return -EINVAL;
		buf_addf(ret, " %s", words[i]);
	}
	if (more != NULL)
		buf_addf(ret, " %s", more);
	buf_addc(ret, '\n');
	return 0;
}

static int add_search(const struct resolv_conf *host, const struct resolv_user *user,
		      struct buf *ret)
{
	if (user->search_count == 1 && strcmp(user->search[0], ".") == 0)
		return 0;
	if (user->search_count > 0)
		return add_words(ret, "search", user->search, user->search_count, NULL);
	return add_words(ret, "search", (const char *const *)host->search, host->search_count,
			 NULL);
}

static bool has_ndots(const char *const *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strncmp(options[i], "ndots:", 6) == 0)
			return true;
	return false;
}

static int add_options(const struct resolv_conf *host, const struct resolv_user *user,
		       bool embedded, struct buf *ret)
{
	const char *const *options = user->options;
	size_t count = user->option_count;

	if (count == 0) {
		options = (const char *const *)host->options;
		count = host->option_count;
	}
	return add_words(ret, "options", options, count,
			 embedded && !has_ndots(options, count) ? "ndots:0" : NULL);
}

int resolv_build_embedded(const struct resolv_conf *host, const struct resolv_user *user,
			  struct buf *ret)
{
	int rc;

	buf_adds(ret, "nameserver " EMBEDDED_SERVER "\n");
	rc = add_search(host, user, ret);
	if (rc == 0)
		rc = add_options(host, user, true, ret);
	return rc < 0 ? rc : buf_status(ret);
}

static size_t add_servers(struct buf *ret, const struct net_ip *servers, size_t count,
			  bool loopback, bool ipv6)
{
	char text[NET_IP_TEXT];
	size_t added = 0;

	for (size_t i = 0; i < count; i++) {
		if ((!loopback && net_ip_is_loopback(&servers[i])) ||
		    (!ipv6 && servers[i].family == AF_INET6))
			continue;
		buf_addf(ret, "nameserver %s\n", net_ip_format(&servers[i], text));
		added++;
	}
	return added;
}

int resolv_build_plain(const struct resolv_conf *host, const struct resolv_user *user, bool ipv6,
		       struct buf *ret)
{
	size_t added;
	int rc;

	if (user->server_count > 0) /* as the user said, whatever it is */
		added = add_servers(ret, user->servers, user->server_count, true, true);
	else
		added = add_servers(ret, host->servers, host->server_count, false, ipv6);
	if (added == 0)
		buf_adds(ret, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
	if (added == 0 && ipv6)
		buf_adds(ret, "nameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n");
	rc = add_search(host, user, ret);
	if (rc == 0)
		rc = add_options(host, user, false, ret);
	return rc < 0 ? rc : buf_status(ret);
}

size_t resolv_upstreams(const struct resolv_conf *host, const struct resolv_user *user,
			struct net_ip *ret, size_t max)
{
	const struct net_ip *servers = user->server_count > 0 ? user->servers : host->servers;
	size_t count = user->server_count > 0 ? user->server_count : host->server_count;

	count = MIN_OF(count, max);
	for (size_t i = 0; i < count; i++)
		ret[i] = servers[i];
	return count;
}

bool resolv_user_sets_ndots(const struct resolv_user *user)
{
	for (size_t i = 0; i < user->option_count; i++)
		if (strncmp(user->options[i], "ndots:", 6) == 0 &&
		    strtol(user->options[i] + 6, NULL, 10) > 0)
			return true;
	return false;
}

/* Names separated by single blanks or tabs, nothing else that could begin another line. */
static bool are_names(const char *s)
{
	if (*s == '\0' || *s == ' ')
		return false;
	for (; *s != '\0'; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f || *s == '#')
			return false;
	return true;
}

int hosts_build(const struct hosts_entry *entries, size_t count, bool ipv6, struct buf *ret)
{
	char text[NET_IP_TEXT];

	buf_adds(ret, "127.0.0.1\tlocalhost\n");
	if (ipv6)
		buf_adds(ret, "::1\tlocalhost ip6-localhost ip6-loopback\n"
			      "fe00::\tip6-localnet\n"
			      "ff00::\tip6-mcastprefix\n"
			      "ff02::1\tip6-allnodes\n"
			      "ff02::2\tip6-allrouters\n");
	for (size_t i = 0; i < count; i++) {
		if (net_ip_size(entries[i].ip.family) == 0 || !are_names(entries[i].names))
			return -EINVAL;
		buf_addf(ret, "%s\t%s\n", net_ip_format(&entries[i].ip, text), entries[i].names);
	}
	return buf_status(ret);
}

int hostname_build(const char *hostname, struct buf *ret)
{
	if (!is_word(hostname))
		return -EINVAL;
	buf_addf(ret, "%s\n", hostname);
	return buf_status(ret);
}
