#!/bin/sh
# Runs a command of this checkout in a root of Debian 13, for the stack that this machine's C library is too old for.
#
#   current_root.sh ROOT COMMAND...      for example: current_root.sh /var/tmp/dfei-debian-13 make test
#
# ROOT is made by debootstrap if it is not there (300 MB, with the environment 6 GB), and stays, so that the next run takes
# up its environment. The checkout is copied to ROOT/dfei, without what git ignores. Needs root, as mounting does; what is
# mounted is seen by the command alone. $DEBIAN_MIRROR names another mirror, $SHARED a folder that the command sees too, at
# the same path.
set -eu

root=$1
shift
suite=trixie

fail() {
  echo "error: $*" >&2
  exit 2
}

test "$(id -u)" = 0 || fail "a root of Debian 13 is made and entered as root: sudo make test-current"
command -v debootstrap >/dev/null || fail "debootstrap is not here: apt-get install debootstrap (Debian, Ubuntu)"

if test ! -e "$root/dfei.made"; then
  echo "making $root" >&2
  rm -rf "$root"
  mkdir -p "$root"
  debootstrap --variant=minbase --include=ca-certificates,git,libgomp1,make,procps,python3,python3-venv \
    "$suite" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$root.log" 2>&1 || fail "debootstrap failed: see $root.log"
  touch "$root/dfei.made"
fi

# How package clients reach their indices: the addresses, the certificates, the settings.
for path in /etc/hosts /etc/resolv.conf /etc/pip.conf /etc/uv "$HOME/.config/pip" "$HOME/.config/uv" /etc/ssl/certs; do
  if test -e "$path"; then
    mkdir -p "$root$(dirname "$path")"
    cp -rL "$path" "$root$(dirname "$path")/" 2>/dev/null || :
  fi
done

mkdir -p "$root/dfei"
find "$root/dfei" -mindepth 1 -maxdepth 1 ! -name .venv ! -name out -exec rm -rf {} +
git ls-files --cached --others --exclude-standard | while read -r file; do
  test ! -e "$file" || echo "$file"
done | tar -T - -cf - | tar -C "$root/dfei" -xf -

exec unshare --mount sh -eu -c '
  for place in /proc /dev /dev/pts /dev/shm ${SHARED:-}; do
    mkdir -p "$0$place"
    mount --bind "$place" "$0$place"
  done
  exec chroot "$0" /usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin PYTHON= sh -eu -c "cd /dfei; exec \"\$@\"" sh "$@"
' "$root" "$@"
