"""Lines of CSV to columns of text: one row is one line, and every line's fate is known by its number.

A quoted value may hold separators and doubled quotes, not line breaks: so a file can be cut at any line, a stray
quote spoils its own line only, and line numbers are true. What does not parse as Python's `csv` module in strict
mode parses it is set aside with the reason, line by line.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from components.dataset.encodings import NO_TEXT
from components.dataset.text_block import TextBlock
from components.errors import InputError

if TYPE_CHECKING:
    from components.dataset.files import DataFile

_NEWLINE, _QUOTE = 10, 34
LONGEST_LINE = 8 << 20


def line_blocks(file: DataFile, start: int, end: int, block_bytes: int) -> Iterator[bytes]:
    """Whole lines of a csv file, in blocks of about `block_bytes`, without the header.

    Args:
      file: the file.
      start, end: only lines whose first byte lies in [start, end); for compressed files they are ignored, as
        these cannot be entered in the middle.
      block_bytes: bytes to read at a time; the line that is cut is completed.
    Raises:
      InputError: the file cannot be read; a line is longer than LONGEST_LINE.
    """
    try:
        with file.open_text() as stream:
            if file.is_packed:
                stream.read(file.data_start)
                left: float = float("inf")
            else:
                cut = start > file.data_start
                stream.seek(start - 1 if cut else start)
                if cut:
                    # Up to the end of the line that holds the byte before `start`: it is not ours.
                    _complete(stream, file)
                left = end - stream.tell()
            while left > 0:
                block = stream.read(int(min(block_bytes, left)))
                if not block:
                    return
                if not block.endswith(b"\n"):
                    block += _complete(stream, file)
                left -= len(block)
                yield block
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{file.path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None


def _complete(stream: IO[bytes], file: DataFile) -> bytes:
    rest = stream.readline(LONGEST_LINE)
    if len(rest) == LONGEST_LINE:
        raise InputError(f"{file.path}: no line break in {LONGEST_LINE >> 20} MB: is this a text?")
    return rest


def parse_lines(block: bytes, separator: str, columns: tuple[str, ...]) -> TextBlock:
    """Splits whole lines into columns of text.

    Args:
      block: whole lines; the last may lack its line break.
      separator: one ASCII character.
      columns: the header's names; a line needs as many values.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
    if not block.endswith(b"\n"):
        block += b"\n"
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    filled = ends > starts
    plain = filled & _well_formed(block, starts, ends, len(columns), ord(separator))
    bad: list[tuple[int, str]] = []
    repaired: dict[int, bytes] = {}
    for number in np.flatnonzero(filled & ~plain).tolist():
        outcome = _by_csv_module(block[starts[number] : ends[number]], len(columns), separator)
        if isinstance(outcome, str):
            bad.append((number, outcome))
        else:
            repaired[number] = outcome
    if not _is_utf8(block):
        for number in np.flatnonzero(plain).tolist():
            if not _is_utf8(block[starts[number] : ends[number]]):
                plain[number] = False
                bad.append((number, NO_TEXT))
        bad.sort()
    is_row = plain.copy()
    is_row[list(repaired)] = True
    clean = block if plain.all() else _assemble(block, starts, ends, plain, repaired)
    return TextBlock(_to_frame(clean, columns, separator), np.flatnonzero(is_row), bad, len(ends))


def _well_formed(
    block: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], columns: int, separator: int
) -> npt.NDArray[np.bool_]:
    """Lines with the right number of separators outside quotes, and quotes only where values begin and end."""
    data = np.frombuffer(block, np.uint8)
    separators = np.flatnonzero(data == separator)
    if b'"' not in block:
        return np.asarray(_count(separators, starts, ends) == columns - 1)
    quotes = np.flatnonzero(data == _QUOTE)
    first_quote = np.searchsorted(quotes, starts)
    quote_line = np.searchsorted(ends, quotes)
    opening = (np.arange(len(quotes)) - first_quote[quote_line]) % 2 == 0
    before = np.where(quotes > 0, data[quotes - 1], _NEWLINE)
    after = data[quotes + 1]
    neighbour = np.where(opening, before, after)
    doubled = neighbour == _QUOTE
    # The opening quote of an empty value touches no quote before it: `,""` opens after a separator.
    misplaced = ~((neighbour == separator) | (neighbour == _NEWLINE) | doubled)
    balanced = _count(quotes, starts, ends) % 2 == 0
    balanced[quote_line[misplaced]] = False
    line_of = np.searchsorted(ends, separators)
    inside = (np.searchsorted(quotes, separators) - first_quote[line_of]) % 2 == 1
    return np.asarray(balanced & (_count(separators[~inside], starts, ends) == columns - 1))


def _count(
    positions: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    return np.searchsorted(positions, ends) - np.searchsorted(positions, starts)


def _by_csv_module(line: bytes, columns: int, separator: str) -> bytes | str:
    """The line written anew with every value quoted, or the reason why it is not a row."""
    if b'"' not in line and line.count(separator.encode()) != columns - 1:
        return f"expected {columns} values, found {line.count(separator.encode()) + 1}"
    try:
        values = next(csv.reader([line.decode()], delimiter=separator, strict=True))
    except UnicodeDecodeError:
        return NO_TEXT
    except csv.Error as error:
        if "unexpected end" in str(error):
            return (
                "a quote is not closed on its line (a line break inside a value? write the table as Parquet)"
            )
        return f"cannot be parsed: {error}"
    if len(values) != columns:
        return f"expected {columns} values, found {len(values)}"
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(values)
    return buffer.getvalue().encode()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _assemble(
    block: bytes,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    plain: npt.NDArray[np.bool_],
    repaired: dict[int, bytes],
) -> bytes:
    """The block without its bad and empty lines, repaired ones in their places."""
    pieces, position = [], 0
    for number in np.flatnonzero(~plain).tolist():
        pieces.append(block[position : starts[number]])
        pieces.append(repaired.get(number, b""))
        position = ends[number] + 1
    return b"".join([*pieces, block[position:]])


def _to_frame(clean: bytes, columns: tuple[str, ...], separator: str) -> pl.DataFrame:
    schema = dict.fromkeys(columns, pl.String)
    if not clean:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(clean, has_header=False, schema=schema, separator=separator)
