/*
 * What the files of the images' handlers share. Included by api/images*.c alone.
 */
#pragma once

#include "api/router.h"

void image_load_handler(struct api_req *r);
