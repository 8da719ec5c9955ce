"""Predictions beside the rows they are for: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import datetime
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np

from components.errors import InputError
from pipeline.predict.rows import Chunk, Format

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


def output_format(path: Path | None, source: Format, kind: Format | None) -> Format:
    """The format to write: as told, else that of the suffix, else that of the source.

    Raises:
      InputError: the suffix is not known, or Parquet would go to a terminal or pipe.
    """
    if kind is None and path is not None:
        kind = "parquet" if path.suffix == ".parquet" else _FORMATS.get(path.suffix)
        if kind is None:
            raise InputError(
                f"{path}: the suffix {path.suffix!r} is not known; use .csv, .tsv, .jsonl or .parquet"
            )
    chosen: Format = kind or ("csv" if source == "csv" else "json")
    if chosen == "parquet" and path is None:
        raise InputError("Parquet cannot be written to standard output; name a file with --output")
    return chosen


class Writer:
    """Writes rows with their predictions. A file appears when all is written, and not at all after an error.

    Args:
      path: the file; `None` for standard output.
      kind: the format.
    """

    def __init__(self, path: Path | None, kind: Format) -> None:
        self._path = path
        self._kind = kind
        self._unfinished = None if path is None else path.with_name(f".{path.name}.unfinished")
        self._text: TextIO = sys.stdout
        self._columns: list[str] | None = None
        self._close: Callable[[], None] = sys.stdout.flush
        self._parquet: Any = None

    def __enter__(self) -> Writer:
        if self._unfinished is not None:
            try:
                self._unfinished.parent.mkdir(parents=True, exist_ok=True)
                if self._kind != "parquet":
                    # Half of a surrogate pair, which JSON may have, is no UTF-8 but can be written as JSON has it.
                    self._text = self._unfinished.open(
                        "w", encoding="utf-8", errors="backslashreplace", newline=""
                    )
                    self._close = self._text.close
            except OSError as error:
                raise InputError(f"{self._path}: cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if self._unfinished is None or self._path is None:
            return
        if error is None and self._unfinished.exists():
            self._unfinished.replace(self._path)
        else:
            self._unfinished.unlink(missing_ok=True)

    def write(self, chunk: Chunk, outputs: Mapping[str, np.ndarray]) -> None:
        """Writes rows with the outputs (rows, ...) for them."""
        values = {name: _values(array) for name, array in outputs.items()}
        if self._kind == "parquet" and chunk.batch is not None:
            self._write_batch(chunk.batch, values)
            return
        rows = [
            {**row, **{name: column[number] for name, column in values.items()}}
            for number, row in enumerate(chunk.rows)
        ]
        if self._kind == "json":
            for row in rows:
                self._text.write(json.dumps(row, ensure_ascii=False, default=_text) + "\n")
        elif self._kind == "csv":
            self._write_csv(rows)
        else:
            self._write_parquet(rows)

    def _write_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        flat = [_flat(row) for row in rows]
        tabs = self._path is not None and self._path.suffix == ".tsv"
        writer = csv.writer(self._text, delimiter="\t" if tabs else ",", lineterminator="\n")
        if self._columns is None:
            self._columns = list(dict.fromkeys(name for row in flat for name in row))
            writer.writerow(self._columns)
        writer.writerows([[row.get(name, "") for name in self._columns] for row in flat])

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
        try:
            table = pa.Table.from_pylist(rows, schema=schema)
        except pa.ArrowException as error:
            raise InputError(f"{self._path}: a column has values of different types: {error}") from error
        self._write_table(table)

    def _write_table(self, table: Any) -> None:
        from pyarrow import parquet

        if self._parquet is None:
            self._parquet = parquet.ParquetWriter(self._unfinished, table.schema)
            self._close = self._parquet.close
        self._parquet.write_table(table)


def _values(array: np.ndarray) -> list[Any]:
    if array.dtype in (np.float32, np.float16):
        # The shortest decimal that gives the same float32 back.
        return array.astype("U32").astype(np.float64).tolist()
    return array.tolist()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            flat.update({f"{name}.{number}": _cell(item) for number, item in enumerate(value)})
        else:
            flat[name] = _cell(value)
    return flat


def _cell(value: Any) -> Any:
    return _text(value) if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    """A value of Parquet that JSON has no type for: as training reads it, where it reads it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)
