/*
 * Putting the node's parts together, and taking them apart again in the right order: nothing is
 * closed before what stands on it.
 */
#include "main/daemon.h"

#include <string.h>

#include "api/engine_api.h"
#include "base/file.h"
#include "base/log.h"

#define SERVER_GRACE_MS 1000 /* milliseconds for requests under way when the daemon stops */

/* ---- Starting ---- */

static void ping_info(struct api_ping_info *ret, void *data)
{
	struct daemon *d = data;

	*ret = (struct api_ping_info){.swarm = d->swarm ? swarm_ping(d->swarm) : "inactive",
				      .builder_version = "1"};
}

/* Events of the cluster's objects come from the manager's store, while there is one. */
static void on_manager(void *arg, struct manager *m)
{
	struct daemon *d = arg;

	if (d->swarm_events)
		swarm_events_detach(TAKE_PTR(d->swarm_events));
	if (m)
		d->swarm_events = swarm_events_attach(d->engine, manager_store(m), m);
}

static int listen_all(struct daemon *d, struct err *e)
{
	struct http_server_opts opts = {.request = api_router_request};
	int rc;

	d->router = api_router_new();
	opts.data = d->router;
	rc = http_server_new(&d->loop, &opts, &d->server, e);
	if (rc < 0)
		return rc;
	api_router_headers(d->server);
	STRS_EACH (host, &d->options.hosts) {
		rc = http_server_listen(d->server, host, d->options.group, e);
		if (rc < 0)
			return err_wrap(e, "--host %s", host);
		if (strncmp(host, "tcp://", 6) == 0)
			log_warn("the API is served on %s without any protection: whoever reaches "
				 "it is root on this host",
				 host);
	}
	return 0;
}

/* The program of that name beside this one, unless another is given. */
static char *program_path(const char *given, const char *name)
{
	char exe[4096];
	ssize_t n;
	char *slash;

	if (given)
		return xstrdup(given);
	n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	exe[MAX_OF(n, (ssize_t)0)] = '\0';
	slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	return xasprintf("%s/%s", exe, name);
}

static int open_engine(struct daemon *d, struct err *e)
{
	const struct daemon_options *o = &d->options;
	struct engine_config config = {.loop = &d->loop,
				       .data_root = o->data_root,
				       .exec_root = o->exec_root,
				       .cgroup_parent = o->cgroup_parent,
				       .bridge = o->bridge,
				       .data_port = (uint16_t)o->data_path_port,
				       .labels = &o->labels,
				       .init = o->init,
				       .generic = &d->generic};
	int rc = generics_parse(&o->generic, &d->generic, e);

	d->shim = program_path(o->shim, "shoal-shim");
	d->init = program_path(o->init_path, "shoal-init");
	config.shim_path = d->shim;
	config.init_path = d->init;
	return rc < 0 ? rc : engine_open(&d->engine, &config, e);
}

static int open_swarm(struct daemon *d, struct err *e)
{
	const struct daemon_options *o = &d->options;
	const struct swarm_config config = {.loop = &d->loop,
					    .engine = d->engine,
					    .data_root = o->data_root,
					    .labels = &o->labels,
					    .generic = &d->generic,
					    .permit = &d->permit,
					    .election_ms = (unsigned)o->election_ms,
					    .heartbeat_ms = (unsigned)o->heartbeat_ms,
					    .manager_changed = on_manager,
					    .arg = d};

	d->permit =
		(struct task_permit){.privileged = o->privileged_tasks, .devices = o->task_devices};
	return swarm_open(&d->swarm, &config, e);
}

static void add_routes(struct daemon *d)
{
	struct api_swarm *swarm = swarm_api(d->swarm);

	d->ping = (struct api_ping){.info = ping_info, .data = d};
	api_ping_add(d->router, &d->ping);
	api_containers_add(d->router, d->engine);
	api_exec_add(d->router, d->engine, swarm);
	api_images_add(d->router, d->engine);
	api_networks_add(d->router, d->engine, swarm);
	api_volumes_add(d->router, d->engine);
	api_system_add(d->router, d->engine, swarm);
	api_events_add(d->router, d->engine);
	api_swarm_add(d->router, swarm);
	api_services_add(d->router, swarm);
	api_plans_add(d->router, swarm);
	api_secrets_add(d->router, swarm);
	api_tasks_add(d->router, swarm);
	api_nodes_add(d->router, swarm);
	api_watch_add(d->router, swarm);
}

static void on_signal(uv_signal_t *s, int number)
{
	struct daemon *d = s->data;

	if (d->stopping)
		return;
	log_info("stopping, on %s; containers run on", strsignal(number));
	daemon_notify("STOPPING=1");
	daemon_stop(d);
}

static void watch_signals(struct daemon *d)
{
	uv_signal_t *const all[] = {&d->term, &d->interrupt};
	static const int numbers[] = {SIGTERM, SIGINT};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		(void)uv_signal_init(&d->loop, all[i]);
		all[i]->data = d;
		(void)uv_signal_start(all[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)all[i]);
	}
	(void)uv_timer_init(&d->loop, &d->deadline);
	d->deadline.data = d;
	uv_unref((uv_handle_t *)&d->deadline);
}

int daemon_start(struct daemon *d, struct err *e)
{
	int rc;

	watch_signals(d);
	rc = dir_make(d->options.exec_root, 0711, e);
	if (rc == 0)
		rc = daemon_pidfile_write(d->options.pidfile, e);
	if (rc < 0)
		return rc;
	d->has_pidfile = true;
	rc = listen_all(d, e);
	if (rc == 0)
		rc = open_engine(d, e);
	if (rc == 0)
		rc = open_swarm(d, e);
	if (rc < 0)
		return rc;
	add_routes(d);
	daemon_notify("READY=1");
	STRS_EACH (host, &d->options.hosts)
		log_info("shoald %s serves the API on %s", SHOAL_VERSION, host);
	return 0;
}

/* ---- Stopping ---- */

static void close_handles(struct daemon *d)
{
	uv_close((uv_handle_t *)&d->term, NULL);
	uv_close((uv_handle_t *)&d->interrupt, NULL);
	uv_close((uv_handle_t *)&d->deadline, NULL);
	if (d->has_pidfile)
		(void)unlink(d->options.pidfile);
	d->has_pidfile = false;
}

static void engine_closed(void *arg)
{
	struct daemon *d = arg;

	d->engine = NULL;
	close_handles(d);
}

static void swarm_closed(void *arg)
{
	struct daemon *d = arg;

	d->swarm = NULL;
	if (d->engine)
		engine_close(d->engine, engine_closed, d);
	else
		close_handles(d);
}

static void server_closed(void *arg)
{
	struct daemon *d = arg;

	d->server = NULL;
	if (d->swarm)
		swarm_close(d->swarm, swarm_closed, d);
	else
		swarm_closed(d);
}

/* Something hangs in the kernel, or a peer does. Everything is written; containers do not care. */
static void on_deadline(uv_timer_t *t)
{
	struct daemon *d = t->data;

	log_warn("not everything has ended within %lld s; leaving all the same",
		 (long long)d->options.shutdown_timeout);
	if (d->has_pidfile)
		(void)unlink(d->options.pidfile);
	_exit(1);
}

void daemon_stop(struct daemon *d)
{
	d->stopping = true;
	(void)uv_timer_start(&d->deadline, on_deadline,
			     (uint64_t)d->options.shutdown_timeout * 1000, 0);
	if (d->server)
		http_server_close(d->server, SERVER_GRACE_MS, server_closed, d);
	else
		server_closed(d);
}
