/*
 * Layers: any bytes are unpacked or refused, nothing appears beside the layer, and what was
 * unpacked is written out again as it came.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/image/blob.h"
#include "runtime/image/digest.h"
#include "runtime/image/layer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The digest of what is in the blob, "" when it is damaged. */
static void tar_digest(int dirfd, char ret[DIGEST_TEXT_LEN + 1])
{
	auto_close int fd = openat(dirfd, "blob", O_RDONLY | O_CLOEXEC);
	auto_digest *digest = digest_new();
	auto_blob *blob = NULL;
	const void *p;
	ssize_t n = -1;

	*ret = '\0';
	if (blob_open(fd, &blob, NULL) < 0)
		return;
	while ((n = blob_next(blob, &p, NULL)) > 0 && blob_position(blob) < (1u << 24))
		digest_add(digest, p, (size_t)n);
	if (n == 0)
		digest_end(digest, ret);
}

static void try_layer(int dirfd, int layer, const char *digest)
{
	char diff_id[DIGEST_TEXT_LEN + 1];
	struct strs lowers = {0};
	struct layer_job job = {.blob_dir = dirfd,
				.blob_name = "blob",
				.blob_digest = digest,
				.diff_id = diff_id,
				.layer_dir = layer,
				.lowers = &lowers};
	auto_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int64_t bytes;

	tar_digest(dirfd, diff_id);
	if (layer_unpack(&job, &bytes, NULL) == 0)
		assert(layer_write(layer, diff_id, null, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/shoal-fuzz-layer-XXXXXX", digest[DIGEST_TEXT_LEN + 1];
	auto_close int dirfd = -1, layer = -1;
	struct stat st;

	if (!mkdtemp(dir))
		abort();
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || file_write_atomic(dirfd, "blob", data, size, 0600) < 0 ||
	    mkdirat(dirfd, "layer", 0700) < 0)
		abort();
	layer = openat(dirfd, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	digest_of(data, size, digest);
	try_layer(dirfd, layer, digest);
	assert(fstat(dirfd, &st) == 0 && st.st_nlink == 3); /* only "layer" is a folder in it */
	if (dir_remove(AT_FDCWD, dir, NULL) < 0)
		abort();
	return 0;
}
