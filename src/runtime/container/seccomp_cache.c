/*
 * The cache of compiled default policies: one file per policy version, machine and capability
 * set; a header with a checksum, then the program.
 */
#include "runtime/container/seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "runtime/container/seccomp_table.h"

struct header {
	char magic[8];
	uint64_t sum; /* FNV-1a of the program: against torn files, not against forgers */
	uint32_t bytes;
	uint32_t zero;
};

static const char magic[8] = "shoalbpf";

static uint64_t checksum(const void *p, size_t n)
{
	const uint8_t *bytes = p;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * 0x100000001b3ULL;
	return h;
}

int seccomp_filter_load(const char *path, struct buf *ret, struct err *e)
{
	struct buf file = BUF_INIT(sizeof(struct header) + SECCOMP_BPF_MAX);
	struct header h;
	int rc = file_read_at(AT_FDCWD, path, &file);

	if (rc < 0) {
		buf_done(&file);
		return err_code(e, rc, "cannot read the seccomp filter %s", path);
	}
	if (file.len < sizeof(h)) {
		buf_done(&file);
		return err_set(e, -EINVAL, "the seccomp filter %s is cut short", path);
	}
	memcpy(&h, file.p, sizeof(h));
	buf_shift(&file, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.bytes != file.len || h.bytes % 8 != 0 ||
	    h.bytes == 0 || h.sum != checksum(file.p, file.len))
		rc = err_set(e, -EINVAL, "the seccomp filter %s is damaged; remove it", path);
	else
		rc = buf_add(ret, file.p, file.len);
	buf_done(&file);
	return rc;
}

static int filter_write(const char *cache, const char *path, uint64_t caps, struct err *e)
{
	auto_buf program = BUF_INIT(SECCOMP_BPF_MAX);
	auto_buf file = BUF_INIT(sizeof(struct header) + SECCOMP_BPF_MAX);
	struct header h = {0};
	int rc = seccomp_default_compile(caps, &program, e);

	if (rc < 0)
		return rc;
	memcpy(h.magic, magic, sizeof(magic));
	h.bytes = (uint32_t)program.len;
	h.sum = checksum(program.p, program.len);
	buf_add(&file, &h, sizeof(h));
	buf_add(&file, program.p, program.len);
	rc = dir_make(cache, 0700, e);
	if (rc < 0)
		return rc;
	rc = file_write_atomic(AT_FDCWD, path, file.p, file.len, 0600);
	return rc < 0 ? err_code(e, rc, "cannot write %s", path) : 0;
}

/*
 * One thread compiles, the others wait for its file: the first hundred containers of a daemon start
 * at once, and each compilation takes milliseconds of the processor and megabytes.
 */
static int filter_make(const char *cache, const char *path, uint64_t caps, struct err *e)
{
	static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
	auto_buf made = BUF_INIT(SECCOMP_BPF_MAX);
	int rc;

	(void)pthread_mutex_lock(&making);
	rc = seccomp_filter_load(path, &made, NULL);
	if (rc < 0)
		rc = filter_write(cache, path, caps, e);
	(void)pthread_mutex_unlock(&making);
	return rc;
}

int seccomp_filter_ensure(const char *cache, uint64_t caps, char **ret_path, struct err *e)
{
	auto_free char *path = xasprintf("%s/default-v%d-%08" PRIx32 "-%" PRIx64 ".bpf", cache,
					 SECCOMP_DEFAULT_VERSION, seccomp_arch_native(), caps);
	auto_buf old = BUF_INIT(SECCOMP_BPF_MAX);

	if (seccomp_filter_load(path, &old, NULL) < 0) {
		int rc = filter_make(cache, path, caps, e);

		if (rc < 0)
			return rc;
	}
	*ret_path = TAKE_PTR(path);
	return 0;
}
