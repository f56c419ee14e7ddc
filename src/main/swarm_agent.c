/*
 * The agent's callbacks: between the session, the worker and the engine's overlays.
 */
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "base/mem.h"
#include "main/swarm_impl.h"

static void tls_describe(const struct swarm *s, struct tls_info *ret)
{
	struct cert *cert = NULL;
	const uint8_t *p;
	size_t n;

	if (cert_read(s->state.cert, strlen(s->state.cert), &cert, NULL) < 0)
		return;
	ret->trust_root = xstrdup(s->state.roots);
	cert_issuer_der(cert, &p, &n);
	ret->issuer_subject = (struct bytes){xmemdup(p, n), n};
	cert_unref(cert);
	if (cert_read(s->state.roots, strlen(s->state.roots), &cert, NULL) < 0)
		return;
	cert_public_key_der(cert, &p, &n);
	ret->issuer_public_key = (struct bytes){xmemdup(p, n), n};
	cert_unref(cert);
}

static void plugin_add(struct engine_description *e, const char *type, const char *name)
{
	struct engine_plugin *p = LIST_ADD(&e->plugins);

	p->type = xstrdup(type);
	p->name = xstrdup(name);
}

void swarm_describe(struct swarm *s, struct session_open *ret)
{
	struct node_description *d = &ret->description;
	struct utsname uts;
	struct sysinfo info;

	d->hostname = xstrdup(s->hostname);
	d->platform.os = xstrdup("linux");
	if (uname(&uts) == 0)
		d->platform.architecture = xstrdup(uts.machine);
	d->resources.nano_cpus = (int64_t)get_nprocs() * 1000000000;
	if (sysinfo(&info) == 0)
		d->resources.memory = (int64_t)info.totalram * info.mem_unit;
	if (s->config.generic)
		generics_add(&d->resources.generic, s->config.generic);
	d->privileged_tasks = s->config.permit && s->config.permit->privileged;
	for (size_t i = 0; s->config.permit && i < s->config.permit->devices.n; i++)
		strs_add(&d->task_devices, s->config.permit->devices.v[i]);
	d->engine.version = xstrdup(SHOAL_VERSION);
	for (size_t i = 0; s->config.labels && i < s->config.labels->n; i++) {
		const char *label = s->config.labels->v[i], *equals = strchr(label, '=');
		auto_free char *key =
			xstrndup(label, equals ? (size_t)(equals - label) : strlen(label));

		strmap_set(&d->engine.labels, key, equals ? equals + 1 : "");
	}
	plugin_add(&d->engine, "Log", "json-file");
	plugin_add(&d->engine, "Network", "bridge");
	plugin_add(&d->engine, "Network", "host");
	plugin_add(&d->engine, "Network", "null");
	plugin_add(&d->engine, "Network", "overlay");
	plugin_add(&d->engine, "Volume", "local");
	tls_describe(s, &d->tls);
	d->session_version = STREAM_VERSION_MAX;
	ret->data_addr = xstrdup(s->state.data_addr);
}

static void on_describe(void *arg, struct session_open *ret)
{
	struct swarm *s = arg;
	size_t n;
	auto_free const struct engine_network **all = engine_networks(s->config.engine, &n);

	swarm_describe(s, ret);
	/* Tables that outlived the last session: only their differences are sent. */
	for (size_t i = 0; i < n; i++) {
		uint64_t version = engine_overlay_version(s->config.engine, all[i]->id);
		struct session_known *k;

		if (version == 0)
			continue;
		k = LIST_ADD(&ret->known);
		k->network = xstrdup(all[i]->id);
		k->version = version;
	}
}

static void on_connected(void *arg, bool connected)
{
	struct swarm *s = arg;

	log_info("this node's session with the managers %s", connected ? "is open" : "was lost");
	s->refused = ERR_INIT;
	worker_connected(s->worker, connected);
	if (!connected) /* a new session says it anew */
		measurer_set(s->measurer, &(struct session_measure){0});
	if (connected)
		worker_report_all(s->worker);
}

static void managers_keep(struct swarm *s, const struct session_welcome *w)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < s->state.managers.n; i++)
		table_done(&session_manager_table, &s->state.managers.v[i]);
	s->state.managers.n = 0;
	LIST_EACH (m, &w->managers)
		table_copy(&session_manager_table, LIST_ADD(&s->state.managers), m);
	if (swarm_state_update(s->dir, &s->state, &e) < 0)
		log_error("the managers' addresses cannot be kept: %s", e.msg);
}

static bool managers_same(const struct swarm *s, const struct session_welcome *w)
{
	if (w->managers.n != s->state.managers.n)
		return false;
	for (size_t i = 0; i < w->managers.n; i++)
		if (!table_equal(&session_manager_table, &w->managers.v[i],
				 &s->state.managers.v[i]))
			return false;
	return true;
}

static void on_welcome(void *arg, const struct session_welcome *w)
{
	struct swarm *s = arg;

	if (w->data_port && w->data_port != s->state.data_port) {
		s->state.data_port = w->data_port;
		engine_overlay_node(s->config.engine, s->state.data_addr,
				    (uint16_t)s->state.data_port);
	}
	if (w->managers.n && !managers_same(s, w))
		managers_keep(s, w);
	swarm_role_wanted(s, w->spec.role, w->raft_id);
}

static void on_certificate(void *arg, const struct session_cert *c)
{
	swarm_cert_taken(arg, c);
}

static void on_assign(void *arg, const struct session_assign *a)
{
	worker_assign(((struct swarm *)arg)->worker, a);
}

static void on_secret(void *arg, const struct session_secret *secret)
{
	worker_secret(((struct swarm *)arg)->worker, secret);
}

static int on_peers(void *arg, const struct session_peers *p)
{
	return engine_overlay_peers(((struct swarm *)arg)->config.engine, p);
}

static void on_data(void *arg, const struct data_request *r)
{
	struct swarm *s = arg;

	if (r->kind == DATA_KIND_LOGS)
		data_logs_ask(s->logs, r);
	else if (r->kind == DATA_KIND_EXEC)
		data_execs_ask(s->execs, r);
}

static void on_measure(void *arg, const struct session_measure *m)
{
	measurer_set(((struct swarm *)arg)->measurer, m);
}

static void on_measured(void *arg, const struct session_measured *m)
{
	struct swarm *s = arg;

	if (s->session)
		session_client_measured(s->session, m);
}

static void on_refused(void *arg, const struct err *why)
{
	struct swarm *s = arg;

	/* Being sent away for good is worth a line, once: nobody on this node has done it. */
	if (why->code == -EACCES && s->refused.code != -EACCES)
		log_warn("no session with a manager: %s", err_text(why));
	else
		log_debug("no session with a manager: %s", err_text(why));
	s->refused = *why;
}

const struct session_client_ops swarm_session_ops = {
	.describe = on_describe,
	.connected = on_connected,
	.welcome = on_welcome,
	.assign = on_assign,
	.secret = on_secret,
	.peers = on_peers,
	.certificate = on_certificate,
	.data = on_data,
	.measure = on_measure,
	.refused = on_refused,
};

static void on_report(void *arg, const char *task, const struct task_status *status)
{
	struct swarm *s = arg;

	if (s->session)
		session_client_report(s->session, task, status);
}

static void on_network(void *arg, const struct network *n)
{
	engine_overlay_set(((struct swarm *)arg)->config.engine, n);
}

static void on_network_gone(void *arg, const char *network)
{
	engine_overlay_gone(((struct swarm *)arg)->config.engine, network);
}

static void runner_start(struct swarm *s)
{
	struct utsname uts = {0};
	struct task_node node = {.id = s->state.node,
				 .hostname = s->hostname,
				 .os = "linux",
				 .architecture = uts.machine,
				 .permit = s->config.permit};

	(void)uname(&uts);
	if (!s->runner)
		s->runner = runner_engine_new(s->config.engine, &node);
}

int swarm_agent_start(struct swarm *s, struct err *e)
{
	auto_free char *path = xasprintf("%s/worker.db", s->dir);
	struct worker_config worker = {.loop = s->config.loop,
				       .db_path = path,
				       .arg = s,
				       .report = on_report,
				       .network_set = on_network,
				       .network_gone = on_network_gone};
	struct session_client_config session = {.loop = s->config.loop,
						.hub = s->hub,
						.node = s->state.node,
						.ops = &swarm_session_ops,
						.arg = s};
	int rc;

	engine_overlay_node(s->config.engine, s->state.data_addr,
			    (uint16_t)(s->state.data_port ? s->state.data_port : DATA_PORT));
	runner_start(s);
	worker.runner = runner_engine_runner(s->runner);
	rc = worker_open(&s->worker, &worker, e);
	if (rc < 0) {
		runner_engine_free(TAKE_PTR(s->runner));
		return rc;
	}
	s->logs = data_logs_new(s->config.engine, s->hub);
	s->execs = data_execs_new(s->config.engine, s->hub);
	s->measurer = measurer_new(s->config.engine, on_measured, s);
	s->refused = ERR_INIT;
	s->session = session_client_new(&session, s->state.managers.v, s->state.managers.n);
	return 0;
}
