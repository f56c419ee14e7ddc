/*
 * The OCI runtime configuration (config.json, runtime-spec 1.2) as plain structs: what the shim
 * and shoal-oci read and what the engine writes. One table per struct (spec.c) gives reading,
 * writing and freeing. It knows nothing of how a container is made. Called by the engine, the
 * shim, and launch.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define SPEC_OCI_VERSION "1.2.0"

/* What an optional number holds while the document does not name it. */
#define SPEC_UNSET INT64_MIN

/* A list of strings; each and the array come from malloc. */
struct spec_strs {
	char **v; /* n entries, no NULL at the end */
	size_t n;
};

struct spec_u32s {
	uint32_t *v;
	size_t n;
};

/* "key": "value" objects (annotations, sysctl), in the document's order. */
struct spec_pair {
	char *key;
	char *value;
};

struct spec_pairs {
	struct spec_pair *v;
	size_t n;
};

struct spec_user {
	int64_t uid;
	int64_t gid;
	int64_t umask; /* SPEC_UNSET: 0022 */
	struct spec_u32s additional_gids;
};

struct spec_rlimit {
	char *type; /* "RLIMIT_NOFILE" */
	uint64_t soft;
	uint64_t hard;
};

struct spec_capabilities {
	struct spec_strs bounding; /* "CAP_CHOWN", ... */
	struct spec_strs effective;
	struct spec_strs inheritable;
	struct spec_strs permitted;
	struct spec_strs ambient;
};

struct spec_console_size {
	int64_t height;
	int64_t width;
};

/* execCPUAffinity: lists like "0-2,7" for before and after the control group is joined. */
struct spec_affinity {
	char *initial;
	char *final;
};

struct spec_io_priority {
	char *class_; /* "IOPRIO_CLASS_BE", ...; NULL: as inherited */
	int64_t priority;
};

struct spec_scheduler {
	char *policy; /* "SCHED_OTHER", ...; NULL: as inherited */
	int64_t nice;
	int64_t priority;
	struct spec_strs flags; /* "SCHED_FLAG_RESET_ON_FORK", ... */
	int64_t runtime;        /* nanoseconds, of SCHED_DEADLINE */
	int64_t deadline;
	int64_t period;
};

struct spec_process {
	bool terminal;
	struct spec_console_size console_size;
	struct spec_user user;
	struct spec_strs args;
	struct spec_strs env;
	char *cwd;
	struct spec_capabilities capabilities;
	bool has_capabilities; /* false: the runtime's own are left as they are */
	struct {
		struct spec_rlimit *v;
		size_t n;
	} rlimits;
	bool no_new_privileges;
	int64_t oom_score_adj; /* SPEC_UNSET: inherited */
	char *apparmor_profile;
	char *selinux_label;
	struct spec_io_priority io_priority;
	struct spec_affinity exec_affinity; /* for further processes alone */
	struct spec_scheduler scheduler;
};

/* A range of a user namespace's ids. */
struct spec_id_map {
	int64_t container_id;
	int64_t host_id;
	int64_t size;
};

struct spec_id_maps {
	struct spec_id_map *v;
	size_t n;
};

/* A program of the host that is run at a point of the container's life. */
struct spec_hook {
	char *path;
	struct spec_strs args; /* args[0] included; empty: the path alone */
	struct spec_strs env;
	int64_t timeout; /* seconds; SPEC_UNSET: as long as it takes */
};

struct spec_hook_list {
	struct spec_hook *v;
	size_t n;
};

struct spec_hooks {
	struct spec_hook_list prestart;
	struct spec_hook_list create_runtime;
	struct spec_hook_list create_container;
	struct spec_hook_list start_container;
	struct spec_hook_list poststart;
	struct spec_hook_list poststop;
};

struct spec_root {
	char *path; /* absolute, or relative to the bundle; NULL when an overlay is given apart */
	bool readonly;
};

struct spec_mount {
	char *destination; /* absolute inside the root */
	char *type;        /* NULL or "bind" for bind mounts */
	char *source;
	struct spec_strs options;
	struct spec_id_maps uid_maps; /* of the mount's owners, with "idmap" and "ridmap" */
	struct spec_id_maps gid_maps;
};

struct spec_namespace {
	char *type; /* pid, mount, uts, ipc, network, cgroup, user, time */
	char *path; /* NULL: a new one */
};

struct spec_device {
	char *path; /* inside the container */
	char *type; /* c, u, b, p */
	int64_t major;
	int64_t minor;
	int64_t file_mode; /* SPEC_UNSET: 0666 */
	int64_t uid;       /* SPEC_UNSET: 0 */
	int64_t gid;
};

struct spec_device_rule {
	bool allow;
	char *type;    /* a, c, b; NULL is a */
	int64_t major; /* SPEC_UNSET: any */
	int64_t minor;
	char *access; /* of "rwm" */
};

/* Bytes; SPEC_UNSET is "not named", -1 is "no limit". */
struct spec_memory {
	int64_t limit;
	int64_t reservation;
	int64_t swap; /* memory and swap together, as v1 counts */
	int64_t swappiness;
	int64_t kernel_tcp;
	bool disable_oom_killer;
	bool check_before_update;
};

struct spec_cpu {
	int64_t shares;
	int64_t quota; /* microseconds */
	int64_t period;
	int64_t burst;
	int64_t idle;
	int64_t realtime_runtime; /* microseconds, v1 alone */
	int64_t realtime_period;
	char *cpus; /* "0-2,7" */
	char *mems;
};

struct spec_pids {
	int64_t limit;
};

struct spec_weight_device {
	int64_t major;
	int64_t minor;
	int64_t weight;
	int64_t leaf_weight;
};

/* Bytes or operations a second. */
struct spec_throttle_device {
	int64_t major;
	int64_t minor;
	int64_t rate;
};

struct spec_throttle {
	struct spec_throttle_device *v;
	size_t n;
};

struct spec_block_io {
	int64_t weight; /* 10..1000 */
	int64_t leaf_weight;
	struct {
		struct spec_weight_device *v;
		size_t n;
	} weight_devices;
	struct spec_throttle read_bps;
	struct spec_throttle write_bps;
	struct spec_throttle read_iops;
	struct spec_throttle write_iops;
};

struct spec_hugepage {
	char *page_size; /* "2MB" */
	uint64_t limit;  /* bytes */
};

struct spec_network_priority {
	char *name; /* of an interface */
	int64_t priority;
};

struct spec_network {
	int64_t class_id;
	struct {
		struct spec_network_priority *v;
		size_t n;
	} priorities;
};

struct spec_rdma {
	char *name; /* of a device */
	int64_t hca_handles;
	int64_t hca_objects;
};

struct spec_resources {
	struct {
		struct spec_device_rule *v;
		size_t n;
	} devices;
	struct spec_memory memory;
	struct spec_cpu cpu;
	struct spec_pids pids;
	struct spec_block_io block_io;
	struct {
		struct spec_hugepage *v;
		size_t n;
	} hugepages;
	struct spec_network network; /* v1 alone */
	struct {
		struct spec_rdma *v;
		size_t n;
	} rdma;
	struct spec_pairs unified; /* v2 files written as they are */
};

struct spec_seccomp_arg {
	int64_t index;
	uint64_t value;
	uint64_t value_two;
	char *op; /* SCMP_CMP_EQ, ... */
};

struct spec_seccomp_rule {
	struct spec_strs names;
	char *action; /* SCMP_ACT_ALLOW, ... */
	int64_t errno_ret;
	struct {
		struct spec_seccomp_arg *v;
		size_t n;
	} args;
};

struct spec_seccomp {
	char *default_action; /* NULL: no filter */
	int64_t default_errno_ret;
	struct spec_strs architectures; /* SCMP_ARCH_X86_64, ...; empty: the native one */
	struct spec_strs flags;
	struct {
		struct spec_seccomp_rule *v;
		size_t n;
	} syscalls;
	char *listener_path; /* a socket that gets the descriptor of SCMP_ACT_NOTIFY */
	char *listener_metadata;
};

struct spec_personality {
	char *domain; /* "LINUX" or "LINUX32"; NULL: as inherited */
	struct spec_strs flags;
};

/* How far a clock of a time namespace is from the host's. */
struct spec_time_offset {
	char *clock; /* "monotonic" or "boottime" */
	int64_t secs;
	int64_t nanosecs;
};

struct spec_linux {
	struct {
		struct spec_namespace *v;
		size_t n;
	} namespaces;
	struct {
		struct spec_device *v;
		size_t n;
	} devices;
	struct spec_resources resources;
	char *cgroups_path; /* "/parent/id", or systemd's "slice:prefix:name" */
	char *rootfs_propagation;
	char *mount_label; /* SELinux's, for what is mounted new */
	struct spec_seccomp seccomp;
	struct spec_strs masked_paths;
	struct spec_strs readonly_paths;
	struct spec_pairs sysctl;
	struct spec_id_maps uid_maps; /* of the container's user namespace */
	struct spec_id_maps gid_maps;
	struct {
		struct spec_time_offset *v;
		size_t n;
	} time_offsets;
	struct spec_personality personality;
};

struct spec {
	char *oci_version;
	struct spec_process process;
	struct spec_root root;
	char *hostname;
	char *domainname;
	struct {
		struct spec_mount *v;
		size_t n;
	} mounts;
	struct spec_linux linux_; /* "linux" is a macro of gnu17 */
	struct spec_pairs annotations;
	struct spec_hooks hooks;
};

/* Every optional number is SPEC_UNSET after it. Needed before filling a struct by hand. */
void spec_init(struct spec *s);
void spec_done(struct spec *s);
#define auto_spec CLEANUP(spec_done) struct spec

enum spec_flags {
	SPEC_STRICT = 1, /* refuse properties that are not in the structs; else they are ignored */
};

/*
 * Reads and checks a config.json of `n` bytes (at most LIMIT_SPEC_JSON). `s` is initialised here
 * and needs spec_done() only after 0. -EINVAL names the property: "config.json: linux.uidMappings
 * ...". -ENOSYS: the property is known to the specification, but not to this runtime.
 */
int spec_parse(const char *json, size_t n, unsigned int flags, struct spec *s, struct err *e);
/* process.json and resources.json: the same parts of a config.json as documents of their own. */
int spec_process_parse(const char *json, size_t n, struct spec_process *p, struct err *e);
void spec_process_done(struct spec_process *p);
int spec_resources_parse(const char *json, size_t n, struct spec_resources *r, struct err *e);
void spec_resources_init(struct spec_resources *r);
void spec_resources_done(struct spec_resources *r);
/* What spec_parse() checks beyond syntax: for structs filled by hand. 0 or -EINVAL/-ENOSYS. */
int spec_validate(const struct spec *s, struct err *e);
/* Writes config.json. 0, or -EMSGSIZE past the bound of `ret`. */
int spec_write(const struct spec *s, struct buf *ret);

/* Helpers to fill a spec: each copies its arguments. */
void spec_strs_add(struct spec_strs *l, const char *s);
void spec_strs_done(struct spec_strs *l);
void spec_u32s_add(struct spec_u32s *l, uint32_t v);
void spec_pairs_add(struct spec_pairs *l, const char *key, const char *value);
/* Options are separated by commas; `type` and `source` may be NULL. The mount stays the spec's. */
struct spec_mount *spec_add_mount(struct spec *s, const char *destination, const char *type,
				  const char *source, const char *options);
struct spec_namespace *spec_add_namespace(struct spec *s, const char *type, const char *path);
struct spec_rlimit *spec_add_rlimit(struct spec *s, const char *type, uint64_t soft, uint64_t hard);
/* Makes the node in /dev and adds the rule that allows it with `access` ("rwm"). */
struct spec_device *spec_add_device(struct spec *s, const char *path, char type, int64_t major,
				    int64_t minor, const char *access);
/* `type` is one of "acbp", `major` and `minor` may be SPEC_UNSET. */
struct spec_device_rule *spec_add_device_rule(struct spec *s, bool allow, char type, int64_t major,
					      int64_t minor, const char *access);
/* Whether the container has a namespace of the type ("pid") that is not the caller's own. */
bool spec_has_namespace(const struct spec *s, const char *type);
/* The RLIMIT_* number of a name, or -EINVAL. */
int spec_rlimit_number(const char *type);
