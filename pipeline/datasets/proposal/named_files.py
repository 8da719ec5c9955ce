"""What the command line names - files, folders, quoted globs - as files, and as patterns that read tomorrow's too."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from components.dataset.file_names import glob_escape, patterns_of, shape
from components.dataset.patterns import below, matches
from components.errors import InputError

_YEAR = re.compile(r"^(?:19|20)\d\d$")
_MONTH_OR_DAY = re.compile(r"^\d{1,2}$")
_DATE = re.compile(r"^(?:19|20)\d\d[-_.]?\d{2}(?:[-_.]?\d{2})?$")


def expand(argument: Path, but: Collection[Path] = ()) -> list[Path]:
    """The files that an argument names: itself, those in and below a folder, or those that a glob matches.

    Args:
      argument: as typed.
      but: files that have another part: a folder or a glob does not stand for them.
    Raises:
      InputError: there is no such file; a folder or a glob has none of a known format.
    """
    if argument.is_file():
        return [argument.resolve()]
    if argument.is_dir():
        try:
            found = sorted(path.resolve() for path in below(argument))
        except OSError as error:
            raise InputError(f"{argument}: the folder cannot be read: {error.strerror}") from None
    elif any(sign in str(argument) for sign in "*?["):
        found = [path.resolve() for path in matches(Path.cwd(), str(argument))]
    else:
        raise InputError(
            f"{argument}: no such file; expected a file of csv, JSON lines or Parquet, a folder of them, or a glob"
        )
    kept = [path for path in found if path not in but]
    if not kept:
        raise InputError(f"{argument}: no file of csv, JSON lines or Parquet is there")
    return kept


def named_after(argument: Path) -> str:
    """A name for the data set: that of the file or the folder, without what varies."""
    absolute = Path(os.path.abspath(argument))  # noqa: PTH100 - as typed
    for part in reversed(absolute.parts[1:]):
        fixed = shape(part).split(".")[0]
        if "=" not in part and fixed not in ("part-*", "*", "**"):
            return fixed.replace("*", "").strip("-_. ") or part.split(".")[0]
    return "dataset"


def common_folder(paths: Sequence[Path]) -> Path:
    """The folder to give as `--data`: what all files lie below, above folders of keys (`dt=...`) and of dates."""
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    keyed = next((number for number, part in enumerate(folder.parts) if "=" in part.strip("=")), None)
    if keyed is not None:
        return Path(*folder.parts[:keyed])
    parts = list(folder.parts)
    if _DATE.match(parts[-1]):
        return folder.parent
    # Of 2026/03/14, what comes after the year changes tomorrow, and the year soon.
    for depth in (3, 2):
        tail = parts[-depth:]
        if len(tail) == depth and _YEAR.match(tail[0]) and all(map(_MONTH_OR_DAY.match, tail[1:])):
            return Path(*parts[:-depth])
    deeper = {path.relative_to(folder).parts[0] for path in paths}
    if _YEAR.match(parts[-1]) and all(map(_MONTH_OR_DAY.match, deeper)):
        return folder.parent
    return folder


@dataclass(frozen=True)
class Patterns:
    """How a declaration names files.

    Attributes:
      texts: relative to the data folder.
      more: files that the patterns match and that were not named.
    """

    texts: list[str]
    more: list[Path]


def as_patterns(data_dir: Path, paths: Sequence[Path], arguments: Sequence[Path] = ()) -> Patterns:
    """Patterns that match the files, and those of other dates and parts.

    A single file that is one of several of its kind stays alone. Names that do not differ in dates or numbers become
    one pattern only where it matches just these files.

    Args:
      data_dir: the folder to give as `--data`.
      paths: the files.
      arguments: as typed; a glob among them is as good a pattern as one that is found.
    """
    names = [str(path.relative_to(data_dir)) for path in paths]
    texts = patterns_of(names)
    more = _matched(data_dir, texts) - set(paths)
    if len(paths) == 1:
        return Patterns([glob_escape(names[0])] if more else texts, [])
    if len(texts) < len(names):
        return Patterns(texts, sorted(more))
    tried = [_typed(typed, data_dir) for typed in arguments]
    if len(names) > 2:
        tried.append(_between_common_ends(names))
    for pattern in tried:
        if pattern and _matched(data_dir, [pattern]) == set(paths):
            return Patterns([pattern], [])
    return literal(data_dir, paths) if more else Patterns(texts, [])


def literal(data_dir: Path, paths: Sequence[Path], argument: Path | None = None) -> Patterns:
    """The files as they are named, those of other dates and parts not; a folder or a glob as it was typed.

    Args:
      data_dir: the folder to give as `--data`.
      paths: the files.
      argument: as typed.
    """
    typed = _typed(argument, data_dir) if argument is not None and not argument.is_file() else ""
    if typed and _matched(data_dir, [typed]) == set(paths):
        return Patterns([typed], [])
    return Patterns([glob_escape(str(path.relative_to(data_dir))) for path in paths], [])


def _typed(argument: Path, folder: Path) -> str:
    """An argument relative to the folder; empty where it is none of the folder's own."""
    absolute = Path(os.path.abspath(argument))  # noqa: PTH100 - `..` goes, links and globs stay
    return str(absolute.relative_to(folder)) if folder in absolute.parents else ""


def _matched(data_dir: Path, patterns: Sequence[str]) -> set[Path]:
    return {path for pattern in patterns for path in matches(data_dir, pattern)}


def _between_common_ends(names: Sequence[str]) -> str:
    head = _common_start(names)
    tail = _common_start([name[::-1] for name in names])[::-1]
    tail = tail[tail.index(".") :] if "." in tail else tail
    return f"{glob_escape(head)}*{glob_escape(tail)}"


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
