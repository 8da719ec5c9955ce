"""Rows from CSV, JSON and Parquet files or standard input, a chunk at a time."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import itertools
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from components.dataset.encodings import NO_TEXT, encoding_hint, is_in_utf_8
from components.dataset.file_names import SUFFIXES, path_keys
from components.dataset.input_names import LIST_SEPARATOR
from components.dataset.sections import UTF_8
from components.dataset.separators import shown_separator, spaces_alone
from components.errors import InputError

Format = Literal["csv", "json", "parquet"]
# By suffix, format and separator; without those in a `.gz`: a stream is packed or not, whatever is in it.
FORMATS: dict[str, tuple[Format, str]] = {
    suffix: (cast(Format, kind), separator)
    for suffix, (kind, separator) in SUFFIXES.items()
    if not kind.endswith(".gz")
}
_READ_CHARACTERS = 1 << 16
_HEAD_BYTES = 1 << 16
_LONGEST_INT = 4_000
_NAMED = 3
# A truncated word or number of JSON is told at its beginning: so far from the end of what was read.
_LONGEST_WORD = 16


class RowError(InputError):
    """A row cannot be read, or has a value that is none of its input's type: others may be fine.

    Args:
      source: the file's name.
      place: where the row is, `line 3`.
      reason: why.
      row: which of its chunk, once it is in one.
    """

    def __init__(self, source: str, place: str, reason: str, row: int | None = None) -> None:
        super().__init__(f"{source}, {place}: {reason}")
        self.place = place
        self.reason = reason
        self.row = row


@dataclass
class BadRows:
    """What becomes of rows that cannot be used.

    Attributes:
      skipped: whether they are passed over; else the first one is an error.
      rows: how many were.
      first: the first of them, where and why.
    """

    skipped: bool = False
    rows: int = 0
    first: list[str] = field(default_factory=list)
    _last: str = ""

    def add(self, error: RowError) -> None:
        """Counts it, once for each place.

        Raises:
          RowError: they are not passed over.
        """
        if not self.skipped:
            raise error
        if error.place == self._last:
            return
        self._last = error.place
        self.rows += 1
        if len(self.first) < _NAMED:
            self.first.append(f"{error.place}: {error.reason}")


class AsWritten(float):
    """A number of JSON that knows how it is written, which is what training takes for a text: `1.10`, `1e5`."""

    def __init__(self, text: str) -> None:
        self.text = text


def _int(text: str) -> int | str:
    # Python makes no int of more digits, and no input takes one.
    return int(text) if len(text) <= _LONGEST_INT else text


@dataclass
class Chunk:
    """Some rows of a source.

    Attributes:
      rows: values by column. A column may be absent from a row.
      places: where each row is, for error messages: `line 3`.
      batch: the same rows as a `pyarrow.RecordBatch`, with Parquet's types; `None` for other formats.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    batch: Any = None

    def add(self, row: dict[str, Any], place: str) -> None:
        """Adds a row."""
        self.rows.append(row)
        self.places.append(place)

    def without(self, row: int) -> Chunk:
        """All rows but one."""
        kept = [number for number in range(len(self.rows)) if number != row]
        return Chunk(
            [self.rows[number] for number in kept],
            [self.places[number] for number in kept],
            None if self.batch is None else self.batch.take(kept),
        )


def _no_file(path: Path) -> str:
    """Why a path cannot be read as one file of rows."""
    several = path.is_dir() or (glob.has_magic(str(path)) and glob.glob(str(path)))  # noqa: PTH207 - it may be absolute
    if not several:
        return f"{path}: no such file"
    each = f"{path}/*" if path.is_dir() else path
    loop = f"for file in {each}; do dfei predict $file …; done"
    return f"{path} may be several files, and one is scored at a time: {loop}"


class Source:
    """A file, or standard input.

    Args:
      path: the file; `None` for standard input. `.gz` is decompressed.
      kind: its format; by default that of the suffix, for standard input that of its first character.
      separator: between the values of CSV; by default the suffix's, a tab for `.tsv`, or what the header shows.
      encoding: of CSV that is not UTF-8 by its bytes.
      columns: names for CSV whose first line is data.
      bad: takes rows that cannot be read.

    Attributes:
      header: the columns of CSV, once its first line has been read.
      separator: between the values of CSV, once its first line has been read.
      keys: columns that the file's folders tell, as in `scene=feed/part-0.parquet`, for rows that leave them out.

    Raises:
      InputError: there is no such file, its format is not known, or has no such separator.
    """

    def __init__(
        self,
        path: Path | None,
        kind: Format | None = None,
        separator: str | None = None,
        encoding: str = UTF_8,
        columns: Sequence[str] = (),
        bad: BadRows | None = None,
    ) -> None:
        self.path = path
        self.name = "standard input" if path is None else str(path)
        self.size: int | None = None
        if path is None:
            self._raw = cast(io.BufferedReader, sys.stdin.buffer)
        elif path.is_file():
            self.size = path.stat().st_size
            self._raw = path.open("rb")
        else:
            raise InputError(_no_file(path))
        self.kind: Format = kind or self._guess()
        if separator is not None and self.kind != "csv":
            raise InputError(f"--separator is for CSV, but {self.name} is read as {self.kind}: leave it out")
        if separator is not None and (not 1 <= len(separator) <= 4 or set(separator) & set('"\r\n')):
            raise InputError(
                f"--separator {separator!r}: expected a character, such as ';' (a tab is $'\\t' in most shells), or up "
                "to four, such as '::'"
            )
        self.header: list[str] | None = None
        self.keys: dict[str, str | None] = {} if path is None else path_keys(path)
        self._given = separator
        self._encoding = encoding
        self._columns = list(columns)
        self._bad = bad or BadRows()
        self._rows = 0
        self._usual = FORMATS.get(self.suffix, ("", ","))[1] or ","
        self.separator = self._usual

    @property
    def suffix(self) -> str:
        """That of the file within a `.gz`."""
        if self.path is None:
            return ""
        return (Path(self.path.stem) if self.path.suffix.lower() == ".gz" else self.path).suffix.lower()

    def _guess(self) -> Format:
        if self.path is None:
            return "json" if self._raw.peek(256).lstrip()[:1] in (b"{", b"[") else "csv"
        if self.suffix not in FORMATS:
            raise InputError(
                f"{self.path}: the suffix {self.suffix!r} is not known; known are {', '.join(FORMATS)}"
            )
        return FORMATS[self.suffix][0]

    @property
    def expected_rows(self) -> int | None:
        """How many rows there will be, going by the share of the file that was read; all of them once it has ended.

        None where that is not known: of standard input, and where all is read and some of it not given yet.
        """
        if self._raw.closed:
            return self._rows
        share = self._raw.tell() / self.size if self.size else 1.0
        return round(self._rows / share) if 0.0 < share < 1.0 else None

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """The rows, so many at a time.

        Raises:
          InputError: the content is not what the format says; with file and line.
        """
        for chunk in self._own_chunks(rows):
            for row in chunk.rows:
                for name, value in self.keys.items():
                    row.setdefault(name, value)
            self._rows += len(chunk.rows)
            yield chunk

    def _own_chunks(self, rows: int) -> Iterator[Chunk]:
        with self._raw:
            if self.kind == "parquet":
                yield from self._parquet(rows)
                return
            packed = self.path is not None and self.path.suffix.lower() == ".gz"
            stream = cast(io.BufferedReader, gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
            buffered = io.BufferedReader(stream, _HEAD_BYTES) if packed else stream
            is_utf_8 = (
                self.kind == "json" or self._encoding == UTF_8 or is_in_utf_8(buffered.peek(_HEAD_BYTES))
            )
            encoding = "utf-8-sig" if is_utf_8 else self._encoding
            # What is no text is told row by row where such rows are passed over.
            errors = "surrogateescape" if self._bad.skipped else "strict"
            with io.TextIOWrapper(buffered, encoding, errors, newline="") as text:
                found = self._csv(text) if self.kind == "csv" else self._json(text)
                yield from self._grouped(found, rows)

    def _grouped(self, found: Iterator[tuple[dict[str, Any], str]], rows: int) -> Iterator[Chunk]:
        chunk = Chunk()
        try:
            for row, place in found:
                if self._bad.skipped and not _is_text(row):
                    self._unreadable(place, NO_TEXT)
                    continue
                chunk.add(row, place)
                if len(chunk.rows) == rows:
                    yield chunk
                    chunk = Chunk()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.name}: {NO_TEXT}: {error}{encoding_hint(error.object)}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{self.name}: not a whole gzip file: {error}") from error
        if chunk.rows:
            yield chunk

    def _csv(self, text: TextIO) -> Iterator[tuple[dict[str, Any], str]]:
        first = text.readline()
        lines: Iterable[str] = itertools.chain([first] if first else [], text)
        several = self._given or shown_separator([first], self._usual, len(self._columns))
        several = between = several or spaces_alone(first) or self._usual
        self.separator = several
        if len(several) > 1:
            lines, between = (line.replace(several, LIST_SEPARATOR) for line in lines), LIST_SEPARATOR
        reader = csv.reader(lines, strict=True, delimiter=between)
        try:
            header = self._columns or next(reader, [])
            if not header and not first:
                raise InputError(f"{self.name}: empty; expected a header line with the names of the columns")
            if len(set(header)) < len(header):
                raise InputError(f"{self.name}, line 1: a column's name appears twice")
            self.header = header
        except csv.Error as error:
            raise InputError(f"{self.name}, line {reader.line_num}: not CSV: {error}") from error
        while True:
            begun = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "end of data" in str(error):
                    # All that follows would be passed over with it.
                    quote = f"a quote opens in line {begun} and is not closed to the end of the file"
                    raise InputError(f"{self.name}, line {begun}: not CSV: {quote}") from error
                self._unreadable(_lines(begun, reader.line_num), f"not CSV: {error}")
                continue
            if len(cells) == len(header):
                yield dict(zip(header, cells, strict=True)), f"line {reader.line_num}"
            elif cells:
                expected = f"expected {len(header)} as in {'--columns' if self._columns else 'the header'}"
                self._unreadable(_lines(begun, reader.line_num), f"{len(cells)} cells, {expected}")

    def _unreadable(self, place: str, reason: str) -> None:
        self._bad.add(RowError(self.name, place, reason))

    def _json(self, text: TextIO) -> Iterator[tuple[dict[str, Any], str]]:
        for value, line in _json_values(text, self.name, self._bad):
            if not isinstance(value, dict):
                self._unreadable(f"line {line}", f"expected an object with the columns, got {value!r:.40}")
                continue
            instances = value.get("instances")
            if isinstance(instances, list) and all(isinstance(row, dict) for row in instances):
                for number, row in enumerate(instances):
                    yield row, f"instance {number}"
            else:
                yield value, f"line {line}"

    def _parquet(self, rows: int) -> Iterator[Chunk]:
        from components.dataset.parquet import record_batches

        number = 0
        for batch in record_batches(self._raw, rows, name=self.name):
            records = batch.to_pylist()
            yield Chunk(records, [f"row {number + offset + 1}" for offset in range(len(records))], batch)
            number += len(records)


def _lines(first: int, last: int) -> str:
    return f"line {last}" if first == last else f"lines {first} to {last}"


def _is_text(row: dict[str, Any]) -> bool:
    """Whether all of it can be sent: bytes that are no text were read as halves of surrogate pairs."""
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_values(text: TextIO, name: str, bad: BadRows) -> Iterator[tuple[Any, int]]:
    """JSON values one after the other, or the elements of one array, each with the line it begins on.

    A value that cannot be read ends with its line: the next one begins after that.
    """
    decoder = json.JSONDecoder(parse_float=AsWritten, parse_int=_int)
    buffer, line, size, ended = "", 1, _READ_CHARACTERS, False
    while True:
        kept = buffer.lstrip(" \t\r\n,[]")
        line += buffer[: len(buffer) - len(kept)].count("\n")
        buffer = kept
        if buffer:
            place, reason = line, ""
            try:
                value, end = decoder.raw_decode(buffer)
            except json.JSONDecodeError as error:
                if ended or _is_wrong(error, buffer):
                    place, reason = line + buffer[: error.pos].count("\n"), f"not JSON: {error.msg}"
            except RecursionError:
                reason = "nested too deeply"
            else:
                yield value, line
                line += buffer[:end].count("\n")
                buffer, size = buffer[end:], _READ_CHARACTERS
                continue
            rest = buffer.find("\n")
            if reason and (rest >= 0 or ended or not bad.skipped):
                # Of what goes over several lines, the first one is passed over.
                bad.add(RowError(name, f"line {line if bad.skipped else place}", reason))
                buffer, size = buffer[rest:] if rest >= 0 else "", _READ_CHARACTERS
                continue
            # The value goes on: read ever more, so that a large one is not parsed from its start too often.
            size *= 2
        if ended:
            return
        more = text.read(size)
        ended = not more
        buffer += more


def _is_wrong(error: json.JSONDecodeError, buffer: str) -> bool:
    """Whether more text would not make it right. A text in quotes has no line break: one without an end goes on."""
    return not error.msg.startswith("Unterminated") and error.pos < len(buffer) - _LONGEST_WORD
