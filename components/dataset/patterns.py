"""Which files of a folder a declaration's patterns match."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from components.dataset.day_names import DAY_TOKEN, day_in, globs, has_day
from components.dataset.file_names import SUFFIXES, hidden, is_any_text, suffix_of
from components.dataset.sections import Events, Impressions, Lookup
from components.errors import InputError
from components.stack import glob


def files_of(root: Path, section: Events | Impressions | Lookup) -> list[Path]:
    """The files of a section, in the order of the patterns, then of the names; each once.

    Of a lookup with a table for each day (`{data_day}`) these are the newest day's, for its keys are one and the same
    in all of them.

    Raises:
      InputError: a pattern matches nothing, or `ignore` everything.
    """
    left_out = {path for pattern in section.ignore for path in matches(root, pattern)}
    found: dict[Path, None] = {}
    for pattern in section.files:
        matching = matches(root, pattern)
        if not matching:
            raise InputError(_nothing_matches(root, pattern))
        if isinstance(section, Lookup) and DAY_TOKEN in pattern:
            newest = max(day_in(relative_name(path, root), pattern) or "" for path in matching)
            matching = [path for path in matching if day_in(relative_name(path, root), pattern) == newest]
        found.update(dict.fromkeys(path for path in matching if path not in left_out))
    if not found:
        raise InputError(f"{root}: `ignore` leaves none of the files that match {', '.join(section.files)}")
    return list(found)


def folder_of(data_dir: str) -> Path:
    """The data folder, which is there and can be read."""
    root = Path(data_dir)
    try:
        if not root.exists():
            raise InputError(f"{data_dir}: no such folder; give the folder with the data set's files")
        if not root.is_dir():
            raise InputError(f"{data_dir}: is a file; give the folder with the data set's files")
        next(root.iterdir(), None)
    except OSError as error:
        raise InputError(f"{data_dir}: the folder cannot be read: {error.strerror}") from None
    return root


def matches(root: Path, pattern: str) -> list[Path]:
    """The files that a pattern matches, in order; a folder stands for the files of known formats in and below it.

    Args:
      root: where it is looked up; and in its `data` folder if nothing matches.
      pattern: a name or a glob, perhaps with `{data_day}` (`day_names`).
    Raises:
      InputError: a folder cannot be read; the pattern can match nothing.
    """
    if has_day(pattern):
        found = {path for glob_of in globs(pattern) for path in _matches(root, glob_of)}
        return sorted(path for path in found if day_in(relative_name(path, root), pattern) is not None)
    return _matches(root, pattern)


def _matches(root: Path, pattern: str) -> list[Path]:
    bases, relative = _bases(root, pattern)
    for base in bases:
        try:
            found = [
                path
                for path in glob(base, relative)
                if hidden(path.relative_to(base)) <= hidden(Path(relative))
            ]
            files = {path for path in found if path.is_file()}
            files = files or {file for path in found for file in below(path)}
        except OSError as error:
            raise InputError(f"{base}: the folder cannot be read: {error.strerror}") from None
        except (ValueError, IndexError, NotImplementedError):
            raise InputError(
                f"the declaration's files: {pattern!r} can match no file; give names, or globs such as logs/*.csv or "
                "**/*.csv"
            ) from None
        if files:
            return sorted(files)
    return []


def _bases(root: Path, pattern: str) -> tuple[list[Path], str]:
    """Folders in which a pattern is looked up, and the pattern within them."""
    path = Path(pattern)
    if path.is_absolute():
        return [Path(path.anchor)], str(path.relative_to(path.anchor))
    return [root, root / "data"], pattern


def _nothing_matches(root: Path, pattern: str) -> str:
    bases, relative = _bases(root, pattern)
    folder = next((found for base in bases for found in sorted(glob(base, relative)) if found.is_dir()), None)
    if folder is not None:
        return f"{folder}: is a folder without a file of a known format ({', '.join(SUFFIXES)})"
    present = [
        str(path.relative_to(root))
        for base in (root, root / "data")
        if base.is_dir()
        for path in sorted(base.iterdir())
        if path.is_file()
    ]
    close = [name for name in get_close_matches(pattern, present, n=3, cutoff=0.5) if name != pattern]
    shown = close or present[:5]
    dated = f" {DAY_TOKEN} stands for a date, as 2026-03-14 or 20260314." if has_day(pattern) else ""
    there = f" There: {', '.join(shown)}{' ...' if len(present) > len(shown) else ''}." if shown else ""
    return f"{root}: no file matches {pattern} (looked there and in its `data` folder).{dated}{there}"


def below(root: Path, any_text: bool = False) -> Iterator[Path]:
    """Files of known formats below a folder, in order; hidden ones and the writers' own left out.

    Args:
      root: the folder.
      any_text: whether files such as `README.txt` are among them.
    Raises:
      OSError: a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = sorted(name for name in folders if not hidden(Path(name)))
        yield from (
            Path(folder) / name
            for name in sorted(names)
            if suffix_of(name) and not hidden(Path(name)) and (any_text or not is_any_text(name))
        )


def relative_name(path: Path, root: Path) -> str:
    """How messages and reports name a file."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
