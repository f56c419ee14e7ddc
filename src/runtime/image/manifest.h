/*
 * Which images an archive holds: the manifest.json of docker-archive, or the index and manifests of
 * an OCI layout, resolved to files of the archive. Sources: Docker image specification 1.2 and OCI
 * image specification 1.1 (image-layout.md, image-index.md, manifest.md). Used inside runtime/image
 * only.
 */
#pragma once

#include "base/limits.h"
#include "runtime/image/archive.h"
#include "runtime/image/config.h"

struct archive_image {
	char id[DIGEST_TEXT_LEN + 1]; /* the configuration's digest */
	char *config_text;
	size_t config_n;
	struct image_config config;
	char manifest_digest[DIGEST_TEXT_LEN + 1]; /* "" without an OCI manifest */
	char *manifest_text;
	size_t manifest_n;
	struct strs names; /* whole references with tags */
	/* One for each diff id, borrowed from the archive. */
	const struct archive_member *layers[LIMIT_IMAGE_LAYERS];
};

struct archive_images {
	LIST_OF(struct archive_image) images; /* each id once */
	size_t configs_n;                     /* bytes of all configurations */
};

/*
 * Finds the images of the archive. `platform` ("os/arch[/variant]", NULL: this machine's) chooses
 * where there is a choice. -EINVAL for what is malformed or missing, -EBADMSG for a wrong digest,
 * -EMSGSIZE past a bound, -ENOENT when no image is for the platform.
 */
int archive_images_find(const struct image_archive *a, const char *platform,
			struct archive_images *ret, struct err *e);
void archive_images_done(struct archive_images *images);
