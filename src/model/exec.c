/*
 * See exec.h.
 */
#include "model/exec.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define T struct exec_config
static const struct field exec_config_fields[] = {
	FIELD_STR(T, 0, user, "User", FIELD_OMIT),
	FIELD_BOOL(T, 0, privileged, "Privileged", 0),
	FIELD_BOOL(T, 0, tty, "Tty", 0),
	FIELD_RAW(T, 0, console_size, "ConsoleSize", FIELD_OMIT),
	FIELD_BOOL(T, 0, attach_stdin, "AttachStdin", 0),
	FIELD_BOOL(T, 0, attach_stdout, "AttachStdout", 0),
	FIELD_BOOL(T, 0, attach_stderr, "AttachStderr", 0),
	FIELD_STR(T, 0, detach_keys, "DetachKeys", FIELD_OMIT),
	FIELD_STRS(T, 0, env, "Env", FIELD_OMIT),
	FIELD_STR(T, 0, working_dir, "WorkingDir", FIELD_OMIT),
	FIELD_STRS(T, 0, cmd, "Cmd", FIELD_ONE),
};
#undef T
TABLE_DEFINE(exec_config, exec_config_fields);

int console_size_read(const char *json, uint32_t *ret_rows, uint32_t *ret_cols, struct err *e)
{
	json_t *v = json && *json ? json_loads(json, JSON_DECODE_ANY, NULL) : json_null();
	json_int_t rows = 0, cols = 0;
	int rc = 0;

	if (!json_is_null(v) &&
	    (json_array_size(v) != 2 || json_unpack(v, "[I,I]", &rows, &cols) < 0 || rows < 0 ||
	     cols < 0 || rows > UINT16_MAX || cols > UINT16_MAX))
		rc = err_set(e, -EINVAL, "ConsoleSize must be [rows, columns], each from 0 to %d",
			     UINT16_MAX);
	*ret_rows = rc == 0 ? (uint32_t)rows : 0;
	*ret_cols = rc == 0 ? (uint32_t)cols : 0;
	json_decref(v);
	return rc;
}
