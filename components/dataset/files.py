"""Finds a dataset's files in a folder, knows their formats and columns, and fingerprints their content."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Literal, cast

from components.dataset.declaration import Declaration
from components.dataset.parquet import read_schema
from components.dataset.sections import Impressions, Lookup
from components.errors import InputError

Format = Literal["csv", "csv.gz", "parquet"]

_SUFFIXES: dict[str, tuple[Format, str]] = {
    ".csv": ("csv", ","),
    ".csv.gz": ("csv.gz", ","),
    ".tsv": ("csv", "\t"),
    ".tsv.gz": ("csv.gz", "\t"),
    ".parquet": ("parquet", ""),
}
_HASH_BLOCK = 1 << 20
_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """One file, opened once to learn its columns.

    Attributes:
      path: where it is.
      name: relative to the data folder, as messages and reports name it.
      format: csv, csv.gz or parquet.
      separator: one character, for csv.
      columns: names in the file's order.
      size: bytes.
      data_start: offset of the first byte after the header line (csv).
    """

    path: str
    name: str
    format: Format
    separator: str
    columns: tuple[str, ...]
    size: int
    data_start: int

    @property
    def first_line(self) -> int:
        """Number of the first line of data: 2 below a header, 1 for Parquet, whose rows are counted."""
        return 1 if self.format == "parquet" else 2

    def open_text(self) -> IO[bytes]:
        """The uncompressed bytes of a csv file."""
        return _open_text(Path(self.path), self.format)


def find_files(data_dir: str, section: Impressions | Lookup) -> list[DataFile]:
    """The files of a section, in the order of the patterns, then of the names; each once.

    Args:
      data_dir: the folder; each pattern is looked up there, and in its `data` folder if nothing matches.
      section: the impressions or a lookup, with its patterns.
    Raises:
      InputError: the folder or a file is missing or cannot be read, a suffix is unknown, a header is unusable.
    """
    root = _folder(data_dir)
    found: dict[Path, None] = {}
    for pattern in section.files:
        matches = _matches(root, pattern)
        if not matches:
            raise InputError(_nothing_matches(root, pattern))
        found.update(dict.fromkeys(matches))
    return [_inspect(path, root, section.separator) for path in found]


def data_fingerprint(declaration: Declaration, data_dir: str) -> str:
    """A hash of every file the declaration names: relative path, size and content, not the time of change.

    Equal folders give the same text wherever they are. Reads everything once, with constant memory.

    Raises:
      InputError: as `find_files`.
    """
    digest = hashlib.blake2b(digest_size=16)
    sections: list[Impressions | Lookup] = [declaration.impressions, *declaration.lookups]
    for section in sections:
        for file in find_files(data_dir, section):
            digest.update(f"{file.name}\0{file.size}\0".encode())
            try:
                with Path(file.path).open("rb") as stream:
                    while block := stream.read(_HASH_BLOCK):
                        digest.update(block)
            except OSError as error:
                raise InputError(f"{file.path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _folder(data_dir: str) -> Path:
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


def _matches(root: Path, pattern: str) -> list[Path]:
    bases, relative = _bases(root, pattern)
    for base in bases:
        try:
            matches = sorted(
                found
                for found in base.glob(relative)
                if found.is_file() and _hidden(found.relative_to(base)) <= _hidden(Path(relative))
            )
        except OSError as error:
            raise InputError(f"{base}: the folder cannot be read: {error.strerror}") from None
        except (ValueError, IndexError, NotImplementedError):
            raise InputError(
                f"the declaration's files: {pattern!r} can match no file; give names, or globs such as logs/*.csv or "
                "**/*.csv"
            ) from None
        if matches:
            return matches
    return []


def _bases(root: Path, pattern: str) -> tuple[list[Path], str]:
    """Folders in which a pattern is looked up, and the pattern within them."""
    path = Path(pattern)
    if path.is_absolute():
        return [Path(path.anchor)], str(path.relative_to(path.anchor))
    return [root, root / "data"], pattern


def _hidden(path: Path) -> int:
    """How many parts of a path are hidden: a pattern matches no more than it names."""
    return sum(part.startswith(".") and part != ".." for part in path.parts)


def _nothing_matches(root: Path, pattern: str) -> str:
    bases, relative = _bases(root, pattern)
    folder = next((found for base in bases for found in sorted(base.glob(relative)) if found.is_dir()), None)
    if folder is not None:
        suffix = next((known for known in _SUFFIXES if folder.name.endswith(known)), ".csv")
        files = f"{pattern.rstrip('/')}/*{suffix}"
        return f"{folder}: is a folder; name the files in it, as in {files}"
    present = [
        str(path.relative_to(root))
        for base in (root, root / "data")
        if base.is_dir()
        for path in sorted(base.iterdir())
        if path.is_file()
    ]
    close = get_close_matches(pattern, present, n=3, cutoff=0.5)
    shown = close or present[:5]
    there = f" There: {', '.join(shown)}{' ...' if len(present) > len(shown) else ''}." if shown else ""
    return f"{root}: no file matches {pattern} (looked there and in its `data` folder).{there}"


def _format(path: Path) -> tuple[Format, str]:
    name = path.name.lower()
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return _SUFFIXES[suffix]
    raise InputError(f"{path}: unknown format; known are {', '.join(_SUFFIXES)}")


def _inspect(path: Path, root: Path, separator: str | None) -> DataFile:
    kind, default_separator = _format(path)
    separator = separator or default_separator
    try:
        size = path.stat().st_size
        if kind == "parquet":
            columns: Sequence[str] = read_schema(path).names
            start = 0
        else:
            columns, start = _header(path, kind, separator)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read as {kind}: {reason}") from None
    repeated = sorted({name for name in columns if list(columns).count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the header names {', '.join(repeated)} more than once")
    name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    return DataFile(str(path), name, kind, separator, tuple(columns), size, start)


def _open_text(path: Path, kind: Format) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if kind == "csv.gz" else path.open("rb")


def _header(path: Path, kind: Format, separator: str) -> tuple[list[str], int]:
    with _open_text(path, kind) as stream:
        line = stream.readline(_LONGEST_HEADER)
    if b"\0" in line:
        raise InputError(f"{path}:1: the header has NUL bytes: is the file UTF-16? Write it as UTF-8")
    if b"\r" in line.rstrip(b"\r\n"):
        raise InputError(f"{path}:1: lines end in CR only: rewrite the file with LF at the end of each line")
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}:1: the header is not UTF-8 text") from None
    if not text.strip():
        raise InputError(f"{path}:1: the file is empty: expected a line with the names of the columns")
    if len(line) == _LONGEST_HEADER:
        raise InputError(
            f"{path}:1: the first line is longer than {_LONGEST_HEADER} bytes: is this a text file?"
        )
    try:
        names = next(csv.reader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise InputError(f"{path}:1: the header cannot be parsed: {error}") from None
    return [name.strip() for name in names], len(line)


def require_column(column: str, what: str, files: Iterable[DataFile]) -> None:
    """Raises an InputError that names the first file lacking the column, and close names it does have."""
    for file in files:
        if column not in file.columns:
            close = get_close_matches(column, file.columns, n=3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(close)}?" if close else f" It has: {_some(file.columns)}."
            raise InputError(f"{file.path}: has no column {column} ({what}).{hint}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
