/*
 * Compose files from memory, made a stack "st" of: for the tests of cli/compose.
 */
#pragma once

#include "unit/test.h"

#include <errno.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/interpolate.h"
#include "cli/compose/stack.h"
#include "cli/compose/yaml.h"

struct memory_file {
	const char *path;
	const char *text;
};

struct made {
	struct strmap env;
	struct strs files, profiles;
	struct compose_input in;
	struct compose_project p;
	struct stack s;
	struct err e;
	int rc;
};

static inline int memory_read(const char *path, struct buf *ret, void *data, struct err *e)
{
	for (const struct memory_file *f = data; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return buf_adds(ret, f->text);
	return err_set(e, -ENOENT, "no such file");
}

static inline void make(struct made *m, const struct memory_file *files, const char *profile)
{
	*m = (struct made){0};
	for (const struct memory_file *f = files; f->path; f++)
		if (*f->path != '/')
			strs_add(&m->files, f->path);
	if (profile)
		strs_add(&m->profiles, profile);
	strmap_set(&m->env, "TAG", "7");
	strmap_set(&m->env, "EMPTY", "");
	strmap_set(&m->env, "HOME", "/root");
	m->in = (struct compose_input){.files = &m->files,
				       .profiles = &m->profiles,
				       .env = &m->env,
				       .cwd = "/dir",
				       .read = memory_read,
				       .data = (void *)files};
	m->rc = compose_load(&m->in, &m->p, &m->e);
	if (m->rc == 0)
		stack_make(&m->p, "st", &m->s);
}

static inline void unmake(struct made *m)
{
	stack_done(&m->s);
	compose_project_done(&m->p);
	strmap_done(&m->env);
	strs_done(&m->files);
	strs_done(&m->profiles);
}

static inline void make_text(struct made *m, const char *text)
{
	const struct memory_file files[] = {{"c.yml", text}, {NULL, NULL}};

	make(m, files, NULL);
}

static inline void assert_sound(const struct made *m)
{
	if (m->rc < 0)
		fail_msg("%s", m->e.msg);
	if (m->p.problems.n)
		fail_msg("%s", m->p.problems.v[0]);
}

static inline const struct service_spec *service(const struct made *m, const char *name)
{
	LIST_EACH (s, &m->s.services)
		if (strcmp(s->name, name) == 0)
			return s;
	fail_msg("no service %s", name);
	return NULL;
}

/* Either the load's error or one of the problems has the part. */
static inline void refuses(const char *text, const char *part)
{
	struct made m;
	bool found;

	make_text(&m, text);
	found = m.rc < 0 && strstr(m.e.msg, part);
	STRS_EACH (problem, &m.p.problems)
		found |= strstr(problem, part) != NULL;
	if (!found)
		fail_msg("%s\nis not refused with %s but %s", text, part,
			 m.rc < 0         ? m.e.msg
			 : m.p.problems.n ? m.p.problems.v[0]
					  : "taken");
	unmake(&m);
}
