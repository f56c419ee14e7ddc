"""Drives shoal-shim directly: config.json and shim.json written here, the protocol spoken here, so
that the C side is checked against a second reading of runtime/container/shim_proto.h."""

import array
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid

BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", pathlib.Path(__file__).parents[2] / "build"))
SHIM = BUILD / "bin" / "shoal-shim"
CGROUP = pathlib.Path("/sys/fs/cgroup")
PARENT = "/shoal-test-%d" % os.getpid()

HELLO, GET_STATE, START, KILL, RESIZE, ATTACH, CLOSE_STDIN, GET_FDS, SUBSCRIBE = range(1, 10)
OK, ERROR, STATE, FDS = 64, 65, 66, 67
READY, STARTED, EXITED = 96, 97, 98
STDIN, STDOUT, STDERR, EOF = 112, 113, 114, 115
CREATED, RUNNING, STOPPED = 1, 2, 3

CAPS = ["CAP_" + c for c in
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
        "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split()]
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
          "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


class ShimError(Exception):
    def __init__(self, code, exit_code, text):
        super().__init__(text)
        self.code, self.exit_code, self.text = code, exit_code, text


def make_rootfs(path):
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
    for d in "bin dev etc proc sys tmp root".split():
        (path / d).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for a in subprocess.check_output(["/bin/busybox", "--list"], text=True).split():
        if a != "busybox":
            (path / "bin" / a).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n"
                                     "1234:x:0:0::/:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nweb:x:33:\naudio:x:29:web\nextra:x:77:\n")
    (path / "etc/plain").write_text("not a program\n")
    (path / "etc/garbage").write_text("no interpreter\n")
    (path / "etc/garbage").chmod(0o755)
    return path


def default_spec(ident, args, rootfs, tty=False):
    ns = ["pid", "mount", "uts", "ipc", "network", "cgroup"]
    mounts = [
        ("/proc", "proc", "proc", "nosuid noexec nodev"),
        ("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
        ("/dev/pts", "devpts", "devpts",
         "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
        ("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
        ("/sys/fs/cgroup", "cgroup", "cgroup", "ro nosuid noexec nodev"),
        ("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
        ("/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=67108864"),
    ]
    devices = [{"allow": False, "access": "rwm"}]
    for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)):
        devices.append({"allow": True, "type": "c", "major": major, "minor": minor,
                        "access": "rwm"})
    devices.append({"allow": True, "type": "c", "major": 136, "access": "rwm"})
    return {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": tty, "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "capabilities": {"bounding": CAPS, "effective": CAPS, "permitted": CAPS},
        },
        "root": {"path": str(rootfs)},
        "hostname": ident[:12],
        "mounts": [{"destination": d, "type": t, "source": s, "options": o.split()}
                   for d, t, s, o in mounts],
        "linux": {
            "namespaces": [{"type": n} for n in ns],
            "cgroupsPath": "%s/%s" % (PARENT, ident),
            "resources": {"devices": devices},
            "maskedPaths": list(MASKED), "readonlyPaths": list(READONLY),
        },
    }


class Connection:
    def __init__(self, sock):
        self.sock, self.buf, self.fds, self.held, self.id = sock, b"", [], [], 0

    def _recv(self, timeout):
        if not select.select([self.sock], [], [], timeout)[0]:
            raise TimeoutError("the shim does not answer")
        data, anc, _, _ = self.sock.recvmsg(65536, 1024)
        for level, kind, payload in anc:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                a = array.array("i")
                a.frombytes(payload[:len(payload) - len(payload) % a.itemsize])
                self.fds.extend(a)
        if not data:
            raise EOFError
        self.buf += data

    def frame(self, timeout=10):
        if self.held:
            return self.held.pop(0)
        return self._frame(timeout)

    def _frame(self, timeout):
        while True:
            if len(self.buf) >= 12:
                n, kind, _, ident = struct.unpack("<IHHI", self.buf[:12])
                if len(self.buf) >= 12 + n:
                    body, self.buf = self.buf[12:12 + n], self.buf[12 + n:]
                    return kind, ident, body
            self._recv(timeout)

    def send(self, kind, body=b"", ident=None):
        if ident is None:
            self.id += 1
            ident = self.id
        self.sock.sendall(struct.pack("<IHHI", len(body), kind, 0, ident) + body)
        return ident

    def call(self, kind, *numbers, timeout=10):
        want = self.send(kind, struct.pack("<%dI" % len(numbers), *numbers))
        while True:
            kind, ident, body = self._frame(timeout)
            if ident != want:
                self.held.append((kind, ident, body))
                continue
            if kind == ERROR:
                raise ShimError(*parse_error(body))
            return kind, body

    def wait_event(self, kind, timeout=20):
        while True:
            k, _, body = self.frame(timeout)
            if k == kind:
                return parse_state(body)

    def output(self, timeout=20):
        """All of stdout and stderr until the end."""
        out = {STDOUT: b"", STDERR: b""}
        while True:
            k, _, body = self.frame(timeout)
            if k == EOF:
                return out[STDOUT], out[STDERR]
            if k in out:
                out[k] += body

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def parse_state(body):
    v = struct.unpack("<5I2q2I", body[:44])
    return dict(zip("version phase pid exit_code oom started finished shim_pid mask".split(), v))


def parse_error(body):
    code, exit_code, n = struct.unpack("<3I", body[:12])
    return code, exit_code, body[12:12 + n].decode()


class Container:
    """One runtime directory and its shim."""

    def __init__(self, base, rootfs, args, tty=False, shim=None, spec=None):
        self.id = uuid.uuid4().hex * 2
        self.dir = pathlib.Path(base) / self.id
        self.dir.mkdir(mode=0o700, parents=True)
        self.spec = default_spec(self.id, args, rootfs, tty)
        self.shim = {"log": {"path": str(self.dir / "json.log")}}
        self.shim.update(shim or {})
        if spec:
            spec(self.spec)
        self.channel = None

    def create(self, timeout=20):
        (self.dir / "config.json").write_text(json.dumps(self.spec))
        (self.dir / "shim.json").write_text(json.dumps(self.shim))
        ours, theirs = socket.socketpair()
        proc = subprocess.Popen([str(SHIM), str(self.dir), str(theirs.fileno())],
                                pass_fds=[theirs.fileno()])
        theirs.close()
        self.channel = Connection(ours)
        assert proc.wait() == 0
        kind, _, body = self.channel.frame(timeout)
        if kind == ERROR:
            self.channel.close()
            raise ShimError(*parse_error(body))
        assert kind == READY
        self.state = parse_state(body)
        self.pid, self.shim_pid = self.state["pid"], self.state["shim_pid"]
        return self

    def start(self):
        self.channel.call(START)
        return self

    def wait(self, timeout=20):
        state = self.channel.wait_event(EXITED, timeout)
        self.wait_shim()
        return state

    def wait_shim(self):
        """Until the shim is gone; its end is the end of the channel."""
        try:
            while True:
                self.channel._recv(20)
        except (EOFError, ConnectionResetError):
            pass
        self.channel.close()

    def run(self, timeout=20):
        self.create()
        self.start()
        return self.wait(timeout)

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        with_dir = os.open(self.dir, os.O_RDONLY)
        try:
            s.connect("/proc/self/fd/%d/shim.sock" % with_dir)
        finally:
            os.close(with_dir)
        return Connection(s)

    def log(self):
        return [json.loads(l) for l in (self.dir / "json.log").read_text().splitlines()]

    def output(self, stream="stdout"):
        return "".join(l["log"] for l in self.log() if l["stream"] == stream)

    def exit(self):
        return json.loads((self.dir / "exit.json").read_text())

    def cgroups(self):
        return [p for p in CGROUP.glob("*" + PARENT + "/" + self.id)]

    def destroy(self):
        try:
            c = self.connect()
            c.call(KILL, signal.SIGKILL, 1)
            self.wait_shim()
        except (OSError, EOFError, ShimError):
            pass
