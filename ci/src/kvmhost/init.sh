#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# PID 1 of the simulated KVM server: modules, mounts, then the command.
B=/bin/busybox
die() { echo "kvmhost: $1"; $B dmesg | $B tail -n 12; $B poweroff -f; }
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
while read -r module; do $B insmod "/modules/$module" || die "cannot load $module"; done < /modules/order

nine=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o "ro,$nine,cache=loose" host /lower || die "cannot mount the root"
$B mount -t tmpfs -o size=75% upper /up
$B mkdir /up/upper /up/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/up/upper,workdir=/up/work root /new || die "cannot mount the overlay"
for folder in proc sys dev; do $B mkdir -p "/new/$folder"; $B mount --move "/$folder" "/new/$folder"; done
$B mount -t tmpfs -o mode=755 run /new/run
$B mkdir -p /new/dev/pts /new/dev/shm /new/run/lock /new/run/kvmhost
$B mount -t devpts -o mode=620,ptmxmode=666 devpts /new/dev/pts
$B mount -t tmpfs -o mode=1777 shm /new/dev/shm
$B ln -s /proc/self/fd /new/dev/fd
$B ln -s /proc/self/fd/0 /new/dev/stdin
$B ln -s /proc/self/fd/1 /new/dev/stdout
$B ln -s /proc/self/fd/2 /new/dev/stderr
# Controllers are on below the root, as systemd leaves them on a real server.
# favordynmods, as `ampoule doctor` advises: without it each KVM_CREATE_VM waits out a grace period.
$B mount -t cgroup2 -o favordynmods cgroup2 /new/sys/fs/cgroup || die "cannot mount cgroup2"
for c in cpu memory pids; do echo "+$c" > /new/sys/fs/cgroup/cgroup.subtree_control; done
if [ -e /has-out ]; then
  $B mkdir -p /new/out
  $B mount -t 9p -o "rw,$nine" out /new/out || die "cannot mount /out"
fi
# As systemd mounts them; `benches` counts with them.
$B mount -t debugfs debugfs /new/sys/kernel/debug
$B mount -t tracefs tracefs /new/sys/kernel/tracing
$B ip link set lo up
$B hostname kvmhost
for port in /new/sys/class/virtio-ports/*; do
  $B ln -s "/dev/${port##*/}" "/new/run/kvmhost/$($B cat "$port/name")"
done
[ -e /new/run/kvmhost/stdin ] || $B ln -s /dev/null /new/run/kvmhost/stdin
$B cp /command /bin/busybox /new/run/kvmhost/
exec $B switch_root /new /run/kvmhost/busybox sh /run/kvmhost/command
