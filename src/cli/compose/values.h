/*
 * Typed readings of nodes. A value of another type is a problem of the project, with its place, and
 * leaves the output as it was; a missing or null one leaves it so silently.
 */
#pragma once

#include <stdint.h>

#include "cli/compose/project.h"

/* One key of a map: read by `fn`, or refused (or, when harmless, left out with a warning). */
typedef void (*compose_key_fn)(struct compose_project *p, const struct compose_node *n, void *data);
struct compose_key {
	const char *name;
	compose_key_fn fn;
	const char *why; /* of a key without `fn` */
	bool harmless;
};
/* Every key of the map by the table; x-* is skipped, others are problems. */
void compose_keys(struct compose_project *p, const struct compose_node *map,
		  const struct compose_key *keys, size_t n, void *data);

void compose_text(struct compose_project *p, const struct compose_node *n, char **ret);
void compose_bool(struct compose_project *p, const struct compose_node *n, bool *ret);
void compose_number(struct compose_project *p, const struct compose_node *n, int64_t min,
		    int64_t max, int64_t *ret);
void compose_real(struct compose_project *p, const struct compose_node *n, double *ret);
void compose_duration(struct compose_project *p, const struct compose_node *n, int64_t *ret);
void compose_bytes(struct compose_project *p, const struct compose_node *n, int64_t *ret);
/* The index of the text among `names`. */
void compose_choice(struct compose_project *p, const struct compose_node *n,
		    const char *const *names, size_t n_names, size_t *ret);
/* A list of texts, or one text. */
void compose_strs(struct compose_project *p, const struct compose_node *n, struct strs *ret);
/* A map of texts, or a list of "key=value". */
void compose_strmap(struct compose_project *p, const struct compose_node *n, struct strmap *ret);
/* A list of words, or one text that is split as a shell would. */
void compose_words(struct compose_project *p, const struct compose_node *n, struct strs *ret);
