/*
 * model/token.h: Swarm's texts, read strictly.
 */
#include "unit/test.h"

#include <ctype.h>
#include <errno.h>

#include "model/token.h"

static void a_token_has_swarms_form(void **state)
{
	uint8_t digest[SHA256_LEN];
	struct join_token t, back;
	char text[TOKEN_TEXT_LEN + 1];
	struct err e = ERR_INIT;

	memset(digest, 0xff, sizeof digest);
	memset(&t, 0xff, sizeof t);
	join_token_format(&t, text);
	/* 2^256 - 1 and 2^128 - 1 in base 36 */
	assert_string_equal(text, "SWMTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-"
				  "f5lxx1zz5pnorynqglhzmsp33");
	assert_ok(join_token_parse(text, &back, &e), &e);
	assert_true(join_token_equal(&t, &back));
	memset(&t, 0, sizeof t);
	t.secret[TOKEN_SECRET_LEN - 1] = 35;
	join_token_format(&t, text);
	assert_string_equal(text, "SWMTKN-1-00000000000000000000000000000000000000000000000000-"
				  "000000000000000000000000z");
	join_token_new(digest, &t);
	join_token_new(digest, &back);
	assert_memory_equal(t.root_sha256, digest, SHA256_LEN);
	assert_false(join_token_equal(&t, &back)); /* two draws */
	back = t;
	back.root_sha256[0] ^= 1;
	assert_false(join_token_equal(&t, &back));
}

static void other_texts_are_refused(void **state)
{
	struct join_token t, back;
	char text[TOKEN_TEXT_LEN + 2];
	struct err e = ERR_INIT;

	memset(&t, 0x55, sizeof t);
	join_token_format(&t, text);
	for (size_t i = 0; i < TOKEN_TEXT_LEN; i++) {
		char old = text[i];

		text[i] = i == 9 || i == 60 ? 'z' : (char)toupper(old); /* too large, or no digit */
		if (text[i] != old) {
			assert_int_equal(join_token_parse(text, &back, &e), -EINVAL);
			assert_null(strstr(e.msg, text + 9));
		}
		text[i] = '\0';
		assert_int_equal(join_token_parse(text, &back, &e), -EINVAL);
		text[i] = old;
	}
	text[TOKEN_TEXT_LEN] = 'a';
	text[TOKEN_TEXT_LEN + 1] = '\0';
	assert_int_equal(join_token_parse(text, &back, &e), -EINVAL);
}

static void unlock_keys(void **state)
{
	uint8_t key[UNLOCK_KEY_LEN], back[UNLOCK_KEY_LEN];
	char text[UNLOCK_TEXT_LEN + 1];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	unlock_key_format(key, text);
	assert_string_equal(text, "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
	assert_ok(unlock_key_parse(text, back, &e), &e);
	assert_memory_equal(back, key, sizeof key);
	memset(key, 0xff, sizeof key);
	unlock_key_format(key, text);
	assert_ok(unlock_key_parse(text, back, &e), &e);
	assert_memory_equal(back, key, sizeof key);
	text[51] = '9'; /* bits behind the last byte */
	assert_int_equal(unlock_key_parse(text, back, &e), -EINVAL);
	text[51] = '=';
	assert_int_equal(unlock_key_parse(text, back, &e), -EINVAL);
	text[51] = '\0';
	assert_int_equal(unlock_key_parse(text, back, &e), -EINVAL);
	assert_int_equal(unlock_key_parse("SWMTKN-1-", back, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_has_swarms_form),
		TEST(other_texts_are_refused),
		TEST(unlock_keys),
	};

	return RUN_TESTS(tests);
}
