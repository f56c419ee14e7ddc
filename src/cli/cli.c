/*
 * The program around the commands: global flags, finding the command, its usage and help. See
 * cli.h.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HOST_DEFAULT "unix:///run/shoal/shoal.sock"
#define PATH_WORDS 2 /* of a command: "service create" */

static const struct flag global_flags[] = {
	{"host", 'H', FLAG_STRING, "Daemon socket to connect to (unix:///path or tcp://host:port)"},
	{"version", 'v', FLAG_BOOL, "Print version information and quit"},
};

int cli_fail(struct cli *c, const struct err *e)
{
	(void)fprintf(c->err, "%s\n", err_text(e));
	return 1;
}

/* Help */

static int flag_order(const void *a, const void *b)
{
	return strcmp(((const struct flag *)a)->name, ((const struct flag *)b)->name);
}

/* By name: tables that share flags have them in another order. */
static void print_flags(FILE *out, const struct flag *table, size_t n)
{
	auto_free struct flag *flags = xmemdup(table, n * sizeof *table);
	static const char *const types[] = {"",      "string",   "list",  "int",    "uint",
					    "float", "duration", "bytes", "decimal"};

	qsort(flags, n, sizeof *flags, flag_order);
	(void)fprintf(out, "\nOptions:\n");
	for (size_t i = 0; i < n; i++) {
		char title[64];
		char letter[8] = "    ";

		if (flags[i].letter)
			(void)snprintf(letter, sizeof letter, "-%c, ", flags[i].letter);
		(void)snprintf(title, sizeof title, "--%s %s", flags[i].name, types[flags[i].type]);
		(void)fprintf(out, "  %s%-32s %s\n", letter, title, flags[i].help);
	}
}

static void print_usage(FILE *out, const struct command *cmd)
{
	(void)fprintf(out, "Usage:  shoal %s%s%s\n", cmd->path, *cmd->usage ? " " : "", cmd->usage);
}

static void print_help(FILE *out, const struct command *cmd)
{
	print_usage(out, cmd);
	(void)fprintf(out, "\n%s\n", cmd->help);
	if (cmd->aliases)
		(void)fprintf(out, "\nAliases:\n  %s\n", cmd->aliases);
	if (cmd->n_flags)
		print_flags(out, cmd->flags, cmd->n_flags);
}

/* Whether the path is of the group: "service create" of "service", "ps" of "". */
static bool in_group(const char *path, const char *group)
{
	size_t n = strlen(group);

	return n == 0 || (strncmp(path, group, n) == 0 && path[n] == ' ');
}

static void print_group(FILE *out, const char *group)
{
	size_t skip = *group ? strlen(group) + 1 : 0;

	(void)fprintf(out, "Usage:  shoal %s%sCOMMAND\n\nCommands:\n", group,
		      *group ? " " : "[OPTIONS] ");
	for (size_t i = 0; i < cli_n_commands; i++)
		if (in_group(cli_commands[i].path, group))
			(void)fprintf(out, "  %-*s %s\n", *group ? 11 : 17,
				      cli_commands[i].path + skip, cli_commands[i].help);
	if (!*group)
		print_flags(out, global_flags, ARRAY_LEN(global_flags));
	(void)fprintf(out, "\nRun 'shoal %s%sCOMMAND --help' for more information on a command.\n",
		      group, *group ? " " : "");
}

static int usage_error(struct cli *c, const struct command *cmd, const char *why, int status)
{
	(void)fprintf(c->err, "%s\n\n", why);
	print_usage(c->err, cmd);
	(void)fprintf(c->err, "\nRun 'shoal %s --help' for more information\n", cmd->path);
	return status;
}

/* Finding the command */

static bool path_listed(const char *list, const char *path)
{
	size_t n = strlen(path);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += strspn(p, ", ");
		if (strncmp(p, path, n) == 0 && (!p[n] || p[n] == ','))
			return true;
	}
	return false;
}

static const struct command *find_path(const char *path)
{
	for (size_t i = 0; i < cli_n_commands; i++)
		if (strcmp(cli_commands[i].path, path) == 0 ||
		    path_listed(cli_commands[i].aliases, path))
			return &cli_commands[i];
	return NULL;
}

/* The command that the words name, and how many of them do. */
static const struct command *find_command(size_t n, char **words, size_t *ret_used)
{
	auto_free char *two = n > 1 ? xasprintf("%s %s", words[0], words[1]) : NULL;
	const struct command *cmd = two ? find_path(two) : NULL;

	*ret_used = cmd ? PATH_WORDS : 1;
	return cmd ? cmd : find_path(words[0]);
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *p = cli_commands[i].aliases;

		if (in_group(cli_commands[i].path, word))
			return true;
		for (; p; p = strchr(p, ',')) {
			p += strspn(p, ", ");
			if (in_group(p, word))
				return true;
		}
	}
	return false;
}

static int no_command(struct cli *c, size_t n, char **words)
{
	if (!is_group(words[0])) {
		(void)fprintf(c->err,
			      "shoal: unknown command: shoal %s\n\n"
			      "Run 'shoal --help' for more information\n",
			      words[0]);
		return 1;
	}
	if (n == 1 || strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) {
		print_group(c->out, words[0]);
		return 0;
	}
	(void)fprintf(c->err,
		      "shoal: unknown command: shoal %s %s\n\nUsage:  shoal %s\n\n"
		      "Run 'shoal %s --help' for more information\n",
		      words[0], words[1], words[0], words[0]);
	return 1;
}

static int count_error(struct cli *c, const struct command *cmd, size_t n)
{
	auto_free char *why = NULL;
	int want = (int)n < cmd->min_args ? cmd->min_args : cmd->max_args;
	const char *many = want == 1 ? "argument" : "arguments";

	if (cmd->max_args == 0)
		why = xasprintf("shoal: 'shoal %s' accepts no arguments", cmd->path);
	else if (cmd->min_args == cmd->max_args)
		why = xasprintf("shoal: 'shoal %s' requires %d %s", cmd->path, want, many);
	else
		why = xasprintf("shoal: 'shoal %s' requires at %s %d %s", cmd->path,
				(int)n < cmd->min_args ? "least" : "most", want, many);
	return usage_error(c, cmd, why, 1);
}

static int run_command(struct cli *c, const struct command *cmd, int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct flags f;
	int status;

	if (flags_parse(cmd->flags, cmd->n_flags, cmd->arguments, argc, argv, &f, &e) < 0)
		return usage_error(c, cmd, e.msg, CLI_DAEMON_FAILED);
	if (f.help) {
		print_help(c->out, cmd);
		status = 0;
	} else if ((int)f.n_args < cmd->min_args ||
		   (cmd->max_args >= 0 && (int)f.n_args > cmd->max_args)) {
		status = count_error(c, cmd, f.n_args);
	} else {
		status = cmd->run(c, &f);
	}
	flags_done(&f);
	return status;
}

static const char *host_of(const struct flags *f)
{
	const char *host = flag_text(f, "host");

	if (!host || !*host)
		host = getenv("SHOAL_HOST");
	if (!host || !*host)
		host = getenv("DOCKER_HOST");
	return host && *host ? host : HOST_DEFAULT;
}

static int run_words(struct cli *c, const struct flags *global)
{
	const struct command *cmd;
	size_t used;

	if (flag_true(global, "version")) {
		(void)fprintf(c->out, "Shoal version %s\n", SHOAL_VERSION);
		return 0;
	}
	if (global->help || global->n_args == 0) {
		print_group(c->out, "");
		return 0;
	}
	cmd = find_command(global->n_args, global->args, &used);
	if (!cmd)
		return no_command(c, global->n_args, global->args);
	return run_command(c, cmd, (int)(global->n_args - used), global->args + used);
}

int cli_run(int argc, char **argv, FILE *out, FILE *err)
{
	struct cli c = {.out = out, .err = err};
	struct err e = ERR_INIT;
	struct flags global;
	int status;

	if (flags_parse(global_flags, ARRAY_LEN(global_flags), true, argc - 1, argv + 1, &global,
			&e) < 0) {
		(void)fprintf(err,
			      "%s\n\nUsage:  shoal [OPTIONS] COMMAND [ARG...]\n\n"
			      "Run 'shoal --help' for more information\n",
			      e.msg);
		return CLI_DAEMON_FAILED;
	}
	c.host = host_of(&global);
	status = run_words(&c, &global);
	http_client_free(c.http);
	flags_done(&global);
	if (fflush(out) != 0 && status == 0) {
		(void)fprintf(err, "cannot write the output: %s\n", strerror(errno));
		status = 1;
	}
	return status;
}

int cli_main(int argc, char **argv)
{
	return cli_run(argc, argv, stdout, stderr);
}
