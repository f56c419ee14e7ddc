/*
 * The helpers that fill a spec by hand, for the engine and for the command's `spec`: see spec.h.
 */
#include <string.h>

#include "base/mem.h"
#include "runtime/container/spec_internal.h"

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

	spec_device_init(d);
	d->path = xstrdup(path);
	d->type = xasprintf("%c", type);
	d->major = major;
	d->minor = minor;
	spec_add_device_rule(s, true, type == 'u' ? 'c' : type, major, minor, access);
	return d;
}
