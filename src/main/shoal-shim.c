/*
 * shoal-shim: the parent of one container. All of it is in runtime/container/shim.c.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/container/shim.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("shoal-shim %s\n", SHOAL_VERSION);
		return 0;
	}
	return shim_main(argc, argv);
}
