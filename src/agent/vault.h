/*
 * The secrets and configs that this node's tasks use: in locked memory, never on disk, wiped with
 * the last task that uses them. Filled by the worker, read where a task's files are made. On the
 * loop thread alone.
 */
#pragma once

#include "model/session.h"

struct vault;

struct vault_item {
	bool templated;
	const void *data; /* secret_new(); the vault's */
	size_t n;
};

struct vault *vault_new(void);
/* NULL is allowed. */
void vault_free(struct vault *v);
/* Copies it. What is there already stays as it is: bytes never change. */
void vault_put(struct vault *v, const struct session_secret *s);
/* NULL when it has not come. Valid until the vault changes. */
const struct vault_item *vault_get(const struct vault *v, const char *id);
/* Wipes those that `used` does not name. */
void vault_retain(struct vault *v, bool (*used)(void *arg, const char *id), void *arg);
