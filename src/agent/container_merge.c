/*
 * See container_merge.h.
 */
#include "agent/container_merge.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

static void take_text(char **user, const char *image)
{
	if ((!*user || !**user) && image)
		str_set(user, image);
}

static void add_missing(struct strs *user, const struct strs *image)
{
	STRS_EACH (item, image)
		if (!strs_has(user, item))
			strs_add(user, item);
}

static bool names_env(const struct strs *list, const char *env)
{
	size_t n = strcspn(env, "=");

	STRS_EACH (item, list)
		if (strncmp(item, env, n) == 0 && (item[n] == '=' || !item[n]))
			return true;
	return false;
}

static void take_number(int64_t *user, int64_t image)
{
	if (!*user)
		*user = image;
}

/* What the user leaves out of a health check is the image's. */
static void merge_health(struct healthcheck **user, const struct image_health *image)
{
	if (!image)
		return;
	if (!*user)
		*user = xcalloc(1, sizeof **user);
	if ((*user)->test.n == 0)
		STRS_EACH (word, &image->test)
			strs_add(&(*user)->test, word);
	take_number(&(*user)->interval, image->interval_ns);
	take_number(&(*user)->timeout, image->timeout_ns);
	take_number(&(*user)->start_period, image->start_period_ns);
	take_number(&(*user)->start_interval, image->start_interval_ns);
	take_number(&(*user)->retries, image->retries);
}

/* A command of the image stands only under the image's own entrypoint. */
static void merge_command(struct container_config *c, const struct image_run *image)
{
	if (c->entrypoint.n == 0) {
		if (c->cmd.n == 0)
			STRS_EACH (arg, &image->cmd)
				strs_add(&c->cmd, arg);
		STRS_EACH (arg, &image->entrypoint)
			strs_add(&c->entrypoint, arg);
	}
	/* --entrypoint "" takes the image's away. */
	if (c->entrypoint.n == 1 && !*c->entrypoint.v[0])
		strs_done(&c->entrypoint);
}

void container_config_merge(struct container_config *c, const struct image_run *image)
{
	take_text(&c->user, image->user);
	take_text(&c->working_dir, image->working_dir);
	take_text(&c->stop_signal, image->stop_signal);
	add_missing(&c->exposed_ports, &image->exposed_ports);
	add_missing(&c->volumes, &image->volumes);
	merge_health(&c->healthcheck, image->healthcheck);
	if (c->shell.n == 0)
		add_missing(&c->shell, &image->shell);
	for (size_t i = 0; i < image->env.n; i++)
		if (!names_env(&c->env, image->env.v[i]))
			strs_add(&c->env, image->env.v[i]);
	for (size_t i = 0; i < image->labels.n; i++)
		if (!strmap_get(&c->labels, image->labels.v[i].key))
			strmap_set(&c->labels, image->labels.v[i].key, image->labels.v[i].value);
	merge_command(c, image);
}

int container_command(const struct container_config *c, char **ret_path, struct strs *ret_args,
		      struct err *e)
{
	struct strs all = {0};

	STRS_EACH (arg, &c->entrypoint)
		strs_add(&all, arg);
	STRS_EACH (arg, &c->cmd)
		strs_add(&all, arg);
	if (all.n == 0 || !*all.v[0]) {
		strs_done(&all);
		return err_set(e, -EINVAL, "no command specified");
	}
	*ret_path = xstrdup(all.v[0]);
	for (size_t i = 1; i < all.n; i++)
		strs_add(ret_args, all.v[i]);
	strs_done(&all);
	return 0;
}
