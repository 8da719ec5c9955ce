"""Which days the data holds, and what identifies each: its rows, whatever files they lie in and in whatever order.

A day's rows are those whose time, on the clock of the declared zone, falls into it. Each file is read once and
remembered by its size and time of change; a day's fingerprint is made of the rows alone, so a file that goes on
growing does not change the days it held before, and rows that came late do.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, Field

from components.dataset.blocks import read_all
from components.dataset.day_names import day_in
from components.dataset.declaration import Declaration
from components.dataset.file_names import glob_escape
from components.dataset.files import DataFile, find_files, require_column
from components.dataset.patterns import folder_of, matches, relative_name
from components.dataset.sections import Events, Impressions
from components.errors import InputError
from components.example_gen.checks import day_name
from components.progress import Progress, report
from pipeline.daily.cut import days_of_rows
from pipeline.report.metrics import write_whole

# A file's day has at least this share of the rows of its largest day: what is below are strays.
_STRAY = 0.02
# The newest day of all, without a day after it, has only just begun below this share of the usual rows.
_BEGUN = 0.1
_BITS = 128


class Part(BaseModel):
    """The rows of one day in one file.

    Attributes:
      rows: how many.
      hash: the sum of their hashes: the same for any order of rows.
    """

    rows: int = 0
    hash: str = ""


class FileDays(BaseModel):
    """What a file holds.

    Attributes:
      size, changed_ns: by which it is known again.
      named: the day in its name, ISO.
      days: by ISO day.
      problem: why it cannot be read; its day is then that of its name, or of its place among the files.
    """

    size: int
    changed_ns: int
    named: str | None = None
    days: dict[str, Part] = Field(default_factory=dict)
    problem: str = ""

    def main_days(self) -> list[str]:
        """The days that the file delivers; the others' rows are strays."""
        largest = max((part.rows for part in self.days.values()), default=0)
        found = {day for day, part in self.days.items() if part.rows >= _STRAY * largest}
        return sorted(found | ({self.named} if self.named else set()))


class Delivery(BaseModel):
    """What has arrived of a day.

    Attributes:
      day: ISO.
      parts: by file, the ones that repeat another file's rows left out.
      shared: those of them that other days lie in, too.
      repeats: file -> the file that holds the same rows.
      problems: what is wrong with files of this day.
      events: by section of the declaration's `events` (its number) and file: those of the day, and of the days before
        it that bring no impressions.
      after: the day delivered before this one, ISO; None: there is none.
      pending: earlier days whose events no state knows yet, in order.
    """

    day: str
    parts: dict[str, Part] = Field(default_factory=dict)
    shared: list[str] = Field(default_factory=list)
    events: dict[str, dict[str, Part]] = Field(default_factory=dict)
    after: str | None = None
    pending: list[Delivery] = Field(default_factory=list)
    repeats: dict[str, str] = Field(default_factory=dict)
    problems: list[str] = Field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows, those that repeat others within a file included."""
        return sum(part.rows for part in self.parts.values())

    @property
    def event_rows(self) -> int:
        """Events."""
        return sum(part.rows for files in self.events.values() for part in files.values())

    @property
    def fingerprint(self) -> str:
        """Equal for equal rows and events, however they are spread over files."""
        total = sum(int(part.hash, 16) for part in self.parts.values()) % (1 << _BITS)
        text = f"{self.rows} {total:032x} {' '.join(sorted(self.problems))}"
        if self.events:
            told = sum(int(part.hash, 16) for files in self.events.values() for part in files.values())
            text += f" {self.event_rows} {told % (1 << _BITS):032x}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Deliveries(BaseModel):
    """All days of a data folder.

    Attributes:
      days: by ISO day, in order.
      notes: what was left out, in words.
    """

    days: dict[str, Delivery]
    notes: list[str] = Field(default_factory=list)


def read_deliveries(declaration: Declaration, data_dir: str, memory: Path) -> Deliveries:
    """Looks at every file of impressions and events that is new or has changed, and puts the days together.

    Args:
      declaration: the data set; `{data_day}` in `impressions.files` stands for a date.
      data_dir: the folder with its files.
      memory: a JSON file that remembers what was found in them; made where it is missing.

    Raises:
      InputError: the folder, or a file of events, is missing or cannot be read.
    """
    known = _remembered(memory, declaration)
    sections: list[Impressions | Events] = [declaration.impressions, *declaration.events]
    found = [
        _look(declaration, data_dir, section, known[number] if number < len(known) else {})
        for number, section in enumerate(sections)
    ]
    memory.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "clock": _clock(declaration),
        "files": [{name: file.model_dump() for name, file in files.items()} for files in found],
    }
    write_whole(memory, json.dumps(document, indent=1))
    return deliveries(found[0], found[1:])


def _look(
    declaration: Declaration, data_dir: str, section: Impressions | Events, known: Mapping[str, FileDays]
) -> dict[str, FileDays]:
    """What the files of a section hold; those that have not changed are not read again.

    Raises:
      InputError: a file of events cannot be read; of impressions that is its day's problem.
    """
    files: dict[str, FileDays] = {}
    rows = 0
    root = folder_of(data_dir)
    ignored = {path for pattern in section.ignore for path in matches(root, pattern)}
    for pattern in section.files:
        for path in matches(root, pattern):
            if path in ignored:
                continue
            name = relative_name(path, root)
            status = path.stat()
            found = known.get(name)
            if found is None or (found.size, found.changed_ns) != (status.st_size, status.st_mtime_ns):
                found = FileDays(
                    size=status.st_size, changed_ns=status.st_mtime_ns, named=day_in(name, pattern)
                )
                try:
                    found.days = _days_of(declaration, data_dir, name, section)
                except InputError as error:
                    if isinstance(section, Events):
                        raise
                    found.problem = str(error)
                rows += sum(part.rows for part in found.days.values())
                report(Progress("reading which days there are", rows))
            files[name] = found
    return files


def deliveries(files: Mapping[str, FileDays], events: Sequence[Mapping[str, FileDays]] = ()) -> Deliveries:
    """Puts files together to days.

    A day counts if a file delivers it. What a file holds of other days (rows that came late or early) counts with
    those days once they are delivered. The newest day counts once it has a tenth of the usual rows.
    """
    delivered = {day for file in files.values() for day in file.main_days()}
    days = {day: Delivery(day=day) for day in sorted(delivered)}
    strays: dict[str, int] = defaultdict(int)
    for name, file in sorted(files.items()):
        for day, part in file.days.items():
            if day not in days:
                strays[day] += part.rows
                continue
            same = next((other for other, its in days[day].parts.items() if its == part), None)
            if same is not None:
                days[day].repeats[name] = same
            else:
                days[day].parts[name] = part
                if len(file.main_days()) > 1:
                    days[day].shared.append(name)
    for name, day in _days_of_unreadable(files, delivered).items():
        days.setdefault(day, Delivery(day=day)).problems.append(files[name].problem)
    notes = [
        f"{rows} rows of {day} lie in files of other days, and no file delivers that day: left out"
        for day, rows in sorted(strays.items())
    ]
    days = dict(sorted(days.items()))
    if len(days) > 1:
        last = days[max(days)]
        usual = sorted(day.rows for day in days.values())[len(days) // 2]
        if not last.problems and last.rows < _BEGUN * usual:
            del days[last.day]
            notes.append(f"{last.day} has {last.rows} rows where {usual} are usual: it has only just begun")
    _add_events(days, events)
    return Deliveries(days=days, notes=notes)


def _add_events(days: Mapping[str, Delivery], events: Sequence[Mapping[str, FileDays]]) -> None:
    """Gives each day its events, and those of the days before it that bring no impressions."""
    delivered = sorted(days)
    for earlier, later in itertools.pairwise(delivered):
        days[later].after = earlier
    for number, files in enumerate(events):
        for name, file in sorted(files.items()):
            for day, part in file.days.items():
                at = bisect.bisect_left(delivered, day)
                if at == len(delivered):
                    continue
                mine = days[delivered[at]].events.setdefault(str(number), {})
                before = mine.get(name, Part(hash="0"))
                total = (int(before.hash, 16) + int(part.hash, 16)) % (1 << _BITS)
                mine[name] = Part(rows=before.rows + part.rows, hash=f"{total:x}")


def _days_of_unreadable(files: Mapping[str, FileDays], delivered: Iterable[str]) -> dict[str, str]:
    """The day of each file that cannot be read: of its name, else the one after the file before it, if it is absent."""
    found: dict[str, str] = {}
    taken = set(delivered)
    before: str | None = None
    for name, file in sorted(files.items()):
        main = file.main_days()
        if file.problem:
            day = file.named or (_next(before) if before is not None else None)
            if day is not None and (file.named or day not in taken):
                found[name] = day
                taken.add(day)
                before = day
        elif main:
            before = main[-1]
    return found


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def file_named(section: Impressions | Events, data_dir: str, name: str) -> DataFile:
    """A file, by its name as deliveries have it."""
    [file] = find_files(data_dir, section.model_copy(update={"files": [glob_escape(name)], "ignore": []}))
    return file


def _days_of(
    declaration: Declaration, data_dir: str, name: str, section: Impressions | Events
) -> dict[str, Part]:
    """The rows of a file by day; whatever else is wrong with them is for ExampleGen to say."""
    file = file_named(section, data_dir, name)
    clock = (section.timestamp if isinstance(section, Events) else None) or declaration.timestamp
    require_column(clock.column, "the timestamp", [file])
    rows: dict[int, int] = defaultdict(int)
    sums: dict[int, int] = defaultdict(int)
    lines = 0
    # The same values under other names are other rows.
    names_of_columns = hashlib.blake2b("\x1f".join(sorted(file.columns)).encode(), digest_size=16).digest()
    for block in read_all(file):
        lines += len(block.frame)
        text = block.frame.select(
            pl.concat_str(
                [_text(block.frame[column]) for column in sorted(block.frame.columns)],
                separator="\x1f",
            ).alias("row")
        )["row"]
        # A row without a readable time belongs to the file's day, and is a reject there.
        found = days_of_rows(block.frame, declaration, clock)
        days = found.fill_null(strategy="forward").fill_null(strategy="backward")
        for day, row in zip(days.to_list(), text.to_list(), strict=True):
            if day is not None:
                rows[day] += 1
                digest = hashlib.blake2b(row.encode(), digest_size=_BITS // 8, key=names_of_columns)
                sums[day] += int.from_bytes(digest.digest())
    if lines and not rows:
        raise InputError(
            f"{file.path}: none of the {lines:,} rows has a readable time in column {clock.column} (unit {clock.unit})"
        )
    return {day_name(day): Part(rows=rows[day], hash=f"{sums[day] % (1 << _BITS):x}") for day in sorted(rows)}


def _text(column: pl.Series) -> pl.Series:
    """The values as text, equal where they are; a missing one as nothing, as a column of text has it."""
    # Polars gives these no text, or none to bytes that are not UTF-8.
    if column.dtype == pl.Binary:
        column = _each(column, lambda value: value.decode(errors="backslashreplace"))
    elif column.dtype == pl.Duration or column.dtype.is_nested():
        column = _each(column, repr)
    return column.cast(pl.String, strict=False).fill_null("")


def _each(column: pl.Series, text: Callable[[Any], str]) -> pl.Series:
    texts = [None if value is None else text(value) for value in column.to_list()]
    return pl.Series(column.name, texts, pl.String)


def _clock(declaration: Declaration) -> str:
    """What a file's days depend on besides the file."""
    return f"{declaration.time_zone} {declaration.timestamp} {declaration.impressions} {declaration.events}"


def _remembered(memory: Path, declaration: Declaration) -> list[dict[str, FileDays]]:
    """By section: the impressions, then the events."""
    try:
        document = json.loads(memory.read_text())
    except (OSError, ValueError):
        return []
    if document.get("clock") != _clock(declaration):
        return []
    return [
        {name: FileDays.model_validate(found) for name, found in files.items()} for files in document["files"]
    ]
