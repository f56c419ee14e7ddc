/*
 * What a user may ask of a bridge network, and what its options mean. What is not there is refused
 * by its name.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/networks.h"

#define MTU_MIN 68 /* RFC 791 */
#define MTU_MAX 65535

/* As Go's ParseBool reads it. */
static int bool_read(const char *key, const char *text, bool *ret, struct err *e)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*ret = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "the option %s takes true or false, not \"%.40s\"", key, text);
}

static int mtu_read(const char *text, unsigned *ret, struct err *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || v < MTU_MIN || v > MTU_MAX)
		return err_set(e, -EINVAL,
			       "the option " OPTION_MTU
			       " takes bytes from 68 to 65535, not \"%.40s\"",
			       text);
	*ret = (unsigned)v;
	return 0;
}

static int device_read(const char *text, char ret[NET_IFNAME_MAX], struct err *e)
{
	size_t n = strlen(text);

	if (n == 0 || n >= NET_IFNAME_MAX || text[0] == '.' || text[0] == '-')
		return err_set(e, -EINVAL,
			       "\"%.40s\" is no name for a network interface: 1 to 15 letters, "
			       "digits, \"_\", \"-\" or \".\" are needed",
			       text);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_-.", text[i]))
			return err_set(e, -EINVAL, "\"%.40s\" is no name for a network interface",
				       text);
	memcpy(ret, text, n + 1);
	return 0;
}

static int option_read(const char *key, const char *value, struct network_settings *ret,
		       struct err *e)
{
	bool is_default;

	if (strcmp(key, OPTION_BRIDGE_NAME) == 0)
		return *value ? device_read(value, ret->device, e) : 0;
	if (strcmp(key, OPTION_ICC) == 0)
		return bool_read(key, value, &ret->icc, e);
	if (strcmp(key, OPTION_MASQUERADE) == 0)
		return bool_read(key, value, &ret->masquerade, e);
	if (strcmp(key, OPTION_MTU) == 0)
		return mtu_read(value, &ret->mtu, e);
	if (strcmp(key, OPTION_BRIDGE_DEFAULT) == 0)
		return bool_read(key, value, &is_default, e);
	return err_set(e, -ENOSYS, "the network option %.100s is not supported", key);
}

int network_settings_read(const struct network_spec *spec, const char *id,
			  struct network_settings *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct network_settings){.icc = true, .masquerade = true};
	net_bridge_name(id, ret->device);
	for (size_t i = 0; rc == 0 && i < spec->options.n; i++)
		rc = option_read(spec->options.v[i].key, spec->options.v[i].value, ret, e);
	return rc;
}

static int name_check(const char *name, struct err *e)
{
	static const char *const taken[] = {"bridge", "host", "none", "default", NETWORK_GATEWAY};

	if (!name || !*name)
		return err_set(e, -EINVAL, "a network needs a name");
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (strcmp(name, taken[i]) == 0)
			return err_set(e, -EPERM,
				       "operation is not permitted on predefined %s network", name);
	for (size_t i = 0; name[i]; i++) {
		if (i >= LIMIT_NETWORK_NAME)
			return err_set(e, -EINVAL, "a network's name has at most %d characters",
				       LIMIT_NETWORK_NAME);
		if (!isalnum((unsigned char)name[i]) && (i == 0 || !strchr("_.-", name[i])))
			return err_set(
				e, -EINVAL,
				"invalid network name \"%.60s\": only letters, digits, "
				"\"_\", \".\" and \"-\" are allowed, a letter or digit first",
				name);
	}
	return 0;
}

static int driver_check(const struct network_spec *spec, struct err *e)
{
	const char *driver = spec->driver ? spec->driver : "";

	if (strcmp(driver, "host") == 0 || strcmp(driver, "null") == 0)
		return err_set(e, -EPERM, "only one instance of \"%s\" network is allowed", driver);
	if (*driver && strcmp(driver, "bridge") != 0 && strcmp(driver, "default") != 0)
		return err_set(e, -ENOSYS,
			       "the network driver \"%.60s\" is not supported on a "
			       "single host; use bridge",
			       driver);
	if (spec->scope && *spec->scope && strcmp(spec->scope, "local") != 0)
		return err_set(e, -EINVAL, "a bridge network has the scope local, not \"%.40s\"",
			       spec->scope);
	return 0;
}

static int pools_check(const struct network_spec *spec, struct err *e)
{
	unsigned counts[2] = {0};
	struct net_prefix subnet;

	LIST_EACH (p, &spec->ipam.config) {
		int rc = p->subnet && *p->subnet ? ipam_pool_check(p, e) : 0;

		if (rc < 0)
			return rc;
		if (!p->subnet || !*p->subnet) {
			if ((p->gateway && *p->gateway) || (p->range && *p->range) || p->aux.n)
				return err_set(e, -EINVAL,
					       "a gateway, range or auxiliary address "
					       "needs a subnet");
			continue;
		}
		if (net_prefix_parse(p->subnet, &subnet) < 0)
			return err_set(e, -EINVAL, "invalid subnet \"%.60s\"", p->subnet);
		if (++counts[FAMILY_AT(subnet.ip.family)] > 1)
			return err_set(e, -ENOSYS,
				       "several subnets of one address family in one network are "
				       "not supported");
	}
	if (counts[1] && !spec->enable_ipv6)
		return err_set(e, -EINVAL, "the IPv6 subnet needs IPv6 to be enabled (--ipv6)");
	return 0;
}

int network_spec_check(const struct network_spec *spec, struct err *e)
{
	const char *ipam = spec->ipam.driver ? spec->ipam.driver : "";
	struct network_settings settings;
	int rc = name_check(spec->name, e);

	if (rc == 0)
		rc = driver_check(spec, e);
	if (rc < 0)
		return rc;
	if (spec->ingress)
		return err_set(e, -EINVAL, "a bridge network cannot be the ingress network");
	if (spec->config_only)
		return err_set(e, -ENOSYS, "configuration-only networks are not supported");
	if (spec->enable_ipv4 && !*spec->enable_ipv4)
		return err_set(e, -ENOSYS, "networks without IPv4 are not supported");
	if (*ipam && strcmp(ipam, "default") != 0)
		return err_set(e, -ENOSYS, "the IPAM driver \"%.60s\" is not supported", ipam);
	if (spec->ipam.options.n)
		return err_set(e, -ENOSYS, "the IPAM option %.100s is not supported",
			       spec->ipam.options.v[0].key);
	rc = network_settings_read(spec, "000000000000", &settings, e);
	return rc < 0 ? rc : pools_check(spec, e);
}
