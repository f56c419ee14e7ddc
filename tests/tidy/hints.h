/*
 * What the analysers cannot see from one file: that the functions of err.h return the negative code
 * they are given. Included before every file that clang-tidy reads; no compiler ever sees it.
 */
#pragma once

#include "base/err.h"

#define err_set(e, code, ...) (err_set((e), (code), __VA_ARGS__), (code))
#define err_code(e, code, ...) (err_code((e), (code), __VA_ARGS__), (code))
#define err_sys(e, ...) (err_sys((e), __VA_ARGS__), -EIO)
#define err_wrap(e, ...) (err_wrap((e), __VA_ARGS__), -EIO)
