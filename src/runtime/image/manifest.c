/*
 * Images of a docker-archive; see manifest.h. OCI layouts are in oci.c.
 */
#include <string.h>

#include "base/limits.h"
#include "runtime/image/digest.h"
#include "runtime/image/manifest_impl.h"

struct docker_image {
	char *config;
	struct strs repo_tags;
	struct strs layers;
};

static const struct field docker_image_fields[] = {
	FIELD_STR(struct docker_image, 0, config, "Config", FIELD_REQUIRED),
	FIELD_STRS(struct docker_image, 0, repo_tags, "RepoTags", 0),
	FIELD_STRS(struct docker_image, 0, layers, "Layers", 0),
};
static TABLE_DEFINE(docker_image, docker_image_fields);

struct docker_manifest {
	LIST_OF(struct docker_image) images;
};

static const struct field docker_manifest_fields[] = {
	FIELD_LIST(struct docker_manifest, 0, images, "images", 0, docker_image),
};
static TABLE_DEFINE(docker_manifest, docker_manifest_fields, .transparent = true);

int archive_image_add(struct archive_images *ret, struct buf *config,
		      struct archive_image **ret_image, struct err *e)
{
	char id[DIGEST_TEXT_LEN + 1];
	struct archive_image *image;

	digest_of(buf_text(config), config->len, id);
	LIST_EACH (known, &ret->images) {
		if (strcmp(known->id, id) == 0) {
			*ret_image = known;
			return 0;
		}
	}
	ret->configs_n += config->len;
	if (ret->images.n >= LIMIT_ARCHIVE_IMAGES || ret->configs_n > LIMIT_ARCHIVE_CONFIGS)
		return err_set(e, -EMSGSIZE,
			       "the archive has more than %d images or %u bytes of configurations",
			       LIMIT_ARCHIVE_IMAGES, LIMIT_ARCHIVE_CONFIGS);
	image = LIST_ADD(&ret->images);
	memcpy(image->id, id, sizeof id);
	image->config_n = config->len;
	image->config_text = buf_take(config);
	*ret_image = image;
	return image_config_read(image->config_text, image->config_n, &image->config, e);
}

int archive_image_name(struct archive_image *image, const char *name, struct err *e)
{
	auto_ref ref = {0};
	auto_free char *text = NULL;
	int rc = image_ref_parse(name, &ref, e);

	if (rc < 0)
		return err_wrap(e, "the archive's image name \"%.200s\"", name);
	if (ref.digest)
		return err_set(e, -EINVAL, "the archive's image name \"%.200s\" has a digest",
			       name);
	image_ref_default_tag(&ref);
	text = image_ref_text(&ref);
	if (!strs_has(&image->names, text))
		strs_add(&image->names, text);
	return 0;
}

static int docker_layers(const struct image_archive *a, const struct docker_image *from,
			 struct archive_image *image, struct err *e)
{
	const struct strs *diff_ids = &image->config.rootfs.diff_ids;

	if (from->layers.n != diff_ids->n)
		return err_set(e, -EINVAL,
			       "manifest.json names %zu layers, but the configuration of %s has "
			       "%zu",
			       from->layers.n, image->id, diff_ids->n);
	for (size_t i = 0; i < diff_ids->n; i++) {
		image->layers[i] = image_archive_find(a, from->layers.v[i]);
		if (!image->layers[i])
			return err_set(e, -EINVAL, "the layer %.200s is not in the archive",
				       from->layers.v[i]);
	}
	return 0;
}

static int docker_image_find(const struct image_archive *a, const struct docker_image *from,
			     struct archive_images *ret, struct err *e)
{
	const struct archive_member *member = image_archive_find(a, from->config);
	auto_buf config = BUF_INIT(LIMIT_IMAGE_CONFIG);
	struct archive_image *image;
	int rc;

	if (!member)
		return err_set(e, -EINVAL, "the configuration %.200s is not in the archive",
			       from->config);
	rc = image_archive_text(a, member, &config, e);
	if (rc == 0)
		rc = archive_image_add(ret, &config, &image, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < from->repo_tags.n; i++)
		rc = archive_image_name(image, from->repo_tags.v[i], e);
	return rc < 0 ? rc : docker_layers(a, from, image, e);
}

static int docker_archive_find(const struct image_archive *a, const struct archive_member *member,
			       struct archive_images *ret, struct err *e)
{
	struct docker_manifest manifest = {0};
	auto_buf text = BUF_INIT(LIMIT_IMAGE_CONFIG);
	int rc = image_archive_text(a, member, &text, e);

	if (rc < 0)
		return rc;
	rc = json_read(&docker_manifest_table, buf_text(&text), text.len, &manifest, e);
	if (rc < 0)
		return err_wrap(e, "the archive's manifest.json");
	for (size_t i = 0; rc == 0 && i < manifest.images.n; i++)
		rc = docker_image_find(a, &manifest.images.v[i], ret, e);
	table_done(&docker_manifest_table, &manifest);
	return rc;
}

int archive_images_find(const struct image_archive *a, const char *platform,
			struct archive_images *ret, struct err *e)
{
	const struct archive_member *manifest = image_archive_find(a, "manifest.json");
	int rc;

	*ret = (struct archive_images){0};
	if (manifest)
		rc = docker_archive_find(a, manifest, ret, e);
	else if (image_archive_find(a, "index.json"))
		rc = oci_layout_find(a, platform, ret, e);
	else
		rc = err_set(e, -EINVAL,
			     "the archive has neither manifest.json (docker save) nor index.json "
			     "(OCI layout): it is not an image");
	if (rc == 0 && ret->images.n == 0)
		rc = err_set(e, -EINVAL, "the archive holds no image");
	if (rc < 0)
		archive_images_done(ret);
	return rc;
}

void archive_images_done(struct archive_images *images)
{
	LIST_EACH (image, &images->images) {
		free(image->config_text);
		free(image->manifest_text);
		table_done(&image_config_table, &image->config);
		strs_done(&image->names);
	}
	free(images->images.v);
	*images = (struct archive_images){0};
}
