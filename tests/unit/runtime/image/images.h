/*
 * Image archives made in memory for the tests of runtime/image, and what a store may leave behind.
 */
#pragma once

#include "unit/runtime/image/tars.h"

#include <dirent.h>

#include "base/limits.h"
#include "runtime/image/store.h"

/* An image with layers; its parts can go into archives of either form. */
struct sample {
	struct tar layers[LIMIT_IMAGE_LAYERS + 1];
	char diff_ids[LIMIT_IMAGE_LAYERS + 1][DIGEST_TEXT_LEN + 1];
	size_t n;
	struct buf config;
	char id[DIGEST_TEXT_LEN + 1];
};

static inline struct sample *sample_new(void)
{
	struct sample *s = calloc(1, sizeof *s);

	buf_init(&s->config, 64u << 20);
	return s;
}

static inline void sample_free_at(struct sample **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < (*s)->n; i++)
		tar_done(&(*s)->layers[i]);
	buf_done(&(*s)->config);
	free(*s);
}
#define auto_sample CLEANUP(sample_free_at) struct sample

/* The next layer, open for members. */
static inline struct tar *sample_layer(struct sample *s)
{
	struct tar *t = &s->layers[s->n++];

	tar_init(t);
	return t;
}

/* Ends all layers and writes the configuration; `more` is JSON of further members or "". */
static inline void sample_end(struct sample *s, const char *more)
{
	buf_addf(&s->config, "{\"architecture\":\"amd64\",\"os\":\"linux\"%s,\"rootfs\":{", more);
	buf_adds(&s->config, "\"type\":\"layers\",\"diff_ids\":[");
	for (size_t i = 0; i < s->n; i++) {
		if (s->layers[i].a)
			tar_end(&s->layers[i]);
		tar_digest(&s->layers[i], s->diff_ids[i]);
		buf_addf(&s->config, "%s\"%s\"", i ? "," : "", s->diff_ids[i]);
	}
	buf_adds(&s->config, "]}}");
	digest_of(s->config.p, s->config.len, s->id);
}

/* One layer with one file. */
static inline struct sample *sample_simple(const char *content, const char *more)
{
	struct sample *s = sample_new();

	tar_text(sample_layer(s), "file", content);
	sample_end(s, more);
	return s;
}

static inline const char *hex_of(const char *digest)
{
	return digest + strlen("sha256:");
}

/* An item of manifest.json. `tags` is JSON: "[\"a:1\"]" or "null". */
static inline void docker_item(const struct sample *s, const char *tags, struct buf *ret)
{
	buf_addf(ret, "{\"Config\":\"%s.json\",\"RepoTags\":%s,\"Layers\":[", hex_of(s->id), tags);
	for (size_t i = 0; i < s->n; i++)
		buf_addf(ret, "%s\"%s/layer.tar\"", i ? "," : "", hex_of(s->diff_ids[i]));
	buf_adds(ret, "]}");
}

static inline void docker_parts(const struct sample *s, struct tar *t)
{
	char name[128];

	for (size_t i = 0; i < s->n; i++) {
		snprintf(name, sizeof name, "%s/layer.tar", hex_of(s->diff_ids[i]));
		tar_bytes(t, name, buf_text(&s->layers[i].bytes), s->layers[i].bytes.len);
	}
	snprintf(name, sizeof name, "%s.json", hex_of(s->id));
	tar_bytes(t, name, s->config.p, s->config.len);
}

/* What `docker save` of one image writes. */
static inline void docker_archive(const struct sample *s, const char *tags, struct tar *t)
{
	auto_buf manifest = BUF_INIT(1u << 20);

	buf_adds(&manifest, "[");
	docker_item(s, tags, &manifest);
	buf_adds(&manifest, "]");
	docker_parts(s, t);
	tar_bytes(t, "manifest.json", manifest.p, manifest.len);
	tar_end(t);
}

static inline void put_blob(struct tar *t, const void *p, size_t n, char ret[DIGEST_TEXT_LEN + 1])
{
	char name[128];

	digest_of(p, n, ret);
	snprintf(name, sizeof name, "blobs/sha256/%s", hex_of(ret));
	tar_bytes(t, name, p, n);
}

/* Blobs and manifest of an OCI layout; `ret` is the descriptor of the manifest, without "}". */
static inline void oci_parts(const struct sample *s, struct tar *t, struct buf *ret)
{
	auto_buf manifest = BUF_INIT(1u << 20);
	char digest[DIGEST_TEXT_LEN + 1];

	put_blob(t, s->config.p, s->config.len, digest);
	buf_addf(&manifest,
		 "{\"schemaVersion\":2,\"mediaType\":\"application/"
		 "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
		 "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
		 "\"layers\":[",
		 digest, s->config.len);
	for (size_t i = 0; i < s->n; i++) {
		put_blob(t, buf_text(&s->layers[i].bytes), s->layers[i].bytes.len, digest);
		buf_addf(&manifest,
			 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
			 "\"digest\":\"%s\",\"size\":%zu}",
			 i ? "," : "", digest, s->layers[i].bytes.len);
	}
	buf_adds(&manifest, "]}");
	put_blob(t, manifest.p, manifest.len, digest);
	buf_addf(ret,
		 "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
		 "\"size\":%zu",
		 digest, manifest.len);
}

static inline void oci_index(struct tar *t, const char *manifests)
{
	auto_buf index = BUF_INIT(16u << 20);

	buf_addf(&index, "{\"schemaVersion\":2,\"manifests\":[%s]}", manifests);
	tar_bytes(t, "index.json", index.p, index.len);
	tar_text(t, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	tar_end(t);
}

/* Loads the bytes of a tar. */
static inline int load_bytes(struct image_store *store, const void *p, size_t n,
			     struct image_loaded *ret, struct err *e)
{
	auto_close int fd = bytes_fd(p, n);

	return image_load(store, fd, NULL, ret, e);
}

static inline int load_tar(struct image_store *store, const struct tar *t, struct image_loaded *ret,
			   struct err *e)
{
	return load_bytes(store, buf_text(&t->bytes), t->bytes.len, ret, e);
}

/* As `docker load` of what docker_archive() writes. */
static inline void load_sample(struct image_store *store, const struct sample *s, const char *tags)
{
	auto_tar t;
	struct err e = ERR_INIT;
	struct image_loaded loaded;

	tar_init(&t);
	docker_archive(s, tags, &t);
	assert_ok(load_tar(store, &t, &loaded, &e), &e);
	table_done(&image_loaded_table, &loaded);
}

static inline int n_entries(const struct place *p, const char *path)
{
	int fd = openat(p->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *dir = fdopendir(fd);

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static inline struct image_store *store_ok(const struct place *p)
{
	struct err e = ERR_INIT;
	struct image_store *store = NULL;

	assert_ok(image_store_open(p->dir, &store, &e), &e);
	return store;
}

/* Only `n` layers (and the empty one), and nothing unfinished. */
static inline void assert_layers(const struct place *p, int n)
{
	assert_int_equal(n_entries(p, "layers"), n + 1);
	assert_int_equal(n_entries(p, "ingest"), 0);
	assert_int_equal(n_entries(p, "trash"), 0);
}
