/*
 * exec: a further process in a container, from its configuration and what the flags change of it,
 * or from a process.json.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "runtime/container/caps.h"
#include "runtime/container/launch.h"
#include "runtime/container/self.h"
#include "runtime/oci/process.h"
#include "runtime/oci/state.h"

struct execution {
	struct oci *o;
	struct oci_flags *f;
	struct oci_container state;
	struct spec spec;
	struct shim_config config; /* nothing of it is used */
	struct cgroup group;
	bool has_group;
	struct launch l;
	struct container c;
	int exit_code;
};

static void execution_done(struct execution *x)
{
	if (x->has_group)
		cgroup_done(&x->group);
	container_close(&x->c);
	shim_config_done(&x->config);
	spec_done(&x->spec);
	oci_container_done(&x->state);
}

/* "1000", "1000:50": numbers to the last character (CVE-2026-30892). */
static int set_user(struct spec_user *u, const char *text, struct err *e)
{
	size_t n = strspn(text, "0123456789");
	size_t m = text[n] == ':' ? strspn(text + n + 1, "0123456789") : 0;
	unsigned long long uid = strtoull(text, NULL, 10), gid = 0;

	if (text[n] == ':')
		gid = strtoull(text + n + 1, NULL, 10);
	if (!n || n > 10 || m > 10 || (text[n] && (text[n] != ':' || !m || text[n + 1 + m])) ||
	    uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(e, -EINVAL, "--user must be of the form UID or UID:GID, not %.64s",
			       text);
	u->uid = (int64_t)uid;
	if (m)
		u->gid = (int64_t)gid;
	return 0;
}

static int add_gids(struct spec_user *u, const struct spec_strs *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *s = l->v[i];

		if (!*s || s[strspn(s, "0123456789")] || strlen(s) > 10 ||
		    strtoull(s, NULL, 10) >= UINT32_MAX || u->additional_gids.n >= LIMIT_GROUPS)
			return err_set(e, -EINVAL, "--additional-gids: %.32s is not a group id", s);
		spec_u32s_add(&u->additional_gids, (uint32_t)strtoull(s, NULL, 10));
	}
	return 0;
}

/* As runc: into all sets but the inheritable one (CVE-2022-29162) and the ambient one. */
static int add_caps(struct spec_process *p, const struct spec_strs *l, struct err *e)
{
	struct spec_strs *sets[] = {&p->capabilities.bounding, &p->capabilities.effective,
				    &p->capabilities.permitted};

	for (size_t i = 0; i < l->n; i++) {
		if (cap_number(l->v[i]) < 0)
			return err_set(e, -EINVAL, "--cap: unknown capability %.64s", l->v[i]);
		for (size_t k = 0; k < ARRAY_LEN(sets); k++)
			spec_strs_add(sets[k], cap_name_of(cap_number(l->v[i])));
		p->has_capabilities = true;
	}
	return 0;
}

/* The flags over the container's own process. */
static int set_process(struct execution *x, char **words, struct err *e)
{
	const struct oci_flags *f = x->f;
	struct spec_process *p = &x->spec.process;
	int rc = 0;

	if (!words[0])
		return err_set(e, -EINVAL, "process args cannot be empty");
	spec_strs_done(&p->args);
	for (; *words; words++)
		spec_strs_add(&p->args, *words);
	p->terminal = f->tty;
	p->no_new_privileges |= f->no_new_privs;
	if (f->cwd)
		str_set(&p->cwd, f->cwd);
	if (f->apparmor)
		str_set(&p->apparmor_profile, f->apparmor);
	if (f->process_label)
		str_set(&p->selinux_label, f->process_label);
	for (size_t i = 0; i < f->env.n; i++)
		spec_strs_add(&p->env, f->env.v[i]);
	if (f->user)
		rc = set_user(&p->user, f->user, e);
	if (rc == 0)
		rc = add_gids(&p->user, &f->additional_gids, e);
	if (rc == 0)
		rc = add_caps(p, &f->caps, e);
	if (rc == 0 && (!p->cwd || p->cwd[0] != '/'))
		rc = err_set(e, -EINVAL, "Cwd must be an absolute path");
	return rc;
}

static int read_process(struct execution *x, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_SPEC_JSON);
	struct spec_process p;
	int rc = file_read_at(AT_FDCWD, x->f->process, &text);

	if (rc < 0)
		return err_code(e, rc, "cannot read --process %s", x->f->process);
	rc = spec_process_parse(buf_text(&text), text.len, &p, e);
	if (rc < 0)
		return rc;
	spec_process_done(&x->spec.process);
	x->spec.process = p;
	return 0;
}

/* One --cgroup: "name" below the container's own group in all hierarchies, or in those named. */
static int open_below(struct execution *x, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	auto_free char *names = xstrndup(text, colon ? (size_t)(colon - text) : 0);
	auto_free char *path = xasprintf("%s/%s", x->state.record.cgroup, colon ? colon + 1 : text);
	struct cgroup g;
	char *save = NULL;
	int rc = cgroup_open(CGROUP_ROOT, path, &g, e);

	if (rc < 0)
		return rc;
	if (!colon) {
		cgroup_done(&x->group);
		x->group = g;
		return 0;
	}
	if (x->group.v2)
		rc = err_set(e, -EINVAL,
			     "--cgroup %.64s: the one hierarchy of v2 has no controllers to be "
			     "named: give a path alone",
			     text);
	for (char *n = strtok_r(names, ",", &save); rc == 0 && n; n = strtok_r(NULL, ",", &save))
		rc = cgroup_take(&x->group, &g, n, e);
	cgroup_done(&g);
	return rc;
}

static int open_group(struct execution *x, struct err *e)
{
	int rc;

	if (!x->state.record.cgroup)
		return 0;
	rc = cgroup_open(CGROUP_ROOT, x->state.record.cgroup, &x->group, e);
	x->has_group = rc == 0;
	for (size_t i = 0; rc == 0 && i < x->f->cgroups.n; i++)
		rc = open_below(x, x->f->cgroups.v[i], e);
	return rc;
}

static int prepare(struct execution *x, char **argv, struct err *e)
{
	int rc = oci_state_open(x->o, argv[0], OCI_UNLOCKED, &x->state, e);
	enum oci_status s;

	if (rc < 0)
		return rc;
	s = oci_status_of_process(&x->state);
	if (s == OCI_STOPPED || s == OCI_CREATING)
		return err_set(e, -EINVAL, "cannot exec in a %s container: %s", oci_status_name(s),
			       x->state.id);
	rc = open_group(x, e);
	if (rc < 0)
		return rc;
	if (x->has_group && !x->f->ignore_paused && cgroup_is_frozen(&x->group))
		return err_set(e, -EINVAL,
			       "cannot exec in a paused container (use --ignore-paused): %s",
			       x->state.id);
	rc = oci_state_spec(&x->state, &x->spec, e);
	if (rc == 0)
		rc = x->f->process ? read_process(x, e) : set_process(x, argv + 1, e);
	if (rc == 0)
		rc = process_check_terminal(x->f, &x->spec.process, x->f->detach, e);
	return rc;
}

static int start(struct execution *x, struct err *e)
{
	struct exec how = {.launch = &x->l,
			   .pid = (pid_t)x->state.record.pid,
			   .pidfd = x->state.pidfd,
			   .cgroup = x->has_group ? &x->group : NULL};
	struct hook_state h = {.id = x->state.id,
			       .bundle = x->state.record.bundle,
			       .status = "running",
			       .spec = &x->spec};
	int rc;

	x->l.spec = &x->spec;
	x->l.config = &x->config;
	x->l.id = x->state.id;
	x->l.bundle = x->state.record.bundle;
	x->l.stdio[1] = 1;
	x->l.stdio[2] = 2;
	x->l.detached = true;
	rc = launch_exec(&how, &x->c, &x->exit_code, e);
	h.pid = x->c.pid;
	if (rc == 0)
		rc = process_send_console(x->f, &x->c, e);
	if (rc == 0)
		rc = process_write_pid(x->f, x->c.pid, e);
	if (rc == 0)
		rc = launch_start(&x->c, e);
	if (rc == 0)
		rc = launch_result(&x->c, &h, &x->exit_code, e);
	if (rc < 0)
		launch_abort(&x->c);
	return rc;
}

int oci_exec(struct oci *o, struct oci_flags *f, char **argv, struct err *e)
{
	CLEANUP(execution_done)
	struct execution x = {.o = o, .f = f, .state = OCI_CONTAINER_INIT, .c = CONTAINER_INIT};
	struct notify none = NOTIFY_INIT;
	int rc = self_protect(o->main_argv, e);

	spec_init(&x.spec);
	shim_config_init(&x.config);
	(void)prctl(PR_SET_NAME, "shoal-oci", 0, 0, 0);
	if (rc == 0)
		rc = process_take_fds(o, f, &x.l, e);
	if (rc == 0)
		rc = prepare(&x, argv, e);
	if (rc == 0)
		process_add_listen_env(o, &x.spec.process);
	if (rc == 0 && !f->detach)
		process_block_signals();
	if (rc == 0)
		rc = start(&x, e);
	if (rc == 0 && !f->detach)
		rc = process_wait(o, &x.c, &none, e);
	/* runc's own status for an exec that could not begin. */
	return rc < 0 ? (x.exit_code ? x.exit_code : 255) : rc;
}
