/*
 * runtime/image/archive.h and manifest.h: what archives of both forms hold, in any order; what is
 * malformed, too large or not what its digest says.
 */
#include "unit/runtime/image/images.h"

#include "runtime/image/manifest.h"
#include "runtime/image/platform.h"

/* Reads the tar and finds its images; what it answers is in `f`. */
struct found {
	struct place place;
	struct image_archive archive;
	struct archive_images images;
	struct err e;
	int rc;
};

static void find_bytes(const void *p, size_t n, const char *platform, struct found *f)
{
	auto_close int fd = bytes_fd(p, n);

	*f = (struct found){0};
	place_init(&f->place);
	f->rc = image_archive_read(fd, f->place.fd, &f->archive, &f->e);
	if (f->rc == 0)
		f->rc = archive_images_find(&f->archive, platform, &f->images, &f->e);
	if (f->rc < 0)
		assert_true(strlen(f->e.msg) > 10);
}

static void find(const struct tar *t, const char *platform, struct found *f)
{
	find_bytes(buf_text(&t->bytes), t->bytes.len, platform, f);
}

static void found_done(struct found *f)
{
	archive_images_done(&f->images);
	image_archive_done(&f->archive);
	place_done(&f->place);
}
#define auto_found CLEANUP(found_done) struct found

static void assert_found(const struct found *f, size_t at, const struct sample *s,
			 const char *names)
{
	auto_buf all = BUF_INIT(1000);

	if (f->rc < 0)
		fail_msg("%d: %s", f->rc, f->e.msg);
	assert_true(at < f->images.images.n);
	assert_string_equal(f->images.images.v[at].id, s->id);
	STRS_EACH (name, &f->images.images.v[at].names)
		buf_addf(&all, "%s ", name);
	assert_string_equal(buf_text(&all), names);
	for (size_t i = 0; i < s->n; i++)
		assert_string_equal(f->images.images.v[at].layers[i]->digest, s->diff_ids[i]);
}

static void assert_refused(struct tar *t, int code, const char *why)
{
	auto_found f;

	if (t->a)
		tar_end(t);
	find(t, NULL, &f);
	if (f.rc != code || !strstr(f.e.msg, why))
		fail_msg("%d instead of %d, %s: %s", f.rc, code, why, f.e.msg);
}

static void members_come_in_any_order_and_compression(void **state)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP,
				      ARCHIVE_FILTER_ZSTD};
	auto_sample *s = sample_new();

	tar_text(sample_layer(s), "a", "1");
	tar_text(sample_layer(s), "b", "2");
	sample_end(s, "");
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		auto_tar t;
		auto_found f;
		auto_buf item = BUF_INIT(10000);

		tar_init_filter(&t, filters[i]);
		buf_adds(&item, "[");
		docker_item(s, "[\"x\",\"y:2\",\"x:latest\"]", &item);
		buf_adds(&item, "]");
		tar_bytes(&t, "./manifest.json", item.p, item.len); /* first instead of last */
		tar_text(&t, "repositories", "{}");
		docker_parts(s, &t);
		tar_end(&t);
		find(&t, NULL, &f);
		assert_found(&f, 0, s, "docker.io/library/x:latest docker.io/library/y:2 ");
	}
}

static void several_images_share_an_archive(void **state)
{
	auto_sample *a = sample_simple("a", ""), *b = sample_simple("b", "");
	auto_tar t;
	auto_found f;
	auto_buf items = BUF_INIT(10000);

	tar_init(&t);
	buf_adds(&items, "[");
	docker_item(a, "[\"a:1\"]", &items);
	buf_adds(&items, ",");
	docker_item(b, "null", &items);
	buf_adds(&items, ",");
	docker_item(a, "[\"a:2\"]", &items);
	buf_adds(&items, "]");
	docker_parts(a, &t);
	docker_parts(b, &t);
	tar_bytes(&t, "manifest.json", items.p, items.len);
	tar_end(&t);
	find(&t, NULL, &f);
	assert_int_equal(f.images.images.n, 2);
	assert_found(&f, 0, a, "docker.io/library/a:1 docker.io/library/a:2 ");
	assert_found(&f, 1, b, "");
}

static void links_between_members_are_followed_inside_only(void **state)
{
	auto_sample *s = sample_new();
	auto_tar t;
	auto_found f;
	auto_buf text = BUF_INIT(10000);
	char name[128];

	tar_text(sample_layer(s), "a", "1");
	tar_text(sample_layer(s), "a", "1"); /* the same layer twice, as old `docker save` links */
	sample_end(s, "");
	tar_init(&t);
	snprintf(name, sizeof name, "%s.json", hex_of(s->id));
	tar_bytes(&t, name, s->config.p, s->config.len);
	tar_bytes(&t, "one/layer.tar", s->layers[0].bytes.p, s->layers[0].bytes.len);
	tar_symlink(&t, "two/layer.tar", "../one/layer.tar");
	tar_hardlink(&t, "three/layer.tar", "two/layer.tar");
	buf_addf(&text,
		 "[{\"Config\":\"%s\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"two/layer.tar\","
		 "\"three/layer.tar\"]}]",
		 name);
	tar_bytes(&t, "manifest.json", text.p, text.len);
	tar_end(&t);
	find(&t, NULL, &f);
	assert_found(&f, 0, s, "docker.io/library/x:1 ");

	/* Links that lead out, around, or to the host's files are links to nothing. */
	static const char *const bad[] = {"/etc/passwd", "../../../etc/passwd", "loop", ""};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		auto_tar h;

		tar_init(&h);
		tar_symlink(&h, "loop", "loop");
		if (*bad[i])
			tar_symlink(&h, "config.json", bad[i]);
		tar_text(&h, "manifest.json", "[{\"Config\":\"config.json\",\"Layers\":[]}]");
		assert_refused(&h, -EINVAL, "not in the archive");
	}
}

static void malformed_archives_are_refused(void **state)
{
	static const struct {
		const char *manifest;
		int code;
		const char *why;
	} cases[] = {
		{"", -EINVAL, "manifest.json"},
		{"[", -EINVAL, "manifest.json"},
		{"{}", -EINVAL, "manifest.json"},
		{"[]", -EINVAL, "holds no image"},
		{"null", -EINVAL, "manifest.json"},
		{"[{}]", -EINVAL, "manifest.json"},
		{"[null]", -EINVAL, "[0].Config is missing"},
		{"[{\"Config\":\"none.json\",\"RepoTags\":[null]}]", -EINVAL, "RepoTags"},
		{"[{\"Config\":\"one.json\",\"Layers\":[null]}]", -EINVAL, "Layers"},
		{"[{\"Config\":\"none\"}]", -EINVAL, "not in the archive"},
		{"[{\"Config\":\"../../../../etc/passwd\"}]", -EINVAL, "not in the archive"},
		{"[{\"Config\":\"text\"}]", -EINVAL, "configuration"},
		{"[{\"Config\":\"object\"}]", -EINVAL, "no root file system"},
		{"[{\"Config\":\"type\"}]", -EINVAL, "unknown type"},
		{"[{\"Config\":\"diff\"}]", -EINVAL, "not a sha256 diff id"},
		{"[{\"Config\":\"none.json\",\"Layers\":[\"a\"]}]", -EINVAL, "names 1 layers"},
		{"[{\"Config\":\"one.json\",\"Layers\":[]}]", -EINVAL, "names 0 layers"},
		{"[{\"Config\":\"one.json\",\"Layers\":[\"b\"]}]", -EINVAL, "not in the archive"},
		{"[{\"Config\":\"none.json\",\"RepoTags\":[\"Bad Name\"]}]", -EINVAL, "Bad Name"},
		{"[{\"Config\":\"none.json\",\"RepoTags\":[\"\"]}]", -EINVAL, "empty"},
		{"[{\"Config\":7}]", -EINVAL, "Config"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_tar t;

		tar_init(&t);
		tar_text(&t, "text", "no json");
		tar_text(&t, "object", "{}");
		tar_text(&t, "type", "{\"rootfs\":{\"type\":\"windows\"}}");
		tar_text(&t, "diff", "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"../x\"]}}");
		tar_text(&t, "none.json", "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}");
		tar_text(&t, "one.json",
			 "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:012345678"
			 "9abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"]}}");
		tar_text(&t, "manifest.json", cases[i].manifest);
		assert_refused(&t, cases[i].code, cases[i].why);
	}
}

static void what_is_no_archive_is_refused(void **state)
{
	auto_tar t, empty;

	tar_init(&t);
	tar_text(&t, "hello", "world");
	assert_refused(&t, -EINVAL, "neither manifest.json");
	tar_init(&empty);
	assert_refused(&empty, -EINVAL, "neither manifest.json");
	buf_reset(&empty.bytes);
	assert_refused(&empty, -EBADMSG, "not a tar");
	buf_adds(&empty.bytes, "FROM scratch\n");
	assert_refused(&empty, -EBADMSG, "not a tar");
}

static void oci_layouts_are_read(void **state)
{
	auto_sample *a = sample_simple("a", ""), *b = sample_simple("b", "");
	auto_tar t;
	auto_found f;
	auto_buf d = BUF_INIT(10000);

	tar_init(&t);
	oci_parts(a, &t, &d);
	buf_adds(&d, ",\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/a:1\","
		     "\"org.opencontainers.image.ref.name\":\"1\"}},");
	oci_parts(b, &t, &d);
	buf_adds(&d, ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"latest\"}}");
	oci_index(&t, buf_text(&d));
	find(&t, NULL, &f);
	assert_int_equal(f.images.images.n, 2);
	assert_found(&f, 0, a, "docker.io/library/a:1 ");
	assert_found(&f, 1, b, "");
	assert_int_equal(strlen(f.images.images.v[0].manifest_digest), DIGEST_TEXT_LEN);
}

static void platforms_are_chosen(void **state)
{
	static const struct {
		const char *wants, *gets;
	} cases[] = {
		{"linux/amd64", "amd64"},    {"linux/x86_64", "amd64"}, {"linux/arm64", "arm64"},
		{"linux/arm64/v8", "arm64"}, {"linux/arm/v7", "armv7"}, {"linux/arm/v6", "armv6"},
		{"linux/arm/v5", NULL},      {"linux/s390x", NULL},     {"windows/amd64", NULL},
	};
	static const struct {
		const char *name, *platform;
	} offers[] = {
		{"armv6", "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\"}"},
		{"amd64", "{\"os\":\"linux\",\"architecture\":\"amd64\"}"},
		{"armv7", "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}"},
		{"arm64", "{\"os\":\"linux\",\"architecture\":\"arm64\"}"},
		{"attest", "{\"os\":\"unknown\",\"architecture\":\"unknown\"}"},
	};
	struct sample *samples[ARRAY_LEN(offers)];
	auto_tar flat, nested;
	auto_buf list = BUF_INIT(10000), index = BUF_INIT(20000), top = BUF_INIT(10000);
	char digest[DIGEST_TEXT_LEN + 1];

	tar_init(&flat);
	tar_init(&nested);
	for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
		samples[i] = sample_simple(offers[i].name, "");
		oci_parts(samples[i], &flat, &list);
		buf_reset(&top);
		oci_parts(samples[i], &nested, &top);
		buf_addf(&list, ",\"platform\":%s}%s", offers[i].platform,
			 i + 1 < ARRAY_LEN(offers) ? "," : "");
	}
	oci_index(&flat, buf_text(&list));
	/* The same list behind one more index, as buildx writes it. */
	buf_addf(&index, "{\"schemaVersion\":2,\"manifests\":[%s]}", buf_text(&list));
	put_blob(&nested, index.p, index.len, digest);
	buf_reset(&top);
	buf_addf(&top, "{\"digest\":\"%s\",\"annotations\":{\"io.containerd.image.name\":\"x:1\"}}",
		 digest);
	oci_index(&nested, buf_text(&top));

	for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
		auto_found f;
		const char *gets = cases[i / 2].gets;

		find(i % 2 ? &nested : &flat, cases[i / 2].wants, &f);
		if (!gets) {
			assert_int_equal(f.rc, -ENOENT);
			assert_non_null(strstr(f.e.msg, cases[i / 2].wants));
			assert_non_null(strstr(f.e.msg, "linux/arm/v7"));
			continue;
		}
		for (size_t k = 0; k < ARRAY_LEN(offers); k++)
			if (strcmp(offers[k].name, gets) == 0)
				assert_found(&f, 0, samples[k],
					     i % 2 ? "docker.io/library/x:1 " : "");
		assert_int_equal(f.images.images.n, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(offers); i++)
		sample_free_at(&samples[i]);
}

static void wrong_digests_and_sizes_are_noticed(void **state)
{
	auto_sample *s = sample_simple("a", "");
	auto_tar bad, size, missing, link;
	auto_buf d = BUF_INIT(10000);
	char *number;

	tar_init(&bad);
	tar_text(&bad,
		 "blobs/sha256/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		 "something else");
	assert_refused(&bad, -EBADMSG, "damaged");

	tar_init(&size);
	oci_parts(s, &size, &d);
	number = strstr(d.p, "\"size\":");
	number[strlen("\"size\":")] = '9';
	buf_adds(&d, "}");
	oci_index(&size, buf_text(&d));
	assert_refused(&size, -EBADMSG, "bytes instead of");

	tar_init(&missing);
	oci_index(&missing, "{\"digest\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef"
			    "0123456789abcdef\"}");
	assert_refused(&missing, -EINVAL, "not in the archive");

	/* A blob that is a link to another one is not the blob. */
	tar_init(&link);
	tar_text(&link, "other", "{\"schemaVersion\":2,\"manifests\":[]}");
	tar_symlink(&link,
		    "blobs/sha256/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		    "../../other");
	oci_index(&link, "{\"digest\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123"
			 "456789abcdef\"}");
	assert_refused(&link, -EINVAL, "not in the archive");
}

static void documents_that_are_no_images_are_refused(void **state)
{
	static const struct {
		const char *blob, *why;
	} cases[] = {
		{"{}", "schemaVersion"},
		{"[]", "blobs/sha256"},
		{"{\"schemaVersion\":1}", "schemaVersion"},
		{"{\"schemaVersion\":2}", "no configuration"},
		{"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:1\"}}",
		 "not in the archive"},
		{"{\"schemaVersion\":2,\"config\":{}}", "digest"},
		{"{\"schemaVersion\":2,\"manifests\":[null]}", "manifests[0].digest is missing"},
		{"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"../x\",\"platform\":{\"os\":"
		 "\"linux\",\"architecture\":\"amd64\"}}]}",
		 "not in the archive"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		auto_tar t;
		auto_buf d = BUF_INIT(1000);
		char digest[DIGEST_TEXT_LEN + 1];
		auto_found f;

		tar_init(&t);
		put_blob(&t, cases[i].blob, strlen(cases[i].blob), digest);
		buf_addf(&d, "{\"digest\":\"%s\"}", digest);
		oci_index(&t, buf_text(&d));
		find(&t, "linux/amd64", &f);
		assert_int_equal(f.rc, -EINVAL);
		if (!strstr(f.e.msg, cases[i].why))
			fail_msg("%s: %s", cases[i].blob, f.e.msg);
	}
}

static void indexes_end_at_their_depth(void **state)
{
	for (int depth = 1; depth <= 8; depth++) {
		auto_sample *s = sample_simple("a", "");
		auto_tar t;
		auto_found f;
		auto_buf d = BUF_INIT(10000), index = BUF_INIT(10000);
		char digest[DIGEST_TEXT_LEN + 1];

		tar_init(&t);
		oci_parts(s, &t, &d);
		buf_adds(&d, "}");
		for (int i = 0; i < depth; i++) {
			buf_reset(&index);
			buf_addf(&index, "{\"schemaVersion\":2,\"manifests\":[%s]}", buf_text(&d));
			put_blob(&t, index.p, index.len, digest);
			buf_reset(&d);
			buf_addf(&d, "{\"digest\":\"%s\"}", digest);
		}
		oci_index(&t, buf_text(&d));
		find(&t, NULL, &f);
		assert_int_equal(f.rc, depth <= 4 ? 0 : -EINVAL);
	}
}

static void bounds_hold(void **state)
{
	auto_sample *full = sample_new(), *over = sample_new();
	auto_tar fits, layers, config, members;
	auto_buf big = BUF_INIT(LIMIT_IMAGE_CONFIG + 100);
	auto_found f;

	for (int i = 0; i < LIMIT_IMAGE_LAYERS; i++)
		(void)sample_layer(full);
	sample_end(full, "");
	tar_init(&fits);
	docker_archive(full, "null", &fits);
	find(&fits, NULL, &f);
	assert_found(&f, 0, full, "");

	for (int i = 0; i <= LIMIT_IMAGE_LAYERS; i++)
		(void)sample_layer(over);
	sample_end(over, "");
	tar_init(&layers);
	docker_archive(over, "null", &layers);
	assert_refused(&layers, -EMSGSIZE, "126 layers");

	tar_init(&config);
	buf_reserve(&big, LIMIT_IMAGE_CONFIG + 1);
	memset(big.p, ' ', LIMIT_IMAGE_CONFIG + 1);
	tar_bytes(&config, "c", big.p, LIMIT_IMAGE_CONFIG + 1);
	tar_text(&config, "manifest.json", "[{\"Config\":\"c\",\"Layers\":[]}]");
	assert_refused(&config, -EMSGSIZE, "larger than");

	tar_init(&members);
	for (int i = 0; i <= LIMIT_ARCHIVE_MEMBERS; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		tar_symlink(&members, name, "x");
	}
	assert_refused(&members, -EMSGSIZE, "members");
}

static void archives_end_at_so_many_images(void **state)
{
	for (size_t n = LIMIT_ARCHIVE_IMAGES; n <= LIMIT_ARCHIVE_IMAGES + 1; n++) {
		auto_tar t;
		auto_found f;
		auto_buf items = BUF_INIT(1u << 20);
		char name[16], config[100];

		tar_init(&t);
		for (size_t i = 0; i < n; i++) {
			snprintf(name, sizeof name, "%zu", i);
			snprintf(config, sizeof config,
				 "{\"author\":\"%zu\",\"rootfs\":{\"type\":\"layers\"}}", i);
			tar_text(&t, name, config);
			buf_addf(&items, "%s{\"Config\":\"%s\"}", i ? "," : "[", name);
		}
		buf_adds(&items, "]");
		tar_bytes(&t, "manifest.json", items.p, items.len);
		tar_end(&t);
		find(&t, NULL, &f);
		assert_int_equal(f.rc, n == LIMIT_ARCHIVE_IMAGES ? 0 : -EMSGSIZE);
	}
}

static void archives_end_at_so_many_bytes_of_configurations(void **state)
{
	size_t n = LIMIT_ARCHIVE_CONFIGS / LIMIT_IMAGE_CONFIG + 1;
	auto_buf config = BUF_INIT(LIMIT_IMAGE_CONFIG), items = BUF_INIT(10000);
	auto_tar t;
	char name[16];

	tar_init(&t);
	buf_adds(&config, "{\"rootfs\":{\"type\":\"layers\"}}");
	while (config.len < LIMIT_IMAGE_CONFIG)
		buf_addc(&config, ' ');
	for (size_t i = 0; i < n; i++) {
		config.p[config.len - 1 - i] = '\n'; /* another digest each time */
		snprintf(name, sizeof name, "%zu", i);
		tar_bytes(&t, name, config.p, config.len);
		buf_addf(&items, "%s{\"Config\":\"%s\"}", i ? "," : "[", name);
	}
	buf_adds(&items, "]");
	tar_bytes(&t, "manifest.json", items.p, items.len);
	assert_refused(&t, -EMSGSIZE, "bytes of configurations");
}

static void streams_may_come_in_drops(void **state)
{
	auto_sample *s = sample_simple("some content", "");
	auto_tar t;
	auto_place p;
	struct err e = ERR_INIT;
	struct image_archive archive;
	int ends[2];
	pid_t pid;

	tar_init(&t);
	docker_archive(s, "[\"a:1\"]", &t);
	place_init(&p);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < t.bytes.len; i += 37)
			if (write(ends[1], t.bytes.p + i, MIN_OF(37, t.bytes.len - i)) < 0)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	assert_ok(image_archive_read(ends[0], p.fd, &archive, &e), &e);
	assert_non_null(image_archive_find(&archive, "manifest.json"));
	image_archive_done(&archive);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(members_come_in_any_order_and_compression),
		TEST(several_images_share_an_archive),
		TEST(links_between_members_are_followed_inside_only),
		TEST(malformed_archives_are_refused),
		TEST(what_is_no_archive_is_refused),
		TEST(oci_layouts_are_read),
		TEST(platforms_are_chosen),
		TEST(wrong_digests_and_sizes_are_noticed),
		TEST(documents_that_are_no_images_are_refused),
		TEST(indexes_end_at_their_depth),
		TEST(bounds_hold),
		TEST(archives_end_at_so_many_images),
		TEST(archives_end_at_so_many_bytes_of_configurations),
		TEST(streams_may_come_in_drops),
	};

	return RUN_TESTS(tests);
}
