/*
 * The tables of a container's specification (model/service.h): what a task runs.
 */
#include "model/service.h"

#define T struct mount_bind
static const struct field mount_bind_fields[] = {
	FIELD_STR(T, 1, propagation, "Propagation", FIELD_OMIT),
	FIELD_BOOL(T, 2, non_recursive, "NonRecursive", FIELD_OMIT),
	FIELD_BOOL(T, 3, create_mountpoint, "CreateMountpoint", FIELD_OMIT),
	FIELD_BOOL(T, 4, read_only_non_recursive, "ReadOnlyNonRecursive", FIELD_OMIT),
	FIELD_BOOL(T, 5, read_only_force_recursive, "ReadOnlyForceRecursive", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(mount_bind, mount_bind_fields, TABLE_REST(mount_bind));

#define T struct mount_volume
static const struct field mount_volume_fields[] = {
	FIELD_BOOL(T, 1, no_copy, "NoCopy", FIELD_OMIT),
	FIELD_STRMAP(T, 2, labels, "Labels", FIELD_OMIT),
	FIELD_PTR(T, 3, driver, "DriverConfig", FIELD_OMIT, driver),
	FIELD_STR(T, 4, subpath, "Subpath", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(mount_volume, mount_volume_fields, TABLE_REST(mount_volume));

#define T struct mount_tmpfs
static const struct field mount_tmpfs_fields[] = {
	FIELD_I64(T, 1, size_bytes, "SizeBytes", FIELD_OMIT),
	FIELD_U32(T, 2, mode, "Mode", FIELD_OMIT),
	FIELD_RAW(T, 3, options, "Options", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(mount_tmpfs, mount_tmpfs_fields, TABLE_REST(mount_tmpfs));

#define T struct mount
static const struct field mount_fields[] = {
	FIELD_STR(T, 1, type, "Type", FIELD_OMIT),
	FIELD_STR(T, 2, source, "Source", FIELD_OMIT),
	FIELD_STR(T, 3, target, "Target", FIELD_OMIT),
	FIELD_BOOL(T, 4, read_only, "ReadOnly", FIELD_OMIT),
	FIELD_STR(T, 5, consistency, "Consistency", FIELD_OMIT),
	FIELD_PTR(T, 6, bind, "BindOptions", FIELD_OMIT, mount_bind),
	FIELD_PTR(T, 7, volume, "VolumeOptions", FIELD_OMIT, mount_volume),
	FIELD_PTR(T, 8, tmpfs, "TmpfsOptions", FIELD_OMIT, mount_tmpfs),
};
#undef T
TABLE_DEFINE(mount, mount_fields, TABLE_REST(mount));

#define T struct healthcheck
static const struct field healthcheck_fields[] = {
	FIELD_STRS(T, 1, test, "Test", FIELD_OMIT),
	FIELD_I64(T, 2, interval, "Interval", FIELD_OMIT),
	FIELD_I64(T, 3, timeout, "Timeout", FIELD_OMIT),
	FIELD_I64(T, 4, start_period, "StartPeriod", FIELD_OMIT),
	FIELD_I64(T, 5, start_interval, "StartInterval", FIELD_OMIT),
	FIELD_I64(T, 6, retries, "Retries", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(healthcheck, healthcheck_fields, TABLE_REST(healthcheck));

#define T struct dns_config
static const struct field dns_config_fields[] = {
	FIELD_STRS(T, 1, nameservers, "Nameservers", FIELD_OMIT),
	FIELD_STRS(T, 2, search, "Search", FIELD_OMIT),
	FIELD_STRS(T, 3, options, "Options", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(dns_config, dns_config_fields, TABLE_REST(dns_config));

#define T struct ulimit
static const struct field ulimit_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_I64(T, 2, soft, "Soft", 0),
	FIELD_I64(T, 3, hard, "Hard", 0),
};
#undef T
TABLE_DEFINE(ulimit, ulimit_fields, TABLE_REST(ulimit));

#define T struct file_target
static const struct field file_target_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STR(T, 2, uid, "UID", 0),
	FIELD_STR(T, 3, gid, "GID", 0),
	FIELD_U32(T, 4, mode, "Mode", 0),
};
#undef T
TABLE_DEFINE(file_target, file_target_fields, TABLE_REST(file_target));

#define T struct secret_ref
static const struct field secret_ref_fields[] = {
	FIELD_PTR(T, 1, file, "File", FIELD_OMIT, file_target),
	FIELD_STR(T, 2, id, "SecretID", 0),
	FIELD_STR(T, 3, name, "SecretName", 0),
};
#undef T
TABLE_DEFINE(secret_ref, secret_ref_fields, TABLE_REST(secret_ref));

#define T struct config_ref
static const struct field config_ref_fields[] = {
	FIELD_PTR(T, 1, file, "File", FIELD_OMIT, file_target),
	FIELD_PTR(T, 2, runtime, "Runtime", FIELD_OMIT, empty),
	FIELD_STR(T, 3, id, "ConfigID", 0),
	FIELD_STR(T, 4, name, "ConfigName", 0),
};
#undef T
TABLE_DEFINE(config_ref, config_ref_fields, TABLE_REST(config_ref));

#define T struct credential_spec
static const struct field credential_spec_fields[] = {
	FIELD_STR(T, 1, config, "Config", FIELD_OMIT),
	FIELD_STR(T, 2, file, "File", FIELD_OMIT),
	FIELD_STR(T, 3, registry, "Registry", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(credential_spec, credential_spec_fields, TABLE_REST(credential_spec));

#define T struct selinux_context
static const struct field selinux_context_fields[] = {
	FIELD_BOOL(T, 1, disable, "Disable", 0),     FIELD_STR(T, 2, user, "User", FIELD_OMIT),
	FIELD_STR(T, 3, role, "Role", FIELD_OMIT),   FIELD_STR(T, 4, type, "Type", FIELD_OMIT),
	FIELD_STR(T, 5, level, "Level", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(selinux_context, selinux_context_fields, TABLE_REST(selinux_context));

#define T struct seccomp_opts
static const struct field seccomp_opts_fields[] = {
	FIELD_STR(T, 1, mode, "Mode", FIELD_OMIT),
	FIELD_BYTES(T, 2, profile, "Profile", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(seccomp_opts, seccomp_opts_fields, TABLE_REST(seccomp_opts));

#define T struct apparmor_opts
static const struct field apparmor_opts_fields[] = {
	FIELD_STR(T, 1, mode, "Mode", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(apparmor_opts, apparmor_opts_fields, TABLE_REST(apparmor_opts));

#define T struct privileges
static const struct field privileges_fields[] = {
	FIELD_PTR(T, 1, credential_spec, "CredentialSpec", FIELD_OMIT, credential_spec),
	FIELD_PTR(T, 2, selinux, "SELinuxContext", FIELD_OMIT, selinux_context),
	FIELD_PTR(T, 3, seccomp, "Seccomp", FIELD_OMIT, seccomp_opts),
	FIELD_PTR(T, 4, apparmor, "AppArmor", FIELD_OMIT, apparmor_opts),
	FIELD_BOOL(T, 5, no_new_privileges, "NoNewPrivileges", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(privileges, privileges_fields, TABLE_REST(privileges));

#define T struct container_spec
static const struct field container_spec_fields[] = {
	FIELD_STR(T, 1, image, "Image", FIELD_OMIT),
	FIELD_STRMAP(T, 2, labels, "Labels", FIELD_OMIT),
	FIELD_STRS(T, 3, command, "Command", FIELD_OMIT | FIELD_ONE),
	FIELD_STRS(T, 4, args, "Args", FIELD_OMIT | FIELD_ONE),
	FIELD_STR(T, 5, hostname, "Hostname", FIELD_OMIT),
	FIELD_STRS(T, 6, env, "Env", FIELD_OMIT),
	FIELD_STR(T, 7, dir, "Dir", FIELD_OMIT),
	FIELD_STR(T, 8, user, "User", FIELD_OMIT),
	FIELD_STRS(T, 9, groups, "Groups", FIELD_OMIT),
	FIELD_PTR(T, 10, privileges, "Privileges", FIELD_OMIT, privileges),
	FIELD_OPT_BOOL(T, 11, init, "Init", FIELD_OMIT),
	FIELD_BOOL(T, 12, tty, "TTY", FIELD_OMIT),
	FIELD_BOOL(T, 13, open_stdin, "OpenStdin", FIELD_OMIT),
	FIELD_BOOL(T, 14, read_only, "ReadOnly", FIELD_OMIT),
	FIELD_LIST(T, 15, mounts, "Mounts", FIELD_OMIT, mount),
	FIELD_STR(T, 16, stop_signal, "StopSignal", FIELD_OMIT),
	FIELD_OPT_I64(T, 17, stop_grace, "StopGracePeriod", FIELD_OMIT),
	FIELD_PTR(T, 18, healthcheck, "Healthcheck", FIELD_OMIT, healthcheck),
	FIELD_STRS(T, 19, hosts, "Hosts", FIELD_OMIT),
	FIELD_PTR(T, 20, dns, "DNSConfig", FIELD_OMIT, dns_config),
	FIELD_LIST(T, 21, secrets, "Secrets", FIELD_OMIT, secret_ref),
	FIELD_LIST(T, 22, configs, "Configs", FIELD_OMIT, config_ref),
	FIELD_STR(T, 23, isolation, "Isolation", FIELD_OMIT),
	FIELD_STRMAP(T, 24, sysctls, "Sysctls", FIELD_OMIT),
	FIELD_STRS(T, 25, cap_add, "CapabilityAdd", FIELD_OMIT),
	FIELD_STRS(T, 26, cap_drop, "CapabilityDrop", FIELD_OMIT),
	FIELD_LIST(T, 27, ulimits, "Ulimits", FIELD_OMIT, ulimit),
	FIELD_I64(T, 28, oom_score_adj, "OomScoreAdj", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(container_spec, container_spec_fields, TABLE_REST(container_spec));
