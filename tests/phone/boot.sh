# Mounts a test phone's file systems, and starts it: the first process of its own namespaces.
# sh boot.sh ROOT DATA_OPTIONS COMMAND...
set -eu
root=$1 options=$2
shift 2
mount -t tmpfs -o "nosuid,nodev,mode=771,$options" data "$root/data"
mount -t tmpfs -o "nosuid,nodev,noexec,mode=755" sdcard "$root/storage/emulated"
mount -t proc proc "$root/proc"
for name in cpuinfo meminfo; do mount --bind "$root/kernel/$name" "$root/proc/$name"; done
for name in null zero full random urandom tty; do mount --bind "/dev/$name" "$root/dev/$name"; done
# Not by exec: this shell stays, and takes care of processes whose parent has ended.
status=0
"$@" || status=$?
exit $status
