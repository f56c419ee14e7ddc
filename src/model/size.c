/*
 * See size.h.
 */
#include "model/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int size_text_read(const char *text, int64_t *ret)
{
	static const char units[] = "kmgt";
	char *end;
	long long n = strtoll(text, &end, 10);
	int shift = 0;

	if (end == text || n < 0 || n > 1LL << 40)
		return -EINVAL;
	if (*end && *end != 'b' && *end != 'B') {
		const char *unit = strchr(units, *end | 0x20);

		if (!unit)
			return -EINVAL;
		shift = 10 * (int)(unit - units + 1);
		end++;
	}
	if (*end == 'b' || *end == 'B')
		end++;
	if (*end || n > (INT64_MAX >> shift))
		return -EINVAL;
	*ret = (int64_t)n << shift;
	return 0;
}
