/*
 * Values of flags copied into specifications: what services and containers have in common. Knows no
 * command; a flag that was not given changes nothing.
 */
#pragma once

#include "cli/flags.h"
#include "model/service.h"

/* Replaces `*dst`, when the flag was given; what was there is freed. */
void spec_opt_i64(int64_t **dst, const struct flags *f, const char *name);
void spec_opt_u64(uint64_t **dst, const struct flags *f, const char *name);
void spec_opt_bool(bool **dst, const struct flags *f, const char *name);
void spec_bool(bool *dst, const struct flags *f, const char *name);
void spec_text(char **dst, const struct flags *f, const char *name);
void spec_number(int64_t *dst, const struct flags *f, const char *name);
/* Adds the flag's values to the list; those of "key=value" to the map. */
void spec_list(struct strs *dst, const struct flags *f, const char *name);
void spec_labels(struct strmap *dst, const struct flags *f, const char *name);
/* Adds what the flags `file` (paths) and `name` say of the environment; a later one replaces. */
int spec_env(struct strs *env, const struct flags *f, const char *file, const char *name,
	     struct err *e);
/* Replaces the list by the flag's command line in words; quotes keep blanks together. */
void spec_words(struct strs *dst, const struct flags *f, const char *name);
/*
 * What --health-… and --no-healthcheck say, laid over `*h`, which is made when one is given.
 * -EINVAL when both are.
 */
int spec_health(struct healthcheck **h, const struct flags *f, struct err *e);
/* Removes the texts that are `key` or begin with "key" and the sign. */
void spec_remove(struct strs *list, const char *key, char sign);
