/*
 * See daemon_options.h. One table of flags, whose names are the keys of daemon.json as well; a
 * value may stand in one place only, as dockerd has it.
 */
#include "main/daemon_options.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/task_rights.h"

#define T struct daemon_options
static const struct field daemon_options_fields[] = {
	FIELD_STR(T, 0, data_root, "data-root", 0),
	FIELD_STR(T, 0, exec_root, "exec-root", 0),
	FIELD_STR(T, 0, pidfile, "pidfile", 0),
	FIELD_STRS(T, 0, hosts, "hosts", 0),
	FIELD_STR(T, 0, group, "group", 0),
	FIELD_STR(T, 0, log_level, "log-level", 0),
	FIELD_BOOL(T, 0, debug, "debug", 0),
	FIELD_STRS(T, 0, labels, "labels", 0),
	FIELD_STRS(T, 0, generic, "node-generic-resources", 0),
	FIELD_BOOL(T, 0, privileged_tasks, "allow-privileged-tasks", 0),
	FIELD_STRS(T, 0, task_devices, "allow-task-devices", 0),
	FIELD_BOOL(T, 0, init, "init", 0),
	FIELD_STR(T, 0, init_path, "init-path", 0),
	FIELD_STR(T, 0, bridge, "bridge", 0),
	FIELD_STR(T, 0, cgroup_parent, "cgroup-parent", 0),
	FIELD_STR(T, 0, shim, "shim", 0),
	FIELD_I64(T, 0, shutdown_timeout, "shutdown-timeout", 0),
	FIELD_I64(T, 0, election_ms, "election-ms", 0),
	FIELD_I64(T, 0, heartbeat_ms, "heartbeat-ms", 0),
	FIELD_I64(T, 0, data_path_port, "data-path-port", 0),
};
#undef T
TABLE_DEFINE(daemon_options, daemon_options_fields);

#define SHUTDOWN_TIMEOUT_S 15

static const struct flag {
	const char *name; /* after "--" */
	char letter;      /* 0: none */
	const char *key;  /* of daemon.json; NULL: of no field */
	const char *arg;  /* what it takes; NULL: nothing */
	const char *help;
} flags[] = {
	{"data-root", 0, "data-root", "DIR", "where everything lasting is kept (/var/lib/shoal)"},
	{"exec-root", 0, "exec-root", "DIR", "where the state of what runs is kept (/run/shoal)"},
	{"pidfile", 'p', "pidfile", "FILE", "the daemon's process id (EXEC-ROOT/shoald.pid)"},
	{"host", 'H', "hosts", "URL",
	 "socket of the API, may be given again (" DAEMON_SOCKET "): unix://PATH, "
	 "tcp://ADDRESS:PORT, fd://"},
	{"group", 'G', "group", "GROUP", "who may use the unix socket, besides root"},
	{"config-file", 0, NULL, "FILE",
	 "settings, by the names of these flags (" DAEMON_CONFIG_FILE ")"},
	{"log-level", 'l', "log-level", "LEVEL", "debug, info, warn, error or fatal (info)"},
	{"debug", 'D', "debug", NULL, "the same as --log-level=debug"},
	{"label", 0, "labels", "KEY=VALUE", "a label of this host, may be given again"},
	{"node-generic-resource", 0, "node-generic-resources", "KIND=VALUE",
	 "what tasks can reserve here: \"SSD=3\" or \"GPU=UUID1\", may be given again"},
	{"allow-privileged-tasks", 0, "allow-privileged-tasks", NULL,
	 "tasks of the swarm may be privileged on this node"},
	{"allow-task-device", 0, "allow-task-devices", "PATH",
	 "tasks of the swarm may have this device of the host, may be given again"},
	{"init", 0, "init", NULL, "an init in each container that does not say otherwise"},
	{"init-path", 0, "init-path", "PROGRAM", "shoal-init (beside this program)"},
	{"bridge", 'b', "bridge", "DEVICE",
	 "bridge of the network \"bridge\"; \"none\": there is no such network"},
	{"cgroup-parent", 0, "cgroup-parent", "PATH", "cgroup above the containers' (/shoal)"},
	{"shim", 0, "shim", "PROGRAM", "shoal-shim (beside this program)"},
	{"shutdown-timeout", 0, "shutdown-timeout", "SECONDS",
	 "how long stopping may take (15); containers run on in any case"},
	{"election-ms", 0, "election-ms", "MS", "a manager's election timeout (300)"},
	{"heartbeat-ms", 0, "heartbeat-ms", "MS", "a leader's heartbeat (50)"},
	{"data-path-port", 0, "data-path-port", "PORT", "UDP port of overlays (4789)"},
	{"version", 'v', NULL, NULL, "print the version"},
	{"help", 'h', NULL, NULL, "print this help"},
};

static const struct field *field_of(const char *key)
{
	for (size_t i = 0; i < daemon_options_table.n_fields; i++)
		if (strcasecmp(daemon_options_table.fields[i].json, key) == 0)
			return &daemon_options_table.fields[i];
	return NULL;
}

static int set_field(struct daemon_options *o, const struct flag *flag, const char *value,
		     struct err *e)
{
	const struct field *f = field_of(flag->key);
	void *at = (char *)o + f->offset;
	char *end;

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		*(bool *)at = true;
		return 0;
	case FIELD_TYPE_STR:
		str_set(at, value);
		return 0;
	case FIELD_TYPE_STRS:
		strs_add(at, value);
		return 0;
	default:
		errno = 0;
		*(int64_t *)at = strtoll(value, &end, 10);
		if (errno || *end || !*value)
			return err_set(e, -EINVAL, "--%s takes a number, not \"%.64s\"", flag->name,
				       value);
		return 0;
	}
}

static bool is_given(const struct daemon_options *o, const struct field *f)
{
	const void *at = (const char *)o + f->offset;

	switch (f->type) {
	case FIELD_TYPE_BOOL:
		return *(const bool *)at;
	case FIELD_TYPE_STR:
		return *(char *const *)at != NULL;
	case FIELD_TYPE_STRS:
		return ((const struct strs *)at)->n > 0;
	default:
		return *(const int64_t *)at != 0;
	}
}

/* ---- Flags ---- */

static void long_options(struct option *ret, char *ret_short)
{
	*ret_short++ = ':'; /* errors are ours to tell */
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		ret[i] = (struct option){.name = flags[i].name,
					 .has_arg = flags[i].arg ? required_argument : no_argument,
					 .val = 256 + (int)i};
		if (!flags[i].letter)
			continue;
		*ret_short++ = flags[i].letter;
		if (flags[i].arg)
			*ret_short++ = ':';
	}
	ret[ARRAY_LEN(flags)] = (struct option){0};
	*ret_short = '\0';
}

static const struct flag *flag_of(int value)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (value == 256 + (int)i || (flags[i].letter && value == flags[i].letter))
			return &flags[i];
	return NULL;
}

static int read_flags(int argc, char *const *argv, struct daemon_options *o, char **ret_file,
		      enum daemon_ask *ret_ask, struct err *e)
{
	struct option options[ARRAY_LEN(flags) + 1];
	char letters[2 * ARRAY_LEN(flags) + 2];
	int value, rc;

	long_options(options, letters);
	optind = 1;
	while ((value = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
		const struct flag *flag = flag_of(value);

		if (!flag)
			return err_set(e, -EINVAL, "%s: %.128s; see shoald --help",
				       value == ':' ? "this flag needs a value" : "unknown flag",
				       argv[optind - 1]);
		if (flag->key) {
			rc = set_field(o, flag, optarg, e);
			if (rc < 0)
				return rc;
		} else if (flag->letter) {
			*ret_ask = flag->letter == 'v' ? DAEMON_VERSION : DAEMON_HELP;
		} else {
			str_set(ret_file, optarg);
		}
	}
	if (optind < argc)
		return err_set(e, -EINVAL, "unexpected argument: %.128s; see shoald --help",
			       argv[optind]);
	return 0;
}

/* ---- The file ---- */

static int check_keys(const char *path, const char *text, size_t n, struct err *e)
{
	json_error_t where;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	const char *key;
	json_t *value;
	int rc = 0;

	if (!json_is_object(root))
		rc = err_set(e, -EINVAL, "%s is not a JSON object: line %d: %s", path, where.line,
			     where.text);
	else
		json_object_foreach(root, key, value) if (rc == 0 && !field_of(key)) rc =
			err_set(e, -EINVAL, "%s: there is no setting \"%.64s\"; see shoald --help",
				path, key);
	json_decref(root);
	return rc;
}

static int read_file(const char *path, bool asked, struct daemon_options *ret, struct err *e)
{
	auto_buf text = BUF_INIT(LIMIT_FILE_SMALL);
	int rc = file_read_at(AT_FDCWD, path, &text);

	if (rc == -ENOENT && !asked)
		return 0;
	if (rc < 0)
		return err_code(e, rc, "cannot read %s", path);
	if (!buf_text(&text)[strspn(buf_text(&text), " \t\r\n")])
		return 0;
	rc = check_keys(path, text.p, text.len, e);
	if (rc == 0 && json_read(&daemon_options_table, text.p, text.len, ret, e) < 0)
		rc = err_wrap(e, "%s", path);
	return rc;
}

/* Moves what the file says to where nothing stands. */
static int merge(struct daemon_options *o, struct daemon_options *file, struct err *e)
{
	for (size_t i = 0; i < daemon_options_table.n_fields; i++) {
		const struct field *f = &daemon_options_table.fields[i];
		size_t size = f->type == FIELD_TYPE_STRS   ? sizeof(struct strs)
			      : f->type == FIELD_TYPE_BOOL ? sizeof(bool)
			      : f->type == FIELD_TYPE_STR  ? sizeof(char *)
							   : sizeof(int64_t);
		char *from = (char *)file + f->offset, *to = (char *)o + f->offset;

		if (!is_given(file, f))
			continue;
		if (is_given(o, f))
			return err_set(
				e, -EINVAL,
				"\"%s\" is specified both as a flag and in the configuration "
				"file: take one away",
				f->json);
		memcpy(to, from, size);
		memset(from, 0, size);
	}
	return 0;
}

static void set_default(char **at, const char *value)
{
	if (!*at)
		*at = xstrdup(value);
}

static int check(const struct daemon_options *o, struct err *e)
{
	const struct {
		const char *name, *path;
	} paths[] = {{"--data-root", o->data_root}, {"--exec-root", o->exec_root}};
	enum log_level level;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (paths[i].path[0] != '/')
			return err_set(e, -EINVAL, "%s must be an absolute path, not \"%.255s\"",
				       paths[i].name, paths[i].path);
	if (log_level_parse(o->log_level, &level) < 0)
		return err_set(e, -EINVAL, "--log-level: there is no level \"%.64s\"",
			       o->log_level);
	STRS_EACH (label, &o->labels)
		if (!strchr(label, '=') || label[0] == '=')
			return err_set(e, -EINVAL,
				       "bad attribute format: --label %.128s is not "
				       "KEY=VALUE",
				       label);
	if (o->task_devices.n > LIMIT_TASK_DEVICES)
		return err_set(e, -EINVAL, "--allow-task-device: more than %u devices",
			       LIMIT_TASK_DEVICES);
	STRS_EACH (path, &o->task_devices) {
		struct device_mapping d = {path, path, (char *)"rwm"};

		if (device_mapping_check(&d, e) < 0)
			return err_wrap(e, "--allow-task-device");
	}
	if (o->data_path_port < 0 || o->data_path_port > UINT16_MAX || o->shutdown_timeout < 0 ||
	    o->election_ms < 0 || o->heartbeat_ms < 0)
		return err_set(e, -EINVAL, "a port, time or timeout is out of range");
	if (o->cgroup_parent[0] != '/')
		return err_set(e, -EINVAL,
			       "--cgroup-parent must begin with a slash, not \"%.128s\"",
			       o->cgroup_parent);
	return 0;
}

int daemon_options_read(int argc, char *const *argv, struct daemon_options *ret,
			enum daemon_ask *ret_ask, struct err *e)
{
	struct daemon_options file = {0};
	auto_free char *path = NULL;
	int rc;

	*ret = (struct daemon_options){0};
	*ret_ask = DAEMON_RUN;
	rc = read_flags(argc, argv, ret, &path, ret_ask, e);
	if (rc == 0 && *ret_ask == DAEMON_RUN) {
		rc = read_file(path ? path : DAEMON_CONFIG_FILE, path != NULL, &file, e);
		if (rc == 0)
			rc = merge(ret, &file, e);
		table_done(&daemon_options_table, &file);
	}
	if (rc == 0) {
		set_default(&ret->data_root, "/var/lib/shoal");
		set_default(&ret->exec_root, "/run/shoal");
		set_default(&ret->cgroup_parent, "/shoal");
		set_default(&ret->log_level, ret->debug ? "debug" : "info");
		if (!ret->pidfile)
			ret->pidfile = xasprintf("%s/shoald.pid", ret->exec_root);
		if (ret->hosts.n == 0)
			strs_add(&ret->hosts, DAEMON_SOCKET);
		if (ret->shutdown_timeout == 0)
			ret->shutdown_timeout = SHUTDOWN_TIMEOUT_S;
		rc = check(ret, e);
	}
	if (rc < 0)
		table_done(&daemon_options_table, ret);
	return rc;
}

void daemon_options_help(struct buf *ret)
{
	buf_adds(ret, "Usage: shoald [OPTIONS]\n\nThe daemon of one Shoal node.\n\nOptions:\n");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		auto_free char *name = xasprintf("--%s%s%s", flags[i].name, flags[i].arg ? " " : "",
						 flags[i].arg ? flags[i].arg : "");

		if (flags[i].letter)
			buf_addf(ret, "  -%c, %-28s %s\n", flags[i].letter, name, flags[i].help);
		else
			buf_addf(ret, "      %-28s %s\n", name, flags[i].help);
	}
}
