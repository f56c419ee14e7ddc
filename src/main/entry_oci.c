/*
 * The first instructions of shoal-oci, before libc's. A command that makes processes in a container
 * has to be executed a second time, from a read-only mount (runtime/container/self.h). Done from
 * here, the first of the two executions costs neither the relocation of the program nor libc's
 * start, which asks the processor dozens of times what it is: dear in a virtual machine. Whatever
 * does not work here is left to self_protect(), which says why.
 *
 * Nothing of libc may be used, and nothing that needs a relocation: no tables of strings, no
 * thread-local variables. Built for x86-64 alone; elsewhere self_protect() does all of it.
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

__asm__(".text\n"
	".globl shoal_oci_entry\n"
	".type shoal_oci_entry, @function\n"
	"shoal_oci_entry:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %r12\n" /* argc; then argv and the environment, as _start wants them */
	"	mov %rdx, %r13\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call shoal_oci_protect\n"
	"	mov %r12, %rsp\n"
	"	mov %r13, %rdx\n"
	"	jmp _start\n");

static long call5(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

static bool is_word(const char *text, const char *word)
{
	while (*text && *text == *word)
		text++, word++;
	return *text == *word;
}

/* An option's value may be one of these words too: executed once more, nothing else is changed. */
static bool makes_processes(long argc, char **argv)
{
	for (long i = 1; i < argc; i++)
		if (is_word(argv[i], "run") || is_word(argv[i], "create") ||
		    is_word(argv[i], "exec"))
			return true;
	return false;
}

/* Executed once more it finds itself on a read-only mount, and so does a copy in memory. */
static bool is_protected(void)
{
	long exe = call5(SYS_open, (long)"/proc/self/exe", O_RDONLY | O_CLOEXEC, 0, 0, 0);
	struct statfs st;
	bool ret = true;

	if (exe < 0)
		return true;
	if (call5(SYS_fstatfs, exe, (long)&st, 0, 0, 0) == 0)
		ret = (st.f_flags & ST_RDONLY) || call5(SYS_fcntl, exe, F_GET_SEALS, 0, 0, 0) > 0;
	(void)call5(SYS_close, exe, 0, 0, 0, 0);
	return ret;
}

/* `stack` is as the kernel made it: argc, argv, NULL, the environment. Called from above alone. */
__attribute__((used, visibility("hidden"))) void shoal_oci_protect(long *stack);
void shoal_oci_protect(long *stack)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	char **argv = (char **)(stack + 1);
	long exe;

	if (!makes_processes(*stack, argv) || is_protected())
		return;
	exe = call5(SYS_open_tree, AT_FDCWD, (long)"/proc/self/exe",
		    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
	if (exe < 0)
		return;
	if (call5(SYS_mount_setattr, exe, (long)"", AT_EMPTY_PATH, (long)&read_only,
		  sizeof(read_only)) == 0)
		(void)call5(SYS_execveat, exe, (long)"", (long)argv, (long)(argv + *stack + 1),
			    AT_EMPTY_PATH);
	(void)call5(SYS_close, exe, 0, 0, 0, 0);
}
