/*
 * What every command is given: where the daemon is, where to print, and the one table of commands.
 * Handlers return the process's exit status. Knows of the daemon only its HTTP API.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/http_client.h"
#include "cli/flags.h"

#define CLI_DAEMON_FAILED 125 /* docker's status for its own and the daemon's failures */

struct cli {
	const char *host; /* unix:///path or tcp://host:port */
	struct http_client *http;
	FILE *out;
	FILE *err;
};

struct command {
	const char *path;    /* "service create" */
	const char *aliases; /* other paths, separated by commas; NULL: none */
	const char *usage;   /* what follows the path in the usage line */
	const char *help;
	int (*run)(struct cli *c, const struct flags *f);
	const struct flag *flags;
	size_t n_flags;
	int min_args;
	int max_args;   /* -1: unbounded */
	bool arguments; /* flags end at the first argument: what follows is a container's command */
};

/* The one table, in the order in which the help shows it; commands.c. */
extern const struct command cli_commands[];
extern const size_t cli_n_commands;

/* The whole program. Returns the exit status. */
int cli_main(int argc, char **argv);
/* The same with streams of the caller's. */
int cli_run(int argc, char **argv, FILE *out, FILE *err);

/* Prints the error in one line; returns 1. */
int cli_fail(struct cli *c, const struct err *e);

/* The handlers, by family. */
#define CLI_HANDLER(name) int name(struct cli *c, const struct flags *f)
CLI_HANDLER(cli_version);
CLI_HANDLER(cli_container_create);
CLI_HANDLER(cli_diff);
CLI_HANDLER(cli_events);
CLI_HANDLER(cli_watch);
CLI_HANDLER(cli_info);
CLI_HANDLER(cli_ps);
CLI_HANDLER(cli_start);
CLI_HANDLER(cli_stop);
CLI_HANDLER(cli_kill);
CLI_HANDLER(cli_pause);
CLI_HANDLER(cli_top);
CLI_HANDLER(cli_stats);
CLI_HANDLER(cli_unpause);
CLI_HANDLER(cli_rm);
CLI_HANDLER(cli_rmi);
CLI_HANDLER(cli_tag);
CLI_HANDLER(cli_volume_create);
CLI_HANDLER(cli_volume_inspect);
CLI_HANDLER(cli_volume_ls);
CLI_HANDLER(cli_volume_rm);
CLI_HANDLER(cli_inspect);
CLI_HANDLER(cli_images);
CLI_HANDLER(cli_load);
CLI_HANDLER(cli_logs);
CLI_HANDLER(cli_container_run);
CLI_HANDLER(cli_container_update);
CLI_HANDLER(cli_exec);
CLI_HANDLER(cli_config_create);
CLI_HANDLER(cli_config_inspect);
CLI_HANDLER(cli_config_ls);
CLI_HANDLER(cli_config_rm);
CLI_HANDLER(cli_secret_create);
CLI_HANDLER(cli_secret_inspect);
CLI_HANDLER(cli_secret_ls);
CLI_HANDLER(cli_secret_rm);
CLI_HANDLER(cli_network_create);
CLI_HANDLER(cli_network_inspect);
CLI_HANDLER(cli_network_ls);
CLI_HANDLER(cli_network_rm);
CLI_HANDLER(cli_node_demote);
CLI_HANDLER(cli_node_inspect);
CLI_HANDLER(cli_node_ls);
CLI_HANDLER(cli_node_promote);
CLI_HANDLER(cli_node_ps);
CLI_HANDLER(cli_node_rm);
CLI_HANDLER(cli_node_update);
CLI_HANDLER(cli_service_autoscale);
CLI_HANDLER(cli_service_create);
CLI_HANDLER(cli_service_inspect);
CLI_HANDLER(cli_service_logs);
CLI_HANDLER(cli_service_ls);
CLI_HANDLER(cli_task_exec);
CLI_HANDLER(cli_task_logs);
CLI_HANDLER(cli_service_ps);
CLI_HANDLER(cli_service_rm);
CLI_HANDLER(cli_service_plan);
CLI_HANDLER(cli_service_rebalance);
CLI_HANDLER(cli_service_rollback);
CLI_HANDLER(cli_service_scale);
CLI_HANDLER(cli_service_update);
CLI_HANDLER(cli_stack_config);
CLI_HANDLER(cli_stack_deploy);
CLI_HANDLER(cli_stack_plan);
CLI_HANDLER(cli_stack_ls);
CLI_HANDLER(cli_stack_ps);
CLI_HANDLER(cli_stack_rm);
CLI_HANDLER(cli_stack_services);
CLI_HANDLER(cli_swarm_init);
CLI_HANDLER(cli_swarm_join);
CLI_HANDLER(cli_swarm_join_token);
CLI_HANDLER(cli_swarm_leave);
CLI_HANDLER(cli_swarm_update);
