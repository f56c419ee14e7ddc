/*
 * Addresses are plain values of the ground floor, as the model counts with them as well.
 */
#pragma once

#include "base/addr.h"
