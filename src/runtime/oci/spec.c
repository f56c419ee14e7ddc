/*
 * spec and features: what a configuration may look like, and an example of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/caps.h"
#include "runtime/container/defaults.h"
#include "runtime/container/jtable.h"
#include "runtime/container/mount.h"
#include "runtime/container/seccomp_filter.h"
#include "runtime/oci/oci.h"

/* What runc's example gives: less than Docker's default. */
static const char *const example_caps[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
					   NULL};

static void add_map(struct spec_id_maps *l, int64_t host)
{
	l->v = xcalloc(1, sizeof(*l->v));
	l->n = 1;
	l->v[0] = (struct spec_id_map){.container_id = 0, .host_id = host, .size = 1};
}

/* The user's own id alone is mapped, the network and limits stay the host's. */
static void make_rootless(struct spec *s)
{
	spec_resources_done(&s->linux_.resources);
	for (size_t i = 0; i < s->linux_.namespaces.n; i++)
		if (strcmp(s->linux_.namespaces.v[i].type, "network") == 0)
			str_set(&s->linux_.namespaces.v[i].type, "user");
	add_map(&s->linux_.uid_maps, geteuid());
	add_map(&s->linux_.gid_maps, getegid());
	for (size_t i = 0; i < s->mounts.n; i++) {
		struct spec_mount *m = &s->mounts.v[i];

		for (size_t k = 0; k < m->options.n; k++)
			if (strcmp(m->options.v[k], "gid=5") == 0)
				str_set(&m->options.v[k], "nosuid");
		if (strcmp(m->type, "sysfs") != 0)
			continue;
		str_set(&m->type, "none");
		str_set(&m->source, "/sys");
		spec_strs_add(&m->options, "rbind");
	}
}

static void make_example(struct spec *s, bool rootless)
{
	spec_set_defaults(s);
	spec_set_capabilities(s, example_caps);
	s->process.terminal = true;
	s->process.no_new_privileges = true;
	s->process.user.uid = s->process.user.gid = 0;
	spec_strs_add(&s->process.args, "sh");
	spec_strs_add(&s->process.env, container_defaults.path_env);
	spec_strs_add(&s->process.env, "TERM=xterm");
	spec_add_rlimit(s, "RLIMIT_NOFILE", 1024, 1024);
	s->root.path = xstrdup("rootfs");
	s->root.readonly = true;
	s->hostname = xstrdup("shoal");
	if (rootless)
		make_rootless(s);
}

/* Two blanks a level, so that people can edit it. Strings are passed over whole. */
static void indent(const char *json, struct buf *ret)
{
	int depth = 0;
	bool text = false;

	for (const char *p = json; *p; p++) {
		bool empty = (*p == '{' || *p == '[') && (p[1] == '}' || p[1] == ']');

		if (text || *p == '"') {
			buf_addc(ret, *p);
			if (*p == '\\')
				buf_addc(ret, *++p);
			else if (*p == '"')
				text = !text;
			continue;
		}
		if (*p == '}' || *p == ']')
			buf_addf(ret, "\n%*s", --depth * 2, "");
		buf_addc(ret, *p);
		if (empty)
			buf_addc(ret, *++p);
		else if (*p == '{' || *p == '[')
			buf_addf(ret, "\n%*s", ++depth * 2, "");
		else if (*p == ',')
			buf_addf(ret, "\n%*s", depth * 2, "");
		else if (*p == ':')
			buf_addc(ret, ' ');
	}
	buf_addc(ret, '\n');
}

static int write_new(const char *bundle, const struct buf *text, struct err *e)
{
	auto_free char *path = xasprintf("%s/config.json", bundle && *bundle ? bundle : ".");
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int rc;

	if (fd < 0 && errno == EEXIST)
		return err_set(e, -EEXIST, "File %s exists. Remove it first", path);
	if (fd < 0)
		return err_sys(e, "cannot make %s", path);
	rc = file_write_fd(fd, text->p, text->len);
	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}

int oci_spec(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_buf line = BUF_INIT(LIMIT_SPEC_JSON), text = BUF_INIT(LIMIT_SPEC_JSON);
	auto_spec s;

	make_example(&s, f->rootless);
	if (spec_write(&s, &line) < 0)
		return err_set(e, -EMSGSIZE, "the configuration is too large");
	indent(buf_text(&line), &text);
	return write_new(f->bundle, &text, e);
}

static void put_list(struct buf *b, const char *name, const char *(*get)(size_t i))
{
	const char *text;

	buf_addf(b, "\"%s\":[", name);
	for (size_t i = 0; (text = get(i)); i++) {
		buf_adds(b, i ? "," : "");
		jt_write_text(b, text);
	}
	buf_addc(b, ']');
}

static const char *hook_name(size_t i)
{
	static const char *const names[] = {"prestart",       "createRuntime", "createContainer",
					    "startContainer", "poststart",     "poststop"};

	return i < ARRAY_LEN(names) ? names[i] : NULL;
}

static const char *namespace_name(size_t i)
{
	static const char *const names[] = {"cgroup", "ipc",  "mount", "network",
					    "pid",    "time", "user",  "uts"};

	return i < ARRAY_LEN(names) ? names[i] : NULL;
}

static const char *capability_name(size_t i)
{
	return cap_name_of((int)i);
}

static void put_seccomp(struct buf *b)
{
	buf_adds(b, "\"seccomp\":{\"enabled\":true,");
	put_list(b, "actions", seccomp_action_name);
	buf_addc(b, ',');
	put_list(b, "operators", seccomp_operator_name);
	buf_addc(b, ',');
	put_list(b, "archs", seccomp_arch_name);
	buf_addc(b, ',');
	put_list(b, "knownFlags", seccomp_flag_name);
	buf_addc(b, ',');
	put_list(b, "supportedFlags", seccomp_flag_name);
	buf_addc(b, '}');
}

int oci_features(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	auto_buf b = BUF_INIT(LIMIT_SPEC_JSON), text = BUF_INIT(LIMIT_SPEC_JSON);

	buf_addf(&b, "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"%s\",", SPEC_OCI_VERSION);
	put_list(&b, "hooks", hook_name);
	buf_addc(&b, ',');
	put_list(&b, "mountOptions", mount_option_name);
	buf_adds(&b, ",\"linux\":{");
	put_list(&b, "namespaces", namespace_name);
	buf_addc(&b, ',');
	put_list(&b, "capabilities", capability_name);
	buf_adds(&b, ",\"cgroup\":{\"v1\":true,\"v2\":true,\"systemd\":true,"
		     "\"systemdUser\":true,\"rdma\":true},");
	put_seccomp(&b);
	buf_adds(&b, ",\"apparmor\":{\"enabled\":true},\"selinux\":{\"enabled\":true},"
		     "\"intelRdt\":{\"enabled\":false},"
		     "\"mountExtensions\":{\"idmap\":{\"enabled\":true}}},");
	buf_addf(&b,
		 "\"annotations\":{\"org.shoal.version\":\"%s\"},"
		 "\"potentiallyUnsafeConfigAnnotations\":[]}",
		 SHOAL_VERSION);
	indent(buf_text(&b), &text);
	return oci_print(&text, e);
}
