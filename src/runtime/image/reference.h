/*
 * Image references as users write them ("busybox", "localhost:5000/a/b:1", "name@sha256:...") and
 * their normal form, by the grammar of github.com/distribution/reference. Pure text: knows no store
 * and no registry. Used by the image store, the API and whoever shows an image's name.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define DIGEST_TEXT_LEN 71 /* "sha256:" and 64 hex digits */

struct image_ref {
	char *domain; /* "docker.io", "localhost:5000"; NULL when only a digest was given */
	char *path;   /* "library/busybox" */
	char *tag;    /* or NULL */
	char *digest; /* "sha256:...", or NULL */
};

#define auto_ref CLEANUP(image_ref_done) struct image_ref

/*
 * Reads a name with an optional tag and digest; docker.io and library/ are filled in. 64 hex digits
 * alone are refused, as they can only be an id. -EINVAL with the reason; `ret` is empty then.
 */
int image_ref_parse(const char *text, struct image_ref *ret, struct err *e);
/* As image_ref_parse(), but 64 hex digits, and a digest alone, are read as a bare digest. */
int image_ref_parse_any(const char *text, struct image_ref *ret, struct err *e);
void image_ref_done(struct image_ref *ref);
void image_ref_copy(const struct image_ref *ref, struct image_ref *ret);

/* Adds the tag "latest" to a name that has neither tag nor digest. */
void image_ref_default_tag(struct image_ref *ref);

/* All of these give new text; free it with free(). */
char *image_ref_name(const struct image_ref *ref);          /* "docker.io/library/busybox" */
char *image_ref_text(const struct image_ref *ref);          /* the name with tag and digest */
char *image_ref_familiar_name(const struct image_ref *ref); /* "busybox" */
char *image_ref_familiar(const struct image_ref *ref);      /* "busybox:latest" */

/*
 * Does a shell pattern of the list filter "reference" match the familiar form, with or without tag?
 * As Go's path.Match: * and ? stop at a slash. -EINVAL for a malformed pattern, else 0 or 1.
 */
int image_ref_match(const struct image_ref *ref, const char *pattern, struct err *e);

/* True for "sha256:" and 64 lower-case hex digits. */
bool digest_valid(const char *text);
