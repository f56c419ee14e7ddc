/*
 * See task_files.h. The subset of Go's templates that Swarm's users write: the values that names
 * and environment know too, and env, secret and config with one argument in double quotes.
 */
#include "agent/task_files.h"

#include <ctype.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/secret_memory.h"

#define WORD_MAX 40 /* characters of what a template asks for, in messages */

struct making {
	const struct task *task;
	const struct template *tpl;
	const struct task_node *node;
	const struct vault *vault;
};

bool task_has_files(const struct template *tpl)
{
	const struct container_spec *c = tpl->spec.container;

	return c && (c->secrets.n || c->configs.n);
}

static int absent(struct err *e, const char *kind, const char *name)
{
	return err_set(e, -ENOKEY, "%s %s has not come from a manager yet", kind, name);
}

static bool names_file(const struct file_target *f, const char *name, const char *asked)
{
	return (f && f->name && strcmp(f->name, asked) == 0) || strcmp(name, asked) == 0;
}

/* A secret or config of this service by its target or name. NULL when it has none. */
static const char *file_id(const struct making *m, bool secret, const char *asked)
{
	const struct container_spec *c = m->tpl->spec.container;

	if (secret) {
		LIST_EACH (r, &c->secrets)
			if (names_file(r->file, r->name, asked))
				return r->id;
		return NULL;
	}
	LIST_EACH (r, &c->configs)
		if (names_file(r->file, r->name, asked))
			return r->id;
	return NULL;
}

static const char *env_value(const struct making *m, const char *key)
{
	const struct strs *env = &m->tpl->spec.container->env;
	size_t n = strlen(key);

	for (size_t i = env->n; i > 0; i--)
		if (strncmp(env->v[i - 1], key, n) == 0 && env->v[i - 1][n] == '=')
			return env->v[i - 1] + n + 1;
	return "";
}

static int call_env(const struct making *m, const char *key, struct buf *out, struct err *e)
{
	auto_free char *value = NULL;
	int rc = task_template_expand(env_value(m, key), m->task, m->tpl, m->node, &value, e);

	return rc == 0 ? buf_adds(out, value) : rc;
}

static int call_file(const struct making *m, bool secret, const char *asked, struct buf *out,
		     struct err *e)
{
	const char *kind = secret ? "secret" : "config";
	const char *id = file_id(m, secret, asked);
	const struct vault_item *item;

	if (!id)
		return err_set(e, -EINVAL,
			       "its template asks for %s \"%.64s\", which the service "
			       "does not have",
			       kind, asked);
	item = vault_get(m->vault, id);
	return item ? buf_add(out, item->data, item->n) : absent(e, kind, asked);
}

/* What is asked for, as far as it is a word: the rest may be anybody's secret. */
static int not_known(const char *text, size_t n, struct err *e)
{
	size_t word = 0;

	while (word < MIN_OF(n, (size_t)WORD_MAX) &&
	       (isalnum((unsigned char)text[word]) || text[word] == '.' || text[word] == '_'))
		word++;
	return err_set(e, -EINVAL,
		       "its template's function \"%.*s\" is not known: there are .Service, .Node, "
		       ".Task, env, secret and config",
		       (int)word, text);
}

/* FUNCTION "ARGUMENT": 1 and the argument, or 0 when it is something else. */
static int call_match(const char *text, size_t n, const char *function, char **ret)
{
	size_t len = strlen(function);
	const char *at = text + len, *end = text + n;

	if (n <= len || strncmp(text, function, len) != 0 || *at != ' ')
		return 0;
	at += strspn(at, " ");
	if (end - at < 2 || *at != '"' || end[-1] != '"' ||
	    memchr(at + 1, '"', (size_t)(end - at) - 2) || memchr(at, '\\', (size_t)(end - at)))
		return 0;
	*ret = xstrndup(at + 1, (size_t)(end - at) - 2);
	return 1;
}

static int action_expand(const struct making *m, const char *text, size_t n, struct buf *out,
			 struct err *e)
{
	auto_free char *argument = NULL;

	if (call_match(text, n, "env", &argument))
		return call_env(m, argument, out, e);
	if (call_match(text, n, "secret", &argument))
		return call_file(m, true, argument, out, e);
	if (call_match(text, n, "config", &argument))
		return call_file(m, false, argument, out, e);
	if (task_template_value(text, n, m->task, m->tpl, m->node, out) == -EINVAL)
		return not_known(text, n, e);
	return 0;
}

/* Expands all of it into `out`, whose memory does not move. */
static int text_expand(const struct making *m, const struct vault_item *item, struct buf *out,
		       struct err *e)
{
	const char *at = item->data, *end = at + item->n, *open, *close;
	int rc = 0;

	while (rc == 0 && (open = memmem(at, (size_t)(end - at), "{{", 2))) {
		const char *name = open + 2;

		close = memmem(name, (size_t)(end - name), "}}", 2);
		if (!close)
			return err_set(e, -EINVAL, "its template has \"{{\" without \"}}\"");
		(void)buf_add(out, at, (size_t)(open - at));
		at = close + 2;
		while (name < close && *name == ' ')
			name++;
		while (close > name && close[-1] == ' ')
			close--;
		rc = action_expand(m, name, (size_t)(close - name), out, e);
	}
	if (rc == 0)
		rc = buf_add(out, at, (size_t)(end - at));
	return rc == -EMSGSIZE ? err_set(e, -EINVAL, "it is larger than %u bytes when expanded",
					 LIMIT_FILE_EXPANDED)
			       : rc;
}

static int content_expand(const struct making *m, const struct vault_item *item,
			  struct engine_file *f, struct err *e)
{
	struct buf out = BUF_INIT(LIMIT_FILE_EXPANDED);
	int rc;

	(void)buf_reserve(&out, LIMIT_FILE_EXPANDED); /* it must not leave copies behind */
	rc = text_expand(m, item, &out, e);
	if (rc == 0) {
		f->data = secret_copy(out.p, out.len);
		f->n = out.len;
	}
	if (out.p)
		explicit_bzero(out.p, out.len);
	buf_done(&out);
	return rc;
}

static int file_add(const struct making *m, enum object_kind kind, const char *id, const char *name,
		    const struct file_target *target, struct engine_files *ret, struct err *e)
{
	const struct vault_item *item = vault_get(m->vault, id);
	struct err why = ERR_INIT;
	struct engine_file *f;
	int rc = 0;

	if (!item)
		return absent(e, object_kind_name(kind), name);
	if (!target || !target->name)
		return err_set(e, -EINVAL, "%s %s has no target", object_kind_name(kind), name);
	f = LIST_ADD(&ret->list);
	f->target = secret_target_path(kind, target->name);
	f->uid = target->uid ? (uint32_t)strtoul(target->uid, NULL, 10) : 0;
	f->gid = target->gid ? (uint32_t)strtoul(target->gid, NULL, 10) : 0;
	f->mode = target->mode & 07777;
	if (item->templated) {
		rc = content_expand(m, item, f, &why);
	} else {
		f->data = secret_copy(item->data, item->n);
		f->n = item->n;
	}
	return rc < 0 ? err_set(e, rc, "%s %s: %s", object_kind_name(kind), name, why.msg) : 0;
}

int task_files_make(const struct task *t, const struct template *tpl, const struct task_node *node,
		    const struct vault *vault, struct engine_files **ret, struct err *e)
{
	struct making m = {t, tpl, node, vault};
	const struct container_spec *c = tpl->spec.container;
	struct engine_files *files;
	int rc = 0;

	if (!task_has_files(tpl)) {
		*ret = NULL;
		return 0;
	}
	files = xcalloc(1, sizeof *files);
	for (size_t i = 0; rc == 0 && i < c->secrets.n; i++)
		rc = file_add(&m, KIND_SECRET, c->secrets.v[i].id, c->secrets.v[i].name,
			      c->secrets.v[i].file, files, e);
	for (size_t i = 0; rc == 0 && i < c->configs.n; i++)
		rc = file_add(&m, KIND_CONFIG, c->configs.v[i].id, c->configs.v[i].name,
			      c->configs.v[i].file, files, e);
	if (rc < 0)
		engine_files_free(files);
	else
		*ret = files;
	return rc;
}
