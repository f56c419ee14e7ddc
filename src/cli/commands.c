/*
 * The one table of commands, with their flags. The names and the letters are docker's.
 */
#include "base/mem.h"
#include "cli/cli.h"

#define FORMAT                                                                               \
	{                                                                                    \
		"format", 0, FLAG_STRING, "Print as table, json, or by a template of fields" \
	}
#define FORMAT_F                                                                        \
	{                                                                               \
		"format", 'f', FLAG_STRING, "Print as json, or by a template of fields" \
	}
#define FILTER                                                           \
	{                                                                \
		"filter", 'f', FLAG_LIST, "Only what matches NAME=VALUE" \
	}
#define QUIET                                               \
	{                                                   \
		"quiet", 'q', FLAG_BOOL, "Only display IDs" \
	}
#define NO_TRUNC                                                  \
	{                                                         \
		"no-trunc", 0, FLAG_BOOL, "Don't truncate output" \
	}
#define DETACH                                                                              \
	{                                                                                   \
		"detach", 'd', FLAG_BOOL, "Exit at once instead of waiting for the service" \
	}
/* What is waited for is a service. */
#define CONVERGE                                                                                \
	DETACH,                                                                                 \
	{                                                                                       \
		"converge-deadline", 0, FLAG_DURATION,                                          \
			"Wait no longer when nothing has changed for so long (default 10m; 0: " \
			"never)"                                                                \
	}
#define FORCE                                       \
	{                                           \
		"force", 'f', FLAG_BOOL, "Force it" \
	}

static const struct flag format_flags[] = {FORMAT_F};
static const struct flag pretty_flags[] = {
	FORMAT_F, {"pretty", 0, FLAG_BOOL, "Print the information in a human friendly format"}};
static const struct flag list_flags[] = {FILTER, FORMAT, QUIET};
static const struct flag list_long_flags[] = {FILTER, FORMAT, QUIET, NO_TRUNC};
static const struct flag force_flags[] = {FORCE};
static const struct flag scale_flags[] = {CONVERGE,
					  {"quiet", 'q', FLAG_BOOL, "Suppress progress output"}};
static const struct flag rollback_flags[] = {CONVERGE,
					     {"quiet", 'q', FLAG_BOOL, "Suppress progress output"}};
static const struct flag inspect_flags[] = {
	FORMAT_F, {"type", 0, FLAG_STRING, "Only inspect objects of the given type"}};
static const struct flag ps_flags[] = {
	{"all", 'a', FLAG_BOOL, "Show all containers (default shows just running)"},
	FILTER,
	FORMAT,
	{"last", 'n', FLAG_INT, "Show n last created containers (includes all states)"},
	{"latest", 'l', FLAG_BOOL, "Show the latest created container (includes all states)"},
	NO_TRUNC,
	QUIET,
	{"size", 's', FLAG_BOOL, "Display total file sizes"},
};
static const struct flag stats_flags[] = {
	{"all", 'a', FLAG_BOOL, "Show all containers (default shows just running)"},
	FORMAT,
	{"no-stream", 0, FLAG_BOOL, "Only pull the first result"},
	NO_TRUNC,
	QUIET,
};
static const struct flag images_flags[] = {
	{"all", 'a', FLAG_BOOL, "Show all images (default hides intermediate images)"},
	{"digests", 0, FLAG_BOOL, "Show digests"},
	FILTER,
	FORMAT,
	NO_TRUNC,
	QUIET,
};
static const struct flag load_flags[] = {
	{"input", 'i', FLAG_STRING, "Read from tar archive file, instead of STDIN"},
	{"quiet", 'q', FLAG_BOOL, "Suppress the load output"},
};
static const struct flag stop_flags[] = {
	{"signal", 's', FLAG_STRING, "Signal to send to the container"},
	{"timeout", 't', FLAG_INT, "Seconds to wait before killing the container"},
};
static const struct flag kill_flags[] = {
	{"signal", 's', FLAG_STRING, "Signal to send to the container"},
};
static const struct flag exec_flags[] = {
	{"detach", 'd', FLAG_BOOL, "Detached mode: run command in the background"},
	{"env", 'e', FLAG_LIST, "Set environment variables"},
	{"env-file", 0, FLAG_LIST, "Read in a file of environment variables"},
	{"interactive", 'i', FLAG_BOOL, "Keep STDIN open even if not attached"},
	{"privileged", 0, FLAG_BOOL, "Give extended privileges to the command"},
	{"tty", 't', FLAG_BOOL, "Allocate a pseudo-TTY"},
	{"user", 'u', FLAG_STRING, "Username or UID (format: \"<name|uid>[:<group|gid>]\")"},
	{"workdir", 'w', FLAG_STRING, "Working directory inside the container"},
};
static const struct flag rm_flags[] = {
	{"force", 'f', FLAG_BOOL, "Force the removal of a running container (uses SIGKILL)"},
	{"volumes", 'v', FLAG_BOOL, "Remove anonymous volumes of the container"},
};
static const struct flag task_flags[] = {
	FILTER, FORMAT, QUIET, NO_TRUNC, {"no-resolve", 0, FLAG_BOOL, "Do not map IDs to names"}};
static const struct flag network_create_flags[] = {
	{"attachable", 0, FLAG_BOOL, "Enable manual container attachment"},
	{"driver", 'd', FLAG_STRING, "Driver to manage the network (default bridge)"},
	{"gateway", 0, FLAG_LIST, "Gateway of the subnet"},
	{"ingress", 0, FLAG_BOOL, "Create swarm routing-mesh network"},
	{"internal", 0, FLAG_BOOL, "Restrict external access to the network"},
	{"ip-range", 0, FLAG_LIST, "Allocate addresses from a sub-range"},
	{"ipv6", 0, FLAG_BOOL, "Enable IPv6 address assignment"},
	{"label", 0, FLAG_LIST, "Set metadata on a network"},
	{"opt", 'o', FLAG_LIST, "Set driver specific options"},
	{"scope", 0, FLAG_STRING, "Control the network's scope"},
	{"subnet", 0, FLAG_LIST, "Subnet in CIDR format"},
};
static const struct flag volume_create_flags[] = {
	{"driver", 'd', FLAG_STRING, "Driver of the volume (default local)"},
	{"label", 0, FLAG_LIST, "Set metadata for a volume"},
	{"opt", 'o', FLAG_LIST, "Set driver specific options"},
};
/* What `swarm init` and `swarm update` both take. */
#define SWARM_FLAGS                                                                               \
	{"autolock", 0, FLAG_BOOL, "Enable manager autolocking"},                                 \
		{"cert-expiry", 0, FLAG_DURATION, "Validity period for node certificates"},       \
		{"dispatcher-heartbeat", 0, FLAG_DURATION,                                        \
		 "Dispatcher heartbeat period (default 5s)"},                                     \
		{"max-snapshots", 0, FLAG_UINT, "Number of additional Raft snapshots to retain"}, \
		{"snapshot-interval", 0, FLAG_UINT,                                               \
		 "Number of log entries between Raft snapshots (default 10000)"},                 \
	{                                                                                         \
		"task-history-limit", 0, FLAG_INT, "Task history retention limit (default 5)"     \
	}
static const struct flag init_flags[] = {
	SWARM_FLAGS,
	{"advertise-addr", 0, FLAG_STRING, "Advertised address (<ip|interface>[:port])"},
	{"availability", 0, FLAG_STRING, "Availability of the node (active, pause, drain)"},
	{"data-path-addr", 0, FLAG_STRING, "Address or interface for data path traffic"},
	{"data-path-port", 0, FLAG_UINT, "Port for data path traffic (default 4789)"},
	{"default-addr-pool", 0, FLAG_LIST, "Default address pool in CIDR format"},
	{"default-addr-pool-mask-length", 0, FLAG_UINT, "Subnet mask length (default 24)"},
	{"force-new-cluster", 0, FLAG_BOOL, "Force create a new cluster from current state"},
	{"listen-addr", 0, FLAG_STRING, "Listen address (default 0.0.0.0:2377)"},
};
static const struct flag swarm_update_flags[] = {SWARM_FLAGS};
static const struct flag join_flags[] = {
	{"advertise-addr", 0, FLAG_STRING, "Advertised address (<ip|interface>[:port])"},
	{"availability", 0, FLAG_STRING, "Availability of the node (active, pause, drain)"},
	{"data-path-addr", 0, FLAG_STRING, "Address or interface for data path traffic"},
	{"listen-addr", 0, FLAG_STRING, "Listen address (default 0.0.0.0:2377)"},
	{"token", 0, FLAG_STRING, "Token for entry into the swarm"},
};
static const struct flag join_token_flags[] = {
	{"quiet", 'q', FLAG_BOOL, "Only display token"},
	{"rotate", 0, FLAG_BOOL, "Rotate join token"},
};
/* A health check, as containers and services have it. */
#define HEALTH_FLAGS                                                                          \
	{"health-cmd", 0, FLAG_STRING, "Command to run to check health"},                     \
		{"health-interval", 0, FLAG_DURATION, "Time between running the check"},      \
		{"health-retries", 0, FLAG_INT,                                               \
		 "Consecutive failures needed to report unhealthy"},                          \
		{"health-start-interval", 0, FLAG_DURATION,                                   \
		 "Time between running the check during the start period"},                   \
		{"health-start-period", 0, FLAG_DURATION,                                     \
		 "Time to start up before failures count"},                                   \
		{"health-timeout", 0, FLAG_DURATION, "Most time that one check may take"},    \
	{                                                                                     \
		"no-healthcheck", 0, FLAG_BOOL, "Disable any container-specified HEALTHCHECK" \
	}
/* What `service create` and `service update` both take. */
#define SERVICE_FLAGS                                                                              \
	{"entrypoint", 0, FLAG_STRING, "Overwrite the default ENTRYPOINT of the image"},           \
		{"cap-add", 0, FLAG_LIST, "Add Linux capabilities"},                               \
		{"cap-drop", 0, FLAG_LIST, "Drop Linux capabilities"},                             \
		{"credential-spec", 0, FLAG_STRING, "Credential spec (Windows only: refused)"},    \
		{"endpoint-mode", 0, FLAG_STRING, "Endpoint mode (vip or dnsrr)"},                 \
		{"isolation", 0, FLAG_STRING, "Isolation mode (default; others are Windows')"},    \
		{"log-driver", 0, FLAG_STRING, "Logging driver for the service"},                  \
		{"log-opt", 0, FLAG_LIST, "Logging driver options"},                               \
		{"oom-score-adj", 0, FLAG_INT, "Tune host's OOM preferences (-1000 to 1000)"},     \
		{"autoscale", 0, FLAG_STRING,                                                      \
		 "Replicas by load (min=1,max=5,cpu=70,memory=,metric=...; off)"},                 \
		HEALTH_FLAGS, {"hostname", 0, FLAG_STRING, "Container hostname"},                  \
		{"init", 0, FLAG_BOOL, "Use an init inside each service container"},               \
		{"privileged", 0, FLAG_BOOL,                                                       \
		 "Extended privileges for its containers, on nodes that permit it"},               \
		{"limit-cpu", 0, FLAG_CPUS, "Limit CPUs"},                                         \
		{"limit-memory", 0, FLAG_BYTES, "Limit memory"},                                   \
		{"limit-pids", 0, FLAG_INT, "Limit the number of processes (0 = unlimited)"},      \
		{"no-resolve-image", 0, FLAG_BOOL,                                                 \
		 "Do not query the registry for the image's digest"},                              \
		{"quiet", 'q', FLAG_BOOL, "Suppress progress output"},                             \
		{"read-only", 0, FLAG_BOOL, "Mount the container's root filesystem as read only"}, \
		{"replicas", 0, FLAG_UINT, "Number of tasks"},                                     \
		{"max-concurrent", 0, FLAG_UINT,                                                   \
		 "Number of job tasks to run concurrently (default equal to --replicas)"},         \
		{"replicas-max-per-node", 0, FLAG_UINT, "Most tasks a node (0 = unlimited)"},      \
		{"reserve-cpu", 0, FLAG_CPUS, "Reserve CPUs"},                                     \
		{"reserve-memory", 0, FLAG_BYTES, "Reserve memory"},                               \
		{"restart-condition", 0, FLAG_STRING, "When to restart (none, on-failure, any)"},  \
		{"restart-delay", 0, FLAG_DURATION,                                                \
		 "Delay between restart attempts (default 5s)"},                                   \
		{"restart-max-attempts", 0, FLAG_UINT, "Restarts before giving up"},               \
		{"restart-window", 0, FLAG_DURATION,                                               \
		 "Window used to evaluate the restart policy"},                                    \
		{"rollback-delay", 0, FLAG_DURATION, "Delay between task rollbacks"},              \
		{"rollback-failure-action", 0, FLAG_STRING,                                        \
		 "On rollback failure (pause, continue)"},                                         \
		{"rollback-max-failure-ratio", 0, FLAG_FLOAT,                                      \
		 "Failure rate to tolerate during a rollback"},                                    \
		{"rollback-monitor", 0, FLAG_DURATION,                                             \
		 "How long a task is watched after its rollback"},                                 \
		{"rollback-order", 0, FLAG_STRING, "Rollback order (start-first, stop-first)"},    \
		{"rollback-parallelism", 0, FLAG_UINT, "Tasks rolled back at once (0: all)"},      \
		{"stop-grace-period", 0, FLAG_DURATION,                                            \
		 "Wait before killing a container (default 10s)"},                                 \
		{"stop-signal", 0, FLAG_STRING, "Signal to stop the container"},                   \
		{"tty", 't', FLAG_BOOL, "Allocate a pseudo-TTY"},                                  \
		{"update-deadline", 0, FLAG_DURATION,                                              \
		 "A new task that is not up by then has failed (default 5m; 0: never)"},           \
		{"update-delay", 0, FLAG_DURATION, "Delay between updates"},                       \
		{"update-failure-action", 0, FLAG_STRING,                                          \
		 "On update failure (pause, continue, rollback)"},                                 \
		{"update-max-failure-ratio", 0, FLAG_FLOAT,                                        \
		 "Failure rate to tolerate during an update"},                                     \
		{"update-monitor", 0, FLAG_DURATION,                                               \
		 "How long a task is watched after its update"},                                   \
		{"update-order", 0, FLAG_STRING, "Update order (start-first, stop-first)"},        \
		{"update-parallelism", 0, FLAG_UINT, "Tasks updated at once (0: all)"},            \
		{"user", 'u', FLAG_STRING, "Username or UID"},                                     \
	{                                                                                          \
		"workdir", 'w', FLAG_STRING, "Working directory inside the container"              \
	}
static const struct flag create_flags[] = {
	SERVICE_FLAGS,
	{"config", 0, FLAG_LIST, "Specify configurations to expose to the service"},
	{"constraint", 0, FLAG_LIST, "Placement constraints"},
	{"placement-pref", 0, FLAG_LIST, "Add a placement preference (spread=node.labels.NAME)"},
	{"container-label", 0, FLAG_LIST, "Container labels"},
	CONVERGE,
	{"device", 0, FLAG_LIST, "Devices of the host for its containers, where permitted"},
	{"dns", 0, FLAG_LIST, "Set custom DNS servers"},
	{"dns-option", 0, FLAG_LIST, "Set DNS options"},
	{"dns-search", 0, FLAG_LIST, "Set custom DNS search domains"},
	{"env", 'e', FLAG_LIST, "Set environment variables"},
	{"env-file", 0, FLAG_LIST, "Read in a file of environment variables"},
	{"generic-resource", 0, FLAG_LIST, "User defined resources to reserve (KIND=NUMBER)"},
	{"group", 0, FLAG_LIST, "Set supplementary user groups for the container"},
	{"host", 0, FLAG_LIST, "Set custom host-to-IP mappings (host:ip)"},
	{"label", 'l', FLAG_LIST, "Service labels"},
	{"mode", 0, FLAG_STRING, "Service mode (replicated, global, replicated-job, global-job)"},
	{"mount", 0, FLAG_LIST, "Attach a filesystem mount to the service"},
	{"name", 0, FLAG_STRING, "Service name"},
	{"network", 0, FLAG_LIST, "Network attachments (NAME or name=NAME,alias=ALIAS)"},
	{"publish", 'p', FLAG_LIST, "Publish a port as a node port"},
	{"secret", 0, FLAG_LIST, "Specify secrets to expose to the service"},
	{"sysctl", 0, FLAG_LIST, "Sysctl options"},
	{"ulimit", 0, FLAG_LIST, "Ulimit options"},
};

static const struct flag node_update_flags[] = {
	{"availability", 0, FLAG_STRING, "Availability of the node (active, pause, drain)"},
	{"label-add", 0, FLAG_LIST, "Add or update a node label (key=value)"},
	{"label-rm", 0, FLAG_LIST, "Remove a node label if exists"},
	{"role", 0, FLAG_STRING, "Role of the node (worker, manager)"},
};
static const struct flag logs_flags[] = {
	{"details", 0, FLAG_BOOL, "Show extra details provided to logs"},
	{"follow", 'f', FLAG_BOOL, "Follow log output"},
	{"since", 0, FLAG_STRING, "Show logs since a time or a duration ago (42m)"},
	{"tail", 'n', FLAG_STRING, "Number of lines to show from the end of the logs (all)"},
	{"timestamps", 't', FLAG_BOOL, "Show timestamps"},
	{"until", 0, FLAG_STRING, "Show logs before a time or a duration ago (42m)"},
};
static const struct flag service_logs_flags[] = {
	{"details", 0, FLAG_BOOL, "Show extra details provided to logs"},
	{"follow", 'f', FLAG_BOOL, "Follow log output"},
	{"no-resolve", 0, FLAG_BOOL, "Do not map IDs to names"},
	{"no-task-ids", 0, FLAG_BOOL, "Do not include task IDs in output"},
	{"no-trunc", 0, FLAG_BOOL, "Do not truncate output"},
	{"raw", 0, FLAG_BOOL, "Do not format logs neatly"},
	{"since", 0, FLAG_STRING, "Show logs since a time or a duration ago (42m)"},
	{"tail", 'n', FLAG_STRING, "Number of lines to show from the end of the logs (all)"},
	{"timestamps", 't', FLAG_BOOL, "Show timestamps"},
	{"until", 0, FLAG_STRING, "Show logs before a time or a duration ago (42m)"},
};
static const struct flag events_flags[] = {
	FILTER,
	FORMAT,
	{"since", 0, FLAG_STRING, "Show all events created since a time"},
	{"until", 0, FLAG_STRING, "Stream events until this time"},
};
static const struct flag watch_flags[] = {
	FILTER,
	{"from", 0, FLAG_STRING,
	 "Begin with what changed after this version (default: from now on)"},
};
#define CONTAINER_FLAGS                                                                            \
	{"add-host", 0, FLAG_LIST, "Add a custom host-to-IP mapping (host:ip)"},                   \
		{"cap-add", 0, FLAG_LIST, "Add Linux capabilities"},                               \
		{"cap-drop", 0, FLAG_LIST, "Drop Linux capabilities"},                             \
		{"cgroup-parent", 0, FLAG_STRING, "Optional parent cgroup for the container"},     \
		{"cpu-shares", 'c', FLAG_INT, "CPU shares (relative weight)"},                     \
		{"cpus", 0, FLAG_CPUS, "Number of CPUs"},                                          \
		{"cpuset-cpus", 0, FLAG_STRING, "CPUs in which to allow execution (0-3, 0,1)"},    \
		{"cpuset-mems", 0, FLAG_STRING, "MEMs in which to allow execution (0-3, 0,1)"},    \
		{"device", 0, FLAG_LIST, "Add a host device to the container"},                    \
		{"device-cgroup-rule", 0, FLAG_LIST, "Add a rule to the allowed devices"},         \
		{"dns", 0, FLAG_LIST, "Set custom DNS servers"},                                   \
		{"dns-option", 0, FLAG_LIST, "Set DNS options"},                                   \
		{"dns-search", 0, FLAG_LIST, "Set custom DNS search domains"},                     \
		{"domainname", 0, FLAG_STRING, "Container NIS domain name"},                       \
		{"entrypoint", 0, FLAG_STRING, "Overwrite the default ENTRYPOINT of the image"},   \
		{"env", 'e', FLAG_LIST, "Set environment variables"},                              \
		{"env-file", 0, FLAG_LIST, "Read in a file of environment variables"},             \
		{"group-add", 0, FLAG_LIST, "Add additional groups to join"}, HEALTH_FLAGS,        \
		{"hostname", 'h', FLAG_STRING, "Container host name"},                             \
		{"init", 0, FLAG_BOOL, "Run an init that forwards signals and reaps processes"},   \
		{"interactive", 'i', FLAG_BOOL, "Keep STDIN open even if not attached"},           \
		{"ipc", 0, FLAG_STRING, "IPC mode to use"},                                        \
		{"label", 'l', FLAG_LIST, "Set meta data on a container"},                         \
		{"log-driver", 0, FLAG_STRING, "Logging driver for the container"},                \
		{"log-opt", 0, FLAG_LIST, "Log driver options"},                                   \
		{"memory", 'm', FLAG_BYTES, "Memory limit"},                                       \
		{"memory-reservation", 0, FLAG_BYTES, "Memory soft limit"},                        \
		{"memory-swap", 0, FLAG_STRING,                                                    \
		 "Swap limit equal to memory plus swap (-1: unlimited)"},                          \
		{"mount", 0, FLAG_LIST, "Attach a filesystem mount to the container"},             \
		{"name", 0, FLAG_STRING, "Assign a name to the container"},                        \
		{"network", 0, FLAG_LIST, "Connect the container to a network"},                   \
		{"network-alias", 0, FLAG_LIST, "Add network-scoped alias for the container"},     \
		{"oom-score-adj", 0, FLAG_INT, "Tune host's OOM preferences (-1000 to 1000)"},     \
		{"pid", 0, FLAG_STRING, "PID namespace to use"},                                   \
		{"pids-limit", 0, FLAG_INT, "Tune container pids limit (-1: unlimited)"},          \
		{"privileged", 0, FLAG_BOOL, "Give extended privileges to this container"},        \
		{"publish", 'p', FLAG_LIST, "Publish a container's port to the host"},             \
		{"publish-all", 'P', FLAG_BOOL, "Publish all exposed ports to random ports"},      \
		{"read-only", 0, FLAG_BOOL, "Mount the container's root filesystem as read only"}, \
		{"restart", 0, FLAG_STRING, "Restart policy to apply when a container exits"},     \
		{"rm", 0, FLAG_BOOL, "Remove the container when it exits"},                        \
		{"security-opt", 0, FLAG_LIST, "Security options"},                                \
		{"shm-size", 0, FLAG_BYTES, "Size of /dev/shm"},                                   \
		{"stop-signal", 0, FLAG_STRING, "Signal to stop the container"},                   \
		{"stop-timeout", 0, FLAG_INT, "Timeout (in seconds) to stop a container"},         \
		{"sysctl", 0, FLAG_LIST, "Sysctl options"},                                        \
		{"tmpfs", 0, FLAG_LIST, "Mount a tmpfs directory"},                                \
		{"tty", 't', FLAG_BOOL, "Allocate a pseudo-TTY"},                                  \
		{"ulimit", 0, FLAG_LIST, "Ulimit options"},                                        \
		{"user", 'u', FLAG_STRING, "Username or UID"},                                     \
		{"uts", 0, FLAG_STRING, "UTS namespace to use"},                                   \
		{"volume", 'v', FLAG_LIST, "Bind mount a volume"},                                 \
	{                                                                                          \
		"workdir", 'w', FLAG_STRING, "Working directory inside the container"              \
	}
/* Of CONTAINER_FLAGS those that can be changed later. */
static const struct flag limits_flags[] = {
	{"cpu-shares", 'c', FLAG_INT, "CPU shares (relative weight)"},
	{"cpus", 0, FLAG_CPUS, "Number of CPUs"},
	{"cpuset-cpus", 0, FLAG_STRING, "CPUs in which to allow execution (0-3, 0,1)"},
	{"cpuset-mems", 0, FLAG_STRING, "MEMs in which to allow execution (0-3, 0,1)"},
	{"memory", 'm', FLAG_BYTES, "Memory limit"},
	{"memory-reservation", 0, FLAG_BYTES, "Memory soft limit"},
	{"memory-swap", 0, FLAG_STRING, "Swap limit equal to memory plus swap (-1: unlimited)"},
	{"pids-limit", 0, FLAG_INT, "Tune container pids limit (-1: unlimited)"},
	{"restart", 0, FLAG_STRING, "Restart policy to apply when a container exits"},
};
static const struct flag container_create_flags[] = {CONTAINER_FLAGS};
static const struct flag run_flags[] = {
	CONTAINER_FLAGS,
	{"detach", 'd', FLAG_BOOL, "Run container in background and print container ID"},
	{"sig-proxy", 0, FLAG_BOOL, "Proxy received signals to the process (default true)"},
};
#define UPDATE_FLAGS                                                                            \
	SERVICE_FLAGS,                                                                          \
		{"check-index", 0, FLAG_UINT,                                                   \
		 "Do nothing unless the state is that of the plan with this index"},            \
		{"args", 0, FLAG_STRING, "Service command args"},                               \
		{"config-add", 0, FLAG_LIST, "Add or update a config file on a service"},       \
		{"config-rm", 0, FLAG_LIST, "Remove a configuration file"},                     \
		{"constraint-add", 0, FLAG_LIST, "Add or update a placement constraint"},       \
		{"constraint-rm", 0, FLAG_LIST, "Remove a constraint"},                         \
		{"placement-pref-add", 0, FLAG_LIST, "Add a placement preference"},             \
		{"placement-pref-rm", 0, FLAG_LIST, "Remove a placement preference"},           \
		{"container-label-add", 0, FLAG_LIST, "Add or update a container label"},       \
		{"container-label-rm", 0, FLAG_LIST, "Remove a container label by its key"},    \
		CONVERGE, {"device-add", 0, FLAG_LIST, "Add a device of the host"},             \
		{"device-rm", 0, FLAG_LIST, "Remove a device by its path on the host"},         \
		{"generic-resource-add", 0, FLAG_LIST,                                          \
		 "Add a user defined resource (KIND=NUMBER)"},                                  \
		{"generic-resource-rm", 0, FLAG_LIST,                                           \
		 "Remove a user defined resource by its kind"},                                 \
		{"dns-add", 0, FLAG_LIST, "Add or update a custom DNS server"},                 \
		{"dns-rm", 0, FLAG_LIST, "Remove a custom DNS server"},                         \
		{"dns-option-add", 0, FLAG_LIST, "Add or update a DNS option"},                 \
		{"dns-option-rm", 0, FLAG_LIST, "Remove a DNS option"},                         \
		{"dns-search-add", 0, FLAG_LIST, "Add or update a custom DNS search domain"},   \
		{"dns-search-rm", 0, FLAG_LIST, "Remove a DNS search domain"},                  \
		{"group-add", 0, FLAG_LIST, "Add a supplementary user group to the container"}, \
		{"group-rm", 0, FLAG_LIST, "Remove a supplementary user group"},                \
		{"host-add", 0, FLAG_LIST, "Add a custom host-to-IP mapping (host:ip)"},        \
		{"host-rm", 0, FLAG_LIST, "Remove a custom host-to-IP mapping (host[:ip])"},    \
		{"ulimit-add", 0, FLAG_LIST, "Add or update a ulimit option"},                  \
		{"ulimit-rm", 0, FLAG_LIST, "Remove a ulimit option"},                          \
		{"env-add", 0, FLAG_LIST, "Add or update an environment variable"},             \
		{"env-rm", 0, FLAG_LIST, "Remove an environment variable"},                     \
		{"force", 0, FLAG_BOOL, "Force update even if no changes require it"},          \
		{"image", 0, FLAG_STRING, "Service image tag"},                                 \
		{"label-add", 0, FLAG_LIST, "Add or update a service label"},                   \
		{"label-rm", 0, FLAG_LIST, "Remove a label by its key"},                        \
		{"mount-add", 0, FLAG_LIST, "Add or update a mount on a service"},              \
		{"mount-rm", 0, FLAG_LIST, "Remove a mount by its target path"},                \
		{"network-add", 0, FLAG_LIST, "Add a network"},                                 \
		{"network-rm", 0, FLAG_LIST, "Remove a network"},                               \
		{"publish-add", 0, FLAG_LIST, "Add or update a published port"},                \
		{"publish-rm", 0, FLAG_LIST, "Remove a published port by its target port"},     \
		{"rollback", 0, FLAG_BOOL, "Rollback to previous specification"},               \
		{"secret-add", 0, FLAG_LIST, "Add or update a secret on a service"},            \
		{"secret-rm", 0, FLAG_LIST, "Remove a secret"},                                 \
		{"sysctl-add", 0, FLAG_LIST, "Add or update a sysctl option"},                  \
	{                                                                                       \
		"sysctl-rm", 0, FLAG_LIST, "Remove a sysctl option"                             \
	}
static const struct flag update_flags[] = {UPDATE_FLAGS};
#define PLAN_FORMAT                                                   \
	{                                                             \
		"format", 0, FLAG_STRING, "Print as a table, or json" \
	}
static const struct flag service_plan_flags[] = {UPDATE_FLAGS, PLAN_FORMAT};
static const struct flag rebalance_flags[] = {
	CONVERGE,
	{"quiet", 'q', FLAG_BOOL, "Suppress progress output"},
	{"stop", 0, FLAG_BOOL, "Stop the rebalance that goes on"},
};

static const struct flag secret_create_flags[] = {
	{"driver", 'd', FLAG_STRING, "Secret driver"},
	{"label", 'l', FLAG_LIST, "Secret labels"},
	{"template-driver", 0, FLAG_STRING, "Template driver (golang)"},
};
static const struct flag config_create_flags[] = {
	{"label", 'l', FLAG_LIST, "Config labels"},
	{"template-driver", 0, FLAG_STRING, "Template driver (golang)"},
};
#define COMPOSE_FILE                                                               \
	{                                                                          \
		"compose-file", 'c', FLAG_LIST, "Path to a Compose file, or \"-\"" \
	}
#define PROFILE                                                          \
	{                                                                \
		"profile", 0, FLAG_LIST, "Also services of this profile" \
	}
static const struct flag stack_config_flags[] = {
	COMPOSE_FILE,
	PROFILE,
	{"skip-interpolation", 0, FLAG_BOOL, "Leave variables as they are written"},
};
static const struct flag stack_deploy_flags[] = {
	COMPOSE_FILE,
	PROFILE,
	{"converge-deadline", 0, FLAG_DURATION,
	 "Wait no longer when nothing has changed for so long (default 10m; 0: never)"},
	{"detach", 'd', FLAG_BOOL, "Exit at once (the default); false waits for the services"},
	{"prune", 0, FLAG_BOOL, "Remove services that the files no longer have"},
	{"quiet", 'q', FLAG_BOOL, "Suppress progress output"},
	{"check-index", 0, FLAG_UINT,
	 "Do nothing unless the state is that of the plan with this index"},
};
static const struct flag stack_plan_flags[] = {
	COMPOSE_FILE,
	PROFILE,
	{"prune", 0, FLAG_BOOL, "Remove services that the files no longer have"},
	PLAN_FORMAT,
};
static const struct flag stack_ls_flags[] = {FORMAT, QUIET};
static const struct flag stack_rm_flags[] = {
	{"detach", 'd', FLAG_BOOL, "Do not wait for the tasks to end"}};

#define F(array) (array), ARRAY_LEN(array)
#define NO_FLAGS NULL, 0

/* clang-format off */
const struct command cli_commands[] = {
	{"create", "container create", "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	 "Create a new container", cli_container_create, F(container_create_flags), 1, -1, true},
	{"diff", "container diff", "CONTAINER",
	 "Inspect changes to files or directories on a container's filesystem",
	 cli_diff, NO_FLAGS, 1, 1, false},
	{"events", "system events", "[OPTIONS]", "Get real time events from the server",
	 cli_events, F(events_flags), 0, 0, false},
	{"images", "image ls, image list", "[OPTIONS] [REPOSITORY[:TAG]]", "List images",
	 cli_images, F(images_flags), 0, 1, false},
	{"info", "system info", "[OPTIONS]", "Display system-wide information",
	 cli_info, F(format_flags), 0, 0, false},
	{"exec", "container exec", "[OPTIONS] CONTAINER|SERVICE.SLOT COMMAND [ARG...]",
	 "Execute a command in a running container, or in a task on any node", cli_exec, F(exec_flags), 2, -1, true},
	{"inspect", NULL, "[OPTIONS] NAME|ID [NAME|ID...]", "Return low-level information on objects",
	 cli_inspect, F(inspect_flags), 1, -1, false},
	{"kill", "container kill", "[OPTIONS] CONTAINER [CONTAINER...]",
	 "Kill one or more running containers", cli_kill, F(kill_flags), 1, -1, false},
	{"load", "image load", "[OPTIONS]", "Load an image from a tar archive or STDIN",
	 cli_load, F(load_flags), 0, 0, false},
	{"logs", "container logs", "[OPTIONS] CONTAINER", "Fetch the logs of a container",
	 cli_logs, F(logs_flags), 1, 1, false},
	{"pause", "container pause", "CONTAINER [CONTAINER...]",
	 "Pause all processes within one or more containers", cli_pause, NO_FLAGS, 1, -1, false},
	{"ps", "container ls, container list, container ps", "[OPTIONS]", "List containers",
	 cli_ps, F(ps_flags), 0, 0, false},
	{"rm", "container rm, container remove", "[OPTIONS] CONTAINER [CONTAINER...]",
	 "Remove one or more containers", cli_rm, F(rm_flags), 1, -1, false},
	{"rmi", "image rm, image remove", "[OPTIONS] IMAGE [IMAGE...]", "Remove one or more images",
	 cli_rmi, F(force_flags), 1, -1, false},
	{"run", "container run", "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	 "Create and run a new container from an image",
	 cli_container_run, F(run_flags), 1, -1, true},
	{"start", "container start", "CONTAINER [CONTAINER...]",
	 "Start one or more stopped containers", cli_start, NO_FLAGS, 1, -1, false},
	{"stats", "container stats", "[OPTIONS] [CONTAINER...]",
	 "Display a live stream of container(s) resource usage statistics",
	 cli_stats, F(stats_flags), 0, -1, false},
	{"stop", "container stop", "[OPTIONS] CONTAINER [CONTAINER...]",
	 "Stop one or more running containers", cli_stop, F(stop_flags), 1, -1, false},
	{"tag", "image tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	 "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", cli_tag, NO_FLAGS, 2, 2, false},
	{"top", "container top", "CONTAINER [ps OPTIONS]",
	 "Display the running processes of a container", cli_top, NO_FLAGS, 1, -1, true},
	{"unpause", "container unpause", "CONTAINER [CONTAINER...]",
	 "Unpause all processes within one or more containers", cli_unpause, NO_FLAGS, 1, -1, false},
	{"update", "container update", "[OPTIONS] CONTAINER [CONTAINER...]",
	 "Update configuration of one or more containers",
	 cli_container_update, F(limits_flags), 1, -1, false},
	{"version", NULL, "[OPTIONS]", "Show the version information",
	 cli_version, F(format_flags), 0, 0, false},

	{"config create", NULL, "[OPTIONS] CONFIG file|-", "Create a config from a file or STDIN as content",
	 cli_config_create, F(config_create_flags), 2, 2, false},
	{"config inspect", NULL, "[OPTIONS] CONFIG [CONFIG...]",
	 "Display detailed information on one or more configs",
	 cli_config_inspect, F(pretty_flags), 1, -1, false},
	{"config ls", "config list", "[OPTIONS]", "List configs",
	 cli_config_ls, F(list_flags), 0, 0, false},
	{"config rm", "config remove", "CONFIG [CONFIG...]", "Remove one or more configs",
	 cli_config_rm, NO_FLAGS, 1, -1, false},
	{"network create", NULL, "[OPTIONS] NETWORK", "Create a network",
	 cli_network_create, F(network_create_flags), 1, 1, false},
	{"network inspect", NULL, "[OPTIONS] NETWORK [NETWORK...]",
	 "Display detailed information on one or more networks",
	 cli_network_inspect, F(format_flags), 1, -1, false},
	{"network ls", "network list", "[OPTIONS]", "List networks",
	 cli_network_ls, F(list_long_flags), 0, 0, false},
	{"network rm", "network remove", "NETWORK [NETWORK...]", "Remove one or more networks",
	 cli_network_rm, NO_FLAGS, 1, -1, false},

	{"node demote", NULL, "NODE [NODE...]",
	 "Demote one or more nodes from manager in the swarm",
	 cli_node_demote, NO_FLAGS, 1, -1, false},
	{"node inspect", NULL, "[OPTIONS] NODE [NODE...]",
	 "Display detailed information on one or more nodes",
	 cli_node_inspect, F(pretty_flags), 1, -1, false},
	{"node ls", "node list", "[OPTIONS]", "List nodes in the swarm",
	 cli_node_ls, F(list_flags), 0, 0, false},
	{"node promote", NULL, "NODE [NODE...]",
	 "Promote one or more nodes to manager in the swarm",
	 cli_node_promote, NO_FLAGS, 1, -1, false},
	{"node ps", NULL, "[OPTIONS] [NODE...]",
	 "List tasks running on one or more nodes, defaults to current node",
	 cli_node_ps, F(task_flags), 0, -1, false},
	{"node rm", "node remove", "[OPTIONS] NODE [NODE...]",
	 "Remove one or more nodes from the swarm", cli_node_rm, F(force_flags), 1, -1, false},
	{"node update", NULL, "[OPTIONS] NODE", "Update a node",
	 cli_node_update, F(node_update_flags), 1, 1, false},

	{"secret create", NULL, "[OPTIONS] SECRET [file|-]", "Create a secret from a file or STDIN as content",
	 cli_secret_create, F(secret_create_flags), 1, 2, false},
	{"secret inspect", NULL, "[OPTIONS] SECRET [SECRET...]",
	 "Display detailed information on one or more secrets",
	 cli_secret_inspect, F(pretty_flags), 1, -1, false},
	{"secret ls", "secret list", "[OPTIONS]", "List secrets",
	 cli_secret_ls, F(list_flags), 0, 0, false},
	{"secret rm", "secret remove", "SECRET [SECRET...]", "Remove one or more secrets",
	 cli_secret_rm, NO_FLAGS, 1, -1, false},
	{"service autoscale", NULL, "SERVICE", "Show how a service is scaled by its load",
	 cli_service_autoscale, NO_FLAGS, 1, 1, false},
	{"service create", NULL, "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a new service",
	 cli_service_create, F(create_flags), 1, -1, true},
	{"service inspect", NULL, "[OPTIONS] SERVICE [SERVICE...]",
	 "Display detailed information on one or more services",
	 cli_service_inspect, F(pretty_flags), 1, -1, false},
	{"service logs", NULL, "[OPTIONS] SERVICE|TASK", "Fetch the logs of a service or task",
	 cli_service_logs, F(service_logs_flags), 1, 1, false},
	{"service ls", "service list", "[OPTIONS]", "List services",
	 cli_service_ls, F(list_flags), 0, 0, false},
	{"service plan", NULL, "[OPTIONS] SERVICE", "Show what an update would do, without doing it",
	 cli_service_plan, F(service_plan_flags), 1, 1, false},
	{"service ps", NULL, "[OPTIONS] SERVICE [SERVICE...]",
	 "List the tasks of one or more services", cli_service_ps, F(task_flags), 1, -1, false},
	{"service rebalance", NULL, "[OPTIONS] SERVICE",
	 "Move tasks to nodes that have fewer, one at a time",
	 cli_service_rebalance, F(rebalance_flags), 1, 1, false},
	{"service rm", "service remove", "SERVICE [SERVICE...]", "Remove one or more services",
	 cli_service_rm, NO_FLAGS, 1, -1, false},
	{"service rollback", NULL, "[OPTIONS] SERVICE", "Revert changes to a service's configuration",
	 cli_service_rollback, F(rollback_flags), 1, 1, false},
	{"service scale", NULL, "SERVICE=REPLICAS [SERVICE=REPLICAS...]",
	 "Scale one or multiple replicated services", cli_service_scale, F(scale_flags), 1, -1, false},
	{"service update", NULL, "[OPTIONS] SERVICE", "Update a service",
	 cli_service_update, F(update_flags), 1, 1, false},

	{"stack config", NULL, "[OPTIONS]", "Print the files as they are merged",
	 cli_stack_config, F(stack_config_flags), 0, 0, false},
	{"stack deploy", "stack up", "[OPTIONS] [STACK]", "Deploy a new stack or update one",
	 cli_stack_deploy, F(stack_deploy_flags), 0, 1, false},
	{"stack ls", "stack list", "[OPTIONS]", "List stacks",
	 cli_stack_ls, F(stack_ls_flags), 0, 0, false},
	{"stack plan", NULL, "[OPTIONS] [STACK]", "Show what a deploy would do, without doing it",
	 cli_stack_plan, F(stack_plan_flags), 0, 1, false},
	{"stack ps", NULL, "[OPTIONS] STACK", "List the tasks of a stack",
	 cli_stack_ps, F(task_flags), 1, 1, false},
	{"stack rm", "stack down, stack remove", "[OPTIONS] STACK [STACK...]",
	 "Remove one or more stacks", cli_stack_rm, F(stack_rm_flags), 1, -1, false},
	{"stack services", NULL, "[OPTIONS] STACK", "List the services of a stack",
	 cli_stack_services, F(list_flags), 1, 1, false},

	{"swarm init", NULL, "[OPTIONS]", "Initialize a swarm",
	 cli_swarm_init, F(init_flags), 0, 0, false},
	{"swarm join", NULL, "[OPTIONS] HOST:PORT", "Join a swarm as a node and/or manager",
	 cli_swarm_join, F(join_flags), 1, 1, false},
	{"swarm join-token", NULL, "[OPTIONS] (worker|manager)", "Manage join tokens",
	 cli_swarm_join_token, F(join_token_flags), 1, 1, false},
	{"swarm leave", NULL, "[OPTIONS]", "Leave the swarm",
	 cli_swarm_leave, F(force_flags), 0, 0, false},
	{"swarm update", NULL, "[OPTIONS]", "Update the swarm",
	 cli_swarm_update, F(swarm_update_flags), 0, 0, false},

	{"task exec", NULL, "[OPTIONS] TASK|SERVICE.SLOT COMMAND [ARG...]",
	 "Execute a command in a running task, on any node", cli_task_exec, F(exec_flags), 2, -1, true},
	{"task logs", NULL, "[OPTIONS] TASK", "Fetch the logs of a task",
	 cli_task_logs, F(service_logs_flags), 1, 1, false},

	{"volume create", NULL, "[OPTIONS] [VOLUME]", "Create a volume",
	 cli_volume_create, F(volume_create_flags), 0, 1, false},
	{"volume inspect", NULL, "[OPTIONS] VOLUME [VOLUME...]",
	 "Display detailed information on one or more volumes",
	 cli_volume_inspect, F(format_flags), 1, -1, false},
	{"volume ls", "volume list", "[OPTIONS]", "List volumes",
	 cli_volume_ls, F(list_flags), 0, 0, false},
	{"volume rm", "volume remove", "[OPTIONS] VOLUME [VOLUME...]", "Remove one or more volumes",
	 cli_volume_rm, F(force_flags), 1, -1, false},

	{"watch", NULL, "[OPTIONS]", "Stream the changes of the swarm's state as lines of JSON",
	 cli_watch, F(watch_flags), 0, 0, false},
};
const size_t cli_n_commands = ARRAY_LEN(cli_commands);
/* clang-format on */
