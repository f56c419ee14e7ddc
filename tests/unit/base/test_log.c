/*
 * base/log.h: a line is one line, quoted, and no longer than its bound, whatever is put into it.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

/* What one line of that many `c` looks like on standard error. */
static size_t logged(char c, size_t n, char *ret, size_t size)
{
	auto_free char *text = xmalloc(n + 1);
	int pipes[2], before = dup(STDERR_FILENO);
	ssize_t got;

	memset(text, c, n);
	text[n] = '\0';
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
	log_line(LOG_LEVEL_ERROR, "%s", text);
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	close(pipes[1]);
	got = read(pipes[0], ret, size);
	close(pipes[0]);
	assert_true(got > 0);
	return (size_t)got;
}

static void a_line_is_bounded(void **state)
{
	static const char chars[] = {'x', '"', '\\', '\n', '\t'};
	char line[4 * LIMIT_LOG_LINE];
	size_t n, kept = 0;

	(void)state;
	for (size_t i = 0; i < sizeof chars; i++) {
		size_t escapes = 0;

		n = logged(chars[i], 3 * LIMIT_LOG_LINE, line, sizeof line);
		assert_in_range(n, LIMIT_LOG_LINE, LIMIT_LOG_LINE + 128);
		assert_memory_equal(line + n - 2, "\"\n", 2);
		assert_ptr_equal(memchr(line, '\n', n), line + n - 1);
		/* The quote at its end ends it: what is before is whole. */
		for (size_t at = n - 3; line[at] == '\\'; at--)
			escapes++;
		assert_int_equal(escapes % 2, 0);
	}
	/* As long as fits, nothing is lost. */
	n = logged('#', LIMIT_LOG_LINE - 1, line, sizeof line);
	for (size_t i = 0; i < n; i++)
		kept += line[i] == '#';
	assert_int_equal(kept, LIMIT_LOG_LINE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_line_is_bounded)};

	return RUN_TESTS(tests);
}
