/*
 * The three files that a container sees of its networks: hosts, resolv.conf, hostname. What they
 * are made from is copied on the loop; reading the host's and writing them is the pool's.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"
#include "base/file.h"
#include "net/resolvconf.h"

struct network_files {
	char *hosts_path;
	char *resolv_path;
	char *hostname_path;
	char *hostname;
	bool of_host;  /* the host's own files */
	bool embedded; /* 127.0.0.11 answers */
	bool ipv6;
	struct strs dns, search, options;
	LIST_OF(struct hosts_entry) entries;
	struct strs names; /* what `entries` point to is kept here */
	struct strs extra;
	struct net_ip gateway; /* "host-gateway" */
};

int extra_host_parse(const char *text, struct net_ip *ret_ip, bool *ret_gateway,
		     size_t *ret_name_len, struct err *e)
{
	size_t n = strcspn(text, ":=");
	char address[NET_IP_TEXT + 2];
	size_t len;

	if (n == 0 || !text[n])
		return err_set(e, -EINVAL, "bad format for add-host: \"%.100s\"", text);
	for (size_t i = 0; i < n; i++)
		if (isspace((unsigned char)text[i]) || iscntrl((unsigned char)text[i]))
			return err_set(e, -EINVAL, "bad format for add-host: \"%.100s\"", text);
	*ret_name_len = n;
	*ret_gateway = strcmp(text + n + 1, "host-gateway") == 0;
	if (*ret_gateway)
		return 0;
	(void)snprintf(address, sizeof address, "%s", text + n + 1);
	len = strlen(address);
	if (address[0] == '[' && address[len - 1] == ']') {
		address[len - 1] = '\0';
		memmove(address, address + 1, len - 1);
	}
	if (net_ip_parse(address, ret_ip) < 0)
		return err_set(e, -EINVAL, "invalid IP address in add-host: \"%.100s\"",
			       text + n + 1);
	return 0;
}

static void strs_copy(struct strs *to, const struct strs *from)
{
	STRS_EACH (s, from)
		strs_add(to, s);
}

/* Its own name leads to its addresses in the networks that inspect shows. */
static void own_entries(struct network_files *f, const struct container *c,
			const struct net_box *box)
{
	const char *domain = c->config.domainname;
	auto_free char *names = domain && *domain
					? xasprintf("%s.%s %s", f->hostname, domain, f->hostname)
					: xstrdup(f->hostname);

	strs_add(&f->names, names);
	for (size_t i = 0; box && i < box->eps.n; i++) {
		const struct net_ep *ep = box->eps.v[i];

		for (size_t at = 0; !ep->hidden && at < ARRAY_LEN(ep->ip); at++)
			if (ep->ip[at].ip.family)
				*LIST_ADD(&f->entries) =
					(struct hosts_entry){ep->ip[at].ip, f->names.v[0]};
		f->ipv6 |= ep->ip[1].ip.family != 0;
		f->embedded |= ep->net->dns;
	}
}

/* "host-gateway" is the host as containers reach it: the address of the network "bridge". */
static struct net_ip host_gateway(const struct networks *nets, const struct net_box *box)
{
	const struct engine_network_live *net = hostnet_by_name(nets, "bridge");

	for (size_t i = 0; !net && box && i < box->eps.n; i++)
		if (box->eps.v[i]->gateway)
			net = box->eps.v[i]->net;
	return net ? net->gateway[0].ip : (struct net_ip){0};
}

struct network_files *network_files_new(struct networks *nets, const struct container *c,
					const struct net_box *box)
{
	struct network_files *f = xcalloc(1, sizeof *f);
	const char *mode = c->host.network_mode ? c->host.network_mode : "";

	f->hosts_path = xstrdup(c->hosts_path);
	f->resolv_path = xstrdup(c->resolv_path);
	f->hostname_path = xstrdup(c->hostname_path);
	f->hostname = c->config.hostname && *c->config.hostname ? xstrdup(c->config.hostname)
								: xstrndup(c->id, 12);
	f->of_host = strcmp(mode, "host") == 0;
	strs_copy(&f->dns, &c->host.dns);
	strs_copy(&f->search, &c->host.dns_search);
	strs_copy(&f->options, &c->host.dns_options);
	strs_copy(&f->extra, &c->host.extra_hosts);
	f->gateway = host_gateway(nets, box);
	own_entries(f, c, box);
	return f;
}

void network_files_free(struct network_files *f)
{
	free(f->hosts_path);
	free(f->resolv_path);
	free(f->hostname_path);
	free(f->hostname);
	free(f->entries.v);
	strs_done(&f->dns);
	strs_done(&f->search);
	strs_done(&f->options);
	strs_done(&f->names);
	strs_done(&f->extra);
	free(f);
}

/*
 * In place, as the file may be mounted; made anew at each start, so that it need not outlive a
 * power cut.
 */
static int text_write(const char *path, const struct buf *text, struct err *e)
{
	auto_close int fd = -1;
	int rc;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, "cannot write %s", path);
	rc = file_write_fd(fd, buf_text(text), text->len);
	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}

static int built(const char *path, int rc, const struct buf *text, struct err *e)
{
	if (rc < 0)
		return err_code(e, rc, "cannot make the contents of %s", path ? path : "a file");
	return text_write(path, text, e);
}

static int extra_entries(const struct network_files *f, struct buf *text, struct err *e)
{
	char address[NET_IP_TEXT];
	struct net_ip ip;
	bool gateway;
	size_t n;

	STRS_EACH (extra, &f->extra) {
		int rc = extra_host_parse(extra, &ip, &gateway, &n, e);

		if (rc < 0)
			return rc;
		if (gateway)
			ip = f->gateway;
		if (!ip.family)
			return err_set(e, -EINVAL,
				       "unable to derive the IP value for host-gateway: "
				       "there is no bridge network");
		(void)buf_addf(text, "%s\t%.*s\n", net_ip_format(&ip, address), (int)n, extra);
	}
	return buf_status(text);
}

static int hosts_write(const struct network_files *f, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_RESOLV_CONF);
	int rc;

	if (f->of_host) {
		rc = file_read_at(AT_FDCWD, "/etc/hosts", &text);
		if (rc == -ENOENT)
			rc = 0;
		if (rc == 0 && text.len && text.p[text.len - 1] != '\n')
			rc = buf_addc(&text, '\n');
	} else {
		rc = hosts_build(f->entries.v, f->entries.n, f->ipv6, &text);
	}
	if (rc == 0) {
		rc = extra_entries(f, &text, e);
		if (rc < 0 && e && e->code)
			return rc;
	}
	return built(f->hosts_path, rc, &text, e);
}

static size_t ips_read(const struct strs *texts, struct net_ip *ret, size_t max)
{
	size_t n = 0;

	STRS_EACH (text, texts)
		if (n < max && net_ip_parse(text, &ret[n]) == 0)
			n++;
	return n;
}

static int resolv_write(const struct network_files *f, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_RESOLV_CONF);
	auto_resolv host = RESOLV_INIT;
	struct net_ip servers[RESOLV_SERVERS];
	struct resolv_user user = {
		.servers = servers,
		.server_count = ips_read(&f->dns, servers, RESOLV_SERVERS),
		.search = (const char *const *)f->search.v,
		.search_count = f->search.n,
		.options = (const char *const *)f->options.v,
		.option_count = f->options.n,
	};
	int rc = resolv_read_host(&host, e);

	if (rc < 0)
		return rc;
	if (f->of_host && !f->dns.n && !f->search.n && !f->options.n) {
		rc = file_read_at(AT_FDCWD, "/etc/resolv.conf", &text);
		rc = rc == -ENOENT ? 0 : rc;
	} else if (f->embedded) {
		rc = resolv_build_embedded(&host, &user, &text);
	} else {
		rc = resolv_build_plain(&host, &user, f->ipv6, &text);
	}
	return built(f->resolv_path, rc, &text, e);
}

int network_files_write(const struct network_files *f, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_RESOLV_CONF);
	int rc = hosts_write(f, e);

	if (rc == 0)
		rc = resolv_write(f, e);
	if (rc < 0)
		return rc;
	return built(f->hostname_path, hostname_build(f->hostname, &text), &text, e);
}

int network_dns_read(const struct strs *servers, const struct strs *options,
		     struct network_dns *ret, struct err *e)
{
	auto_resolv host = RESOLV_INIT;
	struct net_ip own[RESOLV_SERVERS], found[LIMIT_DNS_UPSTREAMS];
	struct resolv_user user = {
		.servers = own,
		.server_count = ips_read(servers, own, RESOLV_SERVERS),
		.options = (const char *const *)options->v,
		.option_count = options->n,
	};
	int rc = resolv_read_host(&host, e);

	if (rc < 0)
		return rc;
	ret->n = resolv_upstreams(&host, &user, found, LIMIT_DNS_UPSTREAMS);
	for (size_t i = 0; i < ret->n; i++)
		ret->upstreams[i] = (struct dns_upstream){.ip = found[i]};
	ret->keep_single = resolv_user_sets_ndots(&user);
	return 0;
}
