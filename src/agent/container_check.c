/*
 * What was asked of a new container: what is not there is refused by its name, what makes no sense
 * by its reason. Pure.
 */
#include "agent/container_check.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/container_devices.h"
#include "agent/engine_impl.h"
#include "model/health.h"
#include "model/seccomp_profile.h"
#include "model/task_rights.h"

#define MEMORY_MIN (6LL << 20) /* bytes; docker's least limit */
#define MEMORY_MAX (1LL << 60) /* bytes; twice as much must still be a number */
#define NANO_PER_CPU 1000000000LL

static int not_there(struct err *e, const char *what)
{
	return err_set(e, -ENOSYS, "%s is not supported by this version", what);
}

static bool is_set(const char *s)
{
	return s && *s;
}

/* A mode that is not the container's own one. */
static bool is_other(const char *mode)
{
	return is_set(mode) && strcmp(mode, "private") != 0 && strcmp(mode, "shareable") != 0;
}

static bool is_json(const char *raw)
{
	return is_set(raw) && strcmp(raw, "null") != 0 && strcmp(raw, "[]") != 0;
}

static bool runtime_is_ours(const char *name)
{
	return !is_set(name) || strcmp(name, "runc") == 0 || strcmp(name, "shoal") == 0 ||
	       strcmp(name, "io.containerd.runc.v2") == 0;
}

static int check_absent(const struct host_config *h, struct err *e)
{
	const struct {
		bool asked;
		const char *name;
	} all[] = {
		{is_json(h->device_requests), "HostConfig.DeviceRequests"},
		{h->volumes_from.n, "HostConfig.VolumesFrom"},
		{h->links.n, "HostConfig.Links"},
		{is_other(h->pid_mode), "HostConfig.PidMode"},
		{is_other(h->ipc_mode), "HostConfig.IpcMode"},
		{is_other(h->uts_mode), "HostConfig.UTSMode"},
		{is_set(h->userns_mode), "HostConfig.UsernsMode"},
		{is_set(h->cgroup), "HostConfig.Cgroup"},
		{h->blkio_weight, "HostConfig.BlkioWeight"},
		{is_json(h->blkio_weight_device), "HostConfig.BlkioWeightDevice"},
		{is_json(h->blkio_read_bps), "HostConfig.BlkioDeviceReadBps"},
		{is_json(h->blkio_write_bps), "HostConfig.BlkioDeviceWriteBps"},
		{is_json(h->blkio_read_iops), "HostConfig.BlkioDeviceReadIOps"},
		{is_json(h->blkio_write_iops), "HostConfig.BlkioDeviceWriteIOps"},
		{h->cpu_realtime_period || h->cpu_realtime_runtime, "HostConfig.CpuRealtime"},
		{h->storage_opt.n, "HostConfig.StorageOpt"},
		{!runtime_is_ours(h->runtime), "HostConfig.Runtime"},
		{is_set(h->isolation) && strcmp(h->isolation, "default") != 0,
		 "HostConfig.Isolation"},
		{is_set(h->volume_driver) && strcmp(h->volume_driver, "local") != 0,
		 "HostConfig.VolumeDriver"},
		{h->masked_paths.n, "HostConfig.MaskedPaths"},
		{h->readonly_paths.n, "HostConfig.ReadonlyPaths"},
		{is_set(h->log.type) && strcmp(h->log.type, "json-file") != 0 &&
			 strcmp(h->log.type, "none") != 0,
		 "HostConfig.LogConfig.Type other than json-file and none"},
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].asked)
			return not_there(e, all[i].name);
	return 0;
}

void container_discard_for_v2(struct host_config *h, struct strs *warnings)
{
	if (h->memory_swappiness && *h->memory_swappiness >= 0)
		strs_add(warnings, "Your kernel does not support memory swappiness capabilities or "
				   "the cgroup is not mounted. Memory swappiness discarded.");
	if (h->oom_kill_disable && *h->oom_kill_disable)
		strs_add(warnings, "Your kernel does not support OomKillDisable. OomKillDisable "
				   "discarded.");
	free(h->memory_swappiness);
	free(h->oom_kill_disable);
	h->memory_swappiness = NULL;
	h->oom_kill_disable = NULL;
}

int security_read(const struct host_config *h, struct security *ret, struct err *e)
{
	*ret = (struct security){0};
	STRS_EACH (opt, &h->security_opt) {
		size_t key = strcspn(opt, "=:");
		const char *value = opt[key] ? opt + key + 1 : "";

		if (key == strlen("no-new-privileges") &&
		    strncmp(opt, "no-new-privileges", key) == 0)
			ret->no_new_privileges = strcmp(value, "false") != 0;
		else if (key == strlen("seccomp") && strncmp(opt, "seccomp", key) == 0) {
			ret->seccomp_unconfined = strcmp(value, "unconfined") == 0;
			if (!ret->seccomp_unconfined && strcmp(value, "builtin") != 0)
				ret->seccomp_profile = value;
		} else if (key == strlen("label") && strncmp(opt, "label", key) == 0 &&
			   strcmp(value, "disable") == 0)
			continue;
		else if (strcmp(value, "unconfined") == 0 && strncmp(opt, "apparmor", key) == 0)
			continue;
		else if (strncmp(opt, "apparmor", key) == 0 || strncmp(opt, "label", key) == 0)
			return not_there(e, "HostConfig.SecurityOpt apparmor and label");
		else
			return err_set(e, -EINVAL, "invalid --security-opt: \"%.128s\"", opt);
	}
	return 0;
}

static int check_restart(const struct host_config *h, struct err *e)
{
	const char *name = h->restart.name;
	bool on_failure = is_set(name) && strcmp(name, "on-failure") == 0;

	if (is_set(name) && !on_failure && strcmp(name, "no") != 0 && strcmp(name, "always") != 0 &&
	    strcmp(name, "unless-stopped") != 0)
		return err_set(e, -EINVAL,
			       "invalid restart policy: unknown policy '%.64s'; use one of 'no', "
			       "'always', 'on-failure', or 'unless-stopped'",
			       name);
	if (h->restart.max_retries < 0)
		return err_set(e, -EINVAL,
			       "invalid restart policy: maximum retry count cannot be negative");
	if (h->restart.max_retries && !on_failure)
		return err_set(e, -EINVAL,
			       "invalid restart policy: maximum retry count can only be used with "
			       "'on-failure'");
	if (h->auto_remove && is_set(name) && strcmp(name, "no") != 0)
		return err_set(e, -EINVAL,
			       "can't create 'AutoRemove' container with restart policy");
	return 0;
}

/* "0-3,7": numbers below `n`. 0, -EINVAL for what is no such list, -ERANGE for what is not there.
 */
static int list_check(const char *list, long n)
{
	const char *p = list;

	while (*p) {
		char *end;
		long first = strtol(p, &end, 10), last = first;

		if (end == p || !strchr("0123456789", *p))
			return -EINVAL;
		if (*end == '-') {
			p = end + 1;
			last = strtol(p, &end, 10);
			if (end == p || !strchr("0123456789", *p) || last < first)
				return -EINVAL;
		}
		if (last >= n)
			return -ERANGE;
		if (*end && (*end != ',' || !end[1]))
			return -EINVAL;
		p = *end ? end + 1 : end;
	}
	return 0;
}

static int check_sets(const struct host_config *h, struct err *e)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);
	int rc = is_set(h->cpuset_cpus) ? list_check(h->cpuset_cpus, n) : 0;

	if (rc == -ERANGE)
		return err_set(e, -EINVAL,
			       "Requested CPUs are not available - requested %.64s, available: "
			       "0-%ld",
			       h->cpuset_cpus, n - 1);
	if (rc < 0)
		return err_set(e, -EINVAL, "Invalid value %.64s for cpuset cpus", h->cpuset_cpus);
	if (is_set(h->cpuset_mems) && list_check(h->cpuset_mems, LONG_MAX) < 0)
		return err_set(e, -EINVAL, "Invalid value %.64s for cpuset mems", h->cpuset_mems);
	return 0;
}

static int check_cpus(const struct host_config *h, struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (h->nano_cpus && (h->cpu_period || h->cpu_quota))
		return err_set(e, -EINVAL,
			       "Conflicting options: Nano CPUs and CPU Period or Quota cannot both "
			       "be set");
	if (h->nano_cpus < 0 || h->nano_cpus > cpus * NANO_PER_CPU)
		return err_set(e, -EINVAL,
			       "Range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs "
			       "available",
			       cpus, cpus);
	if (h->cpu_period && (h->cpu_period < 1000 || h->cpu_period > 1000000))
		return err_set(e, -EINVAL,
			       "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than "
			       "1s (i.e. 1000000)");
	if (h->cpu_quota > 0 && h->cpu_quota < 1000)
		return err_set(e, -EINVAL, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	if (h->cpu_shares < 0)
		return err_set(e, -EINVAL, "Invalid CPU shares (%lld): it must not be negative",
			       (long long)h->cpu_shares);
	return check_sets(h, e);
}

static int check_limits(const struct host_config *h, struct err *e)
{
	const int64_t sizes[] = {h->memory, h->memory_reservation, h->shm_size};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (sizes[i] < 0 || sizes[i] > MEMORY_MAX)
			return err_set(e, -EINVAL,
				       "a memory limit, reservation or size of /dev/shm is out of "
				       "range: %lld",
				       (long long)sizes[i]);
	if (h->memory && h->memory < MEMORY_MIN)
		return err_set(e, -EINVAL, "Minimum memory limit allowed is 6MB");
	if (h->memory_swap > 0 && h->memory_swap < h->memory)
		return err_set(e, -EINVAL,
			       "Minimum memoryswap limit should be larger than memory limit, see "
			       "usage");
	if (h->memory_swap > 0 && !h->memory)
		return err_set(
			e, -EINVAL,
			"You should always set the Memory limit when using Memoryswap limit, "
			"see usage");
	if (h->memory && h->memory_reservation > h->memory)
		return err_set(
			e, -EINVAL,
			"Minimum memory limit can not be less than memory reservation limit, "
			"see usage");
	if (h->oom_score_adj < -1000 || h->oom_score_adj > 1000)
		return err_set(e, -EINVAL,
			       "Invalid value %lld, range for oom score adj is [-1000, 1000]",
			       (long long)h->oom_score_adj);
	return check_cpus(h, e);
}

static int check_devices(const struct host_config *h, struct err *e)
{
	LIST_EACH (d, &h->devices) {
		struct device_mapping whole = {
			.host = d->host,
			.container = is_set(d->container) ? d->container : d->host,
			.permissions = is_set(d->permissions) ? d->permissions : (char *)"rwm"};

		if (device_mapping_check(&whole, e) < 0)
			return e->code;
	}
	STRS_EACH (rule, &h->device_cgroup_rules)
		if (container_device_rule(rule, NULL, e) < 0)
			return e->code;
	return 0;
}

int host_config_check(const struct host_config *h, struct err *e)
{
	int rc = check_absent(h, e);

	if (rc == 0)
		rc = check_restart(h, e);
	if (rc == 0)
		rc = check_devices(h, e);
	return rc == 0 ? check_limits(h, e) : rc;
}

/* Docker's rule: what was limited as a number of processors is not limited as a quota as well. */
static int check_mixed(const struct host_config *h, const struct host_config *changes,
		       struct err *e)
{
	const char *is = h->cpu_period ? "CPU Period" : h->cpu_quota ? "CPU Quota" : NULL;

	if (changes->nano_cpus && is)
		return err_set(e, -EBUSY,
			       "Conflicting options: Nano CPUs cannot be updated as %s has already "
			       "been set",
			       is);
	if (h->nano_cpus && (changes->cpu_period || changes->cpu_quota))
		return err_set(e, -EBUSY,
			       "Conflicting options: %s cannot be updated as NanoCPUs has already "
			       "been set",
			       changes->cpu_period ? "CPU Period" : "CPU Quota");
	return 0;
}

static int update_memory(struct host_config *h, const struct host_config *changes, struct err *e)
{
	/* As it was when nothing was said of swap: as much again. */
	if (!h->memory_swap && h->memory)
		h->memory_swap = h->memory * 2;
	if (changes->memory && !changes->memory_swap && h->memory_swap > 0 &&
	    changes->memory > h->memory_swap)
		return err_set(e, -EBUSY,
			       "Memory limit should be smaller than already set memoryswap limit, "
			       "update the memoryswap at the same time");
	if (changes->memory)
		h->memory = changes->memory;
	if (changes->memory_swap)
		h->memory_swap = changes->memory_swap;
	else if (!h->memory_swap && h->memory > 0 && h->memory <= MEMORY_MAX)
		h->memory_swap = h->memory * 2;
	if (changes->memory_reservation)
		h->memory_reservation = changes->memory_reservation;
	return 0;
}

static void update_rest(struct host_config *h, const struct host_config *changes)
{
	const struct {
		int64_t *to, from;
	} numbers[] = {{&h->cpu_shares, changes->cpu_shares},
		       {&h->cpu_period, changes->cpu_period},
		       {&h->cpu_quota, changes->cpu_quota},
		       {&h->nano_cpus, changes->nano_cpus}};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (numbers[i].from)
			*numbers[i].to = numbers[i].from;
	if (is_set(changes->cpuset_cpus))
		str_set(&h->cpuset_cpus, changes->cpuset_cpus);
	if (is_set(changes->cpuset_mems))
		str_set(&h->cpuset_mems, changes->cpuset_mems);
	if (changes->pids_limit) {
		if (!h->pids_limit)
			h->pids_limit = xmalloc(sizeof *h->pids_limit);
		*h->pids_limit = *changes->pids_limit;
	}
}

int host_config_update(struct host_config *h, const struct host_config *changes, struct err *e)
{
	const char *policy = changes->restart.name;
	int rc = check_absent(changes, e);

	if (rc == 0 && is_set(policy) && strcmp(policy, "no") != 0 && h->auto_remove)
		rc = err_set(e, -EBUSY,
			     "Restart policy cannot be updated because AutoRemove is enabled for "
			     "the container");
	if (rc == 0)
		rc = check_mixed(h, changes, e);
	if (rc == 0)
		rc = update_memory(h, changes, e);
	if (rc < 0)
		return rc;
	update_rest(h, changes);
	if (is_set(policy)) {
		str_set(&h->restart.name, policy);
		h->restart.max_retries = changes->restart.max_retries;
	}
	return host_config_check(h, e);
}

static int profile_check(const char *text, struct err *e)
{
	struct seccomp_profile profile = {0};
	int rc = seccomp_profile_read(text, strlen(text), &profile, e);

	table_done(&seccomp_profile_table, &profile);
	return rc;
}

int container_check(const struct container_create *c, struct err *e)
{
	struct security security;
	struct log_options log;
	int signal;
	int rc = check_absent(&c->host, e);

	if (rc == 0 && c->config.healthcheck)
		rc = healthcheck_check(c->config.healthcheck, e);
	if (rc == 0 && is_set(c->config.mac_address))
		rc = not_there(e, "Config.MacAddress");
	if (rc == 0 && !is_set(c->config.image))
		rc = err_set(e, -EINVAL, "no image was named: Config.Image is empty");
	if (rc == 0 && signal_parse(c->config.stop_signal, &signal) < 0)
		rc = err_set(e, -EINVAL, "invalid signal: %.64s", c->config.stop_signal);
	if (rc == 0 && is_set(c->config.working_dir) && c->config.working_dir[0] != '/')
		rc = err_set(
			e, -EINVAL,
			"the working directory '%.255s' is invalid, it needs to be an absolute "
			"path",
			c->config.working_dir);
	if (rc == 0)
		rc = host_config_check(&c->host, e);
	if (rc == 0)
		rc = security_read(&c->host, &security, e);
	if (rc == 0 && security.seccomp_profile)
		rc = profile_check(security.seccomp_profile, e);
	return rc == 0 ? log_options_read(&c->host.log.config, &log, e) : rc;
}
