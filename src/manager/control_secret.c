/*
 * Secrets and configs: creating, relabelling and removing them, and what services say of them. No
 * sentence here has a byte of their contents. See control.h.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "manager/control.h"

static bool name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > LIMIT_SECRET_NAME)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return isalnum((unsigned char)name[0]) && isalnum((unsigned char)name[n - 1]);
}

static bool kind_is_known(enum object_kind kind)
{
	return kind == KIND_SECRET || kind == KIND_CONFIG;
}

static int not_a_kind(struct err *e)
{
	return err_set(e, -EINVAL, "neither a secret nor a config is asked for");
}

static int spec_check(const struct secret_spec *s, enum object_kind kind, struct err *e)
{
	const char *what = object_kind_name(kind);
	size_t max = kind == KIND_SECRET ? LIMIT_SECRET_DATA : LIMIT_CONFIG_DATA;

	if (!s->name || !name_is_valid(s->name))
		return err_set(e, -EINVAL,
			       "invalid name \"%.80s\": only %d [a-zA-Z0-9-_.] characters are "
			       "allowed, and the start and end character must be [a-zA-Z0-9]",
			       s->name ? s->name : "", LIMIT_SECRET_NAME);
	if (s->driver)
		return err_set(e, -ENOSYS, "%s driver \"%.80s\" is not implemented", what,
			       s->driver->name ? s->driver->name : "");
	if (s->templating && (!s->templating->name || strcmp(s->templating->name, "golang") != 0))
		return err_set(e, -EINVAL, "template driver \"%.80s\" is unknown: there is golang",
			       s->templating->name ? s->templating->name : "");
	if (s->data.n < 1 || s->data.n > max)
		return err_set(e, -EINVAL, "%s data must be 1 to %zu bytes, not %zu", what, max,
			       s->data.n);
	return 0;
}

int control_secret_create(struct control *c, const struct control_request *r, struct err *e)
{
	char id[ID_CLUSTER_LEN + 1];
	enum object_kind kind = (enum object_kind)r->kind;
	struct secret *s;
	int rc;

	if (!kind_is_known(kind))
		return not_a_kind(e);
	if (!r->secret)
		return err_set(e, -EINVAL, "the %s's specification is missing",
			       object_kind_name(kind));
	rc = spec_check(r->secret, kind, e);
	if (rc < 0)
		return rc;
	if (store_named(c->view, kind, r->secret->name))
		return err_set(e, -EEXIST,
			       "rpc error: code = AlreadyExists desc = %s %s already exists",
			       object_kind_name(kind), r->secret->name);
	c->new_id(c->new_id_arg, id);
	s = object_new(kind, id, c->now_ns);
	table_copy(&secret_spec_table, &s->spec, r->secret);
	changes_create(c->out, &s->o);
	str_set(&c->answer->id, id);
	return 0;
}

/* Whether a spec says something else than labels anew; what it leaves out stays. */
static bool only_labels_differ(const struct secret_spec *old, const struct secret_spec *new)
{
	if (new->name &&*new->name && strcmp(new->name, old->name) != 0)
		return false;
	if (new->data.n &&
	    (new->data.n != old->data.n || memcmp(new->data.p, old->data.p, old->data.n) != 0))
		return false;
	if (new->driver)
		return false;
	return !new->templating ||
	       (old->templating && table_equal(&driver_table, new->templating, old->templating));
}

int control_secret_update(struct control *c, const struct control_request *r, struct err *e)
{
	const struct object *o;
	enum object_kind kind = (enum object_kind)r->kind;
	struct secret *s;
	int rc;

	if (!kind_is_known(kind))
		return not_a_kind(e);
	rc = control_find(c->view, kind, r->id, &o, e);
	if (rc < 0)
		return rc;
	if (!r->secret)
		return err_set(e, -EINVAL, "the %s's specification is missing",
			       object_kind_name(kind));
	if (o->version.index != r->version)
		return err_set(e, -ESTALE,
			       "rpc error: code = Unknown desc = update out of sequence: %s %s has "
			       "changed since it was read (version %" PRIu64 ", not %" PRIu64
			       "): read it again",
			       object_kind_name(kind), object_name(o), o->version.index,
			       r->version);
	if (!only_labels_differ(&((const struct secret *)o)->spec, r->secret))
		return err_set(e, -EINVAL,
			       "only updates to Labels are allowed: create another %s instead of "
			       "changing %s",
			       object_kind_name(kind), object_name(o));
	s = object_clone(o);
	strmap_done(&s->spec.labels);
	for (size_t i = 0; i < r->secret->labels.n; i++)
		strmap_set(&s->spec.labels, r->secret->labels.v[i].key,
			   r->secret->labels.v[i].value);
	changes_update(c->out, o, &s->o, c->now_ns);
	str_set(&c->answer->id, o->id);
	return 0;
}

static bool service_uses(const struct service *s, enum object_kind kind, const char *id)
{
	const struct container_spec *c = s->spec.task.container;

	if (!c || s->pending_delete)
		return false;
	if (kind == KIND_SECRET) {
		LIST_EACH (ref, &c->secrets)
			if (strcmp(ref->id, id) == 0)
				return true;
		return false;
	}
	LIST_EACH (ref, &c->configs)
		if (strcmp(ref->id, id) == 0)
			return true;
	return false;
}

int control_secret_remove(struct control *c, const struct control_request *r, struct err *e)
{
	auto_buf users = BUF_INIT(400);
	const struct service *s;
	const struct object *o;
	enum object_kind kind = (enum object_kind)r->kind;
	struct store_walk w;
	size_t n = 0;
	int rc;

	if (!kind_is_known(kind))
		return not_a_kind(e);
	rc = control_find(c->view, kind, r->id, &o, e);
	if (rc < 0)
		return rc;
	store_walk_kind(&w, c->view, KIND_SERVICE);
	while ((s = store_walk_next(&w)))
		if (service_uses(s, kind, o->id))
			(void)buf_addf(&users, "%s%s", n++ ? ", " : "", s->spec.name);
	if (n)
		return err_set(e, -EINVAL,
			       "rpc error: code = InvalidArgument desc = %s '%s' is in use by the "
			       "following service%s: %s",
			       object_kind_name(kind), object_name(o), n > 1 ? "s" : "",
			       buf_text(&users));
	changes_delete(c->out, o);
	str_set(&c->answer->id, o->id);
	return 0;
}

/* What services say of them */

/* One secret or config of a container's specification. */
struct ref {
	enum object_kind kind;
	char **id, **name;
	const struct file_target *file;
	bool runtime;
};

static size_t ref_count(const struct container_spec *s)
{
	return s->secrets.n + s->configs.n;
}

static struct ref ref_at(const struct container_spec *s, size_t i)
{
	if (i < s->secrets.n) {
		struct secret_ref *r = &s->secrets.v[i];

		return (struct ref){KIND_SECRET, &r->id, &r->name, r->file, false};
	}
	struct config_ref *r = &s->configs.v[i - s->secrets.n];

	return (struct ref){KIND_CONFIG, &r->id, &r->name, r->file, r->runtime != NULL};
}

static bool owner_is_valid(const char *s)
{
	return !s || (strlen(s) <= 10 && strspn(s, "0123456789") == strlen(s) &&
		      strtoull(s, NULL, 10) < UINT32_MAX);
}

/* A path below / that names a file and leads nowhere else. */
static bool target_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > LIMIT_FILE_TARGET || name[n - 1] == '/')
		return false;
	for (const char *p = name; *(p += strspn(p, "/")); p += strcspn(p, "/")) {
		size_t part = strcspn(p, "/");

		if ((part == 1 && p[0] == '.') || (part == 2 && p[0] == '.' && p[1] == '.'))
			return false;
	}
	return name[strspn(name, "/")] != '\0';
}

static int ref_check(const struct ref *r, struct err *e)
{
	const char *what = object_kind_name(r->kind);
	const char *name = *r->name ? *r->name : "";

	if (r->runtime)
		return err_set(e, -ENOSYS, "ContainerSpec.Configs.Runtime is not implemented");
	if (!*r->id || !**r->id || !*name)
		return err_set(e, -EINVAL, "malformed %s reference: its id and name are needed",
			       what);
	if (!r->file)
		return err_set(e, -EINVAL, "malformed %s reference %.80s: no target provided", what,
			       name);
	if (!r->file->name || !target_is_valid(r->file->name))
		return err_set(e, -EINVAL,
			       "malformed %s reference %.80s: invalid target \"%.200s\"", what,
			       name, r->file->name ? r->file->name : "");
	if (!owner_is_valid(r->file->uid) || !owner_is_valid(r->file->gid))
		return err_set(e, -EINVAL,
			       "%s reference %.80s: UID and GID must be numbers, not \"%.40s\" and "
			       "\"%.40s\"",
			       what, name, r->file->uid ? r->file->uid : "",
			       r->file->gid ? r->file->gid : "");
	return 0;
}

int service_files_check(const struct container_spec *s, struct err *e)
{
	size_t n = ref_count(s);
	int rc = 0;

	if (n > LIMIT_TASK_FILES)
		return err_set(e, -EINVAL, "%zu secrets and configs are too many: at most %d", n,
			       LIMIT_TASK_FILES);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct ref r = ref_at(s, i);
		auto_free char *mine = NULL;

		rc = ref_check(&r, e);
		if (rc == 0)
			mine = secret_target_path(r.kind, r.file->name);
		for (size_t k = 0; rc == 0 && k < i; k++) {
			struct ref other = ref_at(s, k);
			auto_free char *theirs = secret_target_path(other.kind, other.file->name);

			if (strcmp(mine, theirs) == 0)
				rc = err_set(e, -EINVAL,
					     "references '%.80s' and '%.80s' have a conflicting "
					     "target: '%.200s'",
					     *other.name, *r.name, mine);
		}
	}
	return rc;
}

int secrets_check(const struct store *view, const struct container_spec *s, struct err *e)
{
	auto_buf absent = BUF_INIT(400);
	size_t total = 0;

	for (size_t i = 0; s && i < ref_count(s); i++) {
		struct ref r = ref_at(s, i);
		const struct object *o = store_get(view, r.kind, *r.id);

		if (!o || strcmp(object_name(o), *r.name) != 0) {
			(void)buf_addf(&absent, "%s%s %.80s", absent.len ? ", " : "",
				       object_kind_name(r.kind), *r.name);
			continue;
		}
		total += ((const struct secret *)o)->spec.data.n;
	}
	if (absent.len)
		return err_set(
			e, -EINVAL,
			"rpc error: code = InvalidArgument desc = not found: %s (id and name "
			"must belong together)",
			buf_text(&absent));
	if (total > LIMIT_TASK_PAYLOAD)
		return err_set(e, -EINVAL,
			       "the secrets and configs of a service may have %u bytes together, "
			       "not %zu",
			       LIMIT_TASK_PAYLOAD, total);
	return 0;
}
