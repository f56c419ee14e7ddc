/*
 * See signal.h.
 */
#include "base/signal.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

#define SIGNAL_LAST 64
#define REAL_TIME_FIRST 34

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ILL", SIGILL},
	{"TRAP", SIGTRAP}, {"ABRT", SIGABRT},   {"IOT", SIGIOT},   {"BUS", SIGBUS},
	{"FPE", SIGFPE},   {"KILL", SIGKILL},   {"USR1", SIGUSR1}, {"SEGV", SIGSEGV},
	{"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
	{"STKFLT", 16},    {"CHLD", SIGCHLD},   {"CLD", SIGCHLD},  {"CONT", SIGCONT},
	{"STOP", SIGSTOP}, {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
	{"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
	{"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"POLL", SIGPOLL},
	{"PWR", SIGPWR},   {"SYS", SIGSYS},
};

/* Digits, and nothing after them; -1 for anything else. */
static long number_read(const char *text)
{
	char *end;
	long n = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;

	return n >= 0 && !*end ? n : -1;
}

/* "MIN", "MIN+3", "MAX", "MAX-1": what follows "RT". -1 when it is none. */
static long real_time(const char *text)
{
	bool from_first = strncasecmp(text, "MIN", 3) == 0;
	long away;

	if (!from_first && strncasecmp(text, "MAX", 3) != 0)
		return -1;
	text += 3;
	if (!*text)
		return from_first ? REAL_TIME_FIRST : SIGNAL_LAST;
	away = *text == (from_first ? '+' : '-') ? number_read(text + 1) : -1;
	if (away < 0 || away > SIGNAL_LAST - REAL_TIME_FIRST)
		return -1;
	return from_first ? REAL_TIME_FIRST + away : SIGNAL_LAST - away;
}

int signal_parse(const char *text, int *ret)
{
	long n;

	*ret = 0;
	if (!text || !*text)
		return 0;
	n = number_read(text);
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; n < 0 && i < ARRAY_LEN(signals); i++)
		if (strcasecmp(signals[i].name, text) == 0)
			n = signals[i].number;
	if (n < 0 && strncasecmp(text, "RT", 2) == 0)
		n = real_time(text + 2);
	if (n < 1 || n > SIGNAL_LAST)
		return -EINVAL;
	*ret = (int)n;
	return 0;
}
