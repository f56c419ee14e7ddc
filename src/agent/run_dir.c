/*
 * The documents of a runtime directory: what the engine tells a shim, and reads again when it
 * executes something in the container that the shim made.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/engine_impl.h"
#include "base/file.h"
#include "base/secret_memory.h"
#include "runtime/container/memory_mount.h"

static int write_file(const char *dir, const char *name, const struct buf *b, struct err *e)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : file_write_fd(fd, b->p, b->len);

	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}

int run_dir_write(const char *dir, const struct spec *spec, const struct shim_config *shim,
		  struct err *e)
{
	auto_buf config = BUF_INIT(LIMIT_SPEC_JSON);
	auto_buf second = BUF_INIT(LIMIT_SPEC_JSON);
	int rc = dir_make(dir, 0700, e);

	if (rc < 0)
		return rc;
	if (spec_write(spec, &config) < 0 || shim_config_write(shim, &second) < 0)
		return err_set(e, -EMSGSIZE, "the container's configuration is too large");
	rc = write_file(dir, "config.json", &config, e);
	return rc == 0 ? write_file(dir, "shim.json", &second, e) : rc;
}

static int read_file(const char *dir, const char *name, struct buf *ret, struct err *e)
{
	auto_free char *path = xasprintf("%s/%s", dir, name);
	int rc = file_read_at(AT_FDCWD, path, ret);

	return rc < 0 ? err_code(e, rc, "cannot read %s", path) : 0;
}

int run_dir_read(const char *dir, struct spec *spec, struct shim_config *shim, struct err *e)
{
	auto_buf config = BUF_INIT(LIMIT_SPEC_JSON);
	auto_buf second = BUF_INIT(LIMIT_SPEC_JSON);
	int rc = read_file(dir, "config.json", &config, e);

	if (rc == 0)
		rc = read_file(dir, "shim.json", &second, e);
	if (rc == 0)
		rc = spec_parse(buf_text(&config), config.len, SPEC_STRICT, spec, e);
	if (rc < 0)
		return rc;
	rc = shim_config_parse(buf_text(&second), second.len, shim, e);
	if (rc < 0)
		spec_done(spec);
	return rc;
}

/* Files of the swarm */

#define FILES_DIR "files"

void engine_files_free(struct engine_files *f)
{
	if (!f)
		return;
	LIST_EACH (file, &f->list) {
		secret_free(file->data, file->n);
		free(file->target);
	}
	free(f->list.v);
	free(f);
}

char *run_dir_file(const char *dir, size_t index)
{
	return xasprintf("%s/" FILES_DIR "/%zu", dir, index);
}

static int place(const char *dir, size_t index, const struct engine_file *f, struct err *e)
{
	auto_free char *path = run_dir_file(dir, index);
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : file_write_fd(fd, f->data, f->n);

	if (rc == 0 && (fchown(fd, f->uid, f->gid) < 0 || fchmod(fd, f->mode) < 0))
		rc = -errno;
	return rc < 0 ? err_code(e, rc, "cannot write %s", f->target) : 0;
}

int run_dir_files(const char *dir, const struct engine_files *files, struct err *e)
{
	auto_free char *memory = xasprintf("%s/" FILES_DIR, dir);
	size_t bytes = 0;
	int rc;

	LIST_EACH (f, &files->list)
		bytes += f->n;
	rc = memory_mount(memory, bytes, files->list.n, e);
	for (size_t i = 0; rc == 0 && i < files->list.n; i++)
		rc = place(dir, i, &files->list.v[i], e);
	return rc;
}

int run_dir_remove(const char *dir, struct err *e)
{
	auto_free char *memory = xasprintf("%s/" FILES_DIR, dir);
	int rc = memory_unmount(memory, e);

	return rc == 0 ? dir_remove(AT_FDCWD, dir, e) : rc;
}
