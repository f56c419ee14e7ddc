/*
 * What manifest.c and oci.c share.
 */
#pragma once

#include "runtime/image/manifest.h"

/* The image of `ret` with the configuration of these bytes, which it takes over; new or not. */
int archive_image_add(struct archive_images *ret, struct buf *config,
		      struct archive_image **ret_image, struct err *e);
/* Adds a name, checked and in its whole form; without a tag it is "latest". */
int archive_image_name(struct archive_image *image, const char *name, struct err *e);

/* Images of an OCI layout; see archive_images_find(). */
int oci_layout_find(const struct image_archive *a, const char *platform, struct archive_images *ret,
		    struct err *e);
