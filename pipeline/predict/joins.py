"""Tables that a model's inputs come from beside the rows: read once, joined to every chunk by key.

The join is that of training (`components.dataset`): keys and values are read as the model's inputs are, text where a
key is no input; a column of the rows wins; a key without a line leaves the table's columns missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from components.dataset.blocks import read_all
from components.dataset.encodings import NO_TEXT, encoding_hint, is_in_utf_8
from components.dataset.files import DataFile, find_files, require_column
from components.dataset.input_names import input_name
from components.dataset.names import Written, is_date, key_readings, meant
from components.dataset.sections import UTF_8, ColumnType
from components.dataset.sections import Lookup as Section
from components.dataset.separators import shown_separator
from components.dataset.values import to_type
from components.errors import InputError
from pipeline.client import tensors
from pipeline.client.client import TensorSpec
from pipeline.predict.columns import numbers, text_of, unread_hint
from pipeline.predict.rows import AsWritten, Chunk

_KEY, _LINE = "__key", "__line"
_KINDS: Mapping[str, ColumnType] = {"i": "int", "u": "int", "f": "float"}


@dataclass(frozen=True)
class Lookup:
    """A table to join.

    Attributes:
      path: its file: csv, tsv (either with .gz) or Parquet.
      left, right: the key's column in the rows (or in a table before it) and in the file.
      prefix: put before its columns' names, as the declaration says.
    """

    path: Path
    left: str
    right: str
    prefix: str = ""

    @classmethod
    def readings(cls, text: str) -> tuple[Lookup, ...]:
        """From `FILE=KEY`, `FILE=OURS:THEIRS` or `FILE=OURS:THEIRS:PREFIX`: every way to read it, as names may hold
        colons.

        Raises:
          InputError: it is none of these, or there is no such file.
        """
        file, _, key = text.rpartition("=")
        readings = [parts for parts in key_readings(key, 3) if all(parts[:2])]
        if not file or not readings:
            raise InputError(
                f"--lookup {text}: expected FILE=KEY, the column that both have, as in --lookup users.csv=user_id; "
                "FILE=OURS:THEIRS where the names differ; FILE=OURS:THEIRS:PREFIX where the declaration has a prefix"
            )
        path = Path(file)
        if not path.is_file():
            raise InputError(f"--lookup {text}: {file}: no such file")
        return tuple(cls(path, parts[0], *(parts[1:] or parts)) for parts in readings)


class Join:
    """Adds the tables' columns to rows, in the order of the tables: a later one may be joined by an earlier's column.

    Only what the model asks for, or a later key, is kept of a table.

    Args:
      lookups: the tables, each with the readings of its key: its columns decide.
      inputs: of the signature that is asked.
      source: the rows' name, for errors.
      separator: between values of csv, for a table in which that of its suffix finds no key.
      written: how the texts of floats are written, by input; plainly where it is not said.
      encoding: of csv that is not UTF-8 by its bytes.
      columns: names for tables whose first line is data, by their paths.

    Raises:
      InputError: a table cannot be read, lacks its key or has nothing to add, has a key twice, or a value is not of
        its input's type; with file, line and column.
    """

    def __init__(
        self,
        lookups: Sequence[Sequence[Lookup]],
        inputs: Mapping[str, TensorSpec],
        source: str,
        separator: str | None = None,
        written: Mapping[str, Written] | None = None,
        encoding: str = UTF_8,
        columns: Mapping[Path | None, Sequence[str]] | None = None,
    ) -> None:
        self._source = source
        self._begun = False
        self._rows = 0
        self._tables = [
            _read(
                readings,
                inputs,
                {key.left for later in lookups[number + 1 :] for key in later},
                separator,
                written or {},
                encoding,
                (columns or {}).get(readings[0].path, ()),
            )
            for number, readings in enumerate(lookups)
        ]
        self._matched = [0] * len(lookups)

    @property
    def columns(self) -> set[str]:
        """What the tables have for rows."""
        return {name for table in self._tables for name in table.columns}

    @property
    def unmatched(self) -> dict[str, int]:
        """Rows so far without a line, by `FILE=COLUMN` of a table: one file may be joined by several columns."""
        pairs = zip(self._tables, self._matched, strict=True)
        return {f"{table.name}={table.lookup.left}": self._rows - matched for table, matched in pairs}

    def __call__(self, chunk: Chunk) -> Chunk:
        """The rows with the tables' columns.

        Raises:
          InputError: the first rows have no such key, or a column is in two tables.
        """
        if not self._begun:
            self._check({column for row in chunk.rows for column in row})
            self._begun = True
        rows = chunk.rows
        for number, table in enumerate(self._tables):
            found = table.find([row.get(table.lookup.left) for row in rows])
            # A column of the rows, or of a table before, wins.
            rows = [{**found[at], **row} if at in found else row for at, row in enumerate(rows)]
            self._matched[number] += len(found)
        self._rows += len(rows)
        return Chunk(rows, chunk.places)

    def _check(self, columns: set[str]) -> None:
        origins: dict[str, str] = {}
        for table in self._tables:
            left = table.lookup.left
            if left not in columns and left not in origins:
                close = meant(left, sorted(columns))
                hint = f"Did you mean {close}?" if close else f"It has: {', '.join(sorted(columns))}."
                ours = f" If it has another name there: --lookup {table.name}=OURS:{left}"
                remedy = ours if left == table.lookup.right else ""
                raise InputError(
                    f"{self._source}: has no column {left}, the key of the lookup {table.name}. {hint}{remedy}"
                )
            for name in table.columns:
                if name in origins and name not in columns:
                    raise InputError(
                        f"the column {name} is in {origins[name]} and in {table.name}: give the prefix that the "
                        "declaration has for one of them, --lookup FILE=OURS:THEIRS:PREFIX"
                    )
                origins[name] = table.name


@dataclass(frozen=True)
class _Table:
    """A table in memory, sorted by key.

    Attributes:
      lookup: what it is.
      kind: type of its key.
      keys: one for each line.
      frame: the lines' other columns.
    """

    lookup: Lookup
    kind: ColumnType
    keys: pl.Series
    frame: pl.DataFrame

    @property
    def name(self) -> str:
        return str(self.lookup.path)

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def find(self, values: Sequence[Any]) -> dict[int, dict[str, Any]]:
        """The line of each key, by the key's place; keys without one are left out."""
        wanted = pl.DataFrame({_KEY: _keys(values, self.kind).cast(self.keys.dtype)})
        present = wanted.with_row_index("at").drop_nulls()
        lines = self.keys.search_sorted(present[_KEY]).clip(upper_bound=len(self.keys) - 1)
        same = self.keys.gather(lines) == present[_KEY]
        records = self.frame[lines.filter(same)].to_dicts()
        return dict(zip(present["at"].filter(same).to_list(), records, strict=True))


def _keys(values: Sequence[Any], kind: ColumnType) -> pl.Series:
    """Null where there is none, or one that is refused with its line when it becomes an input."""
    if kind == "string":
        return pl.Series([_string(value) for value in values], dtype=pl.String)
    return numbers(values, kind).values


def _string(value: Any) -> str | None:
    if isinstance(value, float) and not isinstance(value, AsWritten):
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None or value == "" else text_of(value)


def _kind(column: str, inputs: Mapping[str, TensorSpec]) -> ColumnType:
    """The type in which a column is read: its input's."""
    spec = inputs.get(column) or inputs.get(input_name(column))
    return "string" if spec is None else _KINDS.get(tensors.DTYPES[spec.dtype].kind, "string")


def _open(
    readings: Sequence[Lookup],
    inputs: Mapping[str, TensorSpec],
    separator: str | None,
    encoding: str,
    columns: Sequence[str],
) -> tuple[Lookup, DataFile]:
    """The file, and the reading of its key that names a column of it, best one whose other side is an input."""
    path = readings[0].path

    def opened(between: str | None) -> DataFile:
        # The name alone, whatever it has of a pattern.
        name = "".join(f"[{c}]" if c in "*?[" else c for c in path.name)
        section = Section(
            files=[name],
            key=readings[0].right,
            separator=between,
            encoding=encoding,
            columns=list(columns),
        )
        file = find_files(str(path.parent), section)[0]
        if file.encoding != UTF_8 and is_in_utf_8(file.head()):
            file = find_files(str(path.parent), section.model_copy(update={"encoding": UTF_8}))[0]
        return file

    def fitting(file: DataFile) -> list[Lookup]:
        there = [reading for reading in readings if reading.right in file.columns]
        return sorted(there, key=lambda reading: not {reading.left, input_name(reading.left)} & inputs.keys())

    file = opened(None)
    if not fitting(file) and file.format != "parquet":
        between = separator or shown_separator(file.columns[:1], ",")
        file = opened(between) if between is not None else file
    found = fitting(file)
    if not found:
        # As it is meant where no name holds a colon.
        meant_key = readings[-1]
        one_name = meant_key.left == meant_key.right
        remedy = f"If it has another name there: --lookup {path}={meant_key.left}:THEIRS" if one_name else ""
        require_column(meant_key.right, "the key of the lookup", [file], remedy)
    return found[0], file


def likely_prefix(columns: Sequence[str], inputs: Iterable[str]) -> str:
    """What the declaration may have put before the names of a table: what most inputs have before one; or nothing.

    >>> likely_prefix(["stars", "city"], ["shop_stars", "shop_city", "user_city", "velocity"])
    'shop_'
    """
    found = Counter(
        name.removesuffix(column)
        for column in columns
        for name in inputs
        if column
        and name.endswith(column)
        and not name.removesuffix(column)[-1:].isalnum()
        and name != column
    )
    return found.most_common(1)[0][0] if found else ""


def _read(
    readings: Sequence[Lookup],
    inputs: Mapping[str, TensorSpec],
    later_keys: set[str],
    separator: str | None,
    written: Mapping[str, Written],
    encoding: str,
    names: Sequence[str],
) -> _Table:
    lookup, file = _open(readings, inputs, separator, encoding, names)
    offered = {lookup.prefix + name: name for name in file.columns}
    kept = {
        name: source
        for name, source in offered.items()
        if name != lookup.left and (name in inputs or input_name(name) in inputs or name in later_keys)
    }
    if not kept:
        prefix = likely_prefix([name for name in file.columns if name != lookup.right], inputs)
        hint = f"; as --lookup {file.name}={lookup.left}:{lookup.right}:{prefix} some are" if prefix else ""
        raise InputError(
            f"{file.path}: none of its columns is an input of the model, or the key of a later lookup; "
            f"it has {', '.join(name for name in offered if name != lookup.left)}{hint}"
        )
    kind = _kind(lookup.left, inputs)
    frames, first_line = [], file.first_line
    for block in read_all(file):
        if block.bad:
            line, reason = block.bad[0]
            hint = encoding_hint(file.head()) if reason == NO_TEXT else ""
            raise InputError(f"{file.path}:{first_line + line}: {reason}{hint}")
        lines = pl.Series(_LINE, block.lines + first_line)
        columns = {_LINE: lines, _KEY: _typed(file, block.frame[lookup.right], kind, lines)}
        for name, source in kept.items():
            columns[name] = _typed(
                file,
                block.frame[source],
                _kind(name, inputs),
                lines,
                input_name(name),
                written.get(input_name(name), "plain"),
            )
        frames.append(pl.DataFrame(columns).drop_nulls(_KEY))
        first_line += block.count
    if not frames:
        raise InputError(f"{file.path}: there is nothing below the header to join")
    frame = pl.concat(frames).sort(_KEY, maintain_order=True)
    _require_unique(frame, file, lookup.right)
    return _Table(lookup, kind, frame[_KEY], frame.drop(_KEY, _LINE))


def _typed(
    file: DataFile,
    column: pl.Series,
    kind: ColumnType,
    lines: pl.Series,
    name: str = "",
    written: Written = "plain",
) -> pl.Series:
    """The values of a column in the type of the input of this name; no name: of a key."""
    if kind == "string" and column.dtype.is_float():
        # A number that is an id: `7`, as csv has it.
        whole = to_type(column, "int")
        if not whole.bad.any():
            return whole.values.cast(pl.String)
    typed = to_type(column, kind, written=written if kind == "float" else "plain")
    if typed.bad.any():
        at = int(typed.bad.arg_true()[0])
        hint = unread_hint(name, column[at], is_float=kind == "float") if name else ""
        raise InputError(
            f"{file.path}:{lines[at]}, column {column.name}: expected {kind}, found {column[at]!r}{hint}"
        )
    # A date stays as it is written, to be read with the rows.
    return column if is_date(written) else typed.values


def _require_unique(frame: pl.DataFrame, file: DataFile, key: str) -> None:
    repeated = frame.filter(frame[_KEY].is_duplicated())
    if repeated.is_empty():
        return
    value = repeated[_KEY][0]
    lines = repeated.filter(pl.col(_KEY) == value)[_LINE].to_list()
    raise InputError(
        f"{file.path}:{lines[0]} and {file.path}:{lines[1]}: the key {key} = {value!r} occurs {len(lines)} times; a "
        "lookup needs one line for each key"
    )
