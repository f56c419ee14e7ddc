/*
 * The tables of model/network.h.
 */
#include "model/network.h"

#include <string.h>

#define T struct ipam_pool
static const struct field ipam_pool_fields[] = {
	FIELD_STR(T, 1, subnet, "Subnet", FIELD_OMIT),
	FIELD_STR(T, 2, range, "IPRange", FIELD_OMIT),
	FIELD_STR(T, 3, gateway, "Gateway", FIELD_OMIT),
	FIELD_STRMAP(T, 4, aux, "AuxiliaryAddresses", FIELD_OMIT),
};
#undef T
TABLE_DEFINE(ipam_pool, ipam_pool_fields, TABLE_REST(ipam_pool));

#define T struct ipam
static const struct field ipam_fields[] = {
	FIELD_STR(T, 1, driver, "Driver", FIELD_OMIT),
	FIELD_STRMAP(T, 2, options, "Options", FIELD_OMIT),
	FIELD_LIST(T, 3, config, "Config", FIELD_OMIT, ipam_pool),
};
#undef T
TABLE_DEFINE(ipam, ipam_fields, TABLE_REST(ipam));

#define T struct network_spec
static const struct field network_spec_fields[] = {
	FIELD_STR(T, 1, name, "Name", 0),
	FIELD_STRMAP(T, 2, labels, "Labels", 0),
	FIELD_STR(T, 3, driver, "Driver", FIELD_OMIT),
	FIELD_STR(T, 4, scope, "Scope", FIELD_OMIT),
	FIELD_BOOL(T, 5, internal, "Internal", 0),
	FIELD_BOOL(T, 6, attachable, "Attachable", 0),
	FIELD_BOOL(T, 7, ingress, "Ingress", 0),
	FIELD_BOOL(T, 8, config_only, "ConfigOnly", FIELD_OMIT),
	FIELD_OPT_BOOL(T, 9, enable_ipv4, "EnableIPv4", FIELD_OMIT),
	FIELD_BOOL(T, 10, enable_ipv6, "EnableIPv6", 0),
	FIELD_STRMAP(T, 11, options, "Options", 0),
	FIELD_OBJ(T, 12, ipam, "IPAM", 0, ipam),
};
#undef T
TABLE_DEFINE(network_spec, network_spec_fields, TABLE_REST(network_spec));

#define T struct network
static const struct field network_fields[] = {
	OBJECT_FIELDS(T),
	FIELD_OBJ(T, 10, spec, "Spec", 0, network_spec),
	FIELD_U32(T, 11, vni, NULL, 0),
	FIELD_OBJ(T, 12, ipam, "IPAMOptions", 0, ipam),
	FIELD_BOOL(T, 13, pending_delete, NULL, 0),
};
#undef T
TABLE_DEFINE(network, network_fields, TABLE_REST(network));

bool network_is_nodes_own(const char *name)
{
	return name && (strcmp(name, "host") == 0 || strcmp(name, "bridge") == 0);
}
