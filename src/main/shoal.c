/*
 * The command line of Shoal: everything is in cli/. Speaks only HTTP with a daemon and needs no
 * right but that of its socket.
 */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
