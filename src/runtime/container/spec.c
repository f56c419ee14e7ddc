/*
 * The tables of config.json (runtime-spec 1.2, config.md and config-linux.md), and the helpers
 * that fill a spec by hand. Properties that the specification has and this runtime has not are
 * listed as such, so that they are refused by name instead of being taken for typing errors.
 */
#include "runtime/container/spec.h"

#include <string.h>

#include "base/limits.h"
#include "runtime/container/jtable.h"

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
		JT_NO_("apparmorProfile"),
		JT_NO_("selinuxLabel"),
		JT_NO_("ioPriority"),
		JT_NO_("scheduler"),
		JT_NO_("execCPUAffinity"),
		JT_SKIP_("commandLine"),
		JT_END,
	}};

static const struct jt_type root_type = {sizeof(struct spec_root),
					 (const struct jt_field[]){
						 JT_STR_(struct spec_root, path, "path"),
						 JT_BOOL_(struct spec_root, readonly, "readonly"),
						 JT_END,
					 }};

static const struct jt_type mount_type = {
	sizeof(struct spec_mount), (const struct jt_field[]){
					   JT_STR_(struct spec_mount, destination, "destination"),
					   JT_STR_(struct spec_mount, type, "type"),
					   JT_STR_(struct spec_mount, source, "source"),
					   JT_STRS_(struct spec_mount, options, "options"),
					   JT_NO_("uidMappings"),
					   JT_NO_("gidMappings"),
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
		JT_BOOL_(struct spec_memory, disable_oom_killer, "disableOOMKiller"),
		JT_BOOL_(struct spec_memory, check_before_update, "checkBeforeUpdate"),
		JT_SKIP_("kernel"),
		JT_NO_("kernelTCP"),
		JT_SKIP_("useHierarchy"),
		JT_END,
	}};

static const struct jt_type cpu_type = {sizeof(struct spec_cpu),
					(const struct jt_field[]){
						JT_I64_(struct spec_cpu, shares, "shares"),
						JT_I64_(struct spec_cpu, quota, "quota"),
						JT_I64_(struct spec_cpu, period, "period"),
						JT_I64_(struct spec_cpu, burst, "burst"),
						JT_I64_(struct spec_cpu, idle, "idle"),
						JT_STR_(struct spec_cpu, cpus, "cpus"),
						JT_STR_(struct spec_cpu, mems, "mems"),
						JT_NO_("realtimeRuntime"),
						JT_NO_("realtimePeriod"),
						JT_END,
					}};

static const struct jt_type pids_type = {sizeof(struct spec_pids),
					 (const struct jt_field[]){
						 JT_I64_(struct spec_pids, limit, "limit"),
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
		JT_NO_("blockIO"),
		JT_NO_("hugepageLimits"),
		JT_NO_("network"),
		JT_NO_("rdma"),
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
		JT_NO_("listenerPath"),
		JT_NO_("listenerMetadata"),
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
		JT_NO_("uidMappings"),
		JT_NO_("gidMappings"),
		JT_NO_("timeOffsets"),
		JT_NO_("intelRdt"),
		JT_NO_("mountLabel"),
		JT_NO_("personality"),
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
				     JT_NO_("hooks"),
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

/* Grows a list by one zeroed entry: to powers of two, so that no capacity need be kept. */
static void *list_add(void *list, size_t size)
{
	struct {
		char *v;
		size_t n;
	} *l = list;

	if ((l->n & (l->n - 1)) == 0)
		l->v = xreallocarray(l->v, l->n ? l->n * 2 : 1, size);
	memset(l->v + l->n * size, 0, size);
	return l->v + l->n++ * size;
}

void spec_strs_add(struct spec_strs *l, const char *s)
{
	*(char **)list_add(l, sizeof(char *)) = xstrdup(s);
}

void spec_strs_done(struct spec_strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct spec_strs){0};
}

void spec_u32s_add(struct spec_u32s *l, uint32_t v)
{
	*(uint32_t *)list_add(l, sizeof(v)) = v;
}

void spec_pairs_add(struct spec_pairs *l, const char *key, const char *value)
{
	struct spec_pair *p = list_add(l, sizeof(*p));

	p->key = xstrdup(key);
	p->value = xstrdup(value);
}

static void strs_add_commas(struct spec_strs *l, const char *text)
{
	while (text && *text) {
		size_t n = strcspn(text, ",");
		auto_free char *one = xstrndup(text, n);

		if (n)
			spec_strs_add(l, one);
		text += n + (text[n] == ',');
	}
}

struct spec_mount *spec_add_mount(struct spec *s, const char *destination, const char *type,
				  const char *source, const char *options)
{
	struct spec_mount *m = list_add(&s->mounts, sizeof(*m));

	m->destination = xstrdup(destination);
	m->type = xstrdup(type);
	m->source = xstrdup(source);
	strs_add_commas(&m->options, options);
	return m;
}

struct spec_namespace *spec_add_namespace(struct spec *s, const char *type, const char *path)
{
	struct spec_namespace *ns = list_add(&s->linux_.namespaces, sizeof(*ns));

	ns->type = xstrdup(type);
	ns->path = xstrdup(path);
	return ns;
}

struct spec_rlimit *spec_add_rlimit(struct spec *s, const char *type, uint64_t soft, uint64_t hard)
{
	struct spec_rlimit *r = list_add(&s->process.rlimits, sizeof(*r));

	r->type = xstrdup(type);
	r->soft = soft;
	r->hard = hard;
	return r;
}

struct spec_device_rule *spec_add_device_rule(struct spec *s, bool allow, char type, int64_t major,
					      int64_t minor, const char *access)
{
	struct spec_device_rule *r = list_add(&s->linux_.resources.devices, sizeof(*r));

	r->allow = allow;
	r->type = xasprintf("%c", type);
	r->major = major;
	r->minor = minor;
	r->access = xstrdup(access);
	return r;
}

struct spec_device *spec_add_device(struct spec *s, const char *path, char type, int64_t major,
				    int64_t minor, const char *access)
{
	struct spec_device *d = list_add(&s->linux_.devices, sizeof(*d));

	jt_init(&device_type, d);
	d->path = xstrdup(path);
	d->type = xasprintf("%c", type);
	d->major = major;
	d->minor = minor;
	spec_add_device_rule(s, true, type == 'u' ? 'c' : type, major, minor, access);
	return d;
}
