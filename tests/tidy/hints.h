/*
 * What the analysers cannot see from one file: that the functions of err.h return the negative code
 * they are given, and that an element which was deleted from a uthash is reached no more. Included
 * before every file that clang-tidy reads; no compiler ever sees it.
 */
#pragma once

#include <uthash.h>

#include "base/err.h"

#define err_set(e, code, ...) (err_set((e), (code), __VA_ARGS__), (code))
#define err_code(e, code, ...) (err_code((e), (code), __VA_ARGS__), (code))
#define err_sys(e, ...) (err_sys((e), __VA_ARGS__), -EIO)
#define err_wrap(e, ...) (err_wrap((e), __VA_ARGS__), -EIO)

void *hint_hash_delete(void *head, void *element);
#undef HASH_DELETE
#define HASH_DELETE(hh, head, element) ((head) = hint_hash_delete((head), (element)))
