#!/bin/sh
# Makes the environment: decides which of the two stacks this machine runs, and with which Python, and says it in a line.
#
#   environment.sh choose           prints the choice: Python's version, its path, the lock
#   environment.sh uv FOLDER        makes the environment with uv alone in it
#   environment.sh make FOLDER      makes it, or brings it up to its lock; the line is kept in FOLDER/.synced
#
# TFX 1.21 needs Python 3.12 or 3.13, and glibc 2.39 (Debian 13, Ubuntu 24.04), for which its wheels are built; TFX 1.16
# runs on Python 3.11 from glibc 2.17 on. An environment that runs stays what it is; $PYTHON, where it is set, decides.
set -eu
# Else pip would install for the user, outside the environment, where a configuration says so.
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

UV_VERSION=0.13.9
NEWER_GLIBC=39
folder=${2:-.venv}

fail() {
  echo "error: $*" >&2
  exit 2
}

# "3.13" of an interpreter that runs, nothing otherwise: a name on PATH may be a shim of pyenv's that finds no Python.
version() {
  "$1" -c 'import sys
if sys.implementation.name == "cpython" and "t" not in getattr(sys, "abiflags", ""):
    print("%d.%d" % sys.version_info[:2])' 2>/dev/null || :
}

# The minor number of glibc; empty where the C library is another.
glibc() {
  getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc 2\.\([0-9]*\).*/\1/p'
}

# Every file of a name on PATH, then pyenv's, which its shims need not show.
candidates() {
  (
    IFS=:
    for directory in $PATH; do
      echo "$directory/$1"
    done
  )
  for path in "${PYENV_ROOT:-${HOME:-/}/.pyenv}"/versions/*/bin/"$1"; do
    echo "$path"
  done
}

# The first interpreter of a version that runs.
find_python() {
  for name in "python$1" python3 python; do
    candidates "$name" | while read -r path; do
      if test -f "$path" && test -x "$path" && test "$(version "$path")" = "$1"; then
        echo "$path"
        break
      fi
    done
  done | head -n 1
}

has_uv() {
  uv --version >/dev/null 2>&1
}

# The same from uv, which downloads what is not there.
bring_python() {
  if has_uv; then
    uv python install --quiet "$1" >/dev/null 2>&1 || :
    path=$(uv python find --quiet "$1" 2>/dev/null || :)
    test -z "$path" || test "$(version "$path")" != "$1" || echo "$path"
  fi
}

lock() {
  case $1 in
    3.12 | 3.13) echo requirements-current.txt ;;
    3.11) echo requirements.txt ;;
  esac
}

# Sets `python`, `minor` and `lock`.
choose() {
  case "$(uname -s) $(uname -m)" in
    "Linux x86_64") ;;
    *) fail "TFX's wheels are for Linux on x86-64, this is $(uname -s) on $(uname -m): use a container or a machine of that kind" ;;
  esac
  libc=$(glibc)
  test -n "$libc" || fail "TFX's wheels need glibc, which this system (Alpine, perhaps) does not have: use Debian, Ubuntu or another with it"
  if test "$libc" -ge "$NEWER_GLIBC"; then wanted="3.13 3.12 3.11"; else wanted="3.11"; fi

  if test -n "${PYTHON:-}"; then
    python=$(command -v "$PYTHON" || :)
    test -n "$python" || fail "PYTHON=$PYTHON: there is no such program"
    minor=$(version "$python")
    test -n "$minor" || fail "PYTHON=$PYTHON: does not run as CPython (pyenv's name for a version that is not chosen?): give the path of one that does"
    case " $wanted " in
      *" $minor "*) ;;
      *) fail "PYTHON=$PYTHON: is Python $minor, and with glibc 2.$libc this project runs on $(or_list "$wanted"); name such a one" ;;
    esac
  elif kept=$(version "$folder/bin/python") && test -n "$kept" && case " $wanted " in *" $kept "*) ;; *) false ;; esac; then
    python=$folder/bin/python
    minor=$kept
  else
    find_any
  fi
  lock=$(lock "$minor")
}

# Sets `python` and `minor`: the newer stack first, and for it what uv brings before an older Python that is there.
find_any() {
  order="3.11 uv-3.11"
  test "$wanted" = 3.11 || order="3.13 3.12 uv-3.13 3.11"
  for step in $order; do
    minor=${step#uv-}
    if test "$minor" = "$step"; then python=$(find_python "$minor"); else python=$(bring_python "$minor"); fi
    test -z "$python" || return 0
  done
  first=${wanted%% *}
  there=$(version python3)
  uv="uv (pip install uv), which brings it"
  ! has_uv || uv="see why uv, which is here, does not bring it (uv python install $first)"
  fail "no Python $first${there:+ (python3 is $there)}, and with glibc 2.$libc this project runs on $(or_list "$wanted"):" \
    "install python$first, or $uv, or name one: make PYTHON=/path/to/python$first"
}

# "Python 3.13, 3.12 or 3.11"
or_list() {
  echo "Python $1" | sed 's/\([0-9]\) \(3\.[0-9]*\)$/\1 or \2/; s/\([0-9]\) 3/\1, 3/'
}

# The environment with uv in it, made anew where it is another Python's or does not run.
with_uv() {
  choose
  if test "$(version "$folder/bin/python")" != "$minor"; then
    echo "making $folder with Python $minor ($python)" >&2
    rm -rf "$folder"
    if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
      "$python" -m venv "$folder"
    elif has_uv; then
      uv venv --quiet --python "$python" "$folder"
    else
      fail "$python has no venv module: apt-get install python$minor-venv (Debian, Ubuntu), or install uv, and run make again"
    fi
  fi
  if test -x "$folder/bin/uv" && test "$("$folder/bin/uv" --version | cut -d ' ' -f 2)" = "$UV_VERSION"; then
    return 0
  fi
  if "$folder/bin/python" -c 'import pip' 2>/dev/null; then
    "$folder/bin/python" -m pip install --quiet "uv==$UV_VERSION"
  else
    uv pip install --quiet --python "$folder/bin/python" "uv==$UV_VERSION"
  fi || fail "uv $UV_VERSION could not be installed: is the package index reached (see above)?"
}

make_environment() {
  with_uv
  "$folder/bin/uv" pip sync --quiet --require-hashes --python "$folder/bin/python" "$lock"
  "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --editable .
  pinned() { sed -n "s/^$1==\([0-9.]*\).*/\1/p" "$lock"; }
  echo "TFX $(pinned tfx), TensorFlow $(pinned tensorflow), Python $minor, glibc 2.$libc ($lock)" >"$folder/.synced"
}

case ${1:-} in
  choose)
    choose
    echo "$minor $python $lock"
    ;;
  uv) with_uv ;;
  make) make_environment ;;
  *) fail "environment.sh choose, uv FOLDER or make FOLDER" ;;
esac
