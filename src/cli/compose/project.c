/*
 * Loading a project. See project.h.
 */
#include "cli/compose/project.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/compose/interpolate.h"
#include "cli/compose/merge.h"
#include "cli/compose/yaml.h"

__attribute__((format(printf, 3, 0))) static void
complain(struct strs *list, const struct compose_node *at, const char *fmt, va_list args)
{
	char text[ERR_MSG_MAX];
	auto_free char *whole = NULL;

	if (list->n > LIMIT_COMPOSE_PROBLEMS)
		return;
	(void)vsnprintf(text, sizeof text, fmt, args);
	whole = list->n == LIMIT_COMPOSE_PROBLEMS ? xstrdup("... and more")
		: at && at->file ? xasprintf("%s:%zu:%zu: %s", at->file, at->line, at->column, text)
				 : xstrdup(text);
	strs_add(list, whole);
}

void compose_problem(struct compose_project *p, const struct compose_node *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain(&p->problems, at, fmt, args);
	va_end(args);
}

void compose_warn(struct compose_project *p, const struct compose_node *at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	complain(&p->warnings, at, fmt, args);
	va_end(args);
}

/* Paths */

/* dir and text as one absolute path without "." and "..". */
static char *path_join(const char *dir, const char *text)
{
	auto_free char *whole = *text == '/' ? xstrdup(text) : xasprintf("%s/%s", dir, text);
	char *out = xcalloc(1, strlen(whole) + 2);
	char *end = out;
	char *save = NULL;

	for (char *part = strtok_r(whole, "/", &save); part; part = strtok_r(NULL, "/", &save)) {

		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") != 0) {
			*end++ = '/';
			memcpy(end, part, strlen(part) + 1);
			end += strlen(part);
		} else if (end > out) {
			end = strrchr(out, '/');
			*end = 0;
		}
	}
	if (!*out)
		*out = '/';
	return out;
}

static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !slash || slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

char *compose_path(const struct compose_project *p, const struct compose_node *at, const char *text)
{
	const char *home = strmap_get(&p->vars, "HOME");
	const char *dir = p->dir;

	for (size_t i = 0; at && i < p->n_files; i++)
		if (p->files[i]->name == at->file)
			dir = p->files[i]->dir;
	if (home && *text == '~' && (!text[1] || text[1] == '/'))
		return path_join(home, *++text ? text + 1 : text);
	return path_join(dir, text);
}

int compose_file_read(struct compose_project *p, const char *path, struct buf *ret, struct err *e)
{
	if (p->n_read++ >= LIMIT_COMPOSE_FILES)
		return err_set(e, -E2BIG, "%s: more than %u files are read for one stack", path,
			       LIMIT_COMPOSE_FILES);
	return p->in->read(path, ret, p->in->data, e);
}

/* Variables */

static int texts_expand(struct compose_project *p, struct compose_node *n, struct err *e)
{
	struct strs unset = {0};
	int rc = 0;

	if (n->type == COMPOSE_TEXT && strchr(n->text, '$')) {
		auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
		struct err why = ERR_INIT;

		if (compose_expand(n->text, &p->vars, &unset, &b, &why) < 0)
			rc = compose_err(e, n, "%s", err_text(&why));
		else
			str_set(&n->text, buf_text(&b));
		STRS_EACH (name, &unset)
			compose_warn(p, n, "the variable %s is not set; it is empty here", name);
		strs_done(&unset);
	}
	for (size_t i = 0; rc == 0 && i < n->n; i++)
		rc = texts_expand(p, n->v[i], e);
	return rc;
}

/* .env of the project's folder: the environment's own variables stay before it. */
static int dot_env(struct compose_project *p, struct err *e)
{
	auto_free char *path = path_join(p->dir, ".env");
	struct strmap more = {0};
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct err why = ERR_INIT;
	int rc;

	LIST_EACH (v, p->in->env)
		strmap_set(&p->vars, v->key, v->value);
	rc = compose_file_read(p, path, &b, &why);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_set(e, rc, "%s", err_text(&why));
	rc = b.len ? compose_env_read(path, b.p, &p->vars, &more, e) : 0;
	LIST_EACH (v, &more)
		if (!strmap_get(&p->vars, v->key))
			strmap_set(&p->vars, v->key, v->value);
	strmap_done(&more);
	return rc;
}

/* Files and what they extend */

static int services_shape(struct compose_node *root, struct err *e)
{
	struct compose_node *services = compose_get(root, "services");
	int rc = 0;

	if (root->type != COMPOSE_MAP)
		return compose_err(e, root, "a Compose file is a map of keys");
	if (!services || services->type == COMPOSE_NULL)
		return 0;
	if (services->type != COMPOSE_MAP)
		return compose_err(e, services, "services is to be a map");
	for (size_t i = 0; rc == 0 && i < services->n; i++) {
		struct compose_node *s = services->v[i];

		if (s->type != COMPOSE_MAP)
			return compose_err(e, s, "services.%s is to be a map", s->key);
		rc = compose_shape(s, e);
	}
	return rc;
}

static int file_open(struct compose_project *p, const char *path, const char *dir,
		     struct compose_file **ret, struct err *e)
{
	struct compose_file *f = xcalloc(1, sizeof *f);
	auto_buf b = BUF_INIT(LIMIT_COMPOSE_FILE);
	struct err why = ERR_INIT;
	int rc;

	f->name = xstrdup(strcmp(path, "-") == 0 ? "<stdin>" : path);
	f->dir = xstrdup(dir);
	p->files = xreallocarray(p->files, p->n_files + 1, sizeof(struct compose_file *));
	p->files[p->n_files++] = f;
	rc = compose_file_read(p, path, &b, &why);
	if (rc < 0)
		return err_set(e, rc, "cannot read the Compose file %s: %s", f->name,
			       err_text(&why));
	rc = compose_yaml_read(f->name, buf_text(&b), b.len, &p->budget, &f->root, e);
	if (rc == 0 && !p->in->raw)
		rc = texts_expand(p, f->root, e);
	if (rc == 0)
		rc = services_shape(f->root, e);
	*ret = f;
	return rc;
}

static int service_extend(struct compose_project *p, struct compose_file *f,
			  struct compose_node *service, size_t depth, struct err *e);

/* The service that `ext` names, in its file. */
static int extended_find(struct compose_project *p, struct compose_file *f,
			 const struct compose_node *ext, struct compose_file **ret_file,
			 struct compose_node **ret, struct err *e)
{
	const struct compose_node *file = compose_get(ext, "file");
	const struct compose_node *name =
		ext->type == COMPOSE_MAP ? compose_get(ext, "service") : ext;
	int rc = 0;

	if (!name || name->type != COMPOSE_TEXT || (file && file->type != COMPOSE_TEXT))
		return compose_err(e, ext, "extends takes a service, or a map of service and file");
	*ret_file = f;
	if (file) {
		auto_free char *path = compose_path(p, file, file->text);
		auto_free char *dir = dir_of(path);

		*ret_file = NULL;
		for (size_t i = 0; i < p->n_files; i++)
			if (strcmp(p->files[i]->name, path) == 0)
				*ret_file = p->files[i];
		if (!*ret_file)
			rc = file_open(p, path, dir, ret_file, e);
	}
	if (rc < 0)
		return rc;
	*ret = compose_get(compose_get((*ret_file)->root, "services"), name->text);
	if (!*ret)
		return compose_err(e, name, "extends: there is no service %s in %s", name->text,
				   (*ret_file)->name);
	return 0;
}

/* What a service says goes over what the extended one says. */
static int service_extend(struct compose_project *p, struct compose_file *f,
			  struct compose_node *service, size_t depth, struct err *e)
{
	struct compose_node *ext = compose_get(service, "extends");
	struct compose_file *file;
	struct compose_node *found, *base;
	int rc;

	if (!ext)
		return 0;
	if (depth >= LIMIT_COMPOSE_EXTENDS)
		return compose_err(e, ext,
				   "services extend one another in a circle, or more than %u deep",
				   LIMIT_COMPOSE_EXTENDS);
	rc = extended_find(p, f, ext, &file, &found, e);
	if (rc == 0)
		rc = service_extend(p, file, found, depth + 1, e);
	if (rc < 0)
		return rc;
	base = compose_copy(found, &p->budget);
	if (!base)
		return compose_err(e, ext, "the files have more than %u values",
				   LIMIT_COMPOSE_NODES);
	compose_remove(service, "extends");
	rc = compose_merge(base, service, &p->budget, e);
	if (rc == 0) { /* the children change places; the service stays where it stood */
		struct compose_node mine = *service;

		service->v = base->v;
		service->n = base->n;
		base->v = mine.v;
		base->n = mine.n;
	}
	compose_free(base);
	return rc;
}

static int file_extend(struct compose_project *p, struct compose_file *f, struct err *e)
{
	struct compose_node *services = compose_get(f->root, "services");
	int rc = 0;

	for (size_t i = 0; services && rc == 0 && i < services->n; i++)
		rc = service_extend(p, f, services->v[i], 0, e);
	return rc;
}

static int files_merge(struct compose_project *p, struct err *e)
{
	int rc = 0;

	p->root = compose_new(COMPOSE_MAP, NULL);
	for (size_t i = 0; rc == 0 && i < p->in->files->n; i++) {
		struct compose_file *f = NULL;

		rc = file_open(p, p->in->files->v[i], p->dir, &f, e);
		if (rc == 0)
			rc = file_extend(p, f, e);
		if (rc == 0)
			rc = compose_merge(p->root, f->root, &p->budget, e);
	}
	return rc;
}

/* Profiles */

static bool profile_on(const struct compose_project *p, const char *name)
{
	const char *more = strmap_get(&p->vars, "COMPOSE_PROFILES");
	size_t n;

	if (strs_has(p->in->profiles, name) || strs_has(p->in->profiles, "*"))
		return true;
	for (; more && *more; more += n + (more[n] == ',')) {
		n = strcspn(more, ",");
		if ((n == strlen(name) && strncmp(more, name, n) == 0) || (n == 1 && *more == '*'))
			return true;
	}
	return false;
}

static bool service_on(const struct compose_project *p, const struct compose_node *service)
{
	const struct compose_node *profiles = compose_get(service, "profiles");

	if (!profiles || profiles->type != COMPOSE_LIST || !profiles->n)
		return true;
	for (size_t i = 0; i < profiles->n; i++)
		if (profiles->v[i]->type == COMPOSE_TEXT && profile_on(p, profiles->v[i]->text))
			return true;
	return false;
}

static void profiles_choose(struct compose_project *p)
{
	struct compose_node *services = compose_get(p->root, "services");

	for (size_t i = 0; services && i < services->n;) {
		if (service_on(p, services->v[i]))
			i++;
		else
			compose_remove(services, services->v[i]->key);
	}
}

int compose_load(const struct compose_input *in, struct compose_project *p, struct err *e)
{
	auto_free char *first = NULL;
	int rc;

	*p = (struct compose_project){.in = in, .budget = LIMIT_COMPOSE_NODES};
	if (!in->files->n)
		return err_set(e, -EINVAL, "specify a Compose file (with --compose-file)");
	first = strcmp(in->files->v[0], "-") == 0 ? NULL : path_join(in->cwd, in->files->v[0]);
	p->dir = first ? dir_of(first) : xstrdup(in->cwd);
	rc = dot_env(p, e);
	if (rc == 0)
		rc = files_merge(p, e);
	if (rc == 0)
		profiles_choose(p);
	return rc;
}

void compose_project_done(struct compose_project *p)
{
	compose_free(p->root);
	for (size_t i = 0; i < p->n_files; i++) {
		compose_free(p->files[i]->root);
		free(p->files[i]->name);
		free(p->files[i]->dir);
		free(p->files[i]);
	}
	free(p->files);
	free(p->dir);
	strmap_done(&p->vars);
	strs_done(&p->warnings);
	strs_done(&p->problems);
	*p = (struct compose_project){0};
}
