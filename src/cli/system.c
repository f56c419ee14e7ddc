/*
 * version and info: what the client and the daemon are.
 */
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "cli/call.h"
#include "cli/template.h"
#include "cli/text.h"

/* The JSON of GET `path`, to be released with json_decref(). */
static int get_json(struct cli *c, const char *name, json_t **ret, struct err *e)
{
	auto_buf path = CALL_PATH;

	path_add(&path, name);
	return call_json(c, buf_text(&path), 0, ret, e);
}

/* --format of a single object: "json" or a template. Returns the exit status. */
static int print_formatted(struct cli *c, const json_t *v, const char *format)
{
	auto_buf b = BUF_INIT(LIMIT_HTTP_ANSWER);
	struct err e = ERR_INIT;

	if (template_run(strcmp(format, "json") == 0 ? "{{json .}}" : format, v, &b, &e) < 0)
		return cli_fail(c, &e);
	(void)fprintf(c->out, "%s\n", buf_text(&b));
	return 0;
}

static const json_t *at(const json_t *v, const char *path)
{
	auto_free char *copy = xstrdup(path);
	char *save = NULL;

	for (char *name = strtok_r(copy, ".", &save); name; name = strtok_r(NULL, ".", &save))
		v = json_object_get(v, name);
	return v;
}

static const char *text_at(const json_t *v, const char *path)
{
	const char *text = json_string_value(at(v, path));

	return text ? text : "";
}

static int64_t number_at(const json_t *v, const char *path)
{
	return json_integer_value(at(v, path));
}

/* version */

static void print_server(struct cli *c, const json_t *s)
{
	(void)fprintf(c->out,
		      "\nServer: Shoal\n Engine:\n"
		      "  Version:          %s\n"
		      "  API version:      %s (minimum version %s)\n"
		      "  OS/Arch:          %s/%s\n"
		      "  Kernel:           %s\n",
		      text_at(s, "Version"), text_at(s, "ApiVersion"), text_at(s, "MinAPIVersion"),
		      text_at(s, "Os"), text_at(s, "Arch"), text_at(s, "KernelVersion"));
}

int cli_version(struct cli *c, const struct flags *f)
{
	const char *format = flag_text(f, "format");
	struct err e = ERR_INIT;
	json_t *server = NULL;
	int rc = get_json(c, "/version", &server, &e);
	int status = 0;

	if (format && *format) {
		json_t *all =
			json_pack("{s:{s:s,s:s,s:s},s:o?}", "Client", "Version", SHOAL_VERSION,
				  "ApiVersion", "1.51", "Os", "linux", "Server", server);

		status = print_formatted(c, all, format);
		json_decref(all);
	} else {
		(void)fprintf(c->out,
			      "Client: Shoal\n Version:           %s\n API version:       1.51\n",
			      SHOAL_VERSION);
		if (server)
			print_server(c, server);
		json_decref(server);
	}
	return rc < 0 ? cli_fail(c, &e) : status;
}

/* info */

static void info_swarm(struct cli *c, const json_t *s)
{
	(void)fprintf(c->out, " Swarm: %s\n", text_at(s, "LocalNodeState"));
	if (!*text_at(s, "NodeID"))
		return;
	(void)fprintf(c->out, "  NodeID: %s\n", text_at(s, "NodeID"));
	if (*text_at(s, "Error"))
		(void)fprintf(c->out, "  Error: %s\n", text_at(s, "Error"));
	(void)fprintf(c->out, "  Is Manager: %s\n",
		      json_is_true(at(s, "ControlAvailable")) ? "true" : "false");
	if (json_is_true(at(s, "ControlAvailable")))
		(void)fprintf(
			c->out, "  ClusterID: %s\n  Managers: %" PRId64 "\n  Nodes: %" PRId64 "\n",
			text_at(s, "Cluster.ID"), number_at(s, "Managers"), number_at(s, "Nodes"));
	(void)fprintf(c->out, "  Node Address: %s\n", text_at(s, "NodeAddr"));
	if (json_array_size(at(s, "RemoteManagers"))) {
		const json_t *manager;
		size_t i;

		(void)fprintf(c->out, "  Manager Addresses:\n");
		json_array_foreach(at(s, "RemoteManagers"), i, manager)(void)
			fprintf(c->out, "   %s\n", text_at(manager, "Addr"));
	}
}

static void info_print(struct cli *c, const json_t *i)
{
	char memory[TEXT_SHORT];
	const json_t *item;
	size_t n;

	(void)fprintf(c->out, "Client:\n Version:    %s\n\nServer:\n", SHOAL_VERSION);
	(void)fprintf(c->out,
		      " Containers: %" PRId64 "\n  Running: %" PRId64 "\n  Paused: %" PRId64
		      "\n  Stopped: %" PRId64 "\n Images: %" PRId64 "\n",
		      number_at(i, "Containers"), number_at(i, "ContainersRunning"),
		      number_at(i, "ContainersPaused"), number_at(i, "ContainersStopped"),
		      number_at(i, "Images"));
	(void)fprintf(c->out,
		      " Server Version: %s\n Storage Driver: %s\n Logging Driver: %s\n"
		      " Cgroup Driver: %s\n Cgroup Version: %s\n",
		      text_at(i, "ServerVersion"), text_at(i, "Driver"),
		      text_at(i, "LoggingDriver"), text_at(i, "CgroupDriver"),
		      text_at(i, "CgroupVersion"));
	info_swarm(c, at(i, "Swarm"));
	size_binary((double)number_at(i, "MemTotal"), memory);
	(void)fprintf(c->out,
		      " Kernel Version: %s\n Operating System: %s\n OSType: %s\n Architecture: %s\n"
		      " CPUs: %" PRId64 "\n Total Memory: %s\n Name: %s\n ID: %s\n"
		      " Docker Root Dir: %s\n",
		      text_at(i, "KernelVersion"), text_at(i, "OperatingSystem"),
		      text_at(i, "OSType"), text_at(i, "Architecture"), number_at(i, "NCPU"),
		      memory, text_at(i, "Name"), text_at(i, "ID"), text_at(i, "DockerRootDir"));
	if (json_array_size(at(i, "Labels")))
		(void)fprintf(c->out, " Labels:\n");
	json_array_foreach(at(i, "Labels"), n, item)(void)
		fprintf(c->out, "  %s\n", json_string_value(item));
	json_array_foreach(at(i, "Warnings"), n, item)(void)
		fprintf(c->err, "%s\n", json_string_value(item));
}

int cli_info(struct cli *c, const struct flags *f)
{
	const char *format = flag_text(f, "format");
	struct err e = ERR_INIT;
	json_t *info = NULL;
	int status = 0;

	if (get_json(c, "/info", &info, &e) < 0)
		return cli_fail(c, &e);
	if (format && *format)
		status = print_formatted(c, info, format);
	else
		info_print(c, info);
	json_decref(info);
	return status;
}
