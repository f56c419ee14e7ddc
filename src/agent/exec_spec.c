/*
 * See exec_spec.h. Facts from moby's daemon: an executed process has the container's environment
 * with its own laid over it, the container's user unless it names one, and TERM with a terminal.
 */
#include "agent/exec_spec.h"

#include <string.h>

#include "agent/container_spec.h"
#include "base/mem.h"
#include "runtime/container/caps.h"
#include "runtime/container/defaults.h"

static bool is_set(const char *s)
{
	return s && *s;
}

static void set_all_capabilities(struct spec *s)
{
	const char *names[65];
	uint64_t all = caps_all();
	size_t n = 0;

	for (int i = 0; i < 64; i++)
		if (all & CAP_BIT(i) && cap_name_of(i))
			names[n++] = cap_name_of(i);
	names[n] = NULL;
	spec_set_capabilities(s, names);
}

/* Mounts, hooks and the like have been made: they are not of interest any more. */
static void take_parts(struct spec *from, struct spec *to)
{
	struct spec empty;

	spec_init(to);
	to->oci_version = xstrdup(SPEC_OCI_VERSION);
	to->process = from->process;
	to->linux_.cgroups_path = TAKE_PTR(from->linux_.cgroups_path);
	to->linux_.seccomp = from->linux_.seccomp;
	to->linux_.namespaces = from->linux_.namespaces;
	to->linux_.personality = from->linux_.personality;
	spec_init(&empty);
	from->process = empty.process;
	from->linux_.seccomp = empty.linux_.seccomp;
	from->linux_.namespaces = empty.linux_.namespaces;
	from->linux_.personality = empty.linux_.personality;
}

void exec_spec_make(const struct exec_spec_input *in, struct spec *container, struct spec *ret,
		    struct shim_config *shim)
{
	const struct exec_config *x = in->exec;
	struct spec_process *p = &ret->process;

	take_parts(container, ret);
	spec_strs_done(&p->args);
	STRS_EACH (word, &x->cmd)
		spec_strs_add(&p->args, word);
	p->terminal = x->tty;
	p->console_size.height = in->rows ? in->rows : SPEC_UNSET;
	p->console_size.width = in->cols ? in->cols : SPEC_UNSET;
	if (is_set(x->working_dir))
		str_set(&p->cwd, x->working_dir);
	spec_strs_done(&p->env);
	container_env(in->container, x->tty, &x->env, &p->env);
	if (x->privileged)
		set_all_capabilities(ret);
	if (is_set(x->user))
		str_set(&shim->user, x->user);
	shim->open_stdin = x->attach_stdin;
	shim->stdin_once = true;
	shim->stop_signal = SPEC_UNSET;
	shim->dns.port = SPEC_UNSET;
	free(TAKE_PTR(shim->log.path));
	shim->log.max_size = shim->log.max_file = SPEC_UNSET;
}
