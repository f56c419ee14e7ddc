/*
 * See signal.h.
 */
#include "model/signal.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

int signal_parse(const char *text, int *ret)
{
	auto_free char *upper = NULL;
	const char *p = text;
	char *end;
	long number;

	*ret = 0;
	if (!p || !*p)
		return 0;
	number = strtol(p, &end, 10);
	if (!*end && number >= 1 && number <= 64) {
		*ret = (int)number;
		return 0;
	}
	if (strncasecmp(p, "SIG", 3) == 0)
		p += 3;
	upper = xstrdup(p);
	for (char *u = upper; *u; u++)
		*u = (char)toupper((unsigned char)*u);
	for (int i = 1; i < NSIG; i++) {
		const char *abbrev = sigabbrev_np(i);

		if (abbrev && strcmp(abbrev, upper) == 0) {
			*ret = i;
			return 0;
		}
	}
	if (sscanf(upper, "RTMIN+%ld", &number) == 1 && number >= 0 && SIGRTMIN + number <= 64)
		*ret = SIGRTMIN + (int)number;
	else if (strcmp(upper, "RTMIN") == 0)
		*ret = SIGRTMIN;
	else if (strcmp(upper, "RTMAX") == 0)
		*ret = SIGRTMAX;
	return *ret ? 0 : -EINVAL;
}
