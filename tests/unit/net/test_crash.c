/*
 * A daemon killed at any step: a child does the work under ptrace and is killed right before each
 * system call that changes something. What is left is swept and the work done again, and then the
 * kernel's state must be the same as if nothing had happened; nothing doubled, nothing left.
 */
#include "unit/net/world.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "net/bridge.h"
#include "net/dns_server.h"
#include "net/endpoint.h"
#include "net/overlay.h"
#include "net/sweep.h"

#define NET "k1e2t3w4o5r6k7i8d9a0b1c2d"
#define ID_BRIDGE "cccccccccccc"
#define ID_ONE "1111111111111111"
#define ID_TWO "2222222222222222"

static struct net_host host;
static struct net_bridge bridge;
static struct net_overlay overlay;
static int container = -1, udp = -1, tcp = -1;

static const char *const overlay_ids[] = {NET}, *const endpoint_ids[] = {ID_ONE, ID_TWO};

static struct net_known all_known(void)
{
	return (struct net_known){.bridges = &bridge,
				  .bridge_count = 1,
				  .overlays = overlay_ids,
				  .overlay_count = 1,
				  .endpoints = endpoint_ids,
				  .endpoint_count = 2};
}

/* The operations: in a child they return before their end only by being killed. */
static int make_all(struct err *e)
{
	struct net_segment on_bridge = {.bridge = bridge.name}, on_overlay = {.overlay = NET};
	struct net_endpoint one = {.id = ID_ONE,
				   .netns_fd = container,
				   .ifname = "eth0",
				   .ip4 = prefix_of("10.9.0.2/24"),
				   .ip6 = prefix_of("fd09::2/64")};
	struct net_endpoint two = {.id = ID_TWO,
				   .netns_fd = container,
				   .ifname = "eth1",
				   .ip4 = prefix_of("172.30.0.2/16"),
				   .gateway4 = ip_of("172.30.0.1"),
				   .isolated = true};
	struct net_peer peers[2] = {
		{ip_of("10.9.0.3"), mac_of_text("10.9.0.3"), ip_of("192.0.2.2")},
		{ip_of("fd09::3"), mac_of_text("10.9.0.3"), ip_of("192.0.2.2")}};
	int rc = net_bridge_create(&host, &bridge, e);

	if (rc == 0)
		rc = net_overlay_create(&host, &overlay, NULL, NULL, e);
	if (rc == 0)
		rc = net_endpoint_create(&host, &on_overlay, &one, NULL, e);
	if (rc == 0)
		rc = net_endpoint_create(&host, &on_bridge, &two, NULL, e);
	if (rc == 0)
		rc = net_overlay_peers_apply(&host, NET, peers, 2, NULL, e);
	if (rc == 0)
		rc = dns_redirect(container, udp, tcp, e);
	return rc;
}

static int remove_all(struct err *e)
{
	struct net_segment on_bridge = {.bridge = bridge.name}, on_overlay = {.overlay = NET};
	int rc = net_endpoint_remove(&host, &on_overlay, ID_ONE, e);

	if (rc == 0)
		rc = net_endpoint_remove(&host, &on_bridge, ID_TWO, e);
	if (rc == 0)
		rc = net_overlay_remove(&host, NET, e);
	if (rc == 0)
		rc = net_bridge_remove(&host, &bridge, e);
	return rc;
}

static int sweep_all(struct err *e)
{
	return net_sweep(&host, &(struct net_known){0}, NULL, e);
}

static int sweep_none(struct err *e)
{
	struct net_known known = all_known();

	return net_sweep(&host, &known, NULL, e);
}

/*
 * Links, addresses, routes, rules and tables as sorted lines, without indexes, random MACs and
 * ports. Of the forwarding entries only those with the peer's address: the device's own is random,
 * and one such in some thousand begins with 02:42 as well. Few processes: this runs after each of
 * some hundred crashes.
 */
#define SHOW                                                                                   \
	"{ printf 'link\naddr\nroute show table all\nneigh show nud permanent\n' | ip -o -d "  \
	"-batch -; "                                                                           \
	"nft list ruleset; bridge fdb show dev vxlan0 2>/dev/null | grep 02:42:0a:09; "        \
	"cat /proc/sys/net/ipv6/conf/eth[01]/disable_ipv6 2>/dev/null; } | "                   \
	"sed -E 's/^[0-9]+: ([^:@]+)(@[^:]*)?:/\\1/; s/^[0-9]+: //; s/link-netnsid [0-9]+//; " \
	"s/ether ..:..:..:..:..:../ether/; /fe80/d; s/(sport|port set) [0-9]{4,}/\\1 PORT/; "  \
	"s/(bridge_id|designated_root|designated_bridge) [0-9a-f.:]+//g; "                     \
	"s/NO-CARRIER,//; s/ linkdown//; s/state (UP|DOWN|UNKNOWN)//; /^multicast/d; "         \
	"s/(_timer|designated_port|port_id|root_port|port_no) +[0-9a-fx.]+//g' | sort"

static char *state(void)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;
	int fd = net_overlay_open(&host, NET, &e);
	auto_free char *outer = world_out(host.netns_fd, SHOW);
	auto_free char *inner = world_out(container, SHOW);
	auto_free char *files = world_out(host.netns_fd, "ls %s", host.netns_dir);
	auto_free char *tunnel = fd >= 0 ? world_out(fd, SHOW) : xstrdup("");

	if (fd >= 0)
		close(fd);
	buf_addf(&b, "--- host\n%s--- container\n%s--- overlay\n%s--- files\n%s", outer, inner,
		 tunnel, files);
	return buf_take(&b);
}

static void forward_off(void)
{
	int home = world_self(), fd;

	world_visit(host.netns_fd);
	fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "0", 1), 1);
	close(fd);
	world_visit(home);
	close(home);
}

static void new_container(void)
{
	struct err e = ERR_INIT;

	if (container >= 0) {
		close(container);
		close(udp);
		close(tcp);
	}
	container = world_netns();
	assert_ok(dns_sockets_open(container, &udp, &tcp, &e), &e);
}

/* Opening for reading, or stepping into a namespace, leaves nothing behind. */
static bool changes_something(uint64_t nr, uint64_t flags)
{
	static const long calls[] = {SYS_sendto, SYS_sendmsg,  SYS_mount,   SYS_umount2, SYS_unlink,
				     SYS_mkdir,  SYS_unlinkat, SYS_mkdirat, SYS_write};

	if (nr == SYS_openat)
		return (flags & O_CREAT) != 0;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (nr == (uint64_t)calls[i])
			return true;
	return false;
}

/* Lets the child run to the `kill_at`th call that changes something, and kills it right before. */
static bool run_child(pid_t pid, unsigned kill_at)
{
	unsigned seen = 0;
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	for (;;) {
		struct __ptrace_syscall_info info;

		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY ||
		    !changes_something(info.entry.nr, info.entry.args[2]))
			continue;
		if (++seen == kill_at) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFSIGNALED(status));
			return true;
		}
	}
}

static bool crash_at(int (*operation)(struct err *), unsigned step)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = ERR_INIT;
		int rc;

		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(3);
		raise(SIGSTOP);
		rc = operation(&e);
		if (rc < 0)
			fprintf(stderr, "in the child: %s\n", e.msg);
		_exit(rc < 0);
	}
	return run_child(pid, step);
}

static void same(const char *want, const char *what, unsigned step)
{
	auto_free char *got = state();
	auto_free char *difference = NULL;
	int fd = open(world_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (strcmp(want, got) != 0) {
		char a[32], b[32];

		snprintf(a, sizeof(a), "want%d", getpid());
		snprintf(b, sizeof(b), "got%d", getpid());
		(void)file_write_atomic(fd, a, want, strlen(want), 0600);
		(void)file_write_atomic(fd, b, got, strlen(got), 0600);
		difference = world_out(host.netns_fd, "cd %s && diff %s %s", world_dir, a, b);
		printf("after %s killed at step %u:\n%s\n", what, step, difference);
		fail();
	}
	close(fd);
}

static void place_init(unsigned which)
{
	static char dir[128];

	snprintf(dir, sizeof(dir), "%s/netns%u", world_dir, which);
	assert_int_equal(mkdir(dir, 0700), 0);
	host = (struct net_host){
		.netns_fd = world_netns(), .tag = "crash", .netns_dir = dir, .forward_guard = true};
	world_wire(host.netns_fd, world_netns(), "192.0.2", 1500);
	new_container();
}

static char *state_made(void)
{
	struct err e = ERR_INIT;

	assert_ok(make_all(&e), &e);
	return state();
}

static char *empty, *made; /* the states to compare with */

/* Each of these kills at one step and is false when the work ended before it. */
static bool kill_making(unsigned step)
{
	struct err e = ERR_INIT;
	bool killed = crash_at(make_all, step);

	/* As a daemon does that knows all of it; every third time, as one that knows nothing. */
	if (step % 3 != 0) {
		assert_ok(sweep_none(&e), &e);
		assert_ok(make_all(&e), &e);
		same(made, "making", step);
	}
	assert_ok(sweep_all(&e), &e);
	forward_off();
	new_container(); /* the old one ends as well */
	if (step % 3 == 0)
		same(empty, "making and sweeping", step);
	return killed;
}

static bool kill_in(int (*operation)(struct err *), const char *what, unsigned step)
{
	struct err e = ERR_INIT;
	bool killed;

	assert_ok(make_all(&e), &e);
	killed = crash_at(operation, step);
	assert_ok(operation(&e), &e);
	assert_ok(sweep_all(&e), &e);
	forward_off();
	new_container();
	same(empty, what, step);
	return killed;
}

static bool kill_removing(unsigned step)
{
	return kill_in(remove_all, "removing", step);
}

static bool kill_sweeping(unsigned step)
{
	return kill_in(sweep_all, "sweeping", step);
}

/*
 * The kernel's removals wait more than they work, so several hosts are crashed at once: each worker
 * takes every so-manieth step. Returns how many steps there were.
 */
#define WORKERS 6
static bool in_worker;
static unsigned round_number;

static void work(bool (*kill_at)(unsigned), unsigned first, unsigned *ret_steps)
{
	struct err e = ERR_INIT;
	unsigned step = first;

	in_worker = true;
	place_init(100 * round_number + first);
	empty = state();
	made = state_made();
	assert_ok(sweep_all(&e), &e);
	forward_off();
	new_container();
	while (kill_at(step))
		step += WORKERS;
	*ret_steps = step;
	_exit(0);
}

static unsigned each_step(bool (*kill_at)(unsigned))
{
	unsigned *steps = mmap(NULL, sizeof(*steps) * WORKERS, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned least = UINT_MAX;
	pid_t pids[WORKERS];
	int status, failed = 0;

	if (in_worker) /* an assertion has failed in there: it does not go on with other tests */
		_exit(1);
	assert_true(steps != MAP_FAILED);
	round_number++;
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			work(kill_at, i + 1, &steps[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		least = MIN_OF(least, steps[i]);
	}
	munmap(steps, sizeof(*steps) * WORKERS);
	assert_int_equal(failed, 0);
	printf("killed at each of %u steps\n", least - 1);
	return least - 1;
}

static void killed_while_making(void **unused)
{
	assert_true(each_step(kill_making) > 20);
}

static void killed_while_removing(void **unused)
{
	assert_true(each_step(kill_removing) > 10);
}

static void killed_while_sweeping(void **unused)
{
	assert_true(each_step(kill_sweeping) > 10);
}

static void a_sweep_takes_only_what_is_unknown(void **unused)
{
	struct net_known known = all_known();
	const char *one[] = {ID_ONE};
	struct net_swept swept;
	struct err e = ERR_INIT;
	int fd;

	if (in_worker)
		_exit(1);
	place_init(1);
	auto_free char *before = state_made();
	assert_ok(net_sweep(&host, &known, &swept, &e), &e);
	assert_int_equal(swept.links + swept.namespaces, 0);
	same(before, "a sweep that finds nothing", 0);
	known.endpoints = one;
	known.endpoint_count = 1;
	assert_ok(net_sweep(&host, &known, &swept, &e), &e);
	assert_int_equal(swept.links, 1);
	world_shows(container, "eth0", "ip link");
	world_hides(container, "eth1", "ip link");
	known.endpoint_count = 0;
	assert_ok(net_sweep(&host, &known, &swept, &e), &e);
	assert_int_equal(swept.links, 1);
	world_hides(container, "eth0", "ip link");
	known.overlay_count = 0;
	assert_ok(net_sweep(&host, &known, &swept, &e), &e);
	assert_int_equal(swept.namespaces, 1);
	world_shows(host.netns_fd, "172.30.0.0/16", "nft list ruleset");
	known.bridge_count = 0;
	/* What others have in the same place stays. */
	world_run(host.netns_fd,
		  "nft add table inet shoal_other && ip link add other type bridge && "
		  "ip link set other alias shoal:crashx:bridge:aaaaaaaaaaaa");
	fd = open(host.netns_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(openat(fd, "README.txt", O_CREAT | O_WRONLY, 0600));
	assert_ok(net_sweep(&host, &known, &swept, &e), &e);
	assert_int_equal(swept.links, 1);
	world_hides(host.netns_fd, "shoal_crash ", "nft list ruleset");
	world_shows(host.netns_fd, "shoal_other", "nft list ruleset");
	world_shows(host.netns_fd, "other", "ip link");
	assert_int_equal(unlinkat(fd, "README.txt", 0), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_while_making),
		TEST(killed_while_removing),
		TEST(killed_while_sweeping),
		TEST(a_sweep_takes_only_what_is_unknown),
	};
	int rc;

	if (!world_begin())
		return 0;
	bridge = (struct net_bridge){.id = ID_BRIDGE,
				     .name = "shoal_gwbridge",
				     .ip4 = prefix_of("172.30.0.1/16"),
				     .masquerade = true};
	overlay = (struct net_overlay){.id = NET, .vni = 4100, .data_ip = ip_of("192.0.2.1")};
	rc = RUN_TESTS(tests);
	world_end();
	return rc;
}
