/*
 * Writing a layer's tar again, from its recipe or from the blob that was kept; see layer.h.
 */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "runtime/image/blob.h"
#include "runtime/image/digest.h"
#include "runtime/image/layer.h"
#include "runtime/image/recipe.h"

struct layer_out {
	int fd;
	struct digest *digest;
};

static int layer_sink(void *arg, const void *p, size_t n, struct err *e)
{
	struct layer_out *out = arg;
	int rc = file_write_fd(out->fd, p, n);

	digest_add(out->digest, p, n);
	return rc < 0 ? err_code(e, rc, "cannot write the layer out") : 0;
}

static int layer_write_blob(int blob_fd, struct layer_out *out, struct err *e)
{
	auto_blob *blob = NULL;
	const void *p;
	ssize_t n;
	int rc = blob_open(blob_fd, &blob, e);

	while (rc == 0) {
		n = blob_next(blob, &p, e);
		if (n <= 0)
			return (int)n;
		rc = layer_sink(out, p, (size_t)n, e);
	}
	return rc;
}

int layer_write(int layer_dir, const char *diff_id, int fd, struct err *e)
{
	auto_close int blob = openat(layer_dir, "blob", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	auto_digest *digest = digest_new();
	struct layer_out out = {fd, digest};
	char text[DIGEST_TEXT_LEN + 1];
	int rc = blob >= 0 ? layer_write_blob(blob, &out, e)
			   : recipe_read(layer_dir, layer_sink, &out, e);

	if (rc < 0)
		return rc;
	digest_end(digest, text);
	if (strcmp(text, diff_id) != 0)
		return err_set(e, -EUCLEAN,
			       "the files of layer %s have been changed on the disk: load the "
			       "image again",
			       diff_id);
	return 0;
}
