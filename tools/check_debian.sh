#!/usr/bin/env bash
# tools/check_debian.sh [SUITE]: the two commands as a newcomer gives them, on a fresh Debian (default trixie) that debootstrap makes in a
# folder and that goes away afterwards. Needs root. A clone of HEAD is built there; the end of ./test and the times are printed.
# DM_DEBIAN_TREE=FOLDER keeps the tree there for the next run; DM_DEBIAN_NICE: niceness of the work (default 0).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-trixie}
[ "$(id -u)" = 0 ] || { echo "check_debian: needs root (debootstrap, chroot)" >&2; exit 10; }
command -v debootstrap >/dev/null || { echo "check_debian: 'apt-get install debootstrap' first" >&2; exit 10; }

tree=${DM_DEBIAN_TREE:-}
if [ -z "$tree" ]; then
  tree=$(mktemp -d /var/tmp/check-debian.XXXXXX)
  trap 'rm -rf --one-file-system "$tree"' EXIT
fi
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m 1 -v security || true)
if [ ! -x "$tree/bin/bash" ]; then
  debootstrap --variant=minbase --include=ca-certificates,git "$suite" "$tree" ${mirror:+"$mirror"} >&2
fi
for file in /etc/resolv.conf /etc/hosts; do cp "$file" "$tree$file"; done
cp -a /etc/apt/apt.conf.d/. "$tree/etc/apt/apt.conf.d/"
rm -rf "$tree/root/datamancy"
git clone --quiet --no-local "$here" "$tree/root/datamancy"

# /proc and /dev of its own: they go away with the process.
inside() {
  nice -n "${DM_DEBIAN_NICE:-0}" unshare --mount --pid --fork bash -euc '
    mount --bind "$0" "$0"  # so that its / is a mount, as on a machine
    mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; mount -t tmpfs tmpfs "$0/run"
    exec chroot "$0" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 CI=true bash -euc "cd /root/datamancy; $1"' "$tree" "$1"
}
status=0
for command in ./run ./test; do
  begin=$(date +%s)
  log=$tree/root/${command#./}.log
  inside "$command" >"$log" 2>&1 </dev/null || status=$?
  printf '%s on Debian %s (%s): status %d, %d s\n' "$command" "$(cat "$tree/etc/debian_version")" "$suite" "$status" "$(($(date +%s) - begin))"
  [ "$status" = 0 ] || { tail -n 40 "$log"; exit "$status"; }
done
tail -n 15 "$log"
