"""One list of containers that dockerd and podman each run: flags, a shell line inside, what it
prints (words; a pattern where it begins with ~), how it ends. Valid for runc just so."""

import json
import re


class Case:
    def __init__(self, name, flags, script, out="", code=0, only=None, argv=None, stdin=None):
        self.name, self.flags, self.script, self.out = name, flags, script, out
        self.code, self.only, self.argv, self.stdin = code, only, argv, stdin

    def words(self, base):
        """Flags and command; {base} in them is a folder of the test's own."""
        flags = [str(f).replace("{base}", str(base)) for f in self.flags]
        return flags, self.argv or ["/bin/sh", "-c", self.script]

    def fits(self, text):
        if self.out.startswith("~"):
            return re.search(self.out[1:], text) is not None
        return text.split() == self.out.split()


def prepare(base):
    """The files that cases mount."""
    (base / "v").mkdir(exist_ok=True)
    (base / "v/f").write_text("in volume\n")
    (base / "env").write_text("FROM_FILE=yes\n")
    (base / "seccomp.json").write_text(json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
                      "errnoRet": 28}]}))
    return base


STATUS = "grep %s /proc/self/status"
MOUNT = "grep ' /m ' /proc/self/mountinfo"
CASES = [
    # Programs and how they end
    Case("zero", [], "true"),
    Case("code", [], "echo out; exit 7", "out", 7),
    Case("highest code", [], "exit 255", "", 255),
    Case("died of a signal", [], "sh -c 'kill -9 $$'; exit $?", "", 137),
    Case("no such name", [], "", "", 127, argv=["nosuch"]),
    Case("no such path", [], "", "", 127, argv=["/no/such"]),
    Case("not executable", [], "", "", 126, argv=["/etc/plain"]),
    Case("a folder", [], "", "", 126, argv=["/etc"]),
    Case("no program at all", [], "", "", 1, argv=["/etc/garbage"]),
    Case("entrypoint", ["--entrypoint", "/bin/echo"], "", "a b", argv=["a", "b"]),
    Case("stdin", ["-i"], "cat", "some words", stdin=b"some words\n"),
    Case("stdin is closed", [], "cat; echo end", "end"),
    Case("terminal", ["-t"], "tty; test -t 0 && test -t 1 && echo yes", "/dev/pts/0 yes"),
    Case("init", ["--init"], "cat /proc/1/comm", "~(docker-init|catatonit)", only="docker"),
    Case("env", ["-e", "A=b c", "--env-file", "{base}/env"], "echo $A $FROM_FILE", "b c yes"),
    Case("workdir", ["-w", "/tmp"], "pwd", "/tmp"),
    Case("workdir that is made", ["-w", "/new/deep"], "pwd", "/new/deep", only="docker"),
    # Users and rights
    Case("user by number", ["-u", "33:44"], "id -u; id -g; id -G", "33 44 44"),
    Case("user by name", ["-u", "web"], "id -u; id -g; id -G", "33 33 33 29"),
    Case("user and group by name", ["-u", "web:extra"], "id -u; id -g", "33 77"),
    Case("no such user", ["-u", "nobody-here"], "true", "", 125, only="docker"),
    Case("no such user", ["-u", "nobody-here"], "true", "", 126, only="podman"),
    Case("groups", ["--group-add", "audio", "--group-add", "55"], "id -G", "0 29 55"),
    Case("capabilities dropped", ["--cap-drop", "ALL"], STATUS % "CapEff", "CapEff: " + "0" * 16),
    Case("one capability", ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"],
         STATUS % "-E 'Cap(Prm|Inh|Amb)'",
         "~CapInh:\t0{16}\nCapPrm:\t0000000000001000\nCapAmb:\t0{16}"),
    Case("a user has none", ["-u", "33", "--cap-add", "NET_ADMIN"], STATUS % "CapEff",
         "CapEff: " + "0" * 16, only="docker"),
    Case("a user has what is given", ["-u", "33", "--cap-add", "NET_ADMIN"], STATUS % "CapEff",
         "CapEff: 0000000000001000", only="podman"),
    Case("privileged", ["--privileged"],
         "mknod /tmp/x b 7 0 && echo made; echo 1 > /proc/sys/kernel/hostname; "
         "mount -t tmpfs x /mnt 2>/dev/null || mkdir /mnt && mount -t tmpfs x /mnt && echo mounted",
         "made mounted"),
    Case("no new privileges", ["--security-opt", "no-new-privileges"], STATUS % "NoNew",
         "NoNewPrivs: 1"),
    Case("seccomp by default", [], STATUS % "-w Seccomp", "Seccomp: 2"),
    Case("seccomp unconfined", ["--security-opt", "seccomp=unconfined"], STATUS % "-w Seccomp",
         "Seccomp: 0"),
    Case("seccomp of one's own", ["--security-opt", "seccomp={base}/seccomp.json"],
         "mkdir /x 2>&1", "~No space left", 1),
    Case("a user namespace", ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"],
         "id -u; head -1 /proc/self/uid_map; touch /x && echo wrote", "0 0 100000 65536 wrote",
         only="podman"),
    Case("umask", ["--umask", "0077"], "umask", "0077", only="podman"),
    # Files
    Case("read-only root", ["--read-only"], "touch /x 2>/dev/null || echo ro", "ro"),
    Case("read-only with tmpfs", ["--read-only", "--tmpfs", "/data:size=1m,mode=1770"],
         "touch /data/x && stat -c %a /data; grep -c ' /data ' /proc/mounts", "1770 1"),
    Case("bind", ["-v", "{base}/v:/m"], "cat /m/f; touch /m/new && echo wrote",
         "in volume wrote"),
    Case("bind read-only", ["-v", "{base}/v:/m:ro"], "cat /m/f; touch /m/x 2>/dev/null || echo ro",
         "in volume ro"),
    Case("bind of a file", ["-v", "{base}/v/f:/etc/one:ro"], "cat /etc/one", "in volume"),
    Case("bind private", ["-v", "{base}/v:/m:rprivate"], MOUNT + " | grep -c -E 'shared|master'",
         "0", 1),
    Case("bind shared", ["-v", "{base}/shared:/m:rshared"], MOUNT, "~shared:"),
    Case("bind slave", ["-v", "{base}/shared:/m:rslave"], MOUNT, "~master:"),
    Case("volume", ["-v", "/m"], "touch /m/x && echo wrote; " + MOUNT + " | wc -l", "wrote 1"),
    Case("named volume", ["-v", "named:/bin2"], "touch /bin2/x && echo wrote", "wrote"),
    Case("mount", ["--mount", "type=tmpfs,destination=/m,tmpfs-size=1048576"],
         "df -k /m | tail -1 | tr -s ' ' | cut -d' ' -f2", "1024"),
    Case("device", ["--device", "/dev/kmsg:/dev/other:r"],
         "test -c /dev/other && echo there; sh -c ': > /dev/other' 2>/dev/null || echo refused",
         "there refused"),
    Case("device rule", ["--device-cgroup-rule", "c 200:1 r", "--cap-add", "MKNOD"],
         "mknod /tmp/a c 200 1; cat /tmp/a 2>&1", "~No such device", 1),
    Case("other devices are refused", ["--cap-add", "MKNOD"], "mknod /tmp/a c 200 1; cat /tmp/a 2>&1",
         "~not permitted", 1),
    Case("masks", [], "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; ls /proc/acpi 2>/dev/null; "
         "ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic 2>/dev/null || echo ro", "0 0 ro"),
    Case("no masks", ["--security-opt", "systempaths=unconfined"],
         "grep -c -E ' /proc/(kcore|keys|timer_list) ' /proc/self/mountinfo", "0", 1,
         only="docker"),
    Case("no masks", ["--security-opt", "unmask=ALL"],
         "grep -c -E ' /proc/(kcore|keys|timer_list) ' /proc/self/mountinfo", "0", 1,
         only="podman"),
    Case("shm", ["--shm-size", "2m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2",
         "2048"),
    # Namespaces
    Case("host name", ["--hostname", "other"], "hostname", "other"),
    Case("domain name", ["--domainname", "example.org"], "cat /proc/sys/kernel/domainname",
         "example.org", only="docker"),
    Case("pids of the host", ["--pid", "host"], "test $$ != 1 && echo other", "other"),
    Case("ipc of the host", ["--ipc", "host"], "echo ok", "ok"),
    Case("ipc of nobody", ["--ipc", "private"], "df /dev/shm | wc -l", "2"),
    Case("names of the host", ["--uts", "host"], "echo ok", "ok"),
    Case("no network", ["--network", "none"], "ls /sys/class/net | grep -c -v lo; cat "
         "/sys/class/net/lo/operstate", "0 unknown"),
    Case("network of the host", ["--network", "host"], "hostname > /dev/null; echo ok", "ok"),
    Case("groups of its own", ["--cgroupns", "private"], "cut -d: -f3 /proc/self/cgroup | sort -u",
         "/"),
    Case("groups of the host", ["--cgroupns", "host"], "grep -c : /proc/self/cgroup", "~[0-9]+"),
    Case("sysctl", ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.shmmni=1234"],
         "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni", "1 1234"),
    # Limits
    Case("ulimits", ["--ulimit", "nofile=77:99", "--ulimit", "core=0"],
         "ulimit -n; ulimit -Hn; ulimit -c", "77 99 0"),
    Case("oom score", ["--oom-score-adj", "77"], "cat /proc/self/oom_score_adj", "77"),
    Case("memory", ["-m", "64m", "--memory-swap", "64m", "--memory-reservation", "32m"],
         "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864"),
    Case("out of memory", ["-m", "16m", "--memory-swap", "16m"], "tail /dev/zero; echo $?", "137"),
    Case("the first process out of memory", ["-m", "16m", "--memory-swap", "16m"], "", "", 137,
         argv=["tail", "/dev/zero"]),
    Case("processes", ["--pids-limit", "5"],
         "cat /sys/fs/cgroup/pids/pids.max; " + "sleep 1 & " * 6, "5", 2),
    Case("processors", ["--cpus", "0.5", "--cpuset-cpus", "0"],
         "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpuset/cpuset.cpus", "50000 0"),
    Case("shares", ["-c", "333"], "cat /sys/fs/cgroup/cpu/cpu.shares", "333"),
    Case("a parent of the groups", ["--cgroup-parent", "{parent}/deep", "--cgroupns", "host"],
         "grep -c '{parent}/deep/' /proc/self/cgroup", "~[1-9]"),
    Case("no logs", ["--log-driver", "none"], "echo out", "out"),
]


def cases(engine):
    return [c for c in CASES if c.only in (None, engine)]
