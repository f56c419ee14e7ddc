/*
 * See seal.h: the data key's file. One line: "shoal-data-key 1 plain <hex>" or
 * "shoal-data-key 1 sealed <hex of a box>"; the box is made with the unlock key as its data key.
 */
#include "base/seal_impl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/id.h"

#define KEY_FILE_PREFIX "shoal-data-key 1 "
#define KEY_FILE_PLAIN "plain "
#define KEY_FILE_SEALED "sealed "
#define KEY_BOX_LEN (SEAL_KEY_LEN + SEAL_OVERHEAD)
#define KEY_FILE_MAX 512

static const char key_ad[] = "shoal data key";

static int key_box(const uint8_t *unlock, const uint8_t *key, uint8_t box[KEY_BOX_LEN],
		   struct err *e)
{
	struct seal_key *outer = seal_key_wrap(unlock);
	struct sealer *s = NULL;
	int rc = sealer_new(outer, &s, e);

	if (rc == 0)
		rc = seal_box(s, key_ad, sizeof key_ad, key, SEAL_KEY_LEN, box);
	sealer_free(s);
	seal_key_unref(outer);
	return rc;
}

static int key_unbox(const uint8_t *unlock, const uint8_t box[KEY_BOX_LEN], uint8_t *ret,
		     struct err *e)
{
	struct seal_key *outer = seal_key_wrap(unlock);
	struct sealer *s = NULL;
	int rc = sealer_new(outer, &s, e);

	if (rc == 0 && seal_open(s, key_ad, sizeof key_ad, box, KEY_BOX_LEN, ret) < 0)
		rc = err_set(e, -ENOKEY, "the unlock key is not the right one");
	sealer_free(s);
	seal_key_unref(outer);
	return rc;
}

int seal_key_store(const struct seal_key *k, int dirfd, const char *name, const uint8_t *unlock,
		   struct err *e)
{
	char *text = secret_new(KEY_FILE_MAX);
	uint8_t box[KEY_BOX_LEN];
	size_t n;
	int rc = unlock ? key_box(unlock, k->bytes, box, e) : 0;

	if (rc == 0) {
		n = (size_t)snprintf(text, KEY_FILE_MAX, "%s%s", KEY_FILE_PREFIX,
				     unlock ? KEY_FILE_SEALED : KEY_FILE_PLAIN);
		if (unlock)
			hex_encode(box, sizeof box, text + n);
		else
			hex_encode(k->bytes, SEAL_KEY_LEN, text + n);
		n = strlen(text);
		text[n++] = '\n';
		rc = file_write_atomic(dirfd, name, text, n, 0600);
		if (rc < 0)
			(void)err_code(e, rc, "cannot write the data key to %s", name);
	}
	secret_free(text, KEY_FILE_MAX);
	return rc;
}

/* Reads the file into `text` (NUL-terminated, without its newline). */
static int key_file_read(int dirfd, const char *name, char *text, struct err *e)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "cannot open the data key %s", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot look at the data key %s", name);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) || st.st_uid != geteuid())
		return err_set(e, -EPERM,
			       "the data key %s can be read by others: its mode must be 0600 and "
			       "its owner uid %u",
			       name, (unsigned)geteuid());
	do
		n = read(fd, text, KEY_FILE_MAX - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, "cannot read the data key %s", name);
	text[n] = '\0';
	if (n == 0 || text[n - 1] != '\n')
		return err_set(e, -EBADMSG, "the data key %s is damaged", name);
	text[n - 1] = '\0';
	return 0;
}

static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return text && strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static int key_parse(const char *text, const char *name, const uint8_t *unlock, uint8_t *ret,
		     struct err *e)
{
	const char *rest = after(text, KEY_FILE_PREFIX);
	const char *plain = after(rest, KEY_FILE_PLAIN), *sealed = after(rest, KEY_FILE_SEALED);
	uint8_t box[KEY_BOX_LEN];

	if (plain && hex_decode(plain, ret, SEAL_KEY_LEN) == 0)
		return 0;
	if (!sealed || hex_decode(sealed, box, sizeof box) < 0)
		return err_set(e, -EBADMSG, "the data key %s is damaged", name);
	if (!unlock)
		return err_set(e, -ENOKEY,
			       "Swarm is encrypted and needs to be unlocked before it can be used");
	return key_unbox(unlock, box, ret, e);
}

int seal_key_load(int dirfd, const char *name, const uint8_t *unlock, struct seal_key **ret,
		  struct err *e)
{
	char *text = secret_new(KEY_FILE_MAX);
	uint8_t *key = secret_new(SEAL_KEY_LEN);
	int rc = key_file_read(dirfd, name, text, e);

	if (rc == 0)
		rc = key_parse(text, name, unlock, key, e);
	if (rc == 0)
		*ret = seal_key_wrap(key);
	secret_free(key, SEAL_KEY_LEN);
	secret_free(text, KEY_FILE_MAX);
	return rc;
}
