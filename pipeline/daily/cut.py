"""Files that hold several days, cut into days: each day is then read at the cost of a day.

A file is read once for all of its days, when the first of them is made. What is cut off keeps its bytes: lines with
their mistakes and Parquet's types. It lies in `<root>/daily/cut/<file>/<day>/` under the file's own name, folders with
keys included, until no day is due.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

import numpy as np
import polars as pl
import pyarrow as pa

from components.dataset.blocks import BLOCK_BYTES, parse_text
from components.dataset.csv_lines import line_blocks
from components.dataset.declaration import DAY_MS, Declaration
from components.dataset.files import DataFile
from components.dataset.parquet import ParquetWriter, record_batches
from components.dataset.parquet_types import to_frame
from components.dataset.sections import Timestamp
from components.dataset.times import to_local_ms
from components.example_gen.checks import day_name
from components.progress import Progress, report
from models.arrays import Array

_ROWS = 32_768
_PARTIAL = ".partial"


def days_of_rows(frame: pl.DataFrame, declaration: Declaration, clock: Timestamp | None = None) -> pl.Series:
    """The local day of each row, counted from 1970-01-01; null where its time cannot be read.

    Args:
      frame: the rows.
      declaration: of the feed.
      clock: of the rows, where it is not the impressions'.
    """
    clock = clock or declaration.timestamp
    return to_local_ms(frame[clock.column], clock.unit, declaration.time_zone).values // DAY_MS


class CutFiles:
    """The cut files of a feed.

    Args:
      folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of_day(self, file: DataFile, day: str, declaration: Declaration) -> Path:
        """A day's rows of a file, as a file of the same format.

        Args:
          file: it holds several days.
          day: ISO.
          declaration: of the feed.

        Raises:
          InputError: the file cannot be read.
        """
        place = self._place(file)
        if not place.is_dir():
            partial = place.with_name(place.name + _PARTIAL)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            cut = _cut_parquet if file.format == "parquet" else _cut_text
            cut(file, declaration, lambda found: _made(partial / found / file.name))
            partial.rename(place)
        return place / day / file.name

    def clear(self) -> None:
        """Removes all of them: once no day is due they only take room."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _place(self, file: DataFile) -> Path:
        status = Path(file.path).stat()
        text = f"{file.path} {status.st_size} {status.st_mtime_ns}"
        return self._folder / hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _cut_text(file: DataFile, declaration: Declaration, path_of: Callable[[str], Path]) -> None:
    """Appends each line to the file of its day; a line without a readable time stays with the one before it."""
    with file.open_text() as stream:
        header = stream.read(file.data_start)
    begun: set[str] = set()
    before, done = -1, 0
    for raw in line_blocks(file, file.data_start, file.size, BLOCK_BYTES):
        block = parse_text(file, raw)
        days = np.full(block.count, -1, np.int64)
        days[block.lines] = days_of_rows(block.frame, declaration).fill_null(-1).to_numpy()
        days = _filled(days, before)
        before = int(days[-1])
        lines = raw.split(b"\n")
        for day in np.unique(days[days >= 0]).tolist():
            name = day_name(day)
            with _appending(path_of(name), file) as out:
                if name not in begun:
                    out.write(header)
                    begun.add(name)
                out.writelines(lines[at] + b"\n" for at in np.flatnonzero(days == day).tolist())
        done += block.count
        report(Progress("cutting a file into its days", done))


def _appending(path: Path, file: DataFile) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "ab", compresslevel=1)) if file.is_packed else path.open("ab")


def _filled(days: Array, before: int) -> Array:
    """Days of lines, where -1 is not known: that of the line before; at the beginning, of the first that is known."""
    known = np.flatnonzero(days >= 0)
    if not len(known):
        return np.full(len(days), before)
    place = np.searchsorted(known, np.arange(len(days)), side="right") - 1
    first = before if before >= 0 else days[known[0]]
    return np.where(place >= 0, days[known[place]], first)


def _cut_parquet(file: DataFile, declaration: Declaration, path_of: Callable[[str], Path]) -> None:
    """Writes each row, as it is, to the file of its day."""
    writers: dict[str, ParquetWriter] = {}
    before = -1
    with ExitStack() as stack:
        for batch in record_batches(file.path, _ROWS):
            days = _filled(days_of_rows(to_frame(file, batch), declaration).fill_null(-1).to_numpy(), before)
            before = int(days[-1]) if len(days) else before
            for day in np.unique(days[days >= 0]).tolist():
                name = day_name(day)
                if name not in writers:
                    writers[name] = stack.enter_context(ParquetWriter(path_of(name), batch.schema))
                writers[name].write_batch(batch.filter(pa.array(days == day)))
