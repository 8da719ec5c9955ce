#!/bin/sh
# Mirrors the versions of a model in a bucket into a directory that a model server watches.
#
# SOURCE            remote directory with a subdirectory per version, as rclone names it: models:bucket/serving/dfei
# TARGET            local directory
# SETTLE            a version is copied when none of its files is younger than this: a push may be under way
# INTERVAL_SECONDS  between two looks; 0 to look once
#
# A version appears under its number when it is complete. Versions that left the bucket leave the directory, unless
# the bucket cannot be listed or has no version at all.
set -u

is_version() {
  case "$1" in '' | *[!0-9]*) return 1 ;; esac
}

fetch() {
  unfinished="$TARGET/.unfinished-$1"
  young=$(rclone lsf --recursive --files-only --max-age "$SETTLE" "$SOURCE/$1") || return 1
  if [ -n "$young" ]; then
    echo "version $1 is still being written"
    return 0
  fi
  rm -rf "$unfinished"
  if rclone copy "$SOURCE/$1" "$unfinished" && [ -f "$unfinished/saved_model.pb" ]; then
    mv "$unfinished" "$TARGET/$1" && echo "version $1 is here"
  else
    rm -rf "$unfinished"
    echo "version $1 could not be copied whole"
    return 1
  fi
}

look() {
  listed=$(rclone lsf --dirs-only "$SOURCE") || return 1
  versions=""
  for name in $listed; do
    version=${name%/}
    if is_version "$version"; then versions="$versions $version "; fi
  done
  if [ -z "$versions" ]; then
    echo "no version in $SOURCE"
    return 1
  fi
  failed=0
  for version in $versions; do
    [ -d "$TARGET/$version" ] || fetch "$version" || failed=1
  done
  [ "$failed" -eq 0 ] || return 1
  for path in "$TARGET"/*; do
    version=${path##*/}
    is_version "$version" || continue
    case "$versions" in *" $version "*) ;; *) rm -rf "$path" && echo "version $version is gone" ;; esac
  done
}

mkdir -p "$TARGET"
while :; do
  look || echo "not in step with $SOURCE; trying again"
  [ "$INTERVAL_SECONDS" -gt 0 ] || break
  sleep "$INTERVAL_SECONDS"
done
