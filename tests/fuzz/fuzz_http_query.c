/*
 * The target of a request and the filters in its query, as anyone may send them: read or refused,
 * and what was read answers every question.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {"name", "label", "id", "dangling", "until", NULL};

static void ask(const char *text)
{
	struct strmap labels = {0};
	struct filters f;
	struct err e = ERR_INIT;
	bool on;

	if (filters_parse(text, keys, &f, &e) < 0) {
		assert(f.count == 0 && e.code == -EINVAL && *e.msg);
		return;
	}
	strmap_set(&labels, "a", "b");
	for (size_t i = 0; keys[i]; i++) {
		(void)filters_match(&f, keys[i], "web");
		(void)filters_match_prefix(&f, keys[i], "web");
		(void)filters_match_name(&f, keys[i], "web-1");
		(void)filters_match_labels(&f, keys[i], &labels);
		(void)filters_bool(&f, keys[i], false, &on, &e);
	}
	strmap_done(&labels);
	filters_done(&f);
}

static void look(const struct http_query *q)
{
	struct err e = ERR_INIT;
	int64_t n;

	for (size_t i = 0; i < q->count; i++) {
		(void)query_bool(q, q->args[i].name, false);
		(void)query_int(q, q->args[i].name, 0, -10, 10, &n, &e);
		(void)query_time(q, q->args[i].name, 0, &n, &e);
		ask(q->args[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct http_query q;
	struct err e = ERR_INIT;
	char *path;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	ask(text);
	if (http_target_parse(text, &path, &q, &e) == 0) {
		assert(path >= text && path <= text + size && *path == '/');
		look(&q);
		http_query_done(&q);
	}
	free(text);
	return 0;
}
