/*
 * The tables of config.json (runtime-spec 1.2, config.md and config-linux.md). Properties that the
 * specification has and this runtime has not are listed as such, so that they are refused by name
 * instead of being taken for typing errors.
 */
#include "runtime/container/spec.h"

#include "base/limits.h"
#include "runtime/container/jtable.h"
#include "runtime/container/spec_internal.h"

static const struct jt_type user_type = {
	sizeof(struct spec_user),
	(const struct jt_field[]){
		JT_I64_(struct spec_user, uid, "uid"),
		JT_I64_(struct spec_user, gid, "gid"),
		JT_I64_(struct spec_user, umask, "umask"),
		JT_U32S_(struct spec_user, additional_gids, "additionalGids"),
		JT_SKIP_("username"),
		JT_END,
	}};

static const struct jt_type rlimit_type = {sizeof(struct spec_rlimit),
					   (const struct jt_field[]){
						   JT_STR_(struct spec_rlimit, type, "type"),
						   JT_U64_(struct spec_rlimit, soft, "soft"),
						   JT_U64_(struct spec_rlimit, hard, "hard"),
						   JT_END,
					   }};

static const struct jt_type capabilities_type = {
	sizeof(struct spec_capabilities),
	(const struct jt_field[]){
		JT_STRS_(struct spec_capabilities, bounding, "bounding"),
		JT_STRS_(struct spec_capabilities, effective, "effective"),
		JT_STRS_(struct spec_capabilities, inheritable, "inheritable"),
		JT_STRS_(struct spec_capabilities, permitted, "permitted"),
		JT_STRS_(struct spec_capabilities, ambient, "ambient"),
		JT_END,
	}};

static const struct jt_type console_size_type = {
	sizeof(struct spec_console_size),
	(const struct jt_field[]){
		JT_I64_(struct spec_console_size, height, "height"),
		JT_I64_(struct spec_console_size, width, "width"),
		JT_END,
	}};

static const struct jt_type io_priority_type = {
	sizeof(struct spec_io_priority),
	(const struct jt_field[]){
		JT_STR_(struct spec_io_priority, class_, "class"),
		JT_I64_(struct spec_io_priority, priority, "priority"),
		JT_END,
	}};

static const struct jt_type scheduler_type = {
	sizeof(struct spec_scheduler), (const struct jt_field[]){
					       JT_STR_(struct spec_scheduler, policy, "policy"),
					       JT_I64_(struct spec_scheduler, nice, "nice"),
					       JT_I64_(struct spec_scheduler, priority, "priority"),
					       JT_STRS_(struct spec_scheduler, flags, "flags"),
					       JT_I64_(struct spec_scheduler, runtime, "runtime"),
					       JT_I64_(struct spec_scheduler, deadline, "deadline"),
					       JT_I64_(struct spec_scheduler, period, "period"),
					       JT_END,
				       }};

static const struct jt_type affinity_type = {
	sizeof(struct spec_affinity), (const struct jt_field[]){
					      JT_STR_(struct spec_affinity, initial, "initial"),
					      JT_STR_(struct spec_affinity, final, "final"),
					      JT_END,
				      }};

static const struct jt_type process_type = {
	sizeof(struct spec_process),
	(const struct jt_field[]){
		JT_BOOL_(struct spec_process, terminal, "terminal"),
		JT_OBJ_(struct spec_process, console_size, "consoleSize", &console_size_type),
		JT_OBJ_(struct spec_process, user, "user", &user_type),
		JT_STRS_(struct spec_process, args, "args"),
		JT_STRS_(struct spec_process, env, "env"),
		JT_STR_(struct spec_process, cwd, "cwd"),
		JT_OBJ_HAS_(struct spec_process, capabilities, "capabilities", &capabilities_type,
			    has_capabilities),
		JT_OBJS_(struct spec_process, rlimits, "rlimits", &rlimit_type),
		JT_BOOL_(struct spec_process, no_new_privileges, "noNewPrivileges"),
		JT_I64_(struct spec_process, oom_score_adj, "oomScoreAdj"),
		JT_STR_(struct spec_process, apparmor_profile, "apparmorProfile"),
		JT_STR_(struct spec_process, selinux_label, "selinuxLabel"),
		JT_OBJ_(struct spec_process, io_priority, "ioPriority", &io_priority_type),
		JT_OBJ_(struct spec_process, scheduler, "scheduler", &scheduler_type),
		JT_OBJ_(struct spec_process, exec_affinity, "execCPUAffinity", &affinity_type),
		JT_SKIP_("commandLine"),
		JT_END,
	}};

static const struct jt_type root_type = {sizeof(struct spec_root),
					 (const struct jt_field[]){
						 JT_STR_(struct spec_root, path, "path"),
						 JT_BOOL_(struct spec_root, readonly, "readonly"),
						 JT_END,
					 }};

static const struct jt_type id_map_type = {
	sizeof(struct spec_id_map),
	(const struct jt_field[]){
		JT_I64_(struct spec_id_map, container_id, "containerID"),
		JT_I64_(struct spec_id_map, host_id, "hostID"),
		JT_I64_(struct spec_id_map, size, "size"),
		JT_END,
	}};

static const struct jt_type mount_type = {
	sizeof(struct spec_mount),
	(const struct jt_field[]){
		JT_STR_(struct spec_mount, destination, "destination"),
		JT_STR_(struct spec_mount, type, "type"),
		JT_STR_(struct spec_mount, source, "source"),
		JT_STRS_(struct spec_mount, options, "options"),
		JT_OBJS_(struct spec_mount, uid_maps, "uidMappings", &id_map_type),
		JT_OBJS_(struct spec_mount, gid_maps, "gidMappings", &id_map_type),
		JT_END,
	}};

static const struct jt_type namespace_type = {sizeof(struct spec_namespace),
					      (const struct jt_field[]){
						      JT_STR_(struct spec_namespace, type, "type"),
						      JT_STR_(struct spec_namespace, path, "path"),
						      JT_END,
					      }};

static const struct jt_type device_type = {
	sizeof(struct spec_device), (const struct jt_field[]){
					    JT_STR_(struct spec_device, path, "path"),
					    JT_STR_(struct spec_device, type, "type"),
					    JT_I64_(struct spec_device, major, "major"),
					    JT_I64_(struct spec_device, minor, "minor"),
					    JT_I64_(struct spec_device, file_mode, "fileMode"),
					    JT_I64_(struct spec_device, uid, "uid"),
					    JT_I64_(struct spec_device, gid, "gid"),
					    JT_END,
				    }};

static const struct jt_type device_rule_type = {
	sizeof(struct spec_device_rule), (const struct jt_field[]){
						 JT_BOOL_(struct spec_device_rule, allow, "allow"),
						 JT_STR_(struct spec_device_rule, type, "type"),
						 JT_I64_(struct spec_device_rule, major, "major"),
						 JT_I64_(struct spec_device_rule, minor, "minor"),
						 JT_STR_(struct spec_device_rule, access, "access"),
						 JT_END,
					 }};

static const struct jt_type memory_type = {
	sizeof(struct spec_memory),
	(const struct jt_field[]){
		JT_I64_(struct spec_memory, limit, "limit"),
		JT_I64_(struct spec_memory, reservation, "reservation"),
		JT_I64_(struct spec_memory, swap, "swap"),
		JT_I64_(struct spec_memory, swappiness, "swappiness"),
		JT_I64_(struct spec_memory, kernel_tcp, "kernelTCP"),
		JT_BOOL_(struct spec_memory, disable_oom_killer, "disableOOMKiller"),
		JT_BOOL_(struct spec_memory, check_before_update, "checkBeforeUpdate"),
		JT_SKIP_("kernel"),
		JT_SKIP_("useHierarchy"),
		JT_END,
	}};

static const struct jt_type cpu_type = {
	sizeof(struct spec_cpu),
	(const struct jt_field[]){
		JT_I64_(struct spec_cpu, shares, "shares"),
		JT_I64_(struct spec_cpu, quota, "quota"),
		JT_I64_(struct spec_cpu, period, "period"),
		JT_I64_(struct spec_cpu, burst, "burst"),
		JT_I64_(struct spec_cpu, idle, "idle"),
		JT_STR_(struct spec_cpu, cpus, "cpus"),
		JT_STR_(struct spec_cpu, mems, "mems"),
		JT_I64_(struct spec_cpu, realtime_runtime, "realtimeRuntime"),
		JT_I64_(struct spec_cpu, realtime_period, "realtimePeriod"),
		JT_END,
	}};

static const struct jt_type pids_type = {sizeof(struct spec_pids),
					 (const struct jt_field[]){
						 JT_I64_(struct spec_pids, limit, "limit"),
						 JT_END,
					 }};

static const struct jt_type weight_device_type = {
	sizeof(struct spec_weight_device),
	(const struct jt_field[]){
		JT_I64_(struct spec_weight_device, major, "major"),
		JT_I64_(struct spec_weight_device, minor, "minor"),
		JT_I64_(struct spec_weight_device, weight, "weight"),
		JT_I64_(struct spec_weight_device, leaf_weight, "leafWeight"),
		JT_END,
	}};

static const struct jt_type throttle_type = {
	sizeof(struct spec_throttle_device),
	(const struct jt_field[]){
		JT_I64_(struct spec_throttle_device, major, "major"),
		JT_I64_(struct spec_throttle_device, minor, "minor"),
		JT_I64_(struct spec_throttle_device, rate, "rate"),
		JT_END,
	}};

static const struct jt_type block_io_type = {
	sizeof(struct spec_block_io),
	(const struct jt_field[]){
		JT_I64_(struct spec_block_io, weight, "weight"),
		JT_I64_(struct spec_block_io, leaf_weight, "leafWeight"),
		JT_OBJS_(struct spec_block_io, weight_devices, "weightDevice", &weight_device_type),
		JT_OBJS_(struct spec_block_io, read_bps, "throttleReadBpsDevice", &throttle_type),
		JT_OBJS_(struct spec_block_io, write_bps, "throttleWriteBpsDevice", &throttle_type),
		JT_OBJS_(struct spec_block_io, read_iops, "throttleReadIOPSDevice", &throttle_type),
		JT_OBJS_(struct spec_block_io, write_iops, "throttleWriteIOPSDevice",
			 &throttle_type),
		JT_END,
	}};

static const struct jt_type hugepage_type = {
	sizeof(struct spec_hugepage), (const struct jt_field[]){
					      JT_STR_(struct spec_hugepage, page_size, "pageSize"),
					      JT_U64_(struct spec_hugepage, limit, "limit"),
					      JT_END,
				      }};

static const struct jt_type network_priority_type = {
	sizeof(struct spec_network_priority),
	(const struct jt_field[]){
		JT_STR_(struct spec_network_priority, name, "name"),
		JT_I64_(struct spec_network_priority, priority, "priority"),
		JT_END,
	}};

static const struct jt_type network_type = {
	sizeof(struct spec_network),
	(const struct jt_field[]){
		JT_I64_(struct spec_network, class_id, "classID"),
		JT_OBJS_(struct spec_network, priorities, "priorities", &network_priority_type),
		JT_END,
	}};

static const struct jt_type rdma_type = {
	sizeof(struct spec_rdma), (const struct jt_field[]){
					  JT_I64_(struct spec_rdma, hca_handles, "hcaHandles"),
					  JT_I64_(struct spec_rdma, hca_objects, "hcaObjects"),
					  JT_END,
				  }};

static const struct jt_type resources_type = {
	sizeof(struct spec_resources),
	(const struct jt_field[]){
		JT_OBJS_(struct spec_resources, devices, "devices", &device_rule_type),
		JT_OBJ_(struct spec_resources, memory, "memory", &memory_type),
		JT_OBJ_(struct spec_resources, cpu, "cpu", &cpu_type),
		JT_OBJ_(struct spec_resources, pids, "pids", &pids_type),
		JT_PAIRS_(struct spec_resources, unified, "unified"),
		JT_OBJ_(struct spec_resources, block_io, "blockIO", &block_io_type),
		JT_OBJS_(struct spec_resources, hugepages, "hugepageLimits", &hugepage_type),
		JT_OBJ_(struct spec_resources, network, "network", &network_type),
		JT_MAP_(struct spec_resources, rdma, "rdma", &rdma_type),
		JT_END,
	}};

static const struct jt_type seccomp_arg_type = {
	sizeof(struct spec_seccomp_arg),
	(const struct jt_field[]){
		JT_I64_(struct spec_seccomp_arg, index, "index"),
		JT_U64_(struct spec_seccomp_arg, value, "value"),
		JT_U64_(struct spec_seccomp_arg, value_two, "valueTwo"),
		JT_STR_(struct spec_seccomp_arg, op, "op"),
		JT_END,
	}};

static const struct jt_type seccomp_rule_type = {
	sizeof(struct spec_seccomp_rule),
	(const struct jt_field[]){
		JT_STRS_(struct spec_seccomp_rule, names, "names"),
		JT_STR_(struct spec_seccomp_rule, action, "action"),
		JT_I64_(struct spec_seccomp_rule, errno_ret, "errnoRet"),
		JT_OBJS_(struct spec_seccomp_rule, args, "args", &seccomp_arg_type),
		JT_END,
	}};

static const struct jt_type seccomp_type = {
	sizeof(struct spec_seccomp),
	(const struct jt_field[]){
		JT_STR_(struct spec_seccomp, default_action, "defaultAction"),
		JT_I64_(struct spec_seccomp, default_errno_ret, "defaultErrnoRet"),
		JT_STRS_(struct spec_seccomp, architectures, "architectures"),
		JT_STRS_(struct spec_seccomp, flags, "flags"),
		JT_OBJS_(struct spec_seccomp, syscalls, "syscalls", &seccomp_rule_type),
		JT_STR_(struct spec_seccomp, listener_path, "listenerPath"),
		JT_STR_(struct spec_seccomp, listener_metadata, "listenerMetadata"),
		JT_END,
	}};

static const struct jt_type personality_type = {
	sizeof(struct spec_personality), (const struct jt_field[]){
						 JT_STR_(struct spec_personality, domain, "domain"),
						 JT_STRS_(struct spec_personality, flags, "flags"),
						 JT_END,
					 }};

static const struct jt_type time_offset_type = {
	sizeof(struct spec_time_offset),
	(const struct jt_field[]){
		JT_I64_(struct spec_time_offset, secs, "secs"),
		JT_I64_(struct spec_time_offset, nanosecs, "nanosecs"),
		JT_END,
	}};

static const struct jt_type linux_type = {
	sizeof(struct spec_linux),
	(const struct jt_field[]){
		JT_OBJS_(struct spec_linux, namespaces, "namespaces", &namespace_type),
		JT_OBJS_(struct spec_linux, devices, "devices", &device_type),
		JT_OBJ_(struct spec_linux, resources, "resources", &resources_type),
		JT_STR_(struct spec_linux, cgroups_path, "cgroupsPath"),
		JT_STR_(struct spec_linux, rootfs_propagation, "rootfsPropagation"),
		JT_OBJ_(struct spec_linux, seccomp, "seccomp", &seccomp_type),
		JT_STRS_(struct spec_linux, masked_paths, "maskedPaths"),
		JT_STRS_(struct spec_linux, readonly_paths, "readonlyPaths"),
		JT_PAIRS_(struct spec_linux, sysctl, "sysctl"),
		JT_OBJS_(struct spec_linux, uid_maps, "uidMappings", &id_map_type),
		JT_OBJS_(struct spec_linux, gid_maps, "gidMappings", &id_map_type),
		JT_MAP_(struct spec_linux, time_offsets, "timeOffsets", &time_offset_type),
		JT_OBJ_(struct spec_linux, personality, "personality", &personality_type),
		JT_NO_("intelRdt"),
		JT_STR_(struct spec_linux, mount_label, "mountLabel"),
		JT_END,
	}};

static const struct jt_type hook_type = {sizeof(struct spec_hook),
					 (const struct jt_field[]){
						 JT_STR_(struct spec_hook, path, "path"),
						 JT_STRS_(struct spec_hook, args, "args"),
						 JT_STRS_(struct spec_hook, env, "env"),
						 JT_I64_(struct spec_hook, timeout, "timeout"),
						 JT_END,
					 }};

static const struct jt_type hooks_type = {
	sizeof(struct spec_hooks),
	(const struct jt_field[]){
		JT_OBJS_(struct spec_hooks, prestart, "prestart", &hook_type),
		JT_OBJS_(struct spec_hooks, create_runtime, "createRuntime", &hook_type),
		JT_OBJS_(struct spec_hooks, create_container, "createContainer", &hook_type),
		JT_OBJS_(struct spec_hooks, start_container, "startContainer", &hook_type),
		JT_OBJS_(struct spec_hooks, poststart, "poststart", &hook_type),
		JT_OBJS_(struct spec_hooks, poststop, "poststop", &hook_type),
		JT_END,
	}};

static const struct jt_type spec_type = {
	sizeof(struct spec), (const struct jt_field[]){
				     JT_STR_(struct spec, oci_version, "ociVersion"),
				     JT_OBJ_(struct spec, process, "process", &process_type),
				     JT_OBJ_(struct spec, root, "root", &root_type),
				     JT_STR_(struct spec, hostname, "hostname"),
				     JT_STR_(struct spec, domainname, "domainname"),
				     JT_OBJS_(struct spec, mounts, "mounts", &mount_type),
				     JT_OBJ_(struct spec, linux_, "linux", &linux_type),
				     JT_PAIRS_(struct spec, annotations, "annotations"),
				     JT_OBJ_(struct spec, hooks, "hooks", &hooks_type),
				     JT_SKIP_("solaris"),
				     JT_SKIP_("windows"),
				     JT_SKIP_("vm"),
				     JT_SKIP_("zos"),
				     JT_END,
			     }};

void spec_init(struct spec *s)
{
	jt_init(&spec_type, s);
}

void spec_done(struct spec *s)
{
	jt_done(&spec_type, s);
}

int spec_parse(const char *json, size_t n, unsigned int flags, struct spec *s, struct err *e)
{
	int rc = jt_parse(&spec_type, json, n, flags & SPEC_STRICT, "config.json", s, e);

	if (rc < 0)
		return rc;
	rc = spec_validate(s, e);
	if (rc < 0)
		spec_done(s);
	return rc;
}

int spec_write(const struct spec *s, struct buf *ret)
{
	return jt_write(&spec_type, s, ret);
}

int spec_process_parse(const char *json, size_t n, struct spec_process *p, struct err *e)
{
	int rc = jt_parse(&process_type, json, n, true, "process.json", p, e);

	if (rc == 0)
		rc = spec_process_check(p, e);
	if (rc < 0)
		spec_process_done(p);
	return rc;
}

void spec_process_done(struct spec_process *p)
{
	jt_done(&process_type, p);
}

void spec_resources_init(struct spec_resources *r)
{
	jt_init(&resources_type, r);
}

int spec_resources_parse(const char *json, size_t n, struct spec_resources *r, struct err *e)
{
	int rc = jt_parse(&resources_type, json, n, true, "resources", r, e);

	if (rc == 0)
		rc = spec_resources_check(r, e);
	if (rc < 0)
		spec_resources_done(r);
	return rc;
}

void spec_resources_done(struct spec_resources *r)
{
	jt_done(&resources_type, r);
}

void spec_device_init(struct spec_device *d)
{
	jt_init(&device_type, d);
}
