/*
 * See log_options.h.
 */
#include "model/log_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "model/size.h"

int log_options_read(const struct strmap *options, struct log_options *ret, struct err *e)
{
	*ret = (struct log_options){.max_file = 1};
	for (size_t i = 0; i < options->n; i++) {
		const char *key = options->v[i].key;
		const char *value = options->v[i].value;
		char *end;

		if (strcmp(key, "max-size") == 0) {
			if (strcmp(value, "-1") == 0)
				continue;
			if (size_text_read(value, &ret->max_size) < 0)
				return err_set(e, -EINVAL, "invalid max-size of the log: %.64s",
					       value);
		} else if (strcmp(key, "max-file") == 0) {
			ret->max_file = strtoll(value, &end, 10);
			if (*end || ret->max_file < 1 || ret->max_file > LIMIT_LOG_FILES)
				return err_set(e, -EINVAL,
					       "max-file must be from 1 to %d, not %.64s",
					       LIMIT_LOG_FILES, value);
		} else {
			return err_set(e, -ENOSYS,
				       "the option %.64s of json-file logs is not supported by "
				       "this version",
				       key);
		}
	}
	if (ret->max_file > 1 && !ret->max_size)
		return err_set(e, -EINVAL, "max-file needs a max-size of the log");
	return 0;
}
