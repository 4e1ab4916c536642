#!/bin/bash
# Boots systemd as the first process of a Debian in a folder, in namespaces of its own: $1 the folder,
# $2 a name for its control groups, $3 a folder that it sees as /bundle. Ends when it is killed.
set -e
root=$1 name=$2 bundle=$3
controllers=$(ls /sys/fs/cgroup)
for controller in $controllers; do
    group=/sys/fs/cgroup/$controller/$name
    mkdir -p "$group"
    if [ "$controller" = cpuset ]; then
        cat /sys/fs/cgroup/cpuset/cpuset.cpus > "$group/cpuset.cpus"
        cat /sys/fs/cgroup/cpuset/cpuset.mems > "$group/cpuset.mems"
    fi
    echo $$ > "$group/cgroup.procs"
done
export root bundle controllers
exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup bash -ec '
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
for controller in $controllers; do
    place=$root/sys/fs/cgroup/$controller
    mkdir "$place"
    case $controller in
        systemd) mount -t cgroup -o none,name=systemd cgroup "$place" ;;
        unified) mount -t cgroup2 cgroup2 "$place" ;;
        *) mount -t cgroup -o "$controller" cgroup "$place" ;;
    esac
done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty kmsg; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/bundle" "$root/old"
mount --bind "$bundle" "$root/bundle"
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --log-target=journal --show-status=no < /dev/null
'
