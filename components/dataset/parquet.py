"""The one door to Parquet files: guarded, whoever opens them.

A column of Arrow's type `arrow.py_extension_type` is a pickle in the file's metadata, and pyarrow before 14.0.1 loads
it, that is runs what it says, as soon as the schema is read (CVE-2023-47248). `pyarrow_hotfix` takes the type away;
later versions, which no longer load it by themselves, are kept from it too. Nothing else here imports `pyarrow.parquet`
or reads Parquet by pandas or polars: ruff's banned-api rule keeps it so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow_hotfix  # noqa: F401 - the import is the guard
from pyarrow.parquet import ParquetWriter as ParquetWriter
from pyarrow.parquet import write_table as write_table

from components.errors import InputError

_PICKLED = "arrow.py_extension_type"
_ROWS = 65_536


def open_parquet(source: str | Path | Any, name: str | None = None) -> pq.ParquetFile:
    """An opened file, of which the metadata has been read and nothing was run.

    Args:
      source: a path, or a binary file object.
      name: as messages name it; the path by default.
    Raises:
      InputError: it is no whole Parquet file, or has a column whose type is a pickled Python object.
    """
    name = name or str(source)
    try:
        return pq.ParquetFile(str(source) if isinstance(source, Path) else source)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(name, error) from None
    except Exception as error:
        # The guard's own error, or that of the disassembler with which it describes a pickle that is none.
        raise InputError(
            f"{name}: refused: a column's type is {_PICKLED}, a pickled Python object, which could run anything "
            "when it is read. Write the column with one of Arrow's own types"
        ) from error


def read_schema(path: str | Path) -> pa.Schema:
    """The columns and their types.

    Raises:
      InputError: as `open_parquet`.
    """
    with open_parquet(path) as file:
        return file.schema_arrow


def read_metadata(path: str | Path) -> pq.FileMetaData:
    """Numbers of rows and row groups, and their sizes.

    Raises:
      InputError: as `open_parquet`.
    """
    with open_parquet(path) as file:
        return file.metadata


def read_table(path: str | Path) -> pa.Table:
    """All rows.

    Raises:
      InputError: as `record_batches`.
    """
    schema = read_schema(path)
    return pa.Table.from_batches(list(record_batches(path, _ROWS)), schema)


def record_batches(
    source: str | Path | Any, rows: int, groups: Sequence[int] | None = None, name: str | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows, at most so many at a time.

    Args:
      source: a path, or a binary file object.
      rows: of a batch.
      groups: numbers of the row groups to read; all by default.
      name: as messages name it; the path by default.
    Raises:
      InputError: as `open_parquet`, or the rows are damaged.
    """
    with open_parquet(source, name) as file:
        batches = _batches(file, rows, groups)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pa.ArrowException) as error:
                raise _unreadable(name or str(source), error) from None
            if batch is None:
                return
            yield batch


def _batches(file: pq.ParquetFile, rows: int, groups: Sequence[int] | None) -> Iterator[pa.RecordBatch]:
    if file.num_row_groups == 0 or groups == []:
        return
    kinds = map(str, file.schema_arrow.types)
    if not any("dictionary" in kind and not kind.startswith("dictionary") for kind in kinds):
        yield from file.iter_batches(rows, row_groups=groups, use_threads=groups is None)
        return
    # Arrow reads dictionaries within lists of one row group at a time alone.
    for group in range(file.num_row_groups) if groups is None else groups:
        yield from file.iter_batches(rows, row_groups=[group])


def _unreadable(name: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{name}: cannot be read as Parquet: {reason}")
