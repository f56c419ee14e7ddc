/*
 * Docker's default seccomp policy as a table of facts (moby/profiles seccomp 0.2): which system
 * calls are allowed to everyone, and which with a capability, on an architecture, or with
 * certain arguments. The rest answers EPERM. seccomp_filter.c compiles it; to change the policy,
 * change SECCOMP_DEFAULT_VERSION with it, so that cached filters are made anew.
 */
#include "runtime/container/seccomp_table.h"

#include <linux/capability.h>
#include <stddef.h>

#include "runtime/container/caps.h"

#define ANY_ARCH (~0u)
#define CLONE_NAMESPACES 0x7e020000 /* the CLONE_NEW* flags that make a namespace */

static const char everyone[] =
	"_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat "
	"capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 "
	"clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
	"clock_nanosleep_time64 close close_range connect copy_file_range creat dup "
	"dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait "
	"epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
	"exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
	"fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
	"fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 "
	"fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue "
	"futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list "
	"get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid "
	"geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid "
	"getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
	"getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
	"gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch "
	"inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
	"io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get "
	"ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
	"landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount "
	"listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 "
	"madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir "
	"mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr "
	"mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
	"mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync "
	"munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat "
	"openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
	"pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 "
	"process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read "
	"readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 "
	"recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 "
	"restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending "
	"rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
	"rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max "
	"sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
	"sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
	"sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield "
	"seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile "
	"sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
	"set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
	"setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
	"setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
	"setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt "
	"shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn "
	"socketcall socketpair splice stat stat64 statfs statfs64 statmount statx "
	"symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time "
	"timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
	"timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
	"timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit "
	"umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes "
	"vfork vmsplice wait4 waitid waitpid write writev";

#define WITH_CAP(cap, list)                                               \
	{                                                                 \
		.names = (list), .caps = CAP_BIT(cap), .arches = ANY_ARCH \
	}
#define WITH_ARG(name, i, op_, value_, two)          \
	{                                            \
		.names = (name), .arches = ANY_ARCH, \
		.arg = {.index = (i),                \
			.op = (op_),                 \
			.value = (value_),           \
			.value_two = (two) }         \
	}

const struct seccomp_rule seccomp_default_rules[] = {
	{.names = everyone, .arches = ANY_ARCH},
	{.names = "process_vm_readv process_vm_writev ptrace", .arches = ANY_ARCH},
	/* Neither the kernel's crypto sockets (AF_ALG) nor those to the hypervisor (AF_VSOCK). */
	WITH_ARG("socket", 0, SCMP_CMP_LT, 38, 0),
	WITH_ARG("socket", 0, SCMP_CMP_EQ, 39, 0),
	WITH_ARG("socket", 0, SCMP_CMP_GT, 40, 0),
	/* Linux, Linux32, with and without UNAME26; and asking. */
	WITH_ARG("personality", 0, SCMP_CMP_EQ, 0, 0),
	WITH_ARG("personality", 0, SCMP_CMP_EQ, 8, 0),
	WITH_ARG("personality", 0, SCMP_CMP_EQ, 0x20000, 0),
	WITH_ARG("personality", 0, SCMP_CMP_EQ, 0x20008, 0),
	WITH_ARG("personality", 0, SCMP_CMP_EQ, 0xffffffff, 0),
	{.names = "sync_file_range2 swapcontext", .arches = SECCOMP_ON_PPC64LE},
	{.names = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush "
		  "set_tls",
	 .arches = SECCOMP_ON_ARM64},
	{.names = "arch_prctl modify_ldt", .arches = SECCOMP_ON_AMD64},
	{.names = "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
	 .arches = SECCOMP_ON_S390X},
	{.names = "riscv_flush_icache", .arches = SECCOMP_ON_RISCV64},
	WITH_CAP(CAP_DAC_READ_SEARCH, "open_by_handle_at"),
	WITH_CAP(CAP_SYS_ADMIN,
		 "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
		 "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr "
		 "move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname "
		 "sethostname setns syslog umount umount2 unshare"),
	{.names = "clone",
	 .without_caps = CAP_BIT(CAP_SYS_ADMIN),
	 .arches = ~SECCOMP_ON_S390X,
	 .arg = {.index = 0, .op = SCMP_CMP_MASKED_EQ, .value = CLONE_NAMESPACES}},
	/* There the stack comes first. */
	{.names = "clone",
	 .without_caps = CAP_BIT(CAP_SYS_ADMIN),
	 .arches = SECCOMP_ON_S390X,
	 .arg = {.index = 1, .op = SCMP_CMP_MASKED_EQ, .value = CLONE_NAMESPACES}},
	/* A filter cannot see its arguments; glibc takes clone() when it is not there. */
	{.names = "clone3",
	 .without_caps = CAP_BIT(CAP_SYS_ADMIN),
	 .arches = ANY_ARCH,
	 .refuse_errno = 38},
	WITH_CAP(CAP_SYS_BOOT, "reboot"),
	WITH_CAP(CAP_SYS_CHROOT, "chroot"),
	WITH_CAP(CAP_SYS_MODULE, "delete_module init_module finit_module"),
	WITH_CAP(CAP_SYS_PACCT, "acct"),
	WITH_CAP(CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
	WITH_CAP(CAP_SYS_RAWIO, "iopl ioperm"),
	WITH_CAP(CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"),
	WITH_CAP(CAP_SYS_TTY_CONFIG, "vhangup"),
	WITH_CAP(CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
	WITH_CAP(CAP_SYSLOG, "syslog"),
	WITH_CAP(CAP_BPF, "bpf"),
	WITH_CAP(CAP_PERFMON, "perf_event_open"),
	{0},
};

/*
 * Calls younger than the libseccomp of Debian 12, by their number on every architecture of Linux
 * but Alpha (asm-generic/unistd.h); uretprobe is only on x86-64.
 */
const struct seccomp_young seccomp_young[] = {
	{"cachestat", 451, ANY_ARCH},         {"fchmodat2", 452, ANY_ARCH},
	{"map_shadow_stack", 453, ANY_ARCH},  {"futex_wake", 454, ANY_ARCH},
	{"futex_wait", 455, ANY_ARCH},        {"futex_requeue", 456, ANY_ARCH},
	{"statmount", 457, ANY_ARCH},         {"listmount", 458, ANY_ARCH},
	{"lsm_get_self_attr", 459, ANY_ARCH}, {"lsm_set_self_attr", 460, ANY_ARCH},
	{"lsm_list_modules", 461, ANY_ARCH},  {"mseal", 462, ANY_ARCH},
	{"setxattrat", 463, ANY_ARCH},        {"getxattrat", 464, ANY_ARCH},
	{"listxattrat", 465, ANY_ARCH},       {"removexattrat", 466, ANY_ARCH},
	{"uretprobe", 335, SECCOMP_ON_AMD64}, {NULL, 0, 0},
};
