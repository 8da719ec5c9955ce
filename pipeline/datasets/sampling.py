"""An even sample of files that may be much larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from components.dataset.blocks import BLOCK_BYTES, read_all, read_blocks
from components.dataset.files import DataFile
from components.dataset.parquet import read_metadata
from components.dataset.read_plan import Piece, ReadPlan, cut
from components.dataset.text_block import TextBlock
from components.dataset.values import decoded

SAMPLE_ROWS = 200_000
WHOLE_BYTES = 24 << 20
WINDOW_BYTES = 256 << 10
_BYTES_PER_ROW = 60
_MANY_COLUMNS = 500
_FEWEST_ROWS = 2_000
_MOST_VALUES = 200_000_000


def sample_pieces(plan: ReadPlan, rows: int = SAMPLE_ROWS) -> list[Piece]:
    """Pieces spread evenly over the log, of about so many rows; all pieces when the log is small.

    A compressed csv file cannot be entered in the middle: it is only in the sample when it is small.
    """
    total = sum(file.size for file in plan.files)
    if total <= WHOLE_BYTES:
        return cut(plan)
    chosen: list[Piece] = []
    for number, file in enumerate(plan.files):
        wanted = _fewer(rows, file) * bytes_per_row(file)
        windows = max(1, round(wanted / _window(file) * file.size / total))
        for start, end in spread(file, windows):
            chosen.append(Piece(len(chosen), number, start, end))
    return chosen


def bytes_per_row(file: DataFile) -> float:
    """Mean length of the first lines of a csv file; a guess for other formats, which are sampled otherwise."""
    if file.format == "parquet" or file.is_packed:
        return _BYTES_PER_ROW
    with file.open_text() as stream:
        stream.seek(file.data_start)
        head = stream.read(64 << 10)
    lines = head.count(b"\n")
    return (head.rindex(b"\n") + 1) / lines if lines else max(len(head), _BYTES_PER_ROW)


def _window(file: DataFile) -> int:
    """Bytes that are read at a place: of very many columns a few rows cost what many do."""
    return WINDOW_BYTES * max(1, len(file.own_columns) // _MANY_COLUMNS)


def _fewer(rows: int, file: DataFile) -> int:
    """Of very many columns fewer rows are looked at."""
    return min(rows, max(_FEWEST_ROWS, _MOST_VALUES // max(1, len(file.own_columns))))


def spread(file: DataFile, windows: int) -> Iterator[tuple[int, int]]:
    """Up to so many short ranges of a file, evenly spaced, that together begin and end with it."""
    if file.is_packed:
        if file.size <= WHOLE_BYTES // 8:
            yield 0, file.size
        return
    if file.format == "parquet":
        groups = read_metadata(file.path).num_row_groups
        if groups == 0:
            return
        for index in sorted({round(i * (groups - 1) / max(1, windows - 1)) for i in range(windows)}):
            yield index, index + 1
        return
    length = file.size - file.data_start
    window = _window(file)
    if length <= windows * window:
        yield file.data_start, file.size
        return
    step = (length - window) / max(1, windows - 1)
    for index in range(windows):
        start = file.data_start + round(index * step)
        yield start, min(file.size, start + window)


def sample_rows(
    files: Sequence[DataFile], rows: int = SAMPLE_ROWS, columns: Sequence[str] | None = None
) -> tuple[pl.DataFrame, int, int]:
    """Rows spread evenly over the files, as they are written (text of csv, Parquet's own types, `readable`).

    Args:
      files: of one table.
      rows: about how many.
      columns: those to hold; all where none are named.
    Returns:
      The rows; a good guess at the number of rows in all; the number of lines that are no rows.
    """
    total = sum(file.size for file in files)
    held = list(files[0].columns if columns is None else columns)
    frames: list[pl.DataFrame] = []
    likely, bad = 0.0, 0
    for file in files:
        share = max(1, round(rows * file.size / total)) if total else rows
        blocks, read = _blocks(file, share, total <= WHOLE_BYTES)
        taken, seen, size = 0, 0, 0
        for block, every in blocks:
            bad += len(block.bad)
            seen += len(block.frame)
            part = readable(block.frame.select(held).gather_every(every))
            taken += len(part)
            frames.append(part)
        size = max(seen, 1)
        likely += size if read >= 1 else size / read
    return _joined(frames, held), round(likely), bad


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with bytes as text; what is no text is missing."""
    return frame.with_columns(
        decoded(frame[name]) for name, kind in frame.schema.items() if kind == pl.Binary
    )


def _blocks(file: DataFile, rows: int, whole: bool) -> tuple[Iterator[tuple[TextBlock, int]], float]:
    """Blocks with the step at which their rows are taken, and the share of the file that they are."""
    if whole:
        return ((block, 1) for block in read_all(file)), 1.0
    if file.format != "parquet" and not file.is_packed:
        windows = max(1, round(_fewer(rows, file) * bytes_per_row(file) / _window(file)))
        ranges = list(spread(file, windows))
        read = sum(end - start for start, end in ranges) / max(1, file.size - file.data_start)
        blocks = (
            (block, 1) for start, end in ranges for block in read_blocks(file, start, end, _window(file))
        )
        return blocks, read
    if file.is_packed:
        every = max(1, round(file.size * 8 / _BYTES_PER_ROW / rows))
        return ((block, every) for block in read_all(file)), 1.0
    metadata = read_metadata(file.path)
    ranges = list(spread(file, 64))
    chosen = sum(metadata.row_group(start).num_rows for start, _ in ranges)
    every = max(1, round(chosen / rows))
    blocks = ((block, every) for start, end in ranges for block in read_blocks(file, start, end, BLOCK_BYTES))
    return blocks, chosen / max(1, metadata.num_rows)


def _joined(frames: list[pl.DataFrame], columns: list[str]) -> pl.DataFrame:
    """One frame; a column of several types becomes text."""
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    schemas = [frame.schema for frame in frames]
    mixed = [name for name in columns if any(schema[name] != schemas[0][name] for schema in schemas)]
    return pl.concat(
        [frame.with_columns(pl.col(mixed).cast(pl.String)) if mixed else frame for frame in frames]
    )
