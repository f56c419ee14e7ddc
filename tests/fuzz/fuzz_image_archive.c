/*
 * Image archives: any bytes are read or refused, and what was found must be whole: as many layers
 * as diff ids, each a file of the archive.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_images(const struct image_archive *archive)
{
	struct archive_images images;

	if (archive_images_find(archive, "linux/amd64", &images, NULL) < 0)
		return;
	LIST_EACH (image, &images.images) {
		assert(digest_valid(image->id));
		for (size_t i = 0; i < image->config.rootfs.diff_ids.n; i++)
			assert(image->layers[i] && !image->layers[i]->link);
	}
	archive_images_done(&images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char dir[] = "/tmp/shoal-fuzz-archive-XXXXXX";
	auto_close int fd = memfd_create("archive", MFD_CLOEXEC);
	auto_close int dirfd = -1;
	struct image_archive archive;

	if (fd < 0 || !mkdtemp(dir))
		abort();
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || file_write_fd(fd, data, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	if (image_archive_read(fd, dirfd, &archive, NULL) == 0) {
		try_images(&archive);
		image_archive_done(&archive);
	}
	if (dir_remove(AT_FDCWD, dir, NULL) < 0)
		abort();
	return 0;
}
