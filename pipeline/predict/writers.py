"""Predictions beside the rows they are for: CSV, JSON lines or Parquet."""

from __future__ import annotations

import contextlib
import csv
import datetime
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from components.errors import InputError
from models.arrays import Array
from pipeline.predict.rows import FORMATS, Chunk, Format, Source


def output_format(path: Path | None, source: Format, kind: Format | None) -> Format:
    """The format to write: as told, else that of the suffix, else that of the source.

    Raises:
      InputError: the suffix is not known, or Parquet would go to a terminal or pipe.
    """
    if kind is None and path is not None:
        known = FORMATS.get(path.suffix)
        kind = None if known is None else known[0]
        if kind is None:
            raise InputError(
                f"{path}: the suffix {path.suffix!r} is not known; use .csv, .tsv, .jsonl or .parquet"
            )
    chosen: Format = kind or ("csv" if source == "csv" else "json")
    if chosen == "parquet" and path is None:
        raise InputError("Parquet cannot be written to standard output; name a file with --output")
    return chosen


def output_separator(path: Path | None, source: Source) -> str:
    """Between the values of CSV to write: the source's, unless the name says another.

    Args:
      path: the file to write; `None` for standard output.
      source: whose first line has been read; of CSV or not.
    """
    if path is not None and _usual(path.suffix) == "\t":
        return "\t"
    renamed = path is not None and _usual(source.suffix) == "\t"
    return source.separator if source.kind == "csv" and len(source.separator) == 1 and not renamed else ","


def _usual(suffix: str) -> str:
    return FORMATS[suffix][1] if suffix in FORMATS else ","


class Writer:
    """Writes rows with their predictions. A file appears when all is written, and not at all after an error.

    Args:
      path: the file; `None` for standard output.
      kind: the format.
      exact_text: whether text that a spreadsheet would compute is written to CSV as it is.
      separator: tells, once there is something to write, what stands between the values of CSV.
    """

    def __init__(
        self,
        path: Path | None,
        kind: Format,
        exact_text: bool = False,
        separator: Callable[[], str] = lambda: ",",
    ) -> None:
        self._path = path
        self._separator = separator
        self._written = _as_it_is if exact_text else not_computed
        self._kind = kind
        self._unfinished = None if path is None else path.with_name(f".{path.name}.unfinished")
        self._text: TextIO = sys.stdout
        self._columns: list[str] | None = None
        self._header: list[str] | None = None
        self._close: Callable[[], None] = sys.stdout.flush
        self._parquet: Any = None

    def __enter__(self) -> Writer:
        if self._unfinished is not None:
            if self._path is not None and self._path.is_dir():
                raise InputError(f"{self._path}: this is a folder; name a file in it with --output")
            try:
                self._unfinished.parent.mkdir(parents=True, exist_ok=True)
                if self._kind != "parquet":
                    # Half of a surrogate pair, which JSON may have, is no UTF-8 but can be written as JSON has it.
                    self._text = self._unfinished.open(
                        "w", encoding="utf-8", errors="backslashreplace", newline=""
                    )
                    self._close = self._text.close
            except OSError as error:
                raise self._cannot(error) from error
        return self

    def _cannot(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path}: cannot be written: {error.strerror or error}; name another with --output"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unfinished is None or self._path is None:
            self._close()
            return
        try:
            # What is still to be written may find the disk full.
            self._close()
            if error is None:
                self._unfinished.replace(self._path)
        except OSError as failed:
            raise self._cannot(failed) from failed
        finally:
            with contextlib.suppress(OSError):
                self._unfinished.unlink(missing_ok=True)

    def write(self, chunk: Chunk, outputs: Mapping[str, Array]) -> None:
        """Writes rows with the outputs (rows, ...) for them.

        Raises:
          InputError: a column is in later rows alone, or the file cannot be written.
        """
        try:
            self._write(chunk, outputs)
        except OSError as error:
            # Whoever reads standard output may have enough of it.
            if self._path is None:
                raise
            raise self._cannot(error) from error

    def _write(self, chunk: Chunk, outputs: Mapping[str, Array]) -> None:
        values = {name: _values(array) for name, array in outputs.items()}
        if self._kind == "parquet" and chunk.batch is not None:
            self._write_batch(chunk.batch, values)
            return
        rows = [
            {**row, **{name: column[number] for name, column in values.items()}}
            for number, row in enumerate(chunk.rows)
        ]
        if self._kind != "json":
            self._check_columns(rows, chunk.places)
        if self._kind == "json":
            for row in rows:
                self._text.write(json.dumps(row, ensure_ascii=False, default=_text) + "\n")
        elif self._kind == "csv":
            self._write_csv(rows, values)
        else:
            self._write_parquet(rows)

    def write_header(self, names: Sequence[str]) -> None:
        """Writes the header alone, of CSV without a row."""
        self._header = list(names)
        self._csv().writerow(self._header)

    def _csv(self, quoting: Any = csv.QUOTE_MINIMAL) -> Any:
        return csv.writer(self._text, delimiter=self._separator(), lineterminator="\n", quoting=quoting)

    def _check_columns(self, rows: Sequence[Mapping[str, Any]], places: Sequence[str]) -> None:
        """The columns are those of the first rows: CSV and Parquet have one header."""
        if self._columns is None:
            self._columns = list(dict.fromkeys(name for row in rows for name in row))
        known = set(self._columns)
        for row, place in zip(rows, places, strict=True):
            if new := [name for name in row if name not in known]:
                raise InputError(
                    f"{self._path or 'standard output'}: the column {new[0]!r} of {place} is in none of the first "
                    "rows, which made the header: write JSON lines (--output FILE.jsonl), or give each row every column"
                )

    def _write_csv(self, rows: Sequence[Mapping[str, Any]], outputs: Mapping[str, list[Any]]) -> None:
        flat = [_flat(row, outputs) for row in rows]
        # A carriage return ends a line for some readers: the module quotes it only where a line ends with one.
        text = "".join(cell for row in flat for cell in row.values() if isinstance(cell, str))
        writer = self._csv(csv.QUOTE_ALL if "\r" in text else csv.QUOTE_MINIMAL)
        if self._header is None:
            # A column for each number of an output.
            self._header = list(dict.fromkeys(name for row in flat for name in row))
            writer.writerow([self._written(name) for name in self._header])
        writer.writerows([[self._written(row.get(name, "")) for name in self._header] for row in flat])

    def _write_batch(self, batch: Any, values: Mapping[str, list[Any]]) -> None:
        """Parquet's own rows, whose columns keep their types."""
        import pyarrow as pa

        table = pa.Table.from_batches([batch])
        kept = table.select([name for name in table.column_names if name not in values])
        for name, column in values.items():
            kept = kept.append_column(name, pa.array(column))
        self._write_table(kept)

    def _write_parquet(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa

        schema = None if self._parquet is None else self._parquet.schema
        arrays = {}
        for name in self._columns or ():
            kind = None if schema is None else schema.field(name).type
            try:
                arrays[name] = pa.array([row.get(name) for row in rows], kind)
            except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError) as error:
                told = (
                    "had no value in the first rows, so its type is not known"
                    if kind == pa.null()
                    else f"has values of different types ({error})"
                )
                raise InputError(
                    f"{self._path}: the column {name!r} {told}: write JSON lines (--output FILE.jsonl)"
                ) from error
        self._write_table(pa.table(arrays))

    def _write_table(self, table: Any) -> None:
        from components.dataset.parquet import ParquetWriter

        if self._parquet is None:
            self._parquet = ParquetWriter(self._unfinished, table.schema)
            self._close = self._parquet.close
        self._parquet.write_table(table)


# A text that a spreadsheet takes for a formula. Numbers and ids compute nothing: "-3", "+4.9e+1", "-a_1", "@jane".
_COMPUTED = re.compile(r"[=\uff1d\t\r]|[-+@\uff0b\uff0d\uff20](?!(?:[\w.,:@-]*|[\d.]+[eE][-+]?\d+)\Z)")


def not_computed(cell: Any) -> Any:
    """A cell that no spreadsheet computes: text that one would gets a `'` in front, which makes it text there."""
    return f"'{cell}" if isinstance(cell, str) and _COMPUTED.match(cell) else cell


def _as_it_is(cell: Any) -> Any:
    return cell


def _values(array: Array) -> list[Any]:
    if array.dtype in (np.float32, np.float16):
        # The shortest decimal that gives the same float32 back.
        return array.astype("U32").astype(np.float64).tolist()
    return array.tolist()


def _flat(row: Mapping[str, Any], outputs: Mapping[str, list[Any]]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in outputs and isinstance(value, list):
            flat.update({f"{name}.{number}": _cell(item) for number, item in enumerate(value)})
        else:
            flat[name] = _cell(value)
    return flat


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        # In one column: how many values the next rows have is not known.
        return json.dumps(value, ensure_ascii=False, default=_text)
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    """A value of Parquet that JSON has no type for: as training reads it, where it reads it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
