/*
 * Opening and closing the networks of a host: what is stored, and the predefined ones. See
 * agent/network.h.
 */
#include "agent/networks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

#define SETTING_DATA_ADDR "data_addr"
#define SETTING_DATA_PORT "data_port"

static void networks_free(struct networks *nets)
{
	struct engine_network_live *net, *next_net;
	struct net_box *box, *next_box;

	HASH_ITER (hh, nets->boxes, box, next_box)
		box_free(box);
	HASH_ITER (hh, nets->nets, net, next_net)
		hostnet_drop(net);
	db_close(nets->db);
	if (nets->host.netns_fd >= 0)
		close(nets->host.netns_fd);
	free(nets->db_path);
	free(nets->netns_dir);
	free(nets->tables_dir);
	engine_networks_set(nets->engine, NULL);
	free(nets);
}

/* The predefined networks */

static struct engine_network_live *predefine(struct networks *nets, const char *name,
					     const char *driver)
{
	struct engine_network_live *net = hostnet_by_name(nets, name);
	char id[ID_HOST_LEN + 1];

	if (net)
		return net;
	id_host(id);
	net = hostnet_new(nets, id, name, driver, "local");
	net->state = NETWORK_READY;
	net->predefined = true;
	net->pub.created_ns = clock_wall_ns();
	str_set(&net->pub.spec.name, name);
	str_set(&net->pub.spec.driver, driver);
	str_set(&net->pub.spec.scope, "local");
	str_set(&net->pub.ipam.driver, "default");
	return net;
}

static int predefine_plain(struct networks *nets, const char *name, const char *driver,
			   struct err *e)
{
	bool is_new = !hostnet_by_name(nets, name);
	struct engine_network_live *net = predefine(nets, name, driver);

	return is_new ? network_store_put(net, e) : 0;
}

static int bridge_subnet(struct engine_network_live *net, struct err *e)
{
	struct net_prefix *host = NULL;
	size_t n = 0;
	int rc = network_host_subnets(&net->nets->host, &host, &n, e);

	if (rc == 0)
		rc = network_choose(net, host, n, e);
	free(host);
	return rc;
}

static int predefine_bridge(struct networks *nets, const char *device, struct err *e)
{
	struct engine_network_live *net = predefine(nets, "bridge", "bridge");
	struct strmap *options = &net->pub.spec.options;
	int rc;

	strmap_set(options, OPTION_BRIDGE_DEFAULT, "true");
	strmap_set(options, OPTION_ICC, "true");
	strmap_set(options, OPTION_MASQUERADE, "true");
	strmap_set(options, OPTION_BRIDGE_NAME, device);
	strmap_set(options, OPTION_MTU, "1500");
	rc = net->pub.ipam.config.n
		     ? network_settings_read(&net->pub.spec, net->pub.id, &net->settings, e)
		     : bridge_subnet(net, e);
	if (rc == 0)
		rc = network_store_put(net, e);
	return rc < 0 ? err_wrap(e, "the network \"bridge\"") : 0;
}

static int predefine_all(struct networks *nets, struct err *e)
{
	const char *device = engine_config_of(nets->engine)->bridge;
	struct engine_network_live *net;
	int rc = predefine_plain(nets, "host", "host", e);

	if (rc == 0)
		rc = predefine_plain(nets, "none", "null", e);
	if (rc < 0)
		return rc;
	if (!device || strcmp(device, "none") != 0)
		return predefine_bridge(nets, device ? device : "shoal0", e);
	net = hostnet_by_name(nets, "bridge");
	if (net && net->endpoints == 0) {
		network_store_delete(net);
		hostnet_drop(net);
	}
	return 0;
}

/*
 * What no task of this node is in any more goes: the managers need not be there to say so. Of the
 * others, what was known is known again.
 */
static void overlays_settle(struct networks *nets)
{
	struct engine_network_live *net, *next;

	HASH_ITER (hh, nets->nets, net, next) {
		if (!hostnet_is(net, "overlay") || net->endpoints)
			continue;
		overlay_keep_drop(net);
		network_store_delete(net);
		hostnet_drop(net);
	}
	for (net = nets->nets; net; net = net->hh.next)
		if (net->table)
			overlay_keep_load(net);
}

/*
 * The engine has found its containers by the loop's first turn: endpoints of one that it does not
 * have are nobody's.
 */
static void on_settle(uv_timer_t *timer)
{
	struct networks *nets = timer->data;
	struct net_box *box, *next;
	struct container *c;

	HASH_ITER (hh, nets->boxes, box, next) {
		if (engine_container_find(nets->engine, box->id, &c, NULL) == -ENOENT)
			box_abandon(box);
	}
}

/* Opening */

static int data_read(struct networks *nets, struct err *e)
{
	auto_buf addr = BUF_INIT(LIMIT_NETWORK_NAME), port = BUF_INIT(LIMIT_NETWORK_NAME);
	const struct engine_config *config = engine_config_of(nets->engine);
	int rc = network_store_get(nets, SETTING_DATA_ADDR, &addr, e);

	if (rc == 0)
		rc = network_store_get(nets, SETTING_DATA_PORT, &port, e);
	if (rc < 0)
		return rc;
	(void)net_ip_parse(buf_text(&addr), &nets->data_ip);
	nets->host.vxlan_port = config->data_port;
	if (port.len)
		nets->host.vxlan_port = (uint16_t)strtoul(buf_text(&port), NULL, 10);
	return 0;
}

int networks_data_keep(struct networks *nets, struct err *e)
{
	char addr[NET_IP_TEXT], port[16];
	int rc = network_store_set(nets, SETTING_DATA_ADDR, net_ip_format(&nets->data_ip, addr), e);

	(void)snprintf(port, sizeof port, "%u", nets->host.vxlan_port);
	return rc < 0 ? rc : network_store_set(nets, SETTING_DATA_PORT, port, e);
}

static void raise_all(struct networks *nets)
{
	struct engine_network_live *net;

	for (net = nets->nets; net; net = net->hh.next)
		hostnet_raise(net);
}

static int state_open(struct networks *nets, struct err *e)
{
	int rc = dir_make(nets->tables_dir, 0700, e);

	if (rc == 0)
		rc = network_store_open(nets, e);
	if (rc == 0)
		rc = network_store_load(nets, e);
	if (rc == 0)
		rc = data_read(nets, e);
	if (rc == 0)
		rc = predefine_all(nets, e);
	if (rc < 0)
		return rc;
	overlays_settle(nets);
	return 0;
}

/* None of them keeps a loop from ending. */
static void timer_open(struct networks *nets, uv_timer_t *timer)
{
	(void)uv_timer_init(nets->loop, timer);
	timer->data = nets;
	uv_unref((uv_handle_t *)timer);
	nets->handles++;
}

int networks_open(struct engine *e, struct err *err)
{
	const struct engine_config *config = engine_config_of(e);
	struct networks *nets = xcalloc(1, sizeof *nets);
	int rc;

	nets->engine = e;
	nets->loop = config->loop;
	nets->db_path = xasprintf("%s/networks.db", config->data_root);
	nets->tables_dir = xasprintf("%s/overlays", config->data_root);
	nets->netns_dir = xasprintf("%s/netns", config->exec_root);
	net_tag_from(config->exec_root, nets->tag);
	/* Its own, by name: the threads of the pool need not be where this one is. */
	nets->host = (struct net_host){
		.netns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC),
		.tag = nets->tag,
		.netns_dir = nets->netns_dir,
		.forward_guard = true};
	engine_networks_set(e, nets);
	rc = nets->host.netns_fd < 0 ? err_sys(err, "cannot open the host's network namespace") : 0;
	if (rc == 0)
		rc = state_open(nets, err);
	if (rc == 0)
		rc = dns_server_new(nets->loop, &nets->dns, err);
	if (rc < 0) {
		networks_free(nets);
		return rc;
	}
	timer_open(nets, &nets->keep);
	timer_open(nets, &nets->settle);
	(void)uv_timer_start(&nets->settle, on_settle, 0, 0);
	network_sweep(nets);
	raise_all(nets);
	return 0;
}

/* Closing: devices stay, containers live on. */

static void on_dns_closed(void *arg)
{
	struct networks *nets = arg;
	void (*closed)(void *) = nets->closed;
	void *closed_arg = nets->closed_arg;

	networks_free(nets);
	closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct networks *nets = handle->data;
	struct net_box *box;

	if (--nets->handles)
		return;
	for (box = nets->boxes; box; box = box->hh.next)
		box->dns = NULL; /* ended with the server */
	dns_server_close(TAKE_PTR(nets->dns), on_dns_closed, nets);
}

void networks_idle(struct networks *nets)
{
	if (!nets->closing || nets->busy || uv_is_closing((uv_handle_t *)&nets->settle))
		return;
	uv_close((uv_handle_t *)&nets->keep, on_timer_closed);
	uv_close((uv_handle_t *)&nets->settle, on_timer_closed);
}

void networks_close(struct engine *e, void (*done)(void *arg), void *arg)
{
	struct networks *nets = engine_networks_of(e);

	nets->closing = true;
	nets->closed = done;
	nets->closed_arg = arg;
	overlay_keep_all(nets);
	networks_idle(nets);
}
