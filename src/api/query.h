/*
 * Query values as the Engine API reads them: booleans, numbers, times, filters. Pure text, all of
 * it hostile. Called by the handlers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http_url.h"
#include "base/table.h"

/* "", 0, no, false, none (any case) are false, anything else is true; missing is `missing`. */
bool query_bool(const struct http_query *q, const char *name, bool missing);
/* A decimal number in [min, max]; missing or "" gives `missing`. 0 or -EINVAL with the reason. */
int query_int(const struct http_query *q, const char *name, int64_t missing, int64_t min,
	      int64_t max, int64_t *ret, struct err *e);
/*
 * since/until: unix[.nano], RFC 3339, or a duration before `now_ns`. Missing, "" or "0" leave
 * `*ret` as it was. 0 or -EINVAL with the reason.
 */
int query_time(const struct http_query *q, const char *name, int64_t now_ns, int64_t *ret_ns,
	       struct err *e);

struct filter_value {
	char *key;
	char *value;
};
/* All key/value pairs; an object passes when it passes each key, and a key when any value fits. */
struct filters {
	struct filter_value *v;
	size_t count;
};

/*
 * Reads {"key":{"value":true}} or the older {"key":["value"]}; NULL or "" is no filter. A key that
 * `allowed` (NULL-terminated) does not name is -EINVAL: "invalid filter 'key'".
 */
int filters_parse(const char *text, const char *const *allowed, struct filters *ret, struct err *e);
/* The same from the query value "filters". */
int filters_read(const struct http_query *q, const char *const *allowed, struct filters *ret,
		 struct err *e);
void filters_done(struct filters *f);

bool filters_has(const struct filters *f, const char *key);
/* The `i`-th value of a key, NULL past the last: to look each up by hand. */
const char *filters_value(const struct filters *f, const char *key, size_t i);
/* Each is true when the key is not in the filters at all. */
bool filters_match(const struct filters *f, const char *key, const char *value);        /* equal */
bool filters_match_prefix(const struct filters *f, const char *key, const char *value); /* "abc*" */
/* Equal, or as an (unanchored, POSIX extended) regular expression; names and ids. */
bool filters_match_name(const struct filters *f, const char *key, const char *value);
/* All of the key's values "k" or "k=v" must fit the labels. */
bool filters_match_labels(const struct filters *f, const char *key, const struct strmap *labels);
/* A boolean filter (dangling, _up-to-date): its value. 0 or -EINVAL with the reason. */
int filters_bool(const struct filters *f, const char *key, bool missing, bool *ret, struct err *e);
