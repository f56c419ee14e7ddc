/*
 * Runs a fuzzer's entry over every file of a corpus directory, so that seeds and once-found
 * crashers are unit tests of every build, sanitized ones too. Knows nothing of what is fuzzed;
 * each fuzz_NAME.c is linked with this unless libFuzzer brings its own main.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_MAX (16 << 20) /* bytes of one seed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int seed_run(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *data;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > SEED_MAX) {
		(void)close(fd);
		return -EINVAL;
	}
	/* Exactly as large as the seed, so that a sanitizer sees a read behind its end. */
	data = malloc((size_t)st.st_size);
	n = read(fd, data, (size_t)st.st_size);
	(void)close(fd);
	if (n == st.st_size)
		(void)LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
	return n == st.st_size ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int count = 0, rc = 0;
	DIR *dir;

	if (argc != 2 || !(dir = opendir(argv[1]))) {
		(void)fprintf(stderr, "usage: %s CORPUS-DIRECTORY (it must exist)\n", argv[0]);
		return 2;
	}
	while (!rc && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)printf("%s\n", entry->d_name);
		(void)fflush(stdout);
		rc = seed_run(dirfd(dir), entry->d_name);
		if (rc < 0)
			(void)fprintf(stderr, "%s: %s\n", entry->d_name, strerror(-rc));
		count++;
	}
	(void)closedir(dir);
	if (!count)
		(void)fprintf(stderr, "%s holds no seed\n", argv[1]);
	return rc < 0 || !count;
}
