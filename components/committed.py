"""What of an artifact's folder is data: the files that the step which made it committed, and nothing else.

An engine that lost a worker and went on leaves `beam-temp-*` folders beside the files, and files of an earlier attempt
that were cut into another number of pieces. Files of our own are written in such a folder until they are whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from uuid import uuid4

import tensorflow as tf

from components.errors import InputError

_TEMPORARY = "beam-temp-"
_HIDDEN = (".", "_", _TEMPORARY)
_PIECE = re.compile(r"(?P<name>.+)-(?P<piece>\d{5,})-of-(?P<pieces>\d{5,})(?P<suffix>.*)")


def committed_files(folder: str | Path) -> list[str]:
    """The data files of a split's folder, sorted.

    Args:
      folder: local, or an address that TensorFlow opens.

    Raises:
      InputError: pieces are missing, so that the step that makes them did not end.
    """
    folder = str(folder).rstrip("/")
    whole, sets = _listed(folder)
    chosen = [
        name
        for of_one in _by_name(sets).values()
        for name in sets[_newest(folder, {key: sets[key] for key in of_one})]
    ]
    return sorted(f"{folder}/{name}" for name in [*whole, *chosen])


def committed_of(patterns: Iterable[str]) -> list[str]:
    """The data files that patterns such as `FOLDER/*`, which TFX gives to a Trainer, stand for."""
    found = []
    for pattern in patterns:
        folder, _, name = pattern.rpartition("/")
        found += [file for file in committed_files(folder) if fnmatch(file.rpartition("/")[2], name)]
    return found


def temporary_of(path: str) -> str:
    """Where a file is written until it is whole and `commit` moves it; no two attempts have the same place."""
    folder, _, name = path.rpartition("/")
    place = f"{folder}/{_TEMPORARY}{_token()}"
    tf.io.gfile.makedirs(place)
    return f"{place}/{name}"


def commit(temporary: str, path: str) -> None:
    """Gives a file that is whole its name, in place of what an earlier attempt left there."""
    tf.io.gfile.rename(temporary, path, overwrite=True)
    tf.io.gfile.rmtree(temporary.rpartition("/")[0])


def _token() -> str:
    return uuid4().hex


def remove_leftovers(folder: str | Path) -> list[str]:
    """Removes what attempts that failed left in the folders of an artifact, once the step has ended well.

    Args:
      folder: the artifact's; folders in it are looked at, too.

    Returns:
      What was removed.
    """
    folder = str(folder).rstrip("/")
    if not tf.io.gfile.isdir(folder):
        return []
    removed = []
    inner = [name for name in _names(folder) if not name.startswith(_HIDDEN) and _is_folder(folder, name)]
    for place in [folder, *(f"{folder}/{name}" for name in inner)]:
        for name in _names(place):
            if name.startswith(_TEMPORARY) and _is_folder(place, name):
                tf.io.gfile.rmtree(f"{place}/{name}")
                removed.append(f"{place}/{name}")
        _, sets = _listed(place)
        for of_one in _by_name(sets).values():
            if len(of_one) > 1:
                kept = _newest(place, {key: sets[key] for key in of_one})
                for name in (name for key in of_one if key != kept for name in sets[key]):
                    tf.io.gfile.remove(f"{place}/{name}")
                    removed.append(f"{place}/{name}")
    return removed


_Key = tuple[str, str, int]


def _listed(folder: str) -> tuple[list[str], dict[_Key, list[str]]]:
    """Files that are whole, and pieces by what they are pieces of."""
    whole: list[str] = []
    sets: dict[_Key, list[str]] = defaultdict(list)
    for name in _names(folder):
        if name.startswith(_HIDDEN) or _is_folder(folder, name):
            continue
        match = _PIECE.fullmatch(name)
        if match is None:
            whole.append(name)
        else:
            sets[match["name"], match["suffix"], int(match["pieces"])].append(name)
    return whole, sets


def _by_name(sets: dict[_Key, list[str]]) -> dict[tuple[str, str], list[_Key]]:
    found: dict[tuple[str, str], list[_Key]] = defaultdict(list)
    for key in sets:
        found[key[:2]].append(key)
    return found


def _newest(folder: str, sets: dict[_Key, list[str]]) -> _Key:
    """Which pieces are of the attempt that ended: they are all there, and were written last."""
    complete = [key for key, names in sets.items() if len(names) == key[2]]
    if not complete:
        [(name, _, pieces), *_] = sets
        there = sum(len(names) for names in sets.values())
        raise InputError(
            f"{folder}: {there} of {pieces} pieces of {name} are there, so the step that makes them did not end: give "
            "the same command again; if they were deleted, delete the artifact's folder first"
        )
    if len(complete) == 1:
        return complete[0]
    return max(
        complete, key=lambda key: max(tf.io.gfile.stat(f"{folder}/{name}").mtime_nsec for name in sets[key])
    )


def _names(folder: str) -> list[str]:
    return [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]


def _is_folder(folder: str, name: str) -> bool:
    return bool(tf.io.gfile.isdir(f"{folder}/{name}"))
