#!/bin/busybox sh
# The machine's first process: finds its root (a squashfs under a tmpfs), mounts control groups v2
# and nothing else of them, runs the checks, and ends the machine. Copied into the initial file
# system by vmlib.py; $1 says that the root is there already.
b=/bin/busybox

if [ "$1" != inside ]; then
	$b mount -t proc proc /proc
	$b mount -t devtmpfs dev /dev
	for module in /modules/*; do
		$b insmod "$module" || echo "init: cannot load $module"
	done
	$b mount -t tmpfs -o size=90% low /low
	$b mkdir /low/upper /low/work /low/base
	$b mount -t squashfs -o ro /dev/vda /low/base || echo "init: no root"
	$b mount -t overlay -o lowerdir=/low/base,upperdir=/low/upper,workdir=/low/work root /root
	$b cp -a /shoal /init /root/
	$b mount --move /dev /root/dev
	$b umount /proc
	exec $b switch_root /root /init inside
fi

export PATH=/shoal/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o mode=620,gid=5 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 /sys/fs/cgroup
ip link set lo up
hostname vm
# The machine of systemd's checks: it is the first process, and runs them as a service.
if [ -e /shoal/systemd ]; then
	umount /sys/fs/cgroup
	cp /shoal/checks/checks.service /etc/systemd/system/
	exec /lib/systemd/systemd --unit=checks.service
fi
cd /shoal/checks || exit
python3 run.py >/dev/ttyS0 2>&1
$b reboot -f
