# SPDX-License-Identifier: Apache-2.0
# Runs as root in the KVM server. Before it stand the variables `data` (kernel and image), `image`
# (its file), `binaries`, `results`, `work` (an empty folder) and `program` (cases.py); after it
# come lines `both NUMBER SECONDS ARGUMENTS`: one run of the tests on either side of the boundary.
#
# Outside is the same userland as inside: the image's own tree, entered by chroot as the same user,
# with as little around it as a guest has, so that what differs is the guest's kernel and init. It
# has namespaces of its own for that: a network of loopback only, a host name, processes.

root=$work/root
memory='{"memory_mib":2048,"cpus":2,"scratch_bytes":1073741824}'
export XDG_DATA_HOME="$data" XDG_STATE_HOME="$work/state" XDG_CACHE_HOME="$work/cache"
export XDG_RUNTIME_DIR="$work/run" XDG_CONFIG_HOME="$work/config" TMPDIR="$work"

# A simulated server can hang a guest: that ends here, and its runs are made in another.
prepare() {
  mkdir -p "$work/config/ampoule/policy" && echo 'ungated = true' > "$work/config/ampoule/policy/limits.toml"
  timeout -k 5 120 fsck.erofs --extract="$root" "$image" > "$work/unpacked" 2>&1 || { cat "$work/unpacked"; return 1; }
  # Guests start as a task's second one does on a server: from a template.
  timeout -k 5 120 "$binaries/ampoule" template "{\"image\":\"cpython-tests\",\"resources\":$memory}"
}

# In the namespaces. The shell stays as their first process, so that the tests are an ordinary one.
enter='
root=$1 seconds=$2; shift 2
busybox hostname ampoule && busybox ip link set lo up || exit 125
mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" || exit 125
mount --rbind /dev "$root/dev" && mount -t tmpfs -o mode=1777 shm "$root/dev/shm" || exit 125
mount -t tmpfs -o mode=1777 tmp "$root/tmp" && mount -t tmpfs -o mode=755 run "$root/run" || exit 125
printf "127.0.0.1 localhost ampoule\n::1 localhost ip6-localhost\n" > "$root/run/hosts"
umask 022; ulimit -c 0; ulimit -n 65536
timeout -k 5 "$seconds" setsid /usr/sbin/chroot --userspec=1000:1000 --groups=1000 "$root" \
  env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
  HOME=/home/agent USER=agent LOGNAME=agent SHELL=/bin/bash \
  sh -c "cd /workspace && exec \"\$@\"" sh "$@"
exit $?'

outside() {
  seconds=$1; shift
  unshare --mount --uts --net --ipc --pid --fork \
    sh -c "$enter" sh "$root" "$seconds" python3 -c "$program" "$@"
}

# Not gated: what is compared is the guest's kernel and init. The tests start programs that people
# would be asked about, and try what the gate refuses.
inside() {
  seconds=$1; shift
  "$binaries/ampoule" run --ungated --image cpython-tests --memory 2G --cpus 2 --ttl "${seconds}s" \
    -- python3 -c "$program" "$@"
}

# Pipes as the guest's command has them; the third descriptor is closed before the tests see it.
run() {
  side=$1 file=$results/$2.$1; shift 2
  begun=$(date +%s)
  { { { true | "$side" "$@" 2>&3 3>&-; echo $? > "$file.code"; } | cat > "$file.json"; } 3>&1; } |
    cat > "$file.log"
  echo $(($(date +%s) - begun)) > "$file.seconds"
}

both() {
  number=$1; shift
  run outside "$number" "$@"
  run inside "$number" "$@"
}

prepare || exit 1
