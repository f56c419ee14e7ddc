"""
The machine that the checks run in: Debian's cloud kernel and a root of this Debian, made once by
debootstrap and kept under build/vm. Knows nothing of what is checked: vmlib.py boots it. A change
of RECIPE, PACKAGES or BOOT_MODULES makes it anew.
"""

import fcntl
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("SHOAL_BUILD", TOP / "build")) / "vm"
RECIPE = 1  # counts changes of what is done below
PACKAGES = ["busybox-static", "dbus", "dbus-user-session", "iproute2", "kmod", "nftables", "procps",
            "python3", "python3-pytest", "systemd", "uidmap"]
# What the kernel needs to find its root; everything else is loaded in the root by modprobe.
BOOT_MODULES = ["virtio_pci", "virtio_blk", "squashfs", "overlay"]
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "debootstrap": "debootstrap",
         "mksquashfs": "squashfs-tools", "busybox": "busybox-static"}
MAKE_S = 600  # bound of one step of the making, as much of it comes over the network


def missing():
    """Why there can be no machine here; None when there can."""
    if platform.machine() != "x86_64":
        return "the machine's kernel is amd64's, and this is " + platform.machine()
    if os.geteuid() != 0:
        return "needs root (debootstrap makes the machine's root)"
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            return "%s is not there: install %s (deploy/deps --tests does)" % (tool, package)
    return None


def call(*argv, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    r = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=MAKE_S, check=False, **kw)
    assert r.returncode == 0, "%s failed with %d:\n%s" % (argv[0], r.returncode, r.stdout[-3000:])
    return r.stdout


def codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise AssertionError("/etc/os-release has no VERSION_CODENAME: not a Debian?")


def mirror(release):
    """The mirror that this machine's apt uses for the release itself."""
    lines = call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                 "Codename: " + release).split()
    assert lines, "apt has no source of the suite %s" % release
    return lines[0]


def make_kernel(into, root):
    """The kernel at `into`, its modules in the root; returns its version."""
    packages = into / "packages"
    packages.mkdir()
    depends = call("apt-cache", "depends", "linux-image-cloud-amd64")
    names = [w.split()[-1] for w in depends.splitlines() if "Depends: linux-image-" in w]
    assert names, "apt knows no linux-image-cloud-amd64"
    call("apt-get", "-o", "APT::Sandbox::User=root", "download", names[0], cwd=packages)
    call("dpkg-deb", "-x", next(packages.glob("*.deb")), packages / "tree")
    tree = packages / "tree"
    modules = next(p for p in (tree / "lib/modules", tree / "usr/lib/modules") if p.is_dir())
    version = next(modules.iterdir()).name
    (root / "usr/lib/modules").mkdir(parents=True, exist_ok=True)
    shutil.copytree(modules / version, root / "usr/lib/modules" / version)
    for packed in (root / "usr/lib/modules").rglob("*.ko.xz"):
        call("xz", "-d", packed)
    call("chroot", root, "depmod", version)
    shutil.copy(next((tree / "boot").glob("vmlinuz-*")), into / "vmlinuz")
    shutil.rmtree(packages)
    return version


def copy_boot_modules(into, root, version):
    """boot/NN-name.ko, in the order in which they are to be loaded."""
    (into / "boot").mkdir()
    done = []
    for name in BOOT_MODULES:
        text = call("chroot", root, "modprobe", "-S", version, "--show-depends", name)
        for line in text.splitlines():
            path = line.split()[1] if line.startswith("insmod ") else None
            if path and path not in done:
                done.append(path)
    for i, path in enumerate(done):
        name = "%02d-%s" % (i, os.path.basename(path))
        shutil.copy(root / path.lstrip("/"), into / "boot" / name)


def make(into):
    release = codename()
    root = into / "root"
    call("debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), release, root,
         mirror(release))
    version = make_kernel(into, root)
    copy_boot_modules(into, root, version)
    for junk in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man",
                 "usr/share/locale"):
        shutil.rmtree(root / junk, ignore_errors=True)
    (root / "etc/hostname").write_text("vm\n")
    call("mksquashfs", root, into / "root.squashfs", "-comp", "zstd", "-Xcompression-level", "3",
         "-no-progress", "-quiet")
    shutil.rmtree(root)


def image():
    """The folder with vmlinuz, boot/*.ko and root.squashfs, made if it is not there."""
    recipe = repr((RECIPE, PACKAGES, BOOT_MODULES, codename()))
    ready = CACHE / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.is_dir():
            work = CACHE / "new"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            make(work)
            work.rename(ready)
    return ready
