/*
 * What a service's specification may say, as far as that needs no store: the bounds of Swarm, and
 * by name what Shoal does not do yet. See control.h.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "manager/control.h"
#include "manager/container_spec_check.h"
#include "model/log_options.h"
#include "model/schedule.h"
#include "scheduler/constraint.h"

#define NANO_CPUS_MIN 1000000  /* 0.001 CPU */
#define MEMORY_MIN (4LL << 20) /* 4 MiB */
#define PORT_MAX 65535

/* Letters, digits and hyphens, not at the ends: a DNS label, since DNS answers to it. */
static bool name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_LEN || name[0] == '-' || name[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[n - 1]);
}

static int missing(struct err *e, const char *what)
{
	return err_set(e, -ENOSYS, "%s is not implemented", what);
}

static int resources_check(const struct resources *r, const char *which, struct err *e)
{
	if (!r)
		return 0;
	if (r->nano_cpus != 0 && r->nano_cpus < NANO_CPUS_MIN)
		return err_set(e, -EINVAL, "invalid cpu value %g in %s: must be at least %g",
			       (double)r->nano_cpus / 1e9, which, (double)NANO_CPUS_MIN / 1e9);
	if (r->memory != 0 && r->memory < MEMORY_MIN)
		return err_set(e, -EINVAL,
			       "invalid memory value %" PRId64 " in %s: must be at least 4MiB",
			       r->memory, which);
	if (r->pids < 0)
		return err_set(e, -EINVAL,
			       "invalid pids value %" PRId64 " in %s: must not be "
			       "negative",
			       r->pids, which);
	return generics_wish_check(&r->generic, e) < 0 ? err_wrap(e, "%s", which) : 0;
}

static int restart_check(const struct restart_policy *p, struct err *e)
{
	if (p && p->delay && *p->delay < 0)
		return err_set(e, -EINVAL, "TaskSpec: restart-delay cannot be negative");
	if (p && p->window && *p->window < 0)
		return err_set(e, -EINVAL, "TaskSpec: restart-window cannot be negative");
	if (p && ((p->delay && *p->delay > NS_SPAN_MAX) || (p->window && *p->window > NS_SPAN_MAX)))
		return err_set(e, -EINVAL,
			       "TaskSpec: restart-delay and restart-window are at most 73 years");
	return 0;
}

static int preference_check(const struct placement_preference *p, struct err *e)
{
	struct constraint key = {0};
	int rc;

	if (!p->spread)
		return err_set(e, -EINVAL, "placement preference: only spreading is known");
	rc = spread_key_parse(p->spread->descriptor, &key, e);
	free(key.label);
	return rc;
}

static int placement_check(const struct placement *p, struct err *e)
{
	struct constraints parsed = {0};
	int rc;

	if (!p)
		return 0;
	rc = constraints_parse(&p->constraints, &parsed, e);
	constraints_done(&parsed);
	LIST_EACH (pref, &p->preferences)
		rc = rc < 0 ? rc : preference_check(pref, e);
	return rc;
}

static bool port_is_twice(const struct endpoint_spec *spec, const struct port_config *p)
{
	for (const struct port_config *other = spec->ports.v; other < p; other++)
		if (p->published && other->published == p->published &&
		    other->protocol == p->protocol)
			return true;
	return false;
}

/* A new task of a global service is to run where the old one is, which has the port. */
static int start_first_check(const struct service_spec *s, struct err *e)
{
	if (!service_is_global(s))
		return 0;
	LIST_EACH (p, &s->endpoint->ports)
		if (p->mode == PUBLISH_HOST && p->published)
			return err_set(
				e, -EINVAL,
				"a global service with the host-mode port %" PRIu32
				" cannot be updated start-first: the new task would wait for "
				"ever for the port that the old one on its node has; use "
				"stop-first",
				p->published);
	return 0;
}

static int ports_check(const struct service_spec *s, struct err *e)
{
	const struct endpoint_spec *spec = s->endpoint;

	if (!spec)
		return 0;
	if (spec->ports.n > LIMIT_SERVICE_PORTS)
		return err_set(e, -EINVAL, "EndpointSpec: more than %u ports", LIMIT_SERVICE_PORTS);
	LIST_EACH (p, &spec->ports) {
		if (p->target < 1 || p->target > PORT_MAX || p->published > PORT_MAX)
			return err_set(e, -EINVAL,
				       "EndpointSpec: port %" PRIu32 ":%" PRIu32
				       ": a target port is between 1 and %d, a published one at "
				       "most %d",
				       p->published, p->target, PORT_MAX, PORT_MAX);
		if (port_is_twice(spec, p))
			return err_set(e, -EINVAL,
				       "EndpointSpec: duplicate published ports provided: %" PRIu32,
				       p->published);
	}
	if (spec->ports.n && spec->mode == ENDPOINT_DNSRR)
		LIST_EACH (p, &spec->ports) {
			if (p->mode == PUBLISH_INGRESS)
				return err_set(e, -EINVAL,
					       "EndpointSpec: port published with ingress mode "
					       "can't be used with dnsrr mode");
		}
	return update_starts_first(s->update) || update_starts_first(s->rollback)
		       ? start_first_check(s, e)
		       : 0;
}

static int log_driver_check(const struct driver *d, struct err *e)
{
	struct log_options options;

	if (d->name && *d->name && strcmp(d->name, "json-file") != 0 &&
	    strcmp(d->name, "none") != 0)
		return err_set(e, -ENOSYS, "the log driver \"%s\" is not implemented", d->name);
	return log_options_read(&d->options, &options, e);
}

static int task_check(const struct task_spec *t, struct err *e)
{
	const struct resource_needs *r = t->resources;
	int rc;

	if (t->plugin)
		return missing(e, "TaskTemplate.PluginSpec");
	if (t->network_attachment)
		return missing(e, "TaskTemplate.NetworkAttachmentSpec");
	if (t->runtime && *t->runtime && strcmp(t->runtime, "container") != 0)
		return err_set(e, -ENOSYS, "tasks of runtime \"%s\" are not implemented",
			       t->runtime);
	rc = container_spec_check(t->container, e);
	if (rc == 0 && r)
		rc = resources_check(r->limits, "Resources.Limits", e);
	if (rc == 0 && r)
		rc = resources_check(r->reservations, "Resources.Reservations", e);
	if (rc == 0)
		rc = restart_check(t->restart, e);
	if (rc == 0)
		rc = placement_check(t->placement, e);
	if (rc == 0 && t->log_driver)
		rc = log_driver_check(t->log_driver, e);
	return rc;
}

/* Of TaskTemplate.Networks, and of Networks, where old clients have them. */
static int networks_check(const struct network_attachment *v, size_t n, const char *where,
			  struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].driver_opts.n)
			return err_set(e, -ENOSYS,
				       "%s.DriverOpts: the endpoint option %.100s is not "
				       "implemented",
				       where, v[i].driver_opts.v[0].key);
	return 0;
}

static int mode_check(const struct service_spec *spec, struct err *e)
{
	const struct service_mode *m = &spec->mode;
	int n = !!m->replicated + !!m->global + !!m->replicated_job + !!m->global_job;

	if (n > 1)
		return err_set(e, -EINVAL, "must specify only one service mode");
	if (n == 0)
		return err_set(e, -EINVAL, "the service's mode is missing");
	if (service_replicas(spec) > LIMIT_REPLICAS)
		return err_set(e, -EINVAL, "%" PRIu64 " replicas are too many: at most %u",
			       service_replicas(spec), LIMIT_REPLICAS);
	if (job_completions(spec) > LIMIT_REPLICAS)
		return err_set(e, -EINVAL, "%" PRIu64 " completions are too many: at most %u",
			       job_completions(spec), LIMIT_REPLICAS);
	if (service_is_job(spec) && (spec->update || spec->rollback))
		return err_set(e, -EINVAL,
			       "update and rollback configuration is not supported for jobs: a job "
			       "starts anew when its task template changes");
	return 0;
}

int service_spec_check(const struct service_spec *spec, struct err *e)
{
	int64_t deadline;
	int rc;

	if (!spec->name || !name_is_valid(spec->name))
		return err_set(e, -EINVAL,
			       "invalid service name \"%s\": only 63 letters, digits, '-' and '_' "
			       "are allowed, with a letter or digit at both ends",
			       spec->name ? spec->name : "");
	rc = mode_check(spec, e);
	if (rc == 0)
		rc = task_check(&spec->task, e);
	if (rc == 0)
		rc = networks_check(spec->task.networks.v, spec->task.networks.n,
				    "TaskTemplate.Networks", e);
	if (rc == 0)
		rc = networks_check(spec->networks.v, spec->networks.n, "Networks", e);
	if (rc == 0)
		rc = update_config_check(spec->update, "update", e);
	if (rc == 0)
		rc = update_config_check(spec->rollback, "rollback", e);
	if (rc == 0)
		rc = update_deadline_of(&spec->labels, &deadline, e);
	if (rc == 0)
		rc = ports_check(spec, e);
	if (rc == 0)
		rc = schedule_check(spec, e);
	if (rc == 0)
		rc = rebalance_check(&spec->labels, spec->mode.replicated != NULL, e);
	if (rc == 0)
		rc = autoscale_check(&spec->labels, spec->mode.replicated, e);
	return rc;
}
