"""
Boots the virtual machine once for a list of checks and hands back what each of them said. A check
is a function check_NAME() in a file under guest/; the host finds them by reading the file. The
machine is emulated in software: an order of magnitude slower than the host, and needs no right.
"""

import ast
import json
import os
import pathlib
import shutil
import subprocess

import vmimage

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SHOAL_BUILD", vmimage.TOP / "build"))
PROGRAMS = ["shoal", "shoald", "shoal-oci", "shoal-shim"]
# Of tests/host: what drives shoal-oci and shoald there does here.
HOST_LIBS = ["ocilib.py", "shimlib.py", "test_oci.py", "test_shim.py", "test_shoald.py"]
BOOT_S = 900  # bound of the whole life of a machine
MEMORY_MB = 1024
IMAGE = "vm:1"  # a small one that lies at /shoal/image.tar
# The machine's root has the C library of its own, which is this Debian's as well.
LIBC = ("linux-vdso", "ld-linux", "libc.so", "libm.so", "libpthread", "libdl.so", "librt.so",
        "libresolv.so")


def missing():
    """Why the checks cannot run here; None when they can."""
    for name in PROGRAMS:
        if not (BUILD / "bin" / name).exists():
            return "needs a built %s (deploy/build)" % name
    return vmimage.missing()


def checks(*files):
    """["file:NAME", ...] of the files under guest/, in the order in which they stand there."""
    found = []
    for file in files:
        tree = ast.parse((HERE / "guest" / (file + ".py")).read_text())
        found += ["%s:%s" % (file, f.name[len("check_"):]) for f in tree.body
                  if isinstance(f, ast.FunctionDef) and f.name.startswith("check_")]
    return found


def copy_libraries(program, into):
    for line in vmimage.call("ldd", program).splitlines():
        words = line.split()
        if len(words) > 2 and words[1] == "=>" and not words[0].startswith(LIBC):
            shutil.copy(words[2], into / words[0])


def fill(tree, image, wanted):
    """What the kernel unpacks at its start: busybox, modules, our programs and the checks."""
    for folder in "bin dev proc sys low root modules shoal/bin shoal/lib shoal/checks".split():
        (tree / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), tree / "bin/busybox")
    shutil.copy(HERE / "guest/init.sh", tree / "init")
    (tree / "init").chmod(0o755)
    for module in (image / "boot").iterdir():
        shutil.copy(module, tree / "modules")
    for name in PROGRAMS:
        shutil.copy(BUILD / "bin" / name, tree / "shoal/bin")
        if name in ("shoal", "shoald"):
            copy_libraries(BUILD / "bin" / name, tree / "shoal/lib")
    vmimage.call(vmimage.TOP / "deploy/mkimage", IMAGE, tree / "shoal/image.tar")
    for name in HOST_LIBS:
        shutil.copy(vmimage.TOP / "tests/host" / name, tree / "shoal/checks")
    for path in (HERE / "guest").glob("*.*"):
        shutil.copy(path, tree / "shoal/checks")
    (tree / "shoal/wanted").write_text("".join(w + "\n" for w in wanted))


def pack(tree, to):
    """As the kernel wants it: "newc", owned by root, in no hurry to be small."""
    names = sorted(str(p.relative_to(tree)) for p in tree.rglob("*"))
    with open(to, "wb") as out:
        subprocess.run([shutil.which("busybox"), "cpio", "-o", "-H", "newc"], cwd=tree,
                       input="\n".join(names).encode() + b"\n", stdout=out,
                       stderr=subprocess.DEVNULL, timeout=60, check=True)


class Machine:
    """One run: its files lie in `work`, console.log with what the kernel said among them."""

    def __init__(self, work, processors=2, systemd=False, words=""):
        self.work = pathlib.Path(work)
        self.processors = processors
        self.systemd = systemd  # the first process, which runs the checks as a service
        self.words = words      # for the kernel, and for systemd, which reads them too

    def command(self, image, results):
        return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
                "-smp", str(self.processors), "-m", str(MEMORY_MB), "-nographic", "-no-reboot",
                "-nodefaults", "-kernel", str(image / "vmlinuz"),
                "-initrd", str(self.work / "initrd"),
                "-append", "console=ttyS0 panic=-1 quiet loglevel=4 random.trust_cpu=on "
                + self.words,
                "-drive", "file=%s,format=raw,if=virtio,readonly=on" % (image / "root.squashfs"),
                "-serial", "file:%s" % (self.work / "console.log"),
                "-serial", "file:%s" % results]

    def run(self, wanted):
        """{"file:NAME": {"ok": bool, "skip": text, "text": text, "seconds": n}}."""
        image = vmimage.image()
        tree, results = self.work / "tree", self.work / "results"
        fill(tree, image, wanted)
        if self.systemd:
            (tree / "shoal/systemd").touch()
        pack(tree, self.work / "initrd")
        shutil.rmtree(tree)
        with subprocess.Popen(self.command(image, results), stdin=subprocess.DEVNULL,
                              stdout=open(self.work / "qemu.log", "wb"),
                              stderr=subprocess.STDOUT) as process:
            try:
                process.wait(BOOT_S)
            except subprocess.TimeoutExpired:
                pass
            finally:
                process.kill()
        return self.parse(results)

    def parse(self, results):
        found = {}
        for line in results.read_text(errors="replace").splitlines() if results.exists() else []:
            try:
                one = json.loads(line)
                found[one.pop("name")] = one
            except ValueError:
                continue  # the line at which the machine ended
        return found

    def last_words(self):
        """For a check that said nothing: what the console and qemu said last."""
        text = ""
        for name in ("qemu.log", "console.log"):
            path = self.work / name
            text += "%s: %s\n" % (name, path.read_text(errors="replace")[-3000:]
                                  if path.exists() else "(none)")
        return text
