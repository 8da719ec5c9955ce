"""Finds a dataset's files in a folder, knows their formats and columns, and fingerprints their content."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from components.dataset.declaration import Declaration
from components.dataset.encodings import encoding_hint, one_character
from components.dataset.file_names import SUFFIXES, Format, path_keys, suffix_of
from components.dataset.json_lines import names_of
from components.dataset.names import meant
from components.dataset.parquet import read_schema
from components.dataset.patterns import files_of, folder_of, relative_name
from components.dataset.sections import UTF_8, Events, Impressions, Lookup
from components.errors import InputError

_HASH_BLOCK = 1 << 20
_LONGEST_HEADER = 1 << 20
_HEAD_BYTES = 1 << 20
_WORDS: dict[Format, str] = {
    "csv": "csv",
    "csv.gz": "gzipped csv",
    "json": "JSON lines",
    "json.gz": "gzipped JSON lines",
    "parquet": "Parquet",
}


@dataclass(frozen=True)
class DataFile:
    """One file, opened once to learn its columns.

    Attributes:
      path: where it is.
      name: relative to the data folder, as messages and reports name it.
      format: csv or json, either with .gz, or parquet.
      separator: for csv; one character, or several.
      columns: names in the file's order, then those of `keys`.
      size: bytes.
      data_start: offset of the first byte after the header line (csv).
      has_header: whether the first line names the columns.
      encoding: of a text.
      keys: columns that its folders tell (`dt=2026-03-14/`) and the file leaves out: name and value, the same for all
        of its rows.
    """

    path: str
    name: str
    format: Format
    separator: str
    columns: tuple[str, ...]
    size: int
    data_start: int
    keys: tuple[tuple[str, str | None], ...] = ()
    has_header: bool = True
    encoding: str = UTF_8

    @property
    def own_columns(self) -> tuple[str, ...]:
        """The columns that the file itself has."""
        return self.columns[: len(self.columns) - len(self.keys)]

    @property
    def is_json(self) -> bool:
        """Whether each line is an object of JSON."""
        return self.format in ("json", "json.gz")

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed text, which cannot be entered in the middle."""
        return self.format.endswith(".gz")

    @property
    def first_line(self) -> int:
        """Number of the first line of data: 2 below a header, 1 without one and for Parquet, whose rows are counted."""
        return 2 if self.has_header else 1

    def open_text(self) -> IO[bytes]:
        """The uncompressed bytes of a text."""
        return open_text(Path(self.path), self.format)

    def head(self) -> bytes:
        """The first bytes of a text."""
        with self.open_text() as stream:
            return stream.read(_HEAD_BYTES)


def find_files(data_dir: str, section: Events | Impressions | Lookup) -> list[DataFile]:
    """The files of a section, in the order of the patterns, then of the names; each once.

    Args:
      data_dir: the folder; each pattern is looked up there, and in its `data` folder if nothing matches.
      section: the impressions or a lookup, with its patterns.
    Raises:
      InputError: the folder or a file is missing or cannot be read, a suffix is unknown, a header is unusable.
    """
    root = folder_of(data_dir)
    return [inspect(path, root, section) for path in files_of(root, section)]


def declared_files(declaration: Declaration, data_dir: str) -> list[DataFile]:
    """Every file that the declaration names: the log's, the lookups' and the events'.

    Raises:
      InputError: as `find_files`.
    """
    sections: list[Events | Impressions | Lookup] = [declaration.impressions, *declaration.lookups]
    sections += declaration.events
    return [file for section in sections for file in find_files(data_dir, section)]


def data_fingerprint(declaration: Declaration, data_dir: str) -> str:
    """A hash of every file the declaration names: relative path, size and content, not the time of change.

    Equal folders give the same text wherever they are. Reads everything once, with constant memory.

    Raises:
      InputError: as `find_files`.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in declared_files(declaration, data_dir):
        digest.update(f"{file.name}\0{file.size}\0".encode())
        try:
            with Path(file.path).open("rb") as stream:
                while block := stream.read(_HASH_BLOCK):
                    digest.update(block)
        except OSError as error:
            raise InputError(f"{file.path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _format(path: Path) -> tuple[Format, str]:
    suffix = suffix_of(path.name)
    if not suffix:
        raise InputError(f"{path}: unknown format; known are {', '.join(SUFFIXES)}")
    return SUFFIXES[suffix.lower()]


def inspect(path: Path, root: Path, section: Events | Impressions | Lookup) -> DataFile:
    """Opens a file to learn its format and its columns.

    Args:
      path: the file.
      root: the data folder.
      section: what is declared of it.
    Raises:
      InputError: as `find_files`.
    """
    kind, default_separator = _format(path)
    separator = section.separator or default_separator
    # Those of events are other names of columns.
    given = [] if isinstance(section, Events) else section.columns
    has_header = kind in ("csv", "csv.gz") and not given
    try:
        size = path.stat().st_size
        if kind == "parquet":
            columns, begin, start = read_schema(path).names, 0, 0
        elif kind in ("json", "json.gz"):
            columns, begin, start = _keys(path, kind), 0, 0
        else:
            columns, begin, start = _header(path, kind, separator, section.encoding)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read as {_WORDS[kind]}: {reason}") from None
    if given and kind not in ("csv", "csv.gz"):
        raise InputError(f"{path}: `columns` are names for CSV without a header: {kind} has its own")
    if given:
        if len(given) != len(columns):
            raise InputError(
                f"{path}:1: has {len(columns)} values, but `columns` names {len(given)}: {_some(given)}"
            )
        columns, start = given, begin
    repeated = sorted(name for name, times in Counter(columns).items() if times > 1)
    if repeated:
        hint = (
            ""
            if given
            else "; if it is a row of data, give the names as `columns` (dfei dataset new --columns)"
        )
        raise InputError(
            f"{path}: the header names {', '.join(name or 'nothing' for name in repeated)} more than once{hint}"
        )
    name = relative_name(path, root)
    keys = tuple((key, value) for key, value in path_keys(Path(name)).items() if key not in columns)
    columns = (*columns, *(key for key, _ in keys))
    # JSON is UTF-8 whatever its tables beside it are, and Parquet holds texts of its own.
    encoding = section.encoding if kind in ("csv", "csv.gz") else UTF_8
    return DataFile(str(path), name, kind, separator, columns, size, start, keys, has_header, encoding)


def open_text(path: Path, kind: Format) -> IO[bytes]:
    """A text's bytes, unpacked where it is packed."""
    return cast(IO[bytes], gzip.open(path, "rb")) if kind.endswith(".gz") else path.open("rb")


def _keys(path: Path, kind: Format) -> list[str]:
    """The columns of JSON lines: what the first of them have."""
    with open_text(path, kind) as stream:
        lines = stream.readlines(_LONGEST_HEADER)
    names = names_of(lines)
    if not names:
        of_python = bool(lines) and lines[0].lstrip().startswith((b"{'", b"{u'"))
        hint = "; these are Python's dicts: write each with json.dumps" if of_python else ""
        raise InputError(
            f"{path}:1: expected JSON lines: an object with the columns of one row in each line{hint}"
        )
    return names


def _header(path: Path, kind: Format, separator: str, encoding: str) -> tuple[list[str], int, int]:
    """The values of the first line, where it begins (behind a byte order mark) and where it ends."""
    with open_text(path, kind) as stream:
        line = stream.readline(_LONGEST_HEADER)
    if b"\0" in line:
        raise InputError(f"{path}:1: the header has NUL bytes: is the file UTF-16? Write it as UTF-8")
    if b"\r" in line.rstrip(b"\r\n"):
        raise InputError(f"{path}:1: lines end in CR only: rewrite the file with LF at the end of each line")
    try:
        text = line.decode("utf-8-sig" if encoding == UTF_8 else encoding).rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}:1: the header is not {encoding.upper()} text{encoding_hint(line)}"
        ) from None
    if not text.strip():
        raise InputError(f"{path}:1: the file is empty: expected a line with the names of the columns")
    if len(line) == _LONGEST_HEADER:
        raise InputError(
            f"{path}:1: the first line is longer than {_LONGEST_HEADER} bytes: is this a text file?"
        )
    try:
        values, between = one_character(text.encode(), separator)
        names = next(csv.reader(io.StringIO(values.decode()), delimiter=between))
    except csv.Error as error:
        raise InputError(f"{path}:1: the header cannot be parsed: {error}") from None
    return [name.strip() for name in names], len(BOM_UTF8) * line.startswith(BOM_UTF8), len(line)


def require_column(column: str, what: str, files: Iterable[DataFile], remedy: str = "") -> None:
    """Raises an InputError that names the first file lacking the column, and close names it does have.

    Args:
      column: the name.
      what: the role it has.
      files: all have to have it.
      remedy: what else to do, a sentence.
    """
    for file in files:
        if column not in file.columns:
            close = meant(column, file.columns)
            hint = f" Did you mean {close}?" if close else f" It has: {_some(file.columns)}."
            more = f" {remedy}" if remedy else ""
            raise InputError(f"{file.path}: has no column {column} ({what}).{hint}{more}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
