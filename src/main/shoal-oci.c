/*
 * shoal-oci: the OCI runtime command. All of it is in runtime/oci/.
 */
#include "runtime/oci/oci.h"

int main(int argc, char **argv)
{
	return oci_main(argc, argv);
}
