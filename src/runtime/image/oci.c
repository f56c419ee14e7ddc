/*
 * Images of an OCI layout: index.json, indexes below it, manifests; see manifest.h.
 */
#include <string.h>

#include "base/limits.h"
#include "runtime/image/manifest_impl.h"
#include "runtime/image/platform.h"

#define INDEX_DEPTH 4 /* indexes in indexes */
#define NAME_WHOLE "io.containerd.image.name"
#define NAME_REF "org.opencontainers.image.ref.name"
#define REFERENCE_TYPE "vnd.docker.reference.type"

struct oci_descriptor {
	char *media_type;
	char *digest;
	int64_t size;
	struct image_platform *platform;
	struct strmap annotations;
};

static const struct field descriptor_fields[] = {
	FIELD_STR(struct oci_descriptor, 0, media_type, "mediaType", 0),
	FIELD_STR(struct oci_descriptor, 0, digest, "digest", FIELD_REQUIRED),
	FIELD_I64(struct oci_descriptor, 0, size, "size", 0),
	FIELD_PTR(struct oci_descriptor, 0, platform, "platform", FIELD_OMIT, image_platform),
	FIELD_STRMAP(struct oci_descriptor, 0, annotations, "annotations", FIELD_OMIT),
};
static TABLE_DEFINE(oci_descriptor, descriptor_fields);

/* A manifest or an index: which of the two, its members say. */
struct oci_document {
	int64_t schema_version;
	char *media_type;
	struct oci_descriptor *config;
	LIST_OF(struct oci_descriptor) layers;
	LIST_OF(struct oci_descriptor) manifests;
};

static const struct field document_fields[] = {
	FIELD_I64(struct oci_document, 0, schema_version, "schemaVersion", 0),
	FIELD_STR(struct oci_document, 0, media_type, "mediaType", FIELD_OMIT),
	FIELD_PTR(struct oci_document, 0, config, "config", FIELD_OMIT, oci_descriptor),
	FIELD_LIST(struct oci_document, 0, layers, "layers", FIELD_OMIT, oci_descriptor),
	FIELD_LIST(struct oci_document, 0, manifests, "manifests", FIELD_OMIT, oci_descriptor),
};
static TABLE_DEFINE(oci_document, document_fields);

struct oci_reading {
	const struct image_archive *a;
	struct image_platform wants;
	struct archive_images *ret;
	struct err *e;
};

static int oci_blob(struct oci_reading *r, const struct oci_descriptor *d, const char *what,
		    const struct archive_member **ret)
{
	const struct archive_member *m = image_archive_blob(r->a, d->digest);

	if (!m)
		return err_set(r->e, -EINVAL, "the %s %.100s is not in the archive", what,
			       d->digest ? d->digest : "null");
	if (d->size > 0 && (uint64_t)d->size != m->size)
		return err_set(r->e, -EBADMSG, "the %s %s has %llu bytes instead of %lld", what,
			       d->digest, (unsigned long long)m->size, (long long)d->size);
	*ret = m;
	return 0;
}

static int oci_document_read(struct oci_reading *r, const struct archive_member *m,
			     struct buf *ret_text, struct oci_document *ret)
{
	int rc = image_archive_text(r->a, m, ret_text, r->e);

	if (rc < 0)
		return rc;
	rc = json_read(&oci_document_table, buf_text(ret_text), ret_text->len, ret, r->e);
	if (rc == 0 && ret->schema_version != 2) {
		rc = err_set(r->e, -EINVAL, "schemaVersion is %lld instead of 2",
			     (long long)ret->schema_version);
		table_done(&oci_document_table, ret);
	}
	if (rc == 0 && ret->manifests.n > LIMIT_ARCHIVE_IMAGES) {
		rc = err_set(r->e, -EMSGSIZE, "the index has more than %d manifests",
			     LIMIT_ARCHIVE_IMAGES);
		table_done(&oci_document_table, ret);
	}
	return rc < 0 ? err_wrap(r->e, "the archive's %.200s", m->name) : 0;
}

/* Signatures, attestations and the like stand beside images in an index. */
static bool is_image(const struct oci_descriptor *d)
{
	return !strmap_get(&d->annotations, REFERENCE_TYPE) &&
	       !(d->platform && d->platform->os && strcmp(d->platform->os, "unknown") == 0);
}

/* The name that an index gives an image, NULL when it gives none that has a repository in it. */
static const char *oci_name(const struct oci_descriptor *d)
{
	const char *name = strmap_get(&d->annotations, NAME_WHOLE);

	if (name)
		return name;
	name = strmap_get(&d->annotations, NAME_REF);
	return name && strpbrk(name, ":/") ? name : NULL;
}

static int oci_layers(struct oci_reading *r, const struct oci_document *manifest,
		      struct archive_image *image)
{
	const struct strs *diff_ids = &image->config.rootfs.diff_ids;
	int rc = 0;

	if (manifest->layers.n != diff_ids->n)
		return err_set(r->e, -EINVAL,
			       "the manifest %s names %zu layers, but its configuration has %zu",
			       image->manifest_digest, manifest->layers.n, diff_ids->n);
	for (size_t i = 0; rc == 0 && i < diff_ids->n; i++)
		rc = oci_blob(r, &manifest->layers.v[i], "layer", &image->layers[i]);
	return rc;
}

static int oci_image(struct oci_reading *r, const struct archive_member *m, struct buf *text,
		     const struct oci_document *manifest, const char *name)
{
	auto_buf config = BUF_INIT(LIMIT_IMAGE_CONFIG);
	const struct archive_member *config_member;
	struct archive_image *image;
	int rc;

	if (!manifest->config)
		return err_set(r->e, -EINVAL, "the manifest %s has no configuration", m->name);
	rc = oci_blob(r, manifest->config, "configuration", &config_member);
	if (rc == 0)
		rc = image_archive_text(r->a, config_member, &config, r->e);
	if (rc == 0)
		rc = archive_image_add(r->ret, &config, &image, r->e);
	if (rc < 0)
		return rc;
	memcpy(image->manifest_digest, m->digest, sizeof m->digest);
	image->manifest_n = text->len;
	free(image->manifest_text);
	image->manifest_text = buf_take(text);
	rc = oci_layers(r, manifest, image);
	return rc == 0 && name ? archive_image_name(image, name, r->e) : rc;
}

static int oci_choose(struct oci_reading *r, const struct oci_document *index, const char *name,
		      int depth);

/* Follows a descriptor to the image that it stands for. */
static int oci_follow(struct oci_reading *r, const struct oci_descriptor *d, const char *name,
		      int depth)
{
	auto_buf text = BUF_INIT(LIMIT_IMAGE_CONFIG);
	struct oci_document document = {0};
	const struct archive_member *m;
	int rc = oci_blob(r, d, "manifest", &m);

	if (rc == 0)
		rc = oci_document_read(r, m, &text, &document);
	if (rc < 0)
		return rc;
	if (document.manifests.n == 0)
		rc = oci_image(r, m, &text, &document, name);
	else if (depth >= INDEX_DEPTH)
		rc = err_set(r->e, -EINVAL, "the archive's indexes are more than %d deep",
			     INDEX_DEPTH);
	else
		rc = oci_choose(r, &document, name, depth + 1);
	table_done(&oci_document_table, &document);
	return rc;
}

/* The best for our platform of an index; NULL when none fits. */
static const struct oci_descriptor *oci_best(struct oci_reading *r,
					     const struct oci_document *index)
{
	const struct oci_descriptor *best = NULL;
	int best_score = 0;

	LIST_EACH (d, &index->manifests) {
		int score;

		if (!is_image(d))
			continue;
		score = d->platform ? image_platform_score(&r->wants, d->platform) : 1;
		if (score > best_score) {
			best = d;
			best_score = score;
		}
	}
	return best;
}

static int oci_choose(struct oci_reading *r, const struct oci_document *index, const char *name,
		      int depth)
{
	const struct oci_descriptor *best = oci_best(r, index);
	auto_free char *wants = image_platform_text(&r->wants);
	auto_buf offered = BUF_INIT(256);

	if (best)
		return oci_follow(r, best, name, depth);
	LIST_EACH (d, &index->manifests) {
		auto_free char *text = d->platform ? image_platform_text(d->platform) : NULL;

		if (text && is_image(d))
			(void)buf_addf(&offered, " %s", text);
	}
	return err_set(r->e, -ENOENT, "the archive has no image for %s, only for:%s", wants,
		       buf_text(&offered));
}

static bool same_name(const struct oci_descriptor *a, const struct oci_descriptor *b)
{
	const char *name_a = oci_name(a), *name_b = oci_name(b);

	return name_a && name_b ? strcmp(name_a, name_b) == 0 : name_a == name_b;
}

/*
 * The top of a layout lists images under their names, and may list one image once for each
 * platform: of those that share a name and say their platform one is taken.
 */
static int oci_top(struct oci_reading *r, const struct oci_document *top)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < top->manifests.n; i++) {
		const struct oci_descriptor *d = &top->manifests.v[i];
		struct oci_document group = {0};
		bool first = true;

		if (!is_image(d))
			continue;
		if (!d->platform) {
			rc = oci_follow(r, d, oci_name(d), 0);
			continue;
		}
		LIST_EACH (other, &top->manifests) {
			if (!is_image(other) || !other->platform || !same_name(d, other))
				continue;
			first = first && other >= d;
			*LIST_ADD(&group.manifests) = *other;
		}
		if (first)
			rc = group.manifests.n == 1 ? oci_follow(r, d, oci_name(d), 0)
						    : oci_choose(r, &group, oci_name(d), 0);
		free(group.manifests.v); /* shallow copies */
	}
	return rc;
}

int oci_layout_find(const struct image_archive *a, const char *platform, struct archive_images *ret,
		    struct err *e)
{
	struct oci_reading r = {.a = a, .ret = ret, .e = e};
	auto_buf text = BUF_INIT(LIMIT_IMAGE_CONFIG);
	struct oci_document top = {0};
	int rc = image_platform_read(platform, &r.wants, e);

	if (rc == 0)
		rc = oci_document_read(&r, image_archive_find(a, "index.json"), &text, &top);
	if (rc == 0) {
		rc = oci_top(&r, &top);
		table_done(&oci_document_table, &top);
	}
	table_done(&image_platform_table, &r.wants);
	return rc;
}
