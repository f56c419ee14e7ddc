/*
 * base/seal.h: a box opens only as it was sealed, nonces never repeat, the key's file is guarded.
 */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seal.h"
#include "base/secret_memory.h"

struct pair {
	struct seal_key *key;
	struct sealer *a, *b; /* two of one key: before and after a restart */
};

static struct pair pair_make(void)
{
	struct pair p = {.key = seal_key_new()};

	assert_int_equal(sealer_new(p.key, &p.a, NULL), 0);
	assert_int_equal(sealer_new(p.key, &p.b, NULL), 0);
	return p;
}

static void pair_done(struct pair *p)
{
	sealer_free(p->a);
	sealer_free(p->b);
	seal_key_unref(p->key);
}

static void every_length_opens_again(void **state)
{
	struct pair p = pair_make();
	uint8_t plain[600], box[600 + SEAL_OVERHEAD], back[600];

	for (size_t i = 0; i < sizeof plain; i++)
		plain[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof plain; n += n < 40 ? 1 : 40) {
		assert_int_equal(seal_box(p.a, "ad", 2, plain, n, box), 0);
		assert_int_equal(seal_open(p.b, "ad", 2, box, n + SEAL_OVERHEAD, back), 0);
		assert_memory_equal(back, plain, n);
		/* and in place */
		assert_int_equal(seal_open(p.b, "ad", 2, box, n + SEAL_OVERHEAD, box + SEAL_HEADER),
				 0);
		assert_memory_equal(box + SEAL_HEADER, plain, n);
	}
	pair_done(&p);
}

static void any_changed_bit_is_seen(void **state)
{
	struct pair p = pair_make(), other = pair_make();
	uint8_t box[16 + SEAL_OVERHEAD], back[16], zero[16] = {0};

	assert_int_equal(seal_box(p.a, "ad", 2, "sixteen letters!", 16, box), 0);
	for (size_t bit = 0; bit < sizeof box * 8; bit++) {
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(back, 1, sizeof back);
		assert_int_equal(seal_open(p.b, "ad", 2, box, sizeof box, back), -EBADMSG);
		assert_memory_equal(back, zero, sizeof back);
		box[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(seal_open(p.b, "ae", 2, box, sizeof box, back), -EBADMSG);
	assert_int_equal(seal_open(p.b, "ad", 1, box, sizeof box, back), -EBADMSG);
	assert_int_equal(seal_open(p.b, NULL, 0, box, sizeof box, back), -EBADMSG);
	assert_int_equal(seal_open(other.a, "ad", 2, box, sizeof box, back), -EBADMSG);
	for (size_t n = 0; n < sizeof box; n++)
		assert_int_equal(seal_open(p.b, "ad", 2, box, n, back), -EBADMSG);
	assert_int_equal(seal_open(p.b, "ad", 2, box, sizeof box, back), 0);
	pair_done(&p);
	pair_done(&other);
}

static void nonces_never_repeat(void **state)
{
	struct pair p = pair_make();
	uint8_t one[SEAL_OVERHEAD], two[SEAL_OVERHEAD];

	assert_int_equal(seal_box(p.a, NULL, 0, NULL, 0, one), 0);
	assert_int_equal(seal_box(p.a, NULL, 0, NULL, 0, two), 0);
	assert_memory_equal(one, two, 16);              /* the same salt ... */
	assert_memory_not_equal(one + 16, two + 16, 8); /* ... another counter */
	assert_int_equal(seal_box(p.b, NULL, 0, NULL, 0, two), 0);
	assert_memory_equal(one + 16, two + 16, 8);
	assert_memory_not_equal(one + 4, two + 4, 12); /* another sealer has another salt */
	assert_memory_not_equal(one + 24, two + 24, 16);
	assert_int_equal(seal_box(p.a, NULL, 0, NULL, (2u << 30), one), -EMSGSIZE);
	pair_done(&p);
}

struct place {
	char path[64];
	int fd;
};

static struct place place_make(void)
{
	struct place p = {.path = "/tmp/shoal-test-seal-XXXXXX"};

	assert_non_null(mkdtemp(p.path));
	p.fd = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p.fd >= 0);
	return p;
}

static void place_done(struct place *p)
{
	close(p->fd);
	assert_int_equal(dir_remove(AT_FDCWD, p->path, NULL), 0);
}

/* Does what `a` sealed open with `b`? */
static bool same_key(struct seal_key *a, struct seal_key *b)
{
	struct sealer *sa, *sb;
	uint8_t box[8 + SEAL_OVERHEAD], back[8];
	bool same;

	assert_int_equal(sealer_new(a, &sa, NULL), 0);
	assert_int_equal(sealer_new(b, &sb, NULL), 0);
	assert_int_equal(seal_box(sa, NULL, 0, "12345678", 8, box), 0);
	same = seal_open(sb, NULL, 0, box, sizeof box, back) == 0;
	sealer_free(sa);
	sealer_free(sb);
	return same;
}

static void the_file_keeps_the_key(void **state)
{
	struct place at = place_make();
	struct seal_key *key = seal_key_new(), *back = NULL;
	uint8_t unlock[SEAL_KEY_LEN] = "an unlock key of 32 bytes length";
	uint8_t wrong[SEAL_KEY_LEN] = "an unlock key of 32 bytes lengtH";
	auto_buf text = BUF_INIT(1000);
	struct err e = ERR_INIT;
	struct stat st;

	assert_int_equal(seal_key_load(at.fd, "key", NULL, &back, &e), -ENOENT);
	assert_ok(seal_key_store(key, at.fd, "key", NULL, &e), &e);
	assert_int_equal(fstatat(at.fd, "key", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(seal_key_load(at.fd, "key", NULL, &back, &e), &e);
	assert_true(same_key(key, back));
	seal_key_unref(back);
	/* autolock on: the same key, wrapped */
	assert_ok(seal_key_store(key, at.fd, "key", unlock, &e), &e);
	assert_int_equal(file_read_at(at.fd, "key", &text), 0);
	assert_non_null(strstr(buf_text(&text), " sealed "));
	assert_int_equal(seal_key_load(at.fd, "key", NULL, &back, &e), -ENOKEY);
	assert_int_equal(seal_key_load(at.fd, "key", wrong, &back, &e), -ENOKEY);
	assert_ok(seal_key_load(at.fd, "key", unlock, &back, &e), &e);
	assert_true(same_key(key, back));
	seal_key_unref(back);
	seal_key_unref(key);
	place_done(&at);
}

static void a_doubtful_file_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "\n", "shoal-data-key 1 plain 00\n", "shoal-data-key 2 plain 00\n",
		"shoal-data-key 1 sealed 00\n",
		/* one digit too many */
		"shoal-data-key 1 plain "
		"00000000000000000000000000000000000000000000000000000000000000000\n",
		/* cut before its newline */
		"shoal-data-key 1 plain "
		"0000000000000000000000000000000000000000000000000000000000000000"};
	struct place at = place_make();
	struct seal_key *key = seal_key_new(), *back = NULL;
	struct err e = ERR_INIT;

	assert_ok(seal_key_store(key, at.fd, "key", NULL, &e), &e);
	assert_int_equal(fchmodat(at.fd, "key", 0640, 0), 0);
	assert_int_equal(seal_key_load(at.fd, "key", NULL, &back, &e), -EPERM);
	assert_int_equal(symlinkat("key", at.fd, "link"), 0);
	assert_int_equal(seal_key_load(at.fd, "link", NULL, &back, &e), -ELOOP);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(file_write_atomic(at.fd, "key", texts[i], strlen(texts[i]), 0600),
				 0);
		assert_int_equal(seal_key_load(at.fd, "key", NULL, &back, &e), -EBADMSG);
	}
	seal_key_unref(key);
	place_done(&at);
}

static void secrets(void **state)
{
	char *p = secret_new(40), *large;

	for (int i = 0; i < 40; i++)
		assert_int_equal(p[i], 0);
	secret_free(p, 40);
	large = secret_new(4 << 20); /* more than is locked: ordinary memory */
	large[(4 << 20) - 1] = 1;
	secret_free(large, 4 << 20);
	secret_free(NULL, 5);
	assert_true(secret_equal("abc", "abc", 3));
	assert_false(secret_equal("abc", "abd", 3));
	assert_true(secret_text_equal("abc", "abc"));
	assert_false(secret_text_equal("abc", "abcd"));
	assert_false(secret_text_equal("abc", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_length_opens_again),   TEST(any_changed_bit_is_seen),
		TEST(nonces_never_repeat),        TEST(the_file_keeps_the_key),
		TEST(a_doubtful_file_is_refused), TEST(secrets),
	};

	return RUN_TESTS(tests);
}
