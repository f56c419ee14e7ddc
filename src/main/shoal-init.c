/*
 * The first process of a container that asked for an init (HostConfig.Init, ContainerSpec.Init): it
 * runs the container's program, hands signals on to it, reaps what is left to process 1, and ends
 * as the program does. Mounted into the container as /sbin/docker-init; libc alone, as it is all
 * that the container sees of us.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE_SIGNAL 128 /* and the signal's number, as a shell has it */
#define CODE_NOT_FOUND 127
#define CODE_NOT_EXECUTABLE 126

/* What tells of a fault of this process itself is not handed on. */
static const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};
/* A process of the background that touches the terminal is stopped by these. */
static const int terminal[] = {SIGTTIN, SIGTTOU};

#define EACH(i, list) for (size_t i = 0; i < sizeof(list) / sizeof *(list); i++)

/* A session's group of its own in the foreground, so that the terminal's signals reach all of it.
 */
static void become_foreground(void)
{
	if (setpgid(0, 0) == 0)
		(void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* without a terminal there is none */
}

_Noreturn static void program(char **argv, const sigset_t *before)
{
	int failed;

	become_foreground();
	EACH(i, terminal)
	(void)signal(terminal[i], SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, before, NULL);
	(void)execvp(argv[0], argv);
	failed = errno;
	(void)fprintf(stderr, "docker-init: cannot execute %s: %s\n", argv[0], strerror(failed));
	_exit(failed == ENOENT ? CODE_NOT_FOUND : CODE_NOT_EXECUTABLE);
}

/* Takes all that have ended. The program's exit code once it is among them, else -1. */
static int reap(pid_t child)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			code = WIFEXITED(status) ? WEXITSTATUS(status)
						 : CODE_SIGNAL + WTERMSIG(status);
	return code;
}

int main(int argc, char **argv)
{
	sigset_t all, before;
	pid_t child;
	int code = -1;

	if (argc > 1 && strcmp(argv[1], "--") == 0)
		argv++, argc--;
	if (argc < 2) {
		(void)fprintf(stderr, "Usage: docker-init [--] PROGRAM [ARGUMENT...]\n");
		return CODE_NOT_FOUND;
	}
	(void)sigfillset(&all);
	EACH(i, own)
	(void)sigdelset(&all, own[i]);
	EACH(i, terminal)
	{
		(void)sigdelset(&all, terminal[i]);
		(void)signal(terminal[i], SIG_IGN);
	}
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child < 0) {
		perror("docker-init: fork");
		return CODE_NOT_EXECUTABLE;
	}
	if (child == 0)
		program(argv + 1, &before);
	while (code < 0) {
		int number = sigwaitinfo(&all, NULL);

		if (number == SIGCHLD)
			code = reap(child);
		else if (number > 0)
			(void)kill(child, number);
	}
	return code;
}
