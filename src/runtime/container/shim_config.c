/*
 * The tables of shim.json: see shim_config.h.
 */
#include "runtime/container/shim_config.h"

#include <errno.h>
#include <string.h>

#include "runtime/container/jtable.h"

static const struct jt_type log_type = {
	sizeof(struct shim_log_config),
	(const struct jt_field[]){
		JT_STR_(struct shim_log_config, path, "path"),
		JT_I64_(struct shim_log_config, max_size, "maxSize"),
		JT_I64_(struct shim_log_config, max_file, "maxFile"),
		JT_END,
	}};

static const struct jt_type dns_type = {sizeof(struct shim_dns_config),
					(const struct jt_field[]){
						JT_I64_(struct shim_dns_config, port, "port"),
						JT_END,
					}};

static const struct jt_type overlay_type = {
	sizeof(struct shim_overlay_config),
	(const struct jt_field[]){
		JT_STRS_(struct shim_overlay_config, lower, "lower"),
		JT_STR_(struct shim_overlay_config, upper, "upper"),
		JT_STR_(struct shim_overlay_config, work, "work"),
		JT_STR_(struct shim_overlay_config, options, "options"),
		JT_END,
	}};

static const struct jt_type config_type = {
	sizeof(struct shim_config),
	(const struct jt_field[]){
		JT_OBJ_(struct shim_config, log, "log", &log_type),
		JT_BOOL_(struct shim_config, open_stdin, "openStdin"),
		JT_BOOL_(struct shim_config, stdin_once, "stdinOnce"),
		JT_I64_(struct shim_config, stop_signal, "stopSignal"),
		JT_OBJ_(struct shim_config, dns, "dns", &dns_type),
		JT_OBJ_(struct shim_config, overlay, "overlay", &overlay_type),
		JT_STR_(struct shim_config, user, "user"),
		JT_STRS_(struct shim_config, group_add, "groupAdd"),
		JT_STR_(struct shim_config, seccomp_filter, "seccompFilter"),
		JT_END,
	}};

void shim_config_init(struct shim_config *c)
{
	jt_init(&config_type, c);
}

void shim_config_done(struct shim_config *c)
{
	jt_done(&config_type, c);
}

static int check(const struct shim_config *c, struct err *e)
{
	const struct shim_overlay_config *o = &c->overlay;

	if (c->stop_signal != SPEC_UNSET && (c->stop_signal < 1 || c->stop_signal > 64))
		return err_set(e, -EINVAL, "shim.json: stopSignal is out of range");
	if (c->dns.port != SPEC_UNSET && (c->dns.port < 0 || c->dns.port > 65535))
		return err_set(e, -EINVAL, "shim.json: dns.port is out of range");
	if (!o->upper != !o->work)
		return err_set(e, -EINVAL, "shim.json: overlay.upper and overlay.work go together");
	if (o->upper && o->lower.n == 0)
		return err_set(e, -EINVAL, "shim.json: overlay.lower must not be empty");
	for (size_t i = 0; i < o->lower.n; i++)
		if (o->lower.v[i][0] != '/')
			return err_set(e, -EINVAL,
				       "shim.json: overlay.lower must be absolute paths");
	return 0;
}

int shim_config_parse(const char *json, size_t n, struct shim_config *c, struct err *e)
{
	int rc = jt_parse(&config_type, json, n, true, "shim.json", c, e);

	if (rc == 0)
		rc = check(c, e);
	if (rc < 0)
		shim_config_done(c);
	return rc;
}

int shim_config_write(const struct shim_config *c, struct buf *ret)
{
	return jt_write(&config_type, c, ret);
}
